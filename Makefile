# Counterflow. Needs Python 3.11+ (with venv) and make; everything else is installed into .venv, by hash.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev counterparts demo soak simulate test test-twice bench lint docs connector lock
.DELETE_ON_ERROR:

VENV := .venv
BIN  := $(VENV)/bin
COUNTERPARTS := .venv-counterparts
# The first Python on the path that is new enough and has venv. Another one: make PYTHON=/path/to/python.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST)

setup: $(VENV)/.runtime  ## install what running needs

setup-dev: $(VENV)/.dev  ## install what developing needs, too

counterparts: $(COUNTERPARTS)/.ready  ## install the programs that connectors are tested against, as in CI

demo: $(VENV)/.runtime  ## run every storyline against the simulated retail world and show the proof
	$(BIN)/counterflow demo $(ARGS)

soak: $(VENV)/.runtime  ## kill -9 everything at random while the storylines run, and show that the proof holds
	$(BIN)/python -m counterflow.sandbox.soak $(ARGS)

simulate: $(VENV)/.runtime  ## try to refute the promises by seed (ARGS="--seeds 0..1000"), everything that can fail included
	$(BIN)/counterflow simulate run $(ARGS)

test: $(VENV)/.dev $(if $(CI),$(COUNTERPARTS)/.ready)  ## run the tests (ARGS="tests/store -k lock" for some of them)
	$(BIN)/pytest $(ARGS)

test-twice: $(VENV)/.dev  ## run the tests with every message and every step done twice
	$(BIN)/pytest --twice $(ARGS)

lint: $(VENV)/.dev  ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev  ## measure speed and memory, one JSON line each
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/.dev  ## write the generated reference pages again
	$(BIN)/python -m tools.docs $(ARGS)

connector: $(VENV)/.dev  ## make a new connector: make connector NAME=acme
	@test -n "$(NAME)" || { echo "Give the connector a name: make connector NAME=acme" >&2; exit 2; }
	$(BIN)/python tools/new_connector.py $(NAME)
	@$(MAKE) --no-print-directory setup-dev

# Three locks, versions and hashes only. Each is installed again only after it or pyproject.toml changed.
$(VENV)/.runtime: requirements.lock pyproject.toml
	$(call install,requirements.lock)
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml
	$(call install,requirements-dev.lock)
	@touch $@ $(VENV)/.runtime

$(COUNTERPARTS)/.ready: requirements-counterparts.lock
	@$(PYTHON) -m venv --clear $(COUNTERPARTS)
	$(COUNTERPARTS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

define install
@test -x $(BIN)/python || test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed. Debian: apt install python3-venv; \
or name one: make PYTHON=/path/to/python3" >&2; exit 2; }
@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
endef

COMPILE = uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate $(ARGS)
lock:  ## resolve the locks again (needs uv; ARGS=--upgrade for newer versions)
	$(COMPILE) --group build -o requirements.lock
	$(COMPILE) --group build --group dev -c requirements.lock -o requirements-dev.lock
	$(subst compile pyproject.toml,compile,$(COMPILE)) --group counterparts -o requirements-counterparts.lock
