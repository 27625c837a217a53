# Two commands matter: `make run` sets everything up and runs the tour, `make test` sets everything up and
# runs all checks and tests. Setting up is done once, and again when pyproject.toml or constraints.txt change.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CODE := src tests docs benchmarks examples
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
	@echo "without these two the tour's report says what it lacks:"
	-$(BIN)/creuset models pull efficientnet-lite0
	-$(BIN)/creuset models pull smollm2-135m
	$(BIN)/creuset tour

test: check
	$(PYTEST)

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
