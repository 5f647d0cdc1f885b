# Fieldguide's entry points. `make` alone explains them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# All cores, up to four, for the tests; what one file's tests share stays in one process. The longest files go first.
PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
CODE := workflows flows app tests

# The first interpreter that is new enough and can make a virtual environment. PYTHON=... chooses another.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python; do \
	"$$name" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done)

.PHONY: help install demo test test-all test-slow lint pictures format lock clean

help: ## Show this list
	@echo "Fieldguide: the self-hosted studio for image classifiers"
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 18
	@echo
	@echo "After 'make install':  .venv/bin/fieldguide --help"

install: $(INSTALLED) ## Put Fieldguide and all it needs into .venv (in seconds when nothing changed)
	@echo "$(BIN)/fieldguide is ready"

# Everything, uv and the build backend included, comes from the lock with its checksum. Where uv can't install
# (an index known to pip alone, say), pip does the same more slowly.
$(INSTALLED): pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing into $(VENV) (the first time takes some minutes and about 6 GB)"
	@if ! [ -x $(BIN)/uv ]; then \
		awk '/^[^ #]/ {wanted = /^uv==/} wanted' requirements.lock > $(VENV)/uv.lock; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/uv.lock; fi
	@$(BIN)/uv pip sync --python $(BIN)/python --require-hashes requirements.lock \
		|| $(BIN)/python -m pip install --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-index --no-deps --no-build-isolation --editable .
	@touch $@

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "No Python from 3.11 on with the venv module found. Install one (on Debian or Ubuntu: apt install python3-venv),"; \
		echo "or name it: make install PYTHON=/path/to/python3.12"; exit 1; fi
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)

demo: install ## Run the whole job on 1,797 handwritten digits: import, recommend, train, evaluate, explain, predict
	@$(BIN)/fieldguide demo

test: lint ## Check style, types and layers, and run the tests
	$(BIN)/python -m pytest $(PARALLEL)

test-slow: install ## Run the slow tests alone (kill and resume, whole demo, exactness), and properties with more examples
	$(BIN)/python -m pytest $(PARALLEL) -m slow
	$(BIN)/python -m pytest $(PARALLEL) -m "hypothesis and not slow" --hypothesis-profile thorough

test-all: lint ## Run every test
	$(BIN)/python -m pytest -m "slow or not slow"

lint: install ## Check style, types and layers
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

pictures: install ## Take the pictures of the studio in docs/ again (needs Chromium; takes some minutes)
	$(BIN)/python -m tests.app.tour_pictures

format: install ## Bring the code into shape
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

lock: install ## Write requirements.lock anew from pyproject.toml (newest versions that fit)
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
		--python-version 3.11 --group dev pyproject.toml --output-file requirements.lock

clean: ## Remove the environment and everything built or cached (never your data)
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
