# Two commands set everything up: `make demo` and `make test`. Each makes .venv if it is missing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := dev,docs,torchao,onnx,openvino,dask
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS := 300

.PHONY: demo test test-all safety check docs bench bench-variants bench-tails bench-growth install schema constraints clean help

help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

# torch first and exact: alone it is the CPU build, and everything after it finds it there.
$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Installing the pinned dependencies into $(VENV) (some minutes the first time) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

install: $(VENV)/.installed ## make .venv with the pinned dependencies

demo: install ## the main job on the embedded default
	@$(BIN)/ptdq demo

# Three for two cores: much of the time is waiting for servers, schedules and children.
test: install ## the tests, without those that take minutes each
	@$(BIN)/python -m pytest -m 'not long' -n 3 --dist loadfile --no-loadscope-reorder --durations=30

test-all: install ## every test: also several machines, faults of the machine, a schedule at its hour
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

safety: install ## every fault and every attack; writes the tables of the docs (half an hour)
	@$(BIN)/python -m tests.safety

check: install ## formatting, lint, types, layers, lengths of functions, docs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m tests.checks.lengths
	@$(MAKE) --no-print-directory docs

docs: install ## the documentation site, into site/; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

bench: install ## the flow's own cost, A/A and A/B for real (the machine must be otherwise idle)
	@$(BIN)/python -m tests.benchmarks.bench

bench-variants: install ## every variant on the bert-base shape
	@$(BIN)/python -m tests.benchmarks.variants $(if $(MODEL),--model $(MODEL)) $(if $(DATA),--data $(DATA))

bench-tails: install ## documents of many lengths, with and without padding to few
	@$(BIN)/python -m tests.benchmarks.tails

bench-growth: install ## 100 to 1,000,000 documents: time for each, memory of the parent
	@$(BIN)/python -m tests.benchmarks.growth

schema: install ## the JSON schema of summary.json, from the code
	@$(BIN)/python -m ptdq.report.summary

constraints: ## pin what is installed now
	@{ echo '# The versions that this project is tested with; made by `make constraints`.'; \
	  $(BIN)/pip freeze --exclude-editable | grep -vE '^(pip|setuptools|wheel)==' | sed 's/+cpu$$//'; \
	} > constraints.txt

clean: ## remove .venv and caches of tools (not the results)
	@rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache .hypothesis
