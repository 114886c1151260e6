"""The targets on what once broke something, on what hypothesis makes up, and for a moment under atheris."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from targets import CORPUS, TARGETS

SEEDS = [path for name in TARGETS for path in sorted((CORPUS / name).iterdir())]
WORDS = {
    "where": r"""a `b.c` "d" 'e' 1 -2.5e3 2020-01-01 null = != <= > in not contains exists and or ( ) [ ] , \ud800 é""",
    "url": "qdrant memory : / // h [::1] [fe80::1%25e] @ # ? = & %2F % .. dimension options tls none 63 {} [ é",
    "jsonl": r'{ } [ ] "text" "id" : , "a" 1 null \ud800 1e999 é',
    "filter_json": r'{ } [ ] "and" "or" "not" : , "field" "operator" "value" "eq" "in" "a" 1 null true 1e999 \ud800',
}
MORE = ["\n", "\r", " ", "\0", "\ud800"]


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_corpus(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=300)
@given(data=st.data())
def test_any_bytes(name: str, data: st.DataObject) -> None:
    TARGETS[name](data.draw(st.binary(max_size=200)))


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=500)
@given(data=st.data())
def test_words_of_the_language(name: str, data: st.DataObject) -> None:
    some = st.lists(st.sampled_from([*WORDS[name].split(), *MORE]), max_size=25)
    words = data.draw(some)
    glue = " " if name == "where" else ""
    TARGETS[name](glue.join(words).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason='atheris is not installed (pip install "ia-modules-vector-stores[fuzz]", on Linux); hypothesis did its part',
)
def test_a_moment_under_atheris(name: str, tmp_path: Path) -> None:
    script = Path(__file__).with_name(f"fuzz_{name}.py")
    # New inputs go into the first folder; a fixed number of runs is the same on every machine.
    command = [sys.executable, str(script), str(tmp_path), str(CORPUS / name), f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(
        [*command, "-runs=2000", "-seed=1", "-max_total_time=60"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done " in done.stderr
