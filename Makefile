# PLATO SAS pipeline manager. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

LOCAL := .local
UV := $(LOCAL)/venv-uv/bin/uv
PYTHON := $(LOCAL)/venv/bin/python
UV_VERSION := 0.13.9
export UV_PROJECT_ENVIRONMENT := $(CURDIR)/$(LOCAL)/venv
export CLUSTER ?= auto
# Most tests of the platform wait for it: four at a time for two cores. A chosen few need no workers.
WORKERS ?= $(if $(ARGS),0,4)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

.PHONY: demo
demo: platform ## Set everything up, then take the demo stars through the pipeline
	$(PYTHON) -m e2e.demo

.PHONY: unit
unit: test-prerequisites venv ## Pass every test that needs no cluster (ARGS="-k rerun" chooses)
	$(PYTHON) -m pytest tests -n auto -m "not integration and not e2e" $(ARGS)

.PHONY: check
check: lint unit ## What to run before a commit: lint and unit

.PHONY: test
test: test-prerequisites $(if $(ARGS),,lint docs) platform schemas ## Bring the platform up, then pass every test (ARGS="-k rerun" chooses)
	$(PYTHON) -m e2e.setup.toolchain kwok # ahead of the test that has limited time
	$(PYTHON) -m pytest -n $(WORKERS) $(ARGS)

.PHONY: e2e
e2e: test-prerequisites platform ## Bring the platform up, then pass the end-to-end tests (ARGS="-k rerun" chooses)
	$(PYTHON) -m e2e.setup.toolchain kwok
	$(PYTHON) -m pytest e2e/tests -n $(WORKERS) $(ARGS)

.PHONY: kind-smoke
kind-smoke: venv ## Bring up kind with two workers, put stars through, take it away (left out where Docker cannot run)
	$(PYTHON) -m e2e.cluster.kind.smoke

.PHONY: chaos
chaos: platform ## Inject every fault and judge what becomes of the stars (about half an hour)
	$(PYTHON) -m e2e.chaos

.PHONY: fuzz
fuzz: platform ## Try ten thousand hostile inputs (CASES=, SEED=)
	$(PYTHON) -m e2e.fuzz --cases $(or $(CASES),10000) --seed $(or $(SEED),1)

.PHONY: bench
bench: test-prerequisites platform ## Measure speed and scale, then write docs/benchmarks.md (about two hours)
	$(PYTHON) -m e2e.setup.toolchain kwok
	status=0; $(PYTHON) -m e2e.bench || status=$$?; $(PYTHON) -m e2e.bench report; exit $$status

.PHONY: setup
setup: venv ## Install system packages and the Python side

.PHONY: prerequisites
prerequisites:
	python3 -m e2e.setup.prerequisites

# What nothing but tests and benchmarks need is not installed for the demo.
.PHONY: test-prerequisites
test-prerequisites:
	python3 -m e2e.setup.prerequisites --tests

# A system package makes venvs work, so those come first.
$(UV): | prerequisites
	python3 -m venv $(LOCAL)/venv-uv
	$(LOCAL)/venv-uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.PHONY: venv
venv: prerequisites $(UV)
	$(UV) sync --quiet --frozen --all-extras --group dev

.PHONY: cluster
cluster: setup ## Bring the test platform up (CLUSTER=kind|local forces one)
	$(PYTHON) -m e2e.setup.toolchain
	$(PYTHON) -m e2e.cluster up

.PHONY: images
images: setup ## Build the images that are out of date
	$(PYTHON) -m e2e.images build

.PHONY: load
load: images cluster ## Bring the images to the cluster's node
	$(PYTHON) -m e2e.cluster load $$($(PYTHON) -m e2e.images archives)

# The cluster's programs are compiled while images are built.
.PHONY: platform
platform:
	@$(MAKE) --no-print-directory --jobs=2 load

.PHONY: schemas
schemas:
	$(PYTHON) -m e2e.setup.schemas

.PHONY: status
status: ## Show what runs
	@if [ ! -x $(PYTHON) ]; then echo "nothing is set up here: make demo"; exit; fi; \
	  $(PYTHON) -m e2e.airflow status || true; \
	  if $(PYTHON) -m e2e.cluster status && [ -e $(LOCAL)/kubeconfig ]; then \
	    KUBECONFIG=$(LOCAL)/kubeconfig $(LOCAL)/bin/kubectl get pods,starprocessings --all-namespaces || true; fi

.PHONY: down
down: ## Stop everything that was started; products, caches and images stay
	if [ -x $(PYTHON) ]; then status=0; \
	  $(PYTHON) -m e2e.airflow down || status=$$?; \
	  $(PYTHON) -m e2e.cluster.kind.smoke --clean || status=$$?; \
	  $(PYTHON) -m e2e.cluster down || status=$$?; exit $$status; \
	elif [ -e $(LOCAL)/cluster ]; then \
	  echo "error: $(LOCAL)/cluster is there, but not the Python side that can stop it: make setup" >&2; exit 1; fi

.PHONY: clean
clean: down ## Also remove products, caches, images and tools (everything under .local)
	if [ -x $(PYTHON) ]; then $(PYTHON) -m e2e.images clean --all; fi
	rm -rf $(LOCAL)

.PHONY: lint
lint: venv ## Style, types, layers, generated files
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(LOCAL)/venv/bin/lint-imports
	$(PYTHON) -m plato_sas.api.crd --check crds
	$(PYTHON) docs/reference/generate.py --check

.PHONY: format
format: venv ## Format the Python code
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

.PHONY: generate
generate: venv ## Generate crds/, docs/reference/ and manifests/base
	$(PYTHON) -m plato_sas.api.crd crds
	$(PYTHON) docs/reference/generate.py
	$(PYTHON) -m e2e.setup.toolchain helm
	$(PYTHON) -m e2e.setup.manifests

.PHONY: docs
docs: venv ## Build the documents as a site in .local/site
	$(PYTHON) docs/site/build.py
	$(PYTHON) -m zensical build --strict --clean
