"""Ask a public list of vulnerabilities about every package that is installed beside this script's Python.

A finding makes it fail. A list that can't be reached does not, as a build without a network must be possible; it says
so, and ``--require`` makes that a failure too. ``pip-audit`` by itself takes a package index without such a list for
one that knows none of the packages, and passes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

IGNORED: dict[str, str] = {}
"""Findings to live with for now: id -> why, and until when."""

NO_ANSWER = (
    "connect",
    "timed out",
    "timeout",
    "max retries",
    "temporary failure",
    "name resolution",
    "proxy",
    "serviceerror",
    "jsondecodeerror",
)
FOUND, BROKEN, NOT_ASKED = 1, 2, 3


def main(arguments: list[str] | None = None) -> int:
    """Run the audit; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--require", action="store_true", help="fail if the list of vulnerabilities can't be reached")
    parser.add_argument("--timeout", type=int, default=15, help="seconds to wait for an answer")
    given = parser.parse_args(arguments)
    command = ["--local", "--skip-editable", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", *command, "--timeout", str(given.timeout)],
        capture_output=True,
        text=True,
        check=False,
    )
    code, message = judged(done.stdout, done.stderr)
    print(message)
    return 0 if code == NOT_ASKED and not given.require else code


def judged(output: str, errors: str) -> tuple[int, str]:
    """What came of it: 0, or one of ``FOUND``, ``BROKEN`` and ``NOT_ASKED``; and what to say.

    Args:
        output: of pip-audit, in JSON.
        errors: what it wrote to standard error.
    """
    try:
        packages: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (errors.strip().splitlines() or ["it said nothing"])[-1]
        if any(word in errors.lower() for word in NO_ANSWER):
            return NOT_ASKED, f"NOT AUDITED: the list of vulnerabilities could not be reached ({last})"
        return BROKEN, f"pip-audit failed: {last}"
    asked = [package for package in packages if "vulns" in package]
    unknown = [package["name"] for package in packages if "editable" not in package.get("skip_reason", "editable")]
    if not asked:
        return NOT_ASKED, f"NOT AUDITED: the package index has no list of vulnerabilities ({len(unknown)} packages)"
    found = [(package, one) for package in asked for one in package["vulns"]]
    names = {one["id"] for _, one in found} | {alias for _, one in found for alias in one.get("aliases", ())}
    lines = [f"{len(asked)} packages audited"]
    if unknown:
        lines.append(f"not known to the list, so not audited: {', '.join(sorted(unknown))}")
    lines += [f"no longer found, take it out of IGNORED: {name}" for name in sorted(IGNORED) if name not in names]
    failing = 0
    for package, one in found:
        reason = next((IGNORED[name] for name in (one["id"], *one.get("aliases", ())) if name in IGNORED), None)
        failing += reason is None
        fixed = ", ".join(one.get("fix_versions") or ()) or "no version yet"
        what = f"{package['name']} {package['version']}: {one['id']}, fixed in {fixed}"
        lines.append(f"VULNERABLE  {what}" if reason is None else f"ignored     {what} ({reason})")
    lines.append(f"{failing} to be fixed: raise the version in constraints.txt" if failing else "nothing to be fixed")
    return FOUND if failing else 0, "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
