"""A step of one's own, as a pipeline's JSON names it."""

from __future__ import annotations

from typing import Any

from ia_modules.pipeline.core import Step


class AnswerStep(Step):  # type: ignore[misc]
    """Answers with the best result, or says what kept it from being found."""

    async def run(self, data: dict[str, Any]) -> dict[str, Any]:
        if data.get("step_error"):
            return {"answer": f"no answer: {data['error_category']}"}
        if "results_error" in data:
            return {"answer": f"not now: {data['results_error']['category']}"}
        if not data["results"]:
            return {"answer": "nothing found"}
        return {"answer": data["results"][0]["text"], "prompt": f"{data['context']}\n\n{data['query']}"}
