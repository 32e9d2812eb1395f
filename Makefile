# `make demo`: set up and run the toy recipe. `make test`: set up and run every check.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The CPU build where the package index or find-links has it; override for CUDA: make TORCH=torch
TORCH ?= torch==2.13.0

.PHONY: demo test check install clean

demo: install
	$(BIN)/distill run toy

test: install check
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[test]"
	touch $@

clean:
	rm -rf $(VENV) build dist runs
