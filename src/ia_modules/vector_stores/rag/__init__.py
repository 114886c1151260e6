"""What the pipeline steps share: stores that are open once, the text for a prompt, errors in the pipeline's terms.

The steps themselves are in ``ia_modules.pipeline.steps``.
"""

from __future__ import annotations

from ia_modules.vector_stores.rag.context import count_tokens
from ia_modules.vector_stores.rag.shared import close_shared_stores

__all__ = ["close_shared_stores", "count_tokens"]
