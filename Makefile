# Every target does its own set-up: a virtual environment in .venv, pinned packages with hashes,
# and the Debian packages that are missing (it says which).
.PHONY: demo test vm proof check bench soak requirements clean help format
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
unexport PYTHONDONTWRITEBYTECODE

help: ## say what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: .venv/ready ## a three-node cluster with a web application, from nothing
	@tools/bootstrap demo
	@$(BIN)/python tools/demo.py

test: .venv/ready ## all tests that this user and machine can run
	@tools/bootstrap test
	@$(BIN)/python -m pytest

vm: .venv/ready ## tests on a virtual machine with systemd and version 2 of control groups: make vm TESTS=tests/runtime
	@$(BIN)/python tools/vm.py $(BIN)/python -m pytest -p no:cacheprovider $(or $(TESTS),tests/runtime)

proof: .venv/ready ## kill, cut off and restore under load, count what was acknowledged, lost, run twice and left over (15 minutes)
	@tools/bootstrap test
	@$(BIN)/python -m tests.proof $(CASES)

check: .venv/ready ## lint, format, types, floors, tidiness
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/tidy

soak: .venv/ready ## simulate clusters from ever new seeds: make soak MINUTES=10; or one for hours of its own: HOURS=24
	@$(BIN)/longshore sim --seed $$(date +%s%3N) --save tests/sim/found \
	  $(if $(HOURS),--hours $(HOURS) --no-shrink,--minutes $(or $(MINUTES),10))

bench: .venv/ready ## measure, print a table, write bench/results/*.json
	@tools/bootstrap bench
	@$(BIN)/python -m bench

format: .venv/ready ## mend what can be mended by machine
	@$(BIN)/ruff check --fix -q . || true
	@$(BIN)/ruff format -q .

requirements: .venv/ready ## pin anew, without the address of any index
	@$(BIN)/python -m pip install -q pip-tools
	@$(BIN)/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-emit-trusted-host --allow-unsafe --strip-extras --no-header -o requirements/dev.txt requirements/dev.in

.venv/ready: requirements/dev.txt pyproject.toml tools/build_hook.py tools/build_definitions.py tools/build_stubs.py $(shell find src -name '*.proto')
	@tools/bootstrap python
	@echo "longshore: making the virtual environment .venv"
	@test -x $(BIN)/python || "$$(tools/bootstrap interpreter)" -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q src .venv/lib >/dev/null 2>&1 || true
	@touch $@

clean: ## remove what make made
	find src -name '*_pb2.py*' -delete
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache src/longshore/core/objects/definitions*.gz
