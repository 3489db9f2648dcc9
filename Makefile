# `make demo` and `make test` set up all they need; the rest builds on the same environment.
VENV ?= .venv
BIN := $(VENV)/bin
DOCS := build/docs-venv
PYTHON ?= python3

# The tests run a real PostgreSQL server and two real browsers. Where Debian's package of Chromium's
# engine alone is to be had, most pages are opened in it: a browser's window costs more than they do.
# Only root installs it where all else is there, for the tests pass without it.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
ENGINE := apt-cache pkgnames chromium-headless-shell 2>/dev/null
TOOLS := $(if $(shell command -v initdb || ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null),,postgresql) \
         $(if $(shell command -v chromium || command -v chromium-browser || command -v google-chrome),,chromium) \
         $(if $(shell command -v firefox-esr || command -v firefox),,firefox-esr) \
         $(if $(SUDO)$(shell command -v chromium-headless-shell),,$(shell $(ENGINE)))

.PHONY: demo test ready tools lint format messages docs reference bench evidence accelerator gpu variants clean

demo: $(VENV)/.ready
	$(BIN)/sreval demo --out demo

# A worker that died is not replaced: with loadfile, pytest-xdist may then wait for ever. The order of
# the files is that of tests/conftest.py. Four workers on two cores, as a test often waits for a browser, a
# server or a disk; what they start has a thread each.
test: ready lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 -m "not evidence"

# Packages of the system and of Python come over the network: both at once.
ready:
	+@$(MAKE) --no-print-directory --jobs 2 tools $(VENV)/.ready-test

tools:
ifneq ($(strip $(TOOLS)),)
	@command -v apt-get >/dev/null || { echo "make test needs $(strip $(TOOLS)), and there is no apt-get: install them by hand." >&2; exit 1; }
	@test -z "$(SUDO)" || command -v sudo >/dev/null || { echo "make test needs $(strip $(TOOLS)): as root, run apt-get install $(strip $(TOOLS))" >&2; exit 1; }
	$(SUDO) apt-get update -qq
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(TOOLS) $$($(ENGINE))
endif

lint: $(VENV)/.ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports

format: $(VENV)/.ready-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

messages: $(VENV)/.ready
	mkdir -p build
	$(BIN)/pybabel -q extract -F web/translations/extract.ini --no-location --omit-header -o build/messages.pot .
	$(BIN)/pybabel -q update -i build/messages.pot -d web/translations --no-fuzzy-matching --ignore-obsolete --omit-header

# The pages of this repository as a static site. A link that leads nowhere fails it.
docs: $(DOCS)/.ready
	$(DOCS)/bin/sphinx-build -q -n -W --keep-going -c docs -b html . build/site
	@echo build/site/index.html

# The pages of docs/reference/ that are made from the code.
reference: $(VENV)/.ready
	$(BIN)/python -m docs.generate

bench: $(VENV)/.ready-bench
	$(BIN)/python -m benchmarks.metrics

# A part that misses its goal stops none of the others; training_step needs photographs:
# make evidence DATA=FOLDER.
EVIDENCE := limits conformance cache metrics loops evaluation growth executors lost_workers metrics_study coverage agreement crossed pairs power studies \
            tables latex opinions ordinal inference cost ranks study start report durability startup load rating_sites live walks first_hour painted fuzz community export \
            degradations
evidence: $(VENV)/.ready-bench
	@missed=; \
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m evidence || missed=" tests"; \
	for part in $(EVIDENCE); do \
	  $(BIN)/python -m benchmarks.$$part || missed="$$missed $$part"; \
	done; \
	$(if $(DATA),for part in training_step window; do \
	  $(BIN)/python -m benchmarks.$$part --data "$(DATA)" || missed="$$missed $$part"; \
	done;) \
	test -z "$$missed" || { echo "Failed, or short of a goal:$$missed" >&2; exit 1; }

# What a GPU gives, on a machine that has one: make accelerator DATA=FOLDER. basicsr is compared
# with where it is installed, and named as left out elsewhere; so no network is needed.
accelerator: $(VENV)/.ready
	@test -d "$(DATA)" || { echo "Name a folder of photographs: make accelerator DATA=FOLDER" >&2; exit 2; }
	$(BIN)/python -m benchmarks.accelerator --data "$(DATA)"
	$(BIN)/python -m benchmarks.training_step --data "$(DATA)"

# All five on a GPU within so many seconds, runs/gpu/report.md: make gpu DATA=FOLDER SECONDS=3600.
SECONDS ?= 3600
gpu: $(VENV)/.ready
	@test -d "$(DATA)" || { echo "Name a folder of photographs: make gpu DATA=FOLDER" >&2; exit 2; }
	$(BIN)/python -m benchmarks.gpu --data "$(DATA)" --out runs/gpu --seconds $(SECONDS)

# The five variants, in the order in which they start from each other; resumed where it stopped.
VARIANTS := srresnet-mse srgan-vgg54 srresnet-vgg22 srgan-vgg22 srgan-mse
variants: $(VENV)/.ready
	@test -d "$(DATA)" || { echo "Name a folder of photographs: make variants DATA=FOLDER" >&2; exit 2; }
	for model in $(VARIANTS); do \
	  $(BIN)/sreval train $$model --data "$(DATA)" --profile gpu --out runs/$$model --resume \
	  && $(BIN)/sreval models publish runs/$$model --to models --replace || exit 1; \
	done

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "sreval needs Python 3.11 to 3.13; name one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.ready-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $(VENV)/.ready $@

$(VENV)/.ready-bench: $(VENV)/.ready-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation basicsr \
	|| echo "basicsr, a rival, can't be installed: the benchmarks leave it out and say so." >&2
	touch $@

$(DOCS)/.ready: docs/requirements.txt
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check -r docs/requirements.txt
	touch $@

clean:
	rm -rf $(VENV) build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
