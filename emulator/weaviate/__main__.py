"""``python -m emulator.weaviate --http-port 8080 --grpc-port 50051``: the double, until it is interrupted."""

import argparse
import signal
import threading

from .server import serving


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m emulator.weaviate", description=__doc__)
    parser.add_argument("--http-port", type=int, default=8080)
    parser.add_argument("--grpc-port", type=int, default=50051)
    parser.add_argument("--api-key", default=None, help="ask for this key (default: anonymous access)")
    given = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with serving(given.api_key, http_port=given.http_port, grpc_port=given.grpc_port) as server:
        print(f"http://127.0.0.1:{server.http_port} (gRPC {server.grpc_port})", flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
