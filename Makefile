# Every target makes its own environment in .venv when that is missing.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

.PHONY: help demo test lint bench gpu-check docs clean

$(BIN)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade -c constraints.txt pip setuptools
	$(BIN)/python -m pip install --quiet -c constraints.txt --editable ".[dev]"
	# Without its dependencies: torch is there, and another torch must not replace it.
	$(BIN)/python -m pip install --quiet --no-deps -c constraints.txt torchvision
	touch $@

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(BIN)/.installed  ## a tour in minutes: two tasks, what was learned, one HTML report
	$(BIN)/convrfm demo --out runs/demo --overwrite

test: $(BIN)/.installed  ## the test suite; CONVRFM_DATA=folder adds the tests on real data
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest --numprocesses auto --dist worksteal

lint: $(BIN)/.installed  ## ruff, its format, and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(BIN)/.installed  ## speed against others, written to docs/benchmarks.md
	$(BIN)/python -m benchmarks

gpu-check: $(BIN)/.installed  ## what a GPU machine can tell in ten minutes
	$(BIN)/python -m benchmarks.gpu

docs: $(BIN)/.installed  ## the reference of all public names, in docs/_build
	$(BIN)/python -m pdoc --docformat google --output-directory docs/_build convrfm

clean:  ## remove the environment, builds and runs
	rm -rf .venv build dist runs
