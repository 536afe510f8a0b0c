# Two commands: `make demo` shows the main job, `make test` passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check lint bench soak setup clean
demo: setup
	$(BIN)/python run.py compare configs/exchange/lost_update.yaml

test: setup
	$(BIN)/python -m pytest -n auto

# Everything that must hold: style, types, import rows, tests.
check: lint test

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m benchmarks

# A quarter of an hour of runs with random faults; SEED=N draws the same ones again.
soak: setup
	$(BIN)/python run.py soak --seconds 900 $(if $(SEED),--seed $(SEED))

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
