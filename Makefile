# Every target sets up what it needs; `make help` needs nothing but make.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
INSTALLED := $(VENV)/.installed
PYTHON ?= python3.11 python3.12 python3.13 python3
TORCH_INDEX_URL ?=
CARELEDGER_HOME ?= .careledger
PORT ?= 5000
ARGS ?=
BENCHMARKS = $(basename $(notdir $(wildcard benchmarks/[a-z]*.py)))
CODE := domains privacy models pipelines tests benchmarks

.PHONY: help setup demo test lint imaging patients credit up down deploy serve ui docs lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Create .venv from requirements.lock (instant when it is up to date)
	@echo "Ready: $(BIN)/careledger"

demo: $(READY) ## Fetch the public data and run all three pipelines (about five minutes)
	@$(BIN)/python -m pipelines.demo $(ARGS)

test: $(READY) ## Run every test, two files at a time (ARGS="tests/privacy -x" for some, one at a time)
	@$(BIN)/python -m pytest $(or $(ARGS),-rs -n 2 --dist loadfile --no-loadscope-reorder)

lint: $(READY) ## Check style and types: ruff, ruff format, mypy
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/mypy

imaging patients credit: $(READY)
	@$(BIN)/careledger train $@ $(ARGS)

imaging: ## Train the imaging pipeline (ARGS="--config FILE.yaml --scale small")
patients: ## Train the patients pipeline (ARGS as above)
credit: ## Train the credit pipeline (ARGS as above)

up: $(READY) ## Start Prefect, MLflow and a worker on this machine, and watch over them
	@$(BIN)/python -m pipelines.services up

down: $(READY) ## End exactly what `make up` started
	@$(BIN)/python -m pipelines.services down

deploy: $(READY) ## Register every deployment of prefect.yaml, with its schedule (after make up)
	@$(BIN)/python -m pipelines.services deploy

serve: $(READY) ## Answer over HTTP with a model's champion (MODEL=credit-sba PORT=8000 ARGS="--host …")
	@test -n "$(MODEL)" || { echo "Which model? make serve MODEL=credit-sba" >&2; exit 2; }
	@exec $(BIN)/careledger serve "$(MODEL)" $(if $(filter file,$(origin PORT)),,--port $(PORT)) $(ARGS)

ui: $(READY) ## Browse runs and model versions at http://127.0.0.1:5000 (PORT=… for another)
	@if url=$$($(BIN)/python -m pipelines.services address mlflow); then \
	  echo "MLflow runs already: $$url"; exit 0; fi; \
	mkdir -p "$(CARELEDGER_HOME)"; \
	set -a; source mlflow/server.env; set +a; home=$$(cd "$(CARELEDGER_HOME)" && pwd); \
	exec $(BIN)/mlflow ui --host 127.0.0.1 --port $(PORT) --workers 1 \
	  --backend-store-uri "sqlite:///$$home/mlflow.db"

bench-%: $(READY) ## Run benchmarks/NAME.py as bench-NAME (ARGS="--quick --json FILE")
	@test -e benchmarks/$*.py || { echo "No benchmark $*; there are: $(BENCHMARKS)" >&2; exit 2; }
	@$(BIN)/python -m benchmarks.$* $(ARGS)

docs: $(READY) ## Write docs/configuration.md anew from pipelines/settings/
	@$(BIN)/python -m pipelines.reference

lock: $(READY) ## Write requirements.lock anew from what .venv holds now
	@{ echo "# Exact versions of the whole environment, tools included. Made by \`make lock\` from .venv;"; \
	  echo "# build tags such as +cpu are cut off, so that any build of the same version will do."; \
	  $(BIN)/python -m pip freeze --exclude-editable --disable-pip-version-check | sed -E 's/\+[a-z0-9.]+$$//'; \
	} > requirements.lock.new
	@if grep -n ' @ ' requirements.lock.new; then \
	  echo "The lock must not name files or addresses; install these from an index." >&2; \
	  rm requirements.lock.new; exit 2; \
	fi
	@mv requirements.lock.new requirements.lock

clean: ## Remove .venv and caches; .careledger (runs, models, privacy ledger) stays
	@rm -rf $(VENV) .setup.lock .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# Two commands at once set up once: the second waits, and then finds nothing left to do.
$(READY): requirements.lock pyproject.toml
	@flock .setup.lock $(MAKE) --silent $(INSTALLED)
	@touch $@

# torch comes first and pinned: left to the resolver it may bring another build and GBs of CUDA.
# The stamp is written last and .installing is removed with it, so an interrupted set-up starts over.
$(INSTALLED): requirements.lock pyproject.toml
	@if [ -e $(VENV)/.installing ]; then echo "The last set-up was interrupted; starting over."; rm -rf $(VENV); fi
	@python=; for each in $(PYTHON); do \
	  if "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$each; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Careledger needs Python 3.11 or newer, and none of these is: $(PYTHON)." >&2; \
	  echo "Install one, or name it: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3.11" >&2; exit 2; \
	fi; \
	"$$python" -m venv $(VENV)
	@touch $(VENV)/.installing
	@echo "Installing the pinned environment into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) "$$(grep '^torch==' requirements.lock)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.installing
	@touch $@
