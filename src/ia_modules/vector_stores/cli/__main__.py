"""``python -m ia_modules.vector_stores.cli``."""

from __future__ import annotations

import sys

from ia_modules.vector_stores.cli import main

sys.exit(main())
