# Two commands are enough: `make demo` and `make test`. The rest is in `make help`.
SHELL := /bin/bash
PYTHON ?= python3
UV_VERSION := 0.13.9
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
RUN := $(UV) run --frozen --no-sync
SERVE ?= 1
ORDERS ?= 100000
HOME_DIR ?= data

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint test-python test-landing test-pages test-vendure test-servers test-peers chaos bench format browser clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: .venv/.installed  ## Install everything from the lock file (uv itself too, if it is missing)

.tools/bin/uv:
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet uv==$(UV_VERSION)

.venv/.installed: pyproject.toml uv.lock $(filter .tools/bin/uv,$(UV))
	$(UV) sync --frozen --quiet
	@touch $@

demo: setup  ## Simulate a retailer, run the nightly job, show the result, open the dashboards (SERVE=0: leave them closed)
	$(RUN) omnilake --home $(HOME_DIR) demo $(if $(filter 0,$(SERVE)),--no-serve)

test: setup lint test-python  ## Everything that must hold before a commit

lint: setup  ## ruff, mypy, import-linter, sqlfluff
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) lint-imports
	$(RUN) sqlfluff lint --disable-progress-bar --processes 2 dbt_project

test-python: setup
	$(RUN) pytest -n 2 --dist loadscope --no-loadscope-reorder -m "not slow and not browser and not peer"

test-landing: setup  ## The awkward landing folder: two nights through the job against figures worked out by hand
	$(RUN) pytest -m slow tests/integration/test_contract_landing.py

test-pages: setup browser  ## The pages in headless Chromium
	$(RUN) pytest -m browser tests/dashboards

test-vendure: setup  ## Against a real Vendure on PostgreSQL, installed and started beside everything
	$(RUN) pytest -m peer tests/peers/test_vendure_reading.py tests/peers/test_vendure_sending.py tests/peers/test_vendure_job.py

test-servers: setup  ## Against a real Vendure on PostgreSQL and a real Odoo 19, installed and started beside everything
	$(RUN) pytest -m peer tests/peers

test-peers: test-pages test-vendure test-servers  ## All slow proofs: Chromium, Vendure, Odoo, PostgreSQL, real data sets, kills
	$(RUN) pytest -n 2 --dist loadscope --no-loadscope-reorder -m slow

browser:  ## Install headless Chromium where the machine lets us (Debian, as root)
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && apt-get install -qq -y chromium fonts-noto-cjk >/dev/null; } \
	  || echo "Chromium is not installed and cannot be installed here: browser tests will be skipped."

chaos: setup  ## 20 kills of the nightly job; then 200 faults and 10 kills between us and a real Vendure
	$(RUN) python -m tests.chaos.kill
	$(RUN) python -m tests.chaos.mall

bench: setup  ## Measure this machine as ratios (ORDERS=1000000)
	$(RUN) omnilake --home $(HOME_DIR) bench --orders $(ORDERS)

format: setup  ## Format Python and SQL
	$(RUN) ruff format .
	$(RUN) ruff check --fix .
	$(RUN) sqlfluff fix --disable-progress-bar dbt_project

clean:  ## Remove what was installed; data stays
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache
