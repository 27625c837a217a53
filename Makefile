# Two commands matter: `make run` sets everything up and runs the tour, `make test` sets everything up and
# runs all checks and tests. Both are quick when nothing changed.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TESTED := $(VENV)/.tested
CODE := src tests docs benchmarks examples
# Folders too: what is removed changes its folder.
FILES := $(shell find $(CODE) recipes -not -name '*.pyc' -not -name '__pycache__' -not -path '*/.venvs/*') \
	Makefile pyproject.toml constraints.txt README.md CHANGELOG.md
# Small models run no faster on two threads: one thread each, and as many tests at a time as there are cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

.PHONY: setup run test check format pages
setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

run: setup
	$(BIN)/creuset models pull mnist-5k
	$(BIN)/creuset tour

test:
	@if $(MAKE) --no-print-directory --question $(TESTED) 2>/dev/null; \
	then echo "nothing changed since all checks and tests passed (to run them again: make --always-make test)"; \
	else $(MAKE) --no-print-directory $(TESTED); fi

$(TESTED): $(READY) $(FILES)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(PYTEST)
	@touch $@

check: setup
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy

format: setup
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

# The pages of docs/ that are made from the code, and the README's outputs.
pages: setup
	OMP_NUM_THREADS=1 PYTHONPATH=tests/support $(BIN)/python -m pages
