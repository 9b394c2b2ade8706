# What you type. The first run of a target builds what it needs; later runs find it there.
.DEFAULT_GOAL := help
.PHONY: help setup fmt check test serve bench lock clean

VENV := .venv
BIN := $(VENV)/bin
API := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
HEARTH := $(BIN)/python -m server
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input
LOCK := uv pip compile --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header -q

LOCK_CUDA := uv pip compile --generate-hashes --python-platform x86_64-manylinux_2_31 --python-version 3.11 \
	--no-emit-package docopt --no-emit-index-url --no-annotate --no-header -q
ENGINE_PINS := engines/requirements

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(API) ## Create .venv and install the server in it

serve: $(API) ## Install what is missing, then run the server on 127.0.0.1:8000
	@$(HEARTH) engines install
	@exec $(HEARTH) serve

test: $(DEV) ## Install what is missing, then run every test
	@$(HEARTH) engines install
	$(BIN)/python -m pytest

fmt: $(DEV) ## Format the code
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format .

check: $(DEV) ## Lint, check types, layers and model configurations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_configs.py

bench: $(DEV) ## Measure this server
	@$(HEARTH) engines install
	$(BIN)/python scripts/bench.py
	$(BIN)/python scripts/bench_modalities.py
	$(BIN)/python scripts/bench_batches.py
	$(BIN)/python scripts/bench_ladder.py

lock: ## Resolve the locked requirements again (needs uv)
	echo 'setuptools>=80' | $(LOCK) pyproject.toml - -o requirements.lock
	echo 'setuptools>=80' | $(LOCK) pyproject.toml - --extra dev -c requirements.lock -o requirements-dev.lock
	sed -n 's/^\([a-z0-9-]*\)  #.*/^\1==/p' $(ENGINE_PINS)/cuda-differs.txt \
		| grep -hvf - $(ENGINE_PINS)/cpu.txt $(ENGINE_PINS)/cpu-nodeps.txt \
		| $(LOCK_CUDA) $(ENGINE_PINS)/cuda.in -c - -o $(ENGINE_PINS)/cuda.txt

clean: ## Remove environments and caches; keys and data in .hearth stay
	rm -rf $(VENV) .hearth/engines *.egg-info build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/.created:
	@python="$$(sh scripts/find_python.sh)" && echo "Creating $(VENV) with $$python" && "$$python" -m venv --clear $(VENV)
	@touch $@

$(API): $(VENV)/.created requirements.lock pyproject.toml
	@echo "Installing the server's packages (well under a minute)"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): $(API) requirements-dev.lock
	@echo "Installing the tools for checks and tests (about a minute)"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@
