"""``python tests/fuzz/fuzz_filter_json.py -max_total_time=30``; see ``targets.py``."""

from driver import run

if __name__ == "__main__":
    run("filter_json")
