async def compare_peers(target, data, rounds):
    return [], ["peers: todo"]
