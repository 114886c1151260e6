# `make demo` and `make test` set up all they need in a virtual environment of their own (.venv).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Two at a time is what two cores bear; cases about time and about what is left open are run by themselves.
PARALLEL ?= --numprocesses 2
ALONE := 7.1- or 8.1- or 8.2-
# The same engine as qdrant-memory answers these, wherever its folder is; conformance-long has them.
SAME := qdrant-folder-4. or qdrant-folder-5.
LIVE := qdrant-server or qdrant-grpc or weaviate-server or test_both
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: help demo test lint types contracts audit unit integration chaos conformance conformance-long conformance-page test-live beside \
	benchmark contract format docs clean

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: $(VENV)/.runtime ## install, index Python's own documentation into embedded Chroma, ask five questions
	$(BIN)/ia-vectors demo

test: lint types contracts audit unit integration chaos conformance beside ## everything that must hold
	@echo "All checks passed."

lint: $(VENV)/.development ## style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.development ## strict type checking
	$(BIN)/mypy

contracts: $(VENV)/.development ## directions of the dependencies
	$(BIN)/lint-imports --no-cache

audit: $(VENV)/.development ## known vulnerabilities of what is installed, if the list of them can be had
	$(BIN)/python scripts/audit.py

unit: $(VENV)/.development ## tests that need no database server
	$(BIN)/pytest $(PARALLEL) tests/unit tests/fuzz tests/architecture

integration: $(VENV)/.development ## tests against real databases, started by the tests themselves
	$(BIN)/pytest $(PARALLEL) tests/integration tests/service

chaos: $(VENV)/.development ## thousands of writes while connections fail and servers are killed (IA_CHAOS_SEED for other faults)
	$(BIN)/pytest $(PARALLEL) tests/chaos

conformance: $(VENV)/.development ## the conformance kit on every provider, and broken providers that it must catch
	$(BIN)/pytest $(PARALLEL) tests/conformance -k "not ($(ALONE) or $(SAME))"
	$(BIN)/pytest tests/conformance -k "$(ALONE)"

conformance-long: $(VENV)/.development ## the same with ten times as many filters and programs, not the usual ones
	IA_CONFORMANCE_SCALE=10 IA_CONFORMANCE_SEED=$${IA_CONFORMANCE_SEED:-1} $(BIN)/pytest tests/conformance/test_providers.py

conformance-page: $(VENV)/.development ## run the kit and write docs/conformance.md
	$(BIN)/python scripts/conformance_page.py

test-live: $(VENV)/.development ## tests and conformance kit against the servers that the environment names (QDRANT_URL, WEAVIATE_URL)
	@test -n "$$QDRANT_URL$$WEAVIATE_URL" || { echo "Set QDRANT_URL (http://127.0.0.1:6333) or WEAVIATE_URL (http://127.0.0.1:8080); docker compose up starts both servers."; exit 2; }
	$(BIN)/pytest tests/integration -k "$(LIVE)"
	$(BIN)/pytest tests/chaos -k "qdrant-server or qdrant-grpc or weaviate-server"
	$(BIN)/pytest tests/conformance/test_providers.py -k "$(LIVE)"

beside: $(VENV)/.development ## the built wheel beside PyPI's ia_modules, in an environment of its own
	$(BIN)/python scripts/check_beside.py

contract: $(VENV)/.development ## the emulator's answers against Pinecone's OpenAPI description; needs npm
	$(BIN)/pytest tests/contract

benchmark: $(VENV)/.development ## what the layer costs over the raw clients; writes docs/performance.md
	$(BIN)/python benchmarks/overhead.py --output docs/performance

format: $(VENV)/.development ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.development ## write the generated parts of the README again
	$(BIN)/python scripts/capability_table.py --write

clean: ## remove what was made
	rm -rf $(VENV) .demo .cache dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is %s (set PYTHON=...)" % sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing (about a minute the first time) ..."
	$(PIP) install --constraint constraints.txt --editable ".[chroma,cli]"
	@touch $@

$(VENV)/.development: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what development needs (a minute or two the first time) ..."
	$(PIP) install --constraint constraints.txt --editable ".[dev]"
	@touch $@ $(VENV)/.runtime
