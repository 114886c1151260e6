"""A pipeline of ia_modules that writes pages, finds what answers a question, and answers with its source.

Run it with ``python examples/rag_pipeline.py``. Needs ``pip install ia_modules "ia-modules-vector-stores[wordllama]"``
and the extra of the store, which is the first argument: ``chroma:///tmp/handbook/pages``, for example.
"""

import asyncio
import json
import sys
from pathlib import Path

from ia_modules.pipeline.core import Step
from ia_modules.pipeline.graph_pipeline_runner import GraphPipelineRunner
from ia_modules.pipeline.services import ServiceRegistry

PAGES = [
    {"id": "1", "text": "Holidays are asked for two weeks before they begin.", "metadata": {"source": "Leave"}},
    {"id": "2", "text": "A broken laptop is replaced on the same day.", "metadata": {"source": "Equipment"}},
    {"id": "3", "text": "Salaries are paid on the last working day.", "metadata": {"source": "Pay"}},
]


class AnswerStep(Step):
    """Stands for the language model: it would get ``data["context"]`` in its prompt; this one quotes the best page."""

    async def run(self, data):
        if not data["results"]:
            return {"answer": "I don't know."}
        best = data["results"][0]
        return {"answer": f"{best['text']} [{best['number']}: {best['metadata']['source']}]"}


async def main(store: str) -> None:
    pipeline = json.loads((Path(__file__).parent / "rag_pipeline.json").read_text())
    pages = [{**page, "metadata": {**page["metadata"], "audience": "staff"}} for page in PAGES]
    services = ServiceRegistry()
    runner = GraphPipelineRunner(services)
    try:
        for question, audience in [
            ("When do I get my money?", "staff"),
            ("My computer does not start", "staff"),
            ("When do I get my money?", "guests"),
        ]:
            given = {"store": store, "documents": pages, "query": question, "audience": audience}
            result = await runner.run_pipeline_from_json(pipeline, given)
            print(f"{audience}: {question}\n    {result['output']['answer']}")
    finally:
        await services.cleanup_all()  # closes the store, which all runs have shared


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:] or ["chroma:///:memory:/handbook"]))
