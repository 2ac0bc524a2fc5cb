# Everything a developer types. Nothing but Python 3.11+ and make is needed; `setup` runs by itself.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup run test conformance clients check fmt lock bench bench-peers bench-growth bench-stages soak crash redteam house screens api-fuzz test-assistants verifier

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
	@$(BIN)/python -m compileall -q src
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -q --ignore=tests/attacks --ignore=tests/house

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

soak: $(STAMP) ## an hour of mixed load: rows, holds, memory minute by minute; SOAK_MINUTES=5 for less
	@$(BIN)/python -m bench.soak

bench-peers: $(STAMP) ## beside nginx and other gateways, which it installs into a cache; PEERS=visionality,litellm chooses
	@$(BIN)/python -m bench.peers

bench-growth: $(STAMP) ## as rows, keys, budgets and gateways grow: half an hour; GROWTH=keys GROWTH_KEYS=10,1000 for less
	@$(BIN)/python -m bench.growth

crash: $(STAMP) ## the long crash run: kill -9 of gateway and PostgreSQL under load, 40 rounds
	@VIS_CRASH_ROUNDS=40 $(BIN)/python -m pytest tests/crash -q -s

redteam: $(STAMP) ## the 55 attacks against the running product: attempted, expected, seen
	@VIS_REDTEAM=1 $(BIN)/python -m pytest tests/attacks -q

house: $(STAMP) ## every page in a real browser: axe in light and dark, a phone's width, without script, no other host
	@$(BIN)/python -m pytest tests/house -q

screens: $(STAMP) ## a picture of every page, light and dark, wide and narrow, and what axe says, into docs/screens
	@PYTHONPATH=tests $(BIN)/python -m house.screens

api-fuzz: $(STAMP) ## Schemathesis against the API with random requests too
	@VIS_API_FUZZ=1 $(BIN)/python -m pytest tests/web/test_api_fuzz.py -q

test-assistants: $(STAMP) ## the real Claude Code and Codex, from npm, in a clone: what their rows say
	@VIS_ASSISTANTS=1 $(BIN)/python -m pytest tests/assistants -q

verifier: $(STAMP) ## dist/vis-verify.pyz, what an auditor runs: same sources, same bytes; KEYS=keys.json pins keys in it
	@PYTHONPATH=src $(BIN)/python -m vis_verify.build dist/vis-verify.pyz $(KEYS)

bench-stages: $(STAMP) ## where the CPU of one call goes, stage by stage; installs py-spy into the peers' cache
	@$(BIN)/python -m bench.stages

lock: $(STAMP) ## resolve the dependencies again and pin them with hashes
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-annotate --group dev --python-version 3.11 pyproject.toml -o requirements.lock
