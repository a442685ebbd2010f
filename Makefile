# make lenet    sets everything up and trains LeNet-5 on Fashion-MNIST
# make test     sets everything up and runs all tests, the linter and the type checker
# make bench    measures minigrad beside PyTorch, which is installed for this alone, into .venv-bench
# make cuda     shows CUDA kernels with mistakes being caught and mended, on the CPU
# make test-cuda  compiles the CUDA kernels with NVIDIA's compiler and compares the tests' stand-in for CuPy with CuPy;
#                 needs no GPU (300 MB more in .venv)
# make mutants  changes the rules and kernels, one small change at a time, and shows which changes no test notices
# make docs     builds the documentation into docs/_build, its notebooks run; MINIGRAD_FAST_DOCS=1 make docs is faster
# Needs Python 3.10 or later; everything else is installed into .venv, nothing elsewhere.

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

# With a plain path file, so that `import minigrad` finds the package from every folder, also from the one above this.
EDITABLE := --config-settings editable_mode=compat --editable

# What pip installs PyTorch from: its build for the CPU, which on Linux only PyTorch's own index has.
TORCH ?= torch==2.13.0 --extra-index-url https://download.pytorch.org/whl/cpu

# ruff takes no options from setup.cfg, where all other tools have theirs.
RUFF := --line-length 120 --target-version py310 --extend-exclude .venv-bench
RULES := --select E,F,W,I,UP,B,C4,SIM,RUF,PIE,RET --ignore E741,SIM110,SIM113,SIM300,RUF043 --per-file-ignores __init__.py:F401

CHECK_PYTHON = $(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 10) or sys.exit(f"minigrad needs Python 3.10 or later, this is {v[0]}.{v[1]}; choose another with make PYTHON=python3.12")'

.PHONY: lenet cuda test test-cuda lint mutants bench docs clean

lenet: .venv/all
	$(BIN)/python examples/lenet.py $(ARGS)

cuda: .venv/all
	$(BIN)/python examples/cuda_on_cpu.py

test: .venv/test lint
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(ARGS)

test-cuda: .venv/test-cuda
	MINIGRAD_STAND_IN=0 $(BIN)/python -m pytest tests/test_cuda_nvrtc.py tests/test_cuda_oracle.py tests/test_gpu_compiler.py \
		tests/test_gpu_kernels.py tests/test_gpu_stand_in.py $(ARGS)

lint: .venv/test
	$(BIN)/ruff format --check $(RUFF) .
	$(BIN)/ruff check $(RUFF) $(RULES) .
	$(BIN)/mypy --config-file setup.cfg

mutants: .venv/test
	$(BIN)/python tests/mutation/mutate.py $(ARGS)

bench: .venv-bench/made
	.venv-bench/bin/python tests/benchmarks/bench.py $(ARGS)

docs: .venv/docs
	$(BIN)/sphinx-build --fail-on-warning -b html docs docs/_build

# An environment is made anew when setup.cfg has changed; each set of packages leaves a marker file in it.
.venv/made: setup.cfg
	@$(CHECK_PYTHON)
	@echo "Making a virtual environment in .venv"
	@$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/%: .venv/made
	@echo "Installing minigrad[$*] into .venv (a minute or two, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(EDITABLE) '.[$*]'
	@touch $@

.venv-bench/made: setup.cfg
	@$(CHECK_PYTHON)
	@echo "Making a virtual environment in .venv-bench, with minigrad[all] and PyTorch (some minutes, once)"
	@$(PYTHON) -m venv --clear .venv-bench
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check $(EDITABLE) '.[all]'
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	@touch $@

clean:
	rm -rf .venv .venv-bench build dist *.egg-info docs/_build docs/jupyter_execute
	rm -rf lenet-out lenet-1998-out modernise-out size-search-out mnist-out neighbours-out activations-out strange-out
