# `make demo` and `make test` are all a newcomer needs; `make help` lists the rest.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
SAGEMAKER := .venv-sagemaker
LAYER := pm_components/lambda_layer
# The data of the demo: empty for the seeded simulator, or a CSV of the original schema.
DATA ?=

# Of `make picture`.
CHROMIUM ?= chromium

.PHONY: help setup sagemaker demo test test-slow test-engine bench drill fuzz check format lock picture architecture new-component new-policy clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: $(VENV)/.done $(LAYER)/.done ## install the locked dependencies (other targets do it for you)

# uv reads none of pip's settings: an index or certificates that pip was given are passed on. Each call names this
# environment, since uv would install into whatever environment is active.
of_pip = $$($(BIN)/python -m pip config get global.$(1) 2>/dev/null)
UV := UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$(call of_pip,index-url)}}" \
	SSL_CERT_FILE="$${SSL_CERT_FILE:-$${PIP_CERT:-$(call of_pip,cert)}}" $(BIN)/uv pip
UV_INSTALL := $(UV) install --python $(BIN)/python
UV_COMPILE := $(UV) compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

# An interrupted installation left no .done, and may lack files of packages that it lists: it is replaced.
$(VENV)/.done: requirements/setup.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info[:2] == (3, 11) else "Python 3.11 is needed, and $(PYTHON) is " + sys.version.split()[0] + ". Say which with: make PYTHON=/path/to/python3.11")'
	@echo "Installing the locked packages into $(VENV): 460 MB to download the first time, 1.7 GB on disk"
	@$(PYTHON) -m venv $(if $(wildcard $@),,--clear) $(VENV)
	@rm -f $@
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --requirement requirements/setup.txt
	@$(UV_INSTALL) --require-hashes --requirement requirements/dev.txt
	@$(UV_INSTALL) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# The Lambda functions run on Amazon Linux whatever machine runs `pulumi up`, so their layer is of its wheels.
$(LAYER)/.done: pm_components/functions/requirements.txt setup.py $(VENV)/.done
	@echo "Fetching the Lambda layer's packages into $(LAYER)"
	@$(BIN)/python setup.py --quiet lambda_layer
	@touch $@

sagemaker: $(SAGEMAKER)/.done ## install the SageMaker SDK beside, for `pm train --where sagemaker`

$(SAGEMAKER)/.done: requirements/sagemaker.txt $(VENV)/.done
	@echo "Installing the SageMaker SDK into $(SAGEMAKER)"
	@$(BIN)/python -m venv --clear $(SAGEMAKER)
	@$(UV) install --python $(SAGEMAKER)/bin/python --require-hashes --requirement requirements/sagemaker.txt
	@touch $@

demo: setup ## run the whole factory on this machine (DATA=file.csv for a series of your own)
	$(BIN)/pm demo $(if $(DATA),--data $(DATA))

test: setup ## run the tests, two files at a time
	$(BIN)/pytest -n 2 --dist loadfile

test-slow: setup ## run the tests of the benchmarks that train models first
	$(BIN)/pytest -m slow

# Pulumi's command line is built before, since no test's time limit is made for minutes of building.
test-engine: setup ## run the tests with Pulumi's own engine, built from source first (needs Go); writes out/engine.json
	@tests/engine/build_cli.sh >/dev/null
	$(BIN)/pytest -m engine tests/engine

bench: setup ## measure the figures into out/bench.json
	$(BIN)/python -m bench

drill: setup ## hurt a running factory for 5 minutes, counted into out/drill.json (SECONDS=60 SEED=7)
	$(BIN)/python -m resilience.drill $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

fuzz: setup ## try damaged input at each boundary, counted into out/fuzz.json (SECONDS=60 SEED=7 ONLY=csv)
	$(BIN)/python -m resilience.fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY))

check: setup ## lint, format check, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup ## resolve requirements/*.in again
	for set in setup dev sagemaker; do $(UV_COMPILE) requirements/$$set.in -o requirements/$$set.txt; done
	for set in edge=pm_edge ml=pm_ml lambda=pm_components/functions infra=component_provider; do \
		$(UV_COMPILE) -c requirements/dev.txt requirements/$${set%=*}.in -o $${set#*=}/requirements.txt; done

picture: ## draw docs/report.png from the out/report.html of `make demo` (needs chromium)
	$(CHROMIUM) --headless --hide-scrollbars --window-size=1180,1570 --virtual-time-budget=10000 \
		--screenshot=docs/report.png out/report.html

architecture: setup ## draw docs/architecture.svg from recipes, registered resources and imports
	$(BIN)/python -m tools.architecture

new-component: setup ## write an edge component with its test from templates (NAME=line_counter)
	$(BIN)/python -m tools.new component $(NAME)

new-policy: setup ## write a policy with its test from templates (NAME=queue_retention)
	$(BIN)/python -m tools.new policy $(NAME)

clean: ## remove what the targets made
	rm -rf $(VENV) $(SAGEMAKER) $(LAYER) build out .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
