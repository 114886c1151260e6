"""Prove that our wheel installs beside PyPI's ``ia_modules``, and alone, and takes nothing of what that one owns.

Builds the wheel, checks what is in it, installs it together with ``ia_modules`` into a fresh environment, and runs
both there: a short program, then the pipeline steps' tests, in pipelines of the real runner. An editable checkout would
be hidden by the other package, so only the built wheel can show this.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OTHER = "ia_modules==0.2.0"
NOT_OURS = ("ia_modules/__init__.py", "ia_modules/pipeline/__init__.py", "ia_modules/pipeline/steps/__init__.py")

PROGRAM = """
import asyncio, importlib.metadata, pathlib
import ia_modules
from ia_modules.pipeline.core import Step
from ia_modules.vector_stores import SearchFilter, VectorDocument, create_vector_store

assert pathlib.Path(ia_modules.__file__).name == "__init__.py", "the other package's own __init__ must stay"
assert Step.__module__ == "ia_modules.pipeline.core"

async def main():
    async with await create_vector_store("memory:///beside?dimension=2", create_if_missing=True) as store:
        one = VectorDocument(id="a", vector=[1, 0], metadata={"n": 1})
        await store.upsert([one, VectorDocument(id="b", vector=[0, 1])])
        found = await store.search([1, 0], filters=[SearchFilter(field="n", operator="eq", value=1)])
        assert [result.id for result in found.results] == ["a"], found

asyncio.run(main())
print("ia_modules", importlib.metadata.version("ia_modules"), "and ia-modules-vector-stores",
      importlib.metadata.version("ia-modules-vector-stores"), "work beside each other, with pydantic",
      importlib.metadata.version("pydantic"))
"""

# What the tests of the pipeline steps need, in the places where they look for it.
TESTS = ("examples", "tests/beside", "tests/unit/pipeline", "tests/pipeline_helpers.py")
NEEDED = ("hypothesis", "pytest", "pytest-asyncio", "pytest-timeout")
SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
timeout = 120
pythonpath = tests tests/beside
filterwarnings = error:::ia_modules.vector_stores
"""


def run(*command: str | Path, cwd: Path) -> None:
    """Run a command and stop with its output if it fails."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(str(part) for part in command)}\n{done.stdout}{done.stderr}")
    if done.stdout.strip():
        print(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Build, look, install, run."""
    with tempfile.TemporaryDirectory(prefix="beside-") as folder:
        work = Path(folder)
        run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", work, ROOT, cwd=work)
        (wheel,) = work.glob("*.whl")
        names = zipfile.ZipFile(wheel).namelist()
        if taken := sorted(set(NOT_OURS) & set(names)):
            sys.exit(f"the wheel holds files that belong to {OTHER}: {', '.join(taken)}")
        if "ia_modules/vector_stores/py.typed" not in names:
            sys.exit("the wheel lacks py.typed")
        venv.create(work / "env", with_pip=True)
        python = work / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", OTHER, wheel, cwd=work)
        overlap = subprocess.run(
            [python, "-c", OVERLAP], cwd=work, capture_output=True, text=True, check=True
        ).stdout.strip()
        if overlap:
            sys.exit(f"both packages install these files: {overlap}")
        run(python, "-W", "error:::ia_modules.vector_stores", "-c", PROGRAM, cwd=work)
        extras = f"ia-modules-vector-stores[hybrid,wordllama] @ {wheel.as_uri()}"
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", extras, OTHER, *NEEDED, cwd=work)
        run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", copied_tests(work / "checkout"), cwd=work)


def copied_tests(folder: Path) -> Path:
    """The tests away from the checkout, whose ``src`` would come before what is installed; returns their folder."""
    for name in TESTS:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, place)
    (folder / "pytest.ini").write_text(SETTINGS)
    return folder


OVERLAP = """
from importlib.metadata import files
ours, theirs = ({str(f) for f in files(name)} for name in ("ia-modules-vector-stores", "ia_modules"))
print(", ".join(sorted(ours & theirs)))
"""

if __name__ == "__main__":
    main()
