# `make demo` and `make test` are all a newcomer needs; `make help` lists the rest.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# The data of the demo: empty for the seeded simulator, or a CSV of the original schema.
DATA ?=

# Of `make picture`.
CHROMIUM ?= chromium

.PHONY: help setup demo test test-slow bench check format lock picture clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.done build/lambda-layer/.done ## install the locked dependencies (other targets do it for you)

$(VENV)/.done: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info[:2] == (3, 11) else "Python 3.11 is needed, and $(PYTHON) is " + sys.version.split()[0] + ". Say which with: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --progress-bar off --require-hashes --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# The Lambda functions run on Amazon Linux whatever machine runs `pulumi up`, so their layer is of its wheels.
build/lambda-layer/.done: requirements/lambda.txt $(VENV)/.done
	rm -rf build/lambda-layer
	$(BIN)/python -m pip install --quiet --progress-bar off --require-hashes --no-deps --no-compile --only-binary :all: \
		--platform manylinux2014_x86_64 --implementation cp --python-version 3.11 \
		--target build/lambda-layer/python --requirement requirements/lambda.txt
	@touch $@

demo: setup ## run the whole factory on this machine (DATA=file.csv for a series of your own)
	$(BIN)/pm demo $(if $(DATA),--data $(DATA))

test: setup ## run the tests, two files at a time
	$(BIN)/pytest -n 2 --dist loadfile

test-slow: setup ## run the tests of the benchmarks that train models first
	$(BIN)/pytest -m slow

bench: setup ## measure the figures into out/bench.json
	$(BIN)/python -m bench

check: setup ## lint, format check, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## resolve requirements/*.in anew (needs uv)
	uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/dev.in -o requirements/dev.txt
	uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/sagemaker.in -o requirements/sagemaker.txt
	for set in edge ml lambda; do uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		-c requirements/dev.txt requirements/$$set.in -o requirements/$$set.txt; done

picture: ## draw docs/report.png anew, from the out/report.html of `make demo` (needs chromium)
	$(CHROMIUM) --headless --hide-scrollbars --window-size=1180,1570 --virtual-time-budget=10000 \
		--screenshot=docs/report.png out/report.html

clean: ## remove what the targets made
	rm -rf $(VENV) build out .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
