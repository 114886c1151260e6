"""Filling a Qdrant server: ours beside scripts that use the raw client.

``QDRANT_URL=http://127.0.0.1:6333 python benchmarks/bulk_load.py`` loads 100,000 documents of 384 dimensions several
times over each way and prints documents per second; then it compares searches in what was loaded. The gRPC port is the
one after that of the URL, or ``QDRANT_GRPC_PORT``. ``--quick`` takes a minute.

Both sides are handed what their users have, made beforehand: ours a list of documents; the raw client ids, a matrix and
a list of payloads. The contestants take turns, each with a fresh collection that is deleted before the next one begins,
and a load ends when all documents can be found.
"""

from __future__ import annotations

# The raw client's uploader starts processes that import this file again, at the cost of the time that is measured;
# so everything else is imported where it is used.
import argparse


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5,000 documents of 128 dimensions")
    parser.add_argument("--count", type=int, help="documents (100,000)")
    parser.add_argument("--dimension", type=int, help="numbers per vector (384)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, at least 3 for figures that count (3)")
    parser.add_argument("--batch-size", type=int, default=100, help="documents per request, for all (100)")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds of rest before each load (1)")
    parser.add_argument(
        "--unit", action="store_true", help="vectors of length 1, as many models make them: ours keeps other lengths"
    )
    given = parser.parse_args()
    given.count = given.count or (5_000 if given.quick else 100_000)
    given.dimension = given.dimension or (128 if given.quick else 384)
    if min(given.count, given.dimension, given.rounds, given.batch_size) < 1:
        parser.error("at least one document, dimension, round, and document per request")
    return given


def main() -> None:
    import asyncio
    import sys

    given = _arguments()

    from bench.bulk import measure
    from bench.qdrant import Server

    server = Server.of_environment()
    if server is None:
        sys.exit("QDRANT_URL is not set; it says where the Qdrant server is, such as http://127.0.0.1:6333")
    asyncio.run(measure(server, given))


if __name__ == "__main__":
    main()
