# Every target makes its own environment in .venv when that is missing.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint bench gpu-check docs clean

$(BIN)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade -c constraints.txt pip setuptools
	$(BIN)/python -m pip install --quiet -c constraints.txt --editable ".[dev]"
	# Without its dependencies: torch is there, and another torch must not replace it.
	$(BIN)/python -m pip install --quiet --no-deps -c constraints.txt torchvision
	touch $@

demo: $(BIN)/.installed
	$(BIN)/convrfm demo --out runs/demo

test: $(BIN)/.installed
	$(BIN)/python -m pytest

lint: $(BIN)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(BIN)/.installed
	$(BIN)/python -m benchmarks

gpu-check: $(BIN)/.installed
	$(BIN)/python -m benchmarks.gpu

docs: $(BIN)/.installed
	$(BIN)/python -m pdoc --docformat google --output-directory docs/_build convrfm

clean:
	rm -rf .venv build dist runs
