"""An emulator of Pinecone: the control plane and both APIs for data over HTTP, on one port of this machine.

```python
from ia_modules.vector_stores.emulator.pinecone import serving

with serving() as emulator:
    client = pinecone.Pinecone(host=emulator.url, api_key="any")
```

It answers as the service is documented to answer, errors, limits and headers included, and searches exactly. What it
adds is for tests: writes that become visible late (``lag``), faults on demand (``fail``), a request rate limit, and
a folder that keeps everything.

The modules, from the outside in: ``server`` (socket and thread), ``app`` (HTTP, with ``faults``), ``control`` and
``vectors`` (which function answers what; those of the latter are in ``reading``, ``writing`` and ``naming``, and those
of the Documents API in ``documents`` and ``document_search``), ``creating``, ``definitions``, ``records``,
``document_fields``, ``filters`` and ``checks`` (what a request may say), ``engine``,
``namespaces``, ``table`` and ``search`` (what is stored, and how it is found), ``storage`` (the folder).
"""

from __future__ import annotations

try:
    from ia_modules.vector_stores.emulator.pinecone.lag import Reads
    from ia_modules.vector_stores.emulator.pinecone.server import PineconeEmulator, serving
    from ia_modules.vector_stores.emulator.pinecone.storage import FolderInUseError
except ModuleNotFoundError as error:
    if error.name not in ("httptools", "numpy", "orjson", "uvicorn"):
        raise
    raise ModuleNotFoundError(
        f"The Pinecone emulator needs the package {error.name!r}, which is not installed. "
        'Install it with: pip install "ia-modules-vector-stores[emulator]"',
        name=error.name,
    ) from error

__all__ = ["FolderInUseError", "PineconeEmulator", "Reads", "serving"]
