"""Runs one target with atheris."""

from __future__ import annotations

import resource
import sys

__all__ = ["run"]

_SECONDS = 10
"""A single input that takes longer is reported; ordinary ones take a hundredth of a second, also on a busy machine."""


def run(name: str) -> None:
    """Fuzz a target until it breaks, or as long as libFuzzer's ``-max_total_time`` says."""
    import atheris

    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    with atheris.instrument_imports(include=["ia_modules.vector_stores", "lark"]):
        from targets import CORPUS, TARGETS

    seeds = [str(CORPUS / name)] if not any(one for one in sys.argv[1:] if not one.startswith("-")) else []
    atheris.Setup([*sys.argv, f"-timeout={_SECONDS}", "-max_len=4096", *seeds], TARGETS[name])
    atheris.Fuzz()
