PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
FUZZ_SECONDS ?= 60
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
DRIVERS := adlfs gcsfs s3fs

.DEFAULT_GOAL := help
.PHONY: help run demo test test-rest test-all lint format types quick audit fuzz lock schema queries clean

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(VENV)/runtime: requirements.lock pyproject.toml
	@echo "Setting up $(VENV) (a minute or so, once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this one is %s (name another: make PYTHON=python3.12)" % sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes --no-deps --requirement requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: $(VENV)/runtime requirements-dev.lock
	@echo "Adding the development tools"
	@$(PIP) --require-hashes --no-deps --requirement requirements-dev.lock
	@touch $@

# Yours to edit, so git ignores them; a new version brings new examples and leaves them alone.
targets.toml alerts.toml: %.toml: | %.example.toml
	@cp $*.example.toml $@

run: $(VENV)/runtime | targets.toml alerts.toml  ## Collect every configured target once from OpenRouter into data/
	@$(BIN)/endpoint-history db upgrade
	@$(BIN)/endpoint-history collect

demo: $(VENV)/runtime  ## 60 simulated days, a look at now, a site, three questions; no network, no account
	@$(BIN)/python -m simulator --demo

# Processes of tests: each takes the tests of one module after the other, and makes the fixtures of that module once.
PYTEST = $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

test: lint types quick  ## Check style and types, run tests of every kind (15 minutes on 2 cores)

test-rest: $(VENV)/dev  ## Run what `make test` leaves out: slow tests, and many examples of each property
	@$(PYTEST) -m "slow or hypothesis" --hypothesis-profile thorough

test-all: lint types  ## Check style and types, run all tests (half an hour on 2 cores)
	@$(PYTEST) --hypothesis-profile thorough

lint: $(VENV)/dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-logo >/dev/null || $(BIN)/lint-imports --no-logo

types: $(VENV)/dev
	@$(BIN)/mypy

quick: $(VENV)/dev
	@$(PYTEST) -m "not slow"

audit: $(VENV)/dev  ## Ask whether a pinned version is known to be vulnerable
	@for lock in requirements.lock $(DRIVERS:%=requirements-%.lock); do \
		PATH="$(CURDIR)/$(BIN):$$PATH" LOCK_FILE=$$lock .ci/audit || exit 1; \
	done

fuzz: $(VENV)/dev  ## Throw random bytes at what reads strangers' (FUZZ_SECONDS=60 each; Linux, Python before 3.14)
	@for what in parse files fetch; do \
		$(BIN)/python -m fuzz.seeds .fuzz/$$what && \
		$(BIN)/python -m fuzz.$$what -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 \
			-artifact_prefix=.fuzz/ -verbosity=0 -print_final_stats=1 .fuzz/$$what || exit 1; \
	done

format: $(VENV)/dev  ## Format the code and mend what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

schema: $(VENV)/runtime  ## Generate docs/schema.md from the tables and views
	@$(BIN)/python -m models.schema_page

queries: $(VENV)/runtime  ## Update the answers in docs/queries.md, and generate datasette.yaml
	@$(BIN)/python -m simulator.cookbook

lock: $(VENV)/dev  ## Resolve the dependencies again into the lock files
	@$(COMPILE) --upgrade --group build pyproject.toml --output-file requirements.lock
	@$(COMPILE) --upgrade --group build --group dev --extra export --extra site --constraint requirements.lock pyproject.toml --output-file requirements-dev.lock
	@for driver in $(DRIVERS); do \
		echo $$driver | $(COMPILE) --upgrade --constraint requirements.lock - --output-file requirements-$$driver.lock || exit 1; \
	done

clean:  ## Remove the environment and the tools' caches (data/ stays)
	@rm -rf $(VENV) .fuzz .mypy_cache .ruff_cache .pytest_cache .hypothesis
