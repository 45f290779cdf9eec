# Needs Python >= 3.11 and make. Everything else is installed into .venv and node_modules.
#   make up PORT=8400 TOKEN=...     make test ARGS="tests/unit -k timetable"

VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PIP    := $(BIN)/python -m pip --disable-pip-version-check -qq
PYTEST := $(BIN)/python -m pytest
# Whole files side by side: what a file's tests share (a server, a browser) is started once.
JOBS   := 2

.DEFAULT_GOAL := help
.PHONY: help up test check fmt compile docs bench proof screenshots clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(STAMPS)/local $(STAMPS)/project node_modules/.nightshift-pages ## install and serve everything (PORT, TOKEN)
	@exec $(BIN)/nightshift up

test: $(STAMPS)/dev $(STAMPS)/project node_modules/.nightshift-tests ## install and run the tests (ARGS for pytest)
	@$(PYTEST) -m "not proof and not bench" -n $(JOBS) --dist loadfile $(ARGS)

check: $(STAMPS)/dev $(STAMPS)/project ## lint, types, import directions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fmt: $(STAMPS)/dev ## format, and fix what can be fixed by itself
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

compile: $(STAMPS)/local $(STAMPS)/project ## write chalicelib/catalog.json and .chalice/config.json
	@$(BIN)/nightshift compile

docs: $(STAMPS)/local $(STAMPS)/project ## write the generated parts of docs from the code
	@$(BIN)/python scripts/docs.py

bench: $(STAMPS)/dev $(STAMPS)/project node_modules/.nightshift-tests ## measure
	@$(PYTEST) -m bench -s $(ARGS)

proof: $(STAMPS)/dev $(STAMPS)/project node_modules/.nightshift-tests ## the long proofs
	@$(PYTEST) -m proof --timeout 1800 $(ARGS)

screenshots: $(STAMPS)/dev $(STAMPS)/project node_modules/.nightshift-tests ## pictures of every page, into build/screenshots
	@$(BIN)/python -m tests.browser.screenshots build/screenshots && echo "See build/screenshots"

clean: ## remove what make has installed and caches (.nightshift, the local history, stays)
	@rm -rf $(VENV) node_modules build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# ---- installing: a stamp is as new as the files it was made from ----

# One pip at a time; and dev, which covers local, is made before anything asks for local.
.NOTPARALLEL:

$(BIN)/python:
	@python="$$(scripts/find-python)" && echo "Creating $(VENV) with $$python" && "$$python" -m venv --clear $(VENV)

$(STAMPS)/local: requirements.txt requirements-local.txt | $(BIN)/python
	@echo "Installing what the local stack needs"
	@$(PIP) install -r requirements-local.txt
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: requirements.txt requirements-local.txt requirements-dev.txt | $(BIN)/python
	@echo "Installing what the tests need"
	@$(PIP) install -r requirements-dev.txt
	@mkdir -p $(STAMPS) && touch $@ $(STAMPS)/local

# The project itself, editable, built by the setuptools of the venv: no isolated build, no second download.
$(STAMPS)/project: pyproject.toml | $(STAMPS)/local
	@$(PIP) install --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	@mkdir -p $(STAMPS) && touch $@

node_modules/.nightshift-pages: package.json package-lock.json .npmrc | $(BIN)/python
	@echo "Installing the browser libraries"
	@scripts/npm ci --omit=dev >/dev/null
	@scripts/vendor
	@touch $@

node_modules/.nightshift-tests: package.json package-lock.json .npmrc | $(BIN)/python
	@echo "Installing the browser libraries and DynamoDB Local"
	@scripts/npm ci >/dev/null
	@scripts/vendor
	@touch $@ node_modules/.nightshift-pages
