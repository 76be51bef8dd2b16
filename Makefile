# make demo    the whole system on this machine, on speech it synthesises itself
# make test    every property, on a few cases;  make test-slow: the cases left out, which take longer
# make lint    ruff, mypy, import-linter;  make setup: only the virtual environment
# Another Python beside it:  make test PYTHON=python3.13 VENV=.venv-3.13
PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/installed

.PHONY: setup demo test test-slow lint clean
setup: $(INSTALLED)

$(INSTALLED): setup.cfg constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$(PYTHON) is missing or older than 3.10: make PYTHON=python3.11 ..." >&2; exit 2; }
	@# Debian ships python3 without its venv module: root gets it installed, others are told how.
	@test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || \
	    { test "$$(id -u)" = 0 && apt-get -qq update && apt-get -qq install -y python3-venv && $(PYTHON) -m venv $(VENV); } || \
	    { echo "$(PYTHON) cannot make virtual environments: sudo apt-get install python3-venv, then make again" >&2; exit 2; }
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup
	$(VENV)/bin/accent demo

test: setup
	OMP_NUM_THREADS=1 $(VENV)/bin/pytest --numprocesses 2 --dist worksteal -m "not gpu and not slow"

test-slow: setup
	OMP_NUM_THREADS=1 $(VENV)/bin/pytest -m "slow and not gpu"

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

clean:
	rm -rf $(VENV) build dist *.egg-info
