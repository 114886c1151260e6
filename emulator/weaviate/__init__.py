"""A double of a Weaviate 1.38 server (REST and gRPC) with an exact search engine of its own.

It answers what the real one answers, errors included: ``tests/integration/test_weaviate_emulator.py`` asks both the
same questions. References, nested objects, keyword search, vectorizers and replication are not there.
"""

import warnings

with warnings.catch_warnings():
    # The client, whose messages are used, sets warning filters of its own for the whole process.
    warnings.simplefilter("ignore")
    from .server import Server, serving

__all__ = ["Server", "serving"]
