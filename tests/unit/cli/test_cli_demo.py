from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from ia_modules.vector_stores import VectorStoreBase, create_vector_store
from ia_modules.vector_stores.cli.demo import QUESTIONS, ask, load_corpus, run_demo
from ia_modules.vector_stores.cli.stdlib_docs import stdlib_records
from ia_modules.vector_stores.embedders import WordLlamaEmbedder

EXPECTED = ("shutil.copytree", "random.Random.choice", "shlex.split", "calendar.weekday", "getpass")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture
async def store() -> AsyncIterator[VectorStoreBase]:
    async with await create_vector_store(provider="memory", index_name="demo", dimension=256) as store:
        await store.create_index(256)
        yield store


async def test_every_question_finds_its_answer_and_a_second_run_embeds_nothing(
    store: VectorStoreBase, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with aclosing(WordLlamaEmbedder()) as embedder:
        await load_corpus(store, embedder, folder)
        assert (await store.get_stats()).total_vectors > 3000
        for question, expected in zip(QUESTIONS, EXPECTED, strict=True):
            response, embed_ms = await ask(store, embedder, question)
            assert response.results[0].id == expected, question
            assert embed_ms > 0
        # Only a synonym connects the last question with its answer.
        words = set(re.findall(r"\w+", str(response.results[0].text).lower()))
        assert words & set(QUESTIONS[-1].lower().split()) <= {"a", "the"}
        capsys.readouterr()

        async def refuse(*_: object) -> None:
            raise AssertionError("embedded again")

        monkeypatch.setattr(embedder, "embed_documents", refuse)
        await load_corpus(store, embedder, folder)
        assert "unchanged" in capsys.readouterr().out


async def test_the_demo_prints_questions_answers_and_timing(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert await run_demo("memory:///demo", folder) == 0
    shown = capsys.readouterr().out
    for word in (*QUESTIONS, *EXPECTED, "embedded in", "searched in", "ms"):
        assert word in shown


def test_the_corpus_is_public_documentation() -> None:
    records = list(stdlib_records())
    ids = [record["id"] for record in records]
    assert len(ids) == len(set(ids))
    assert {"json.dumps", "math.sin", "builtins.str.upper", "asyncio.tasks.gather"} <= set(ids)
    assert not [identity for identity in ids if re.search(r"(^|\.)_", identity) or identity.startswith("test.")]
    assert all(len(record["text"]) > len(record["id"]) + 30 for record in records)
    json.dumps(records)
