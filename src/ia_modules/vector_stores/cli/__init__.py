"""The command line ``ia-vectors``.

Exit codes:

==== ==============================================================================================
0    it worked
1    it failed: the store or the embedder can't be reached, a package is missing, models don't match
2    wrong usage: an unknown option, a bad URL, a bad ``--where``, a path that doesn't exist
3    it finished, but some of the input could not be read or, of a migration, did not arrive; what,
     is on standard error
4    nothing was found: no result for a search, or an id that isn't there for a fetch
130  interrupted with Ctrl-C
==== ==============================================================================================

Standard output holds the answer and nothing else (pure JSON with ``--json``); messages go to standard error.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

from ia_modules.vector_stores.errors import MissingDependencyError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments without the program's name; None for those of the process.

    Returns:
        The exit code; see the module's description.
    """
    for package in ("typer", "rich", "lark"):
        if importlib.util.find_spec(package) is None:
            error = MissingDependencyError(package, extra="cli", needed_for="The command line")
            sys.stderr.write(f"error: {error}\n")
            return 1
    from ia_modules.vector_stores.cli.app import app

    try:
        app(args=None if argv is None else list(argv), prog_name="ia-vectors")
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    return 0
