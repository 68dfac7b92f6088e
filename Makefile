# make demo and make test need nothing but Python 3.11 and pip: they make their own virtual environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out/nycflights

.PHONY: demo test test-slow check format bench clean
.DEFAULT_GOAL := demo

$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,demo]'
	touch $@

data/nycflights/planes.parquet: $(BIN)/.installed
	$(BIN)/python -m jobs.nycflights data/nycflights

# Runs the whole protocol on real tables and ends with the statistics. A folder holds one release: the next needs OUT=...
demo: data/nycflights/planes.parquet
	$(BIN)/python -m jobs.crosstab study=nycflights out=$(OUT)

test: $(BIN)/.installed
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(BIN)/.installed
	$(BIN)/python -m pytest -m slow --timeout 3600

check: $(BIN)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(BIN)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(BIN)/.installed
	for suite in kernels paillier tags join crosstab privacy; do \
		$(BIN)/python -m jobs.benchmark suite=$$suite out=out/benchmark/$$suite || exit 1; \
	done

clean:
	rm -rf $(VENV) build dist data out *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .xstat-ray
