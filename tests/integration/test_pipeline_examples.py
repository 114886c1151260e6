"""Every example runs, prints what its page shows, and is on that page as it is."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PAGE = (ROOT / "docs" / "examples.md").read_text()
# The example of a real pipeline runs beside ia_modules, in tests/beside.
ALONE = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem != "rag_pipeline")


def printed(name: str, tmp_path: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ""},
        check=False,
        timeout=100,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == [], "it leaves nothing behind"
    return done.stdout


def shown(name: str) -> str:
    """What the page says that an example prints."""
    _, _, rest = PAGE.partition(f"(../examples/{name}.py)")
    found = re.search(r"```text\n(.*?)```", rest, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("name", ALONE)
def test_an_example_prints_what_is_shown(name: str, tmp_path: Path) -> None:
    assert printed(name, tmp_path) == shown(name)


@pytest.mark.parametrize("name", ["basic_provider", "multi_tenant", "migration"])
@pytest.mark.parametrize("url", ["memory:///example", "qdrant:///example"])
def test_another_store_is_another_url(name: str, url: str, tmp_path: Path) -> None:
    provider = url.partition(":")[0]
    assert printed(name, tmp_path, url) == shown(name).replace("chroma", provider)


@pytest.mark.parametrize("name", ["basic_provider", "multi_tenant", "pooling"])
def test_on_pinecone_s_emulator(name: str, tmp_path: Path, pinecone_server: object) -> None:
    url = str(pinecone_server.url).replace("http://", "pinecone://")  # type: ignore[attr-defined]
    assert printed(name, tmp_path, f"{url}/{name.replace('_', '-')}") == shown(name).replace("chroma", "pinecone")


def test_every_example_is_on_the_page_as_it_is() -> None:
    fences = re.findall(r"```(?:python|json)\n(.*?)```", PAGE, re.DOTALL)
    files = sorted([*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.json")])
    assert len(files) == len(fences) == 6
    for file in files:
        assert file.read_text() in fences, f"{file.name} is not in docs/examples.md as it is"
        assert f"(../examples/{file.name})" in PAGE


def test_what_the_pipeline_names_exists() -> None:
    pipeline = json.loads((EXAMPLES / "rag_pipeline.json").read_text())
    for step in pipeline["steps"]:
        if step["module"] == "rag_pipeline":
            assert f"class {step['step_class']}(Step)" in (EXAMPLES / "rag_pipeline.py").read_text()
        else:
            module = importlib.import_module(step["module"])
            getattr(module, step["step_class"])(step["id"], {"store": "memory:///a", "embedding_model": "wordllama"})
