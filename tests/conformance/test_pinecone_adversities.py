"""The kit on a Pinecone that is late, and on one that fails now and then.

The other run on the emulator has all of the kit; here it is those cases that reads behind writes and failures could
break, with fewer generated programs. Deletes are not carried out when they fail: how many documents there were can't
be told any more once they are gone, and the answer is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ia_modules.vector_stores import VectorStoreConfig
from ia_modules.vector_stores.emulator.pinecone import serving
from ia_modules.vector_stores.testing import CASES, ConformanceTarget, Scale, run_case
from ia_modules.vector_stores.testing.case import Case

pytest.importorskip("pinecone")
pytestmark = pytest.mark.timeout(600)

SCALE = Scale().times(0.02)
LATE = [case for case in CASES if case.rule.section not in "49" and case.rule.id not in ("1.5", "7.3")]
# Not what makes hundreds of requests in one call (5.3), as such a call is tried again as a whole.
FAILING = [case for case in CASES if case.rule.section in "1235" or case.rule.id in ("4.8", "8.4")]
FAILING = [case for case in FAILING if case.rule.id not in ("1.5", "5.3")]


@pytest.fixture(scope="module")
def failing() -> Iterator[Any]:
    with serving() as emulator:
        paths = ["/query", "/vectors/*", "/describe_index_stats"]
        for seed, path in enumerate(f"* {path}" for path in paths):
            emulator.fail(503, path, probability=0.015, times=None, seed=seed)
            emulator.fail(429, path, probability=0.015, times=None, seed=seed, retry_after=0.01)
            emulator.fail("drop", path, probability=0.015, times=None, seed=seed)
        for read in ("POST /query", "GET /vectors/*"):
            emulator.fail("cut", read, probability=0.015, times=None, seed=9)
        emulator.fail(500, "POST /vectors/upsert", probability=0.1, times=None, seed=10, after=True)
        emulator.fail("half", "POST /vectors/upsert", probability=0.1, times=None, seed=11)
        yield emulator


def check(emulator: Any, case: Case, **given: Any) -> None:
    target = ConformanceTarget(VectorStoreConfig(provider="pinecone", host=emulator.url, index_name="kit", **given))
    outcome = run_case(case, target, SCALE)
    if outcome.verdict == "fails":
        pytest.fail(f"rule {case.rule.id} is broken: {case.rule.text}\n{outcome.message}", pytrace=False)


@pytest.mark.parametrize("case", LATE, ids=lambda case: case.name)
def test_on_one_that_is_late(lagging_pinecone: Any, case: Case) -> None:
    check(lagging_pinecone, case)


@pytest.mark.parametrize("case", FAILING, ids=lambda case: case.name)
def test_on_one_that_fails_now_and_then(failing: Any, case: Case) -> None:
    check(failing, case, max_retries=12, retry_delay=0.005)
