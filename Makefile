# Two commands matter: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
JOBS   ?= 2
STAMP  := $(VENV)/.installed

.PHONY: help setup demo test test-all check contracts format bench lock clean

help:  ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "usufruct needs Python 3.11 or newer; this is " + sys.version.split()[0] + "\nnext: make PYTHON=python3.12 " + "$(MAKECMDGOALS)")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "no virtual environment could be made; on Debian: apt-get install python3-venv" >&2; exit 3; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $(STAMP)

setup: $(STAMP)  ## .venv with hash-locked packages, and the EVM engine
	@$(BIN)/usufruct setup

demo: setup  ## the main job on real data: four hospitals, one ledger, one verified model
	@$(BIN)/usufruct demo

test: setup  ## all tests but the long ones (under 10 minutes on two cores)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup --max-worker-restart 0 -m "not long"

test-all: setup  ## the long ones too: hundreds of crashes, 10^5 steps
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup --max-worker-restart 0

check: $(STAMP)  ## style, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

contracts: $(STAMP)  ## compile the contracts again and compare with the committed artefacts
	$(BIN)/python scripts/compile_contracts.py --check

format: $(STAMP)  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## every figure in the README (bench/README.md says which script prints which)
	@missed=; for script in gas imports hash evidence log ledger heart delivery; do echo "== $$script"; \
	  $(BIN)/python bench/$$script.py || missed="$$missed $$script"; done; \
	  test -z "$$missed" || { echo "a bar is missed in:$$missed" >&2; exit 1; }

lock:  ## resolve requirements/dev.txt anew (hashes, no addresses)
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --allow-unsafe --strip-extras --generate-hashes --no-header \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-annotate \
	  --extra ledger --extra learn --extra node --output-file requirements/dev.txt pyproject.toml requirements/dev.in

clean:  ## remove what setup and the tools made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
