# Everything a developer types. Nothing but Python 3.11+ and make is needed; `setup` runs by itself.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup run test conformance clients check fmt lock bench crash redteam test-assistants

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## a virtual environment with every pinned dependency

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, found " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

run: $(STAMP) ## the whole product on this machine: PostgreSQL, gateway, web, jobs
	@exec $(BIN)/vis up

test: $(STAMP) ## every test but the long suites (real PostgreSQL, real SDKs, loopback only)
	@$(BIN)/python -m pytest -n 3 --dist loadfile -q --ignore=tests/attacks

conformance: $(STAMP) ## the open usage fixtures: what each vendor's answer says and costs, cut after every event
	@$(BIN)/python -m pytest tests/conformance -q

clients: $(STAMP) ## every client SDK against the running product: calls, rows, tokens and cost, expected and found
	@PYTHONPATH=tests $(BIN)/python -m conformance.clients

check: $(STAMP) ## lint, format, types and import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

fmt: $(STAMP) ## put every file in the house's format
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

bench: $(STAMP) ## speed against the sandbox provider: CPU per call, rates, latencies, rows, memory
	@$(BIN)/python -m bench

crash: $(STAMP) ## the long crash run: kill -9 of gateway and PostgreSQL under load, 40 rounds
	@VIS_CRASH_ROUNDS=40 $(BIN)/python -m pytest tests/crash -q -s

redteam: $(STAMP) ## the 55 attacks against the running product: attempted, expected, seen
	@VIS_REDTEAM=1 $(BIN)/python -m pytest tests/attacks -q

test-assistants: $(STAMP) ## the real Claude Code and Codex, from npm, in a clone: what their rows say
	@VIS_ASSISTANTS=1 $(BIN)/python -m pytest tests/assistants -q

lock: $(STAMP) ## resolve the dependencies again and pin them with hashes
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-annotate --group dev --python-version 3.11 pyproject.toml -o requirements.lock
