# make dataset   the environment if absent, then the main job on the quickstart corpus
# make train     a tiny model learns to cite its evidence: minutes; REWARD=answer for the outcome reward instead, COMPARE=1
#                for both, in one picture
# make train-quickstart   the trainer at work on the quickstart dataset
# make test      the environment if absent, then every check that CI runs but the slow tests
# make docs      the documentation in build/site; any warning is an error
# make check     what CI runs
# make campaign  kills and failing servers by the hundred, drawn from CAMPAIGN_SEED on: half an hour
# make test-lowest the tests of what the base install does, with the lowest versions that pyproject.toml allows
# make test-vllm the tests against vLLM itself, on the CPU, in an environment of its own
# make resolve   which training frameworks resolve together with this package and its extras
#
# TORCH=cpu (default) installs PyTorch's CPU build; TORCH=default takes what the package index has, which on Linux is
# the CUDA build of several GB; anything else is given to pip as it is: TORCH="torch==2.13.0 --index-url …".

PYTHON ?= python3
VENV ?= .venv
VLLM_VENV ?= .venv-vllm
LOWEST_VENV ?= .venv-lowest
RUN ?= runs/quickstart
CORPUS ?= runs/quickstart-corpus
WORLD ?= runs/world
REWARD ?= longrlvr
REWARDS := $(if $(COMPARE),longrlvr answer,$(REWARD))
TORCH ?= cpu

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
VLLM_PIP := $(VLLM_VENV)/bin/python -m pip --disable-pip-version-check -qq
# Only torch itself is looked for there; its dependencies come with the rest. A version with "+cpu" counts as newer than
# the same without, so the CPU build wins wherever this index, or a wheel folder that pip is configured with, has it.
CPU_INDEX := https://download.pytorch.org/whl/cpu
TORCH_VERSION := $(shell grep '^torch==' constraints.txt)
TORCH_cpu := $(TORCH_VERSION) --extra-index-url $(CPU_INDEX) --retries 1
TORCH_default := $(TORCH_VERSION)
TORCH_ARGS := $(or $(TORCH_$(TORCH)),$(TORCH))

WORLDS := train-longrlvr train-answer train-context train-warm-start
.PHONY: dataset train $(WORLDS) train-quickstart test test-slow campaign test-lowest test-vllm resolve docs check lint format lock clean
.DELETE_ON_ERROR:

dataset: $(VENV)/.run-installed $(CORPUS)
	$(BIN)/longrlvr-data run -c configs/quickstart.yaml --input $(CORPUS) -o $(RUN)

train: $(REWARDS:%=train-%)
	@test -z '$(COMPARE)' || $(BIN)/python -m datagen.train.curve $(REWARDS:%=$(WORLD)/%)

train-longrlvr train-answer train-context: train-%: train-warm-start
	$(BIN)/longrlvr-data train $(WORLD) -c train-world --model $(WORLD)/warm-start/checkpoints/step-000000 --reward $* -o $(WORLD)/$*

# What the rewards start from: the format and the quoting, and citations that are hardly better than luck.
train-warm-start: $(VENV)/.run-installed
	@test -d $(WORLD)/model || $(BIN)/longrlvr-data quickstart-world $(WORLD)
	$(BIN)/longrlvr-data train $(WORLD)/warm -c train-world --model $(WORLD)/model --steps 0 --sft-steps 1200 -o $(WORLD)/warm-start

train-quickstart: $(VENV)/.run-installed
	@test -d $(RUN)/dataset || $(MAKE) dataset
	$(BIN)/longrlvr-data train $(RUN) -c train-tiny

$(CORPUS): | $(VENV)/.run-installed
	$(BIN)/longrlvr-data quickstart-corpus $@

test: lint
	$(BIN)/python -m pytest -n 2

test-slow: $(VENV)/.dev-installed
	$(BIN)/python -m pytest -m slow
	CAMPAIGN=28 $(BIN)/python -m pytest -n 2 tests/campaign/test_crashes.py

campaign: $(VENV)/.dev-installed
	CAMPAIGN=200 $(BIN)/python -m pytest -n 2 -rP tests/campaign

test-vllm: $(VLLM_VENV)/.installed
	$(VLLM_VENV)/bin/python -m pytest -m vllm

# The rooms whose tests need no torch. The tests' own tools are not held down.
LOWEST_TESTS := test_shards.py test_records.py servers llm text clustering selection stages executors grounding run

test-lowest: $(LOWEST_VENV)/.installed
	$(LOWEST_VENV)/bin/python -m pytest $(addprefix tests/,$(LOWEST_TESTS))

resolve: $(VENV)/.dev-installed
	$(BIN)/python tests/resolve.py

check: test docs test-slow test-lowest test-vllm resolve

docs: $(VENV)/.docs-installed
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lint: $(VENV)/.dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(VENV)/.dev-installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/.torch-installed:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "longrlvr-data needs Python 3.11 or newer: set PYTHON=")'
	@echo "making $(VENV) (once; a few minutes)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade pip
	@$(PIP) install --no-deps $(TORCH_ARGS)
	@touch $@

$(VENV)/.run-installed: pyproject.toml constraints.txt | $(VENV)/.torch-installed
	@echo "installing longrlvr-data"
	@$(PIP) install -c constraints.txt -e ".[embed,train]"
	@touch $@

$(VENV)/.dev-installed: pyproject.toml constraints.txt | $(VENV)/.torch-installed
	@echo "installing longrlvr-data and what its checks need"
	@$(PIP) install -c constraints.txt -e ".[dev]"
	@touch $@ $(VENV)/.run-installed

$(VENV)/.docs-installed: pyproject.toml constraints.txt | $(VENV)/.dev-installed
	@echo "installing what the documentation needs"
	@$(PIP) install -c constraints.txt -e ".[docs]"
	@touch $@

$(VLLM_VENV)/.installed: pyproject.toml constraints-vllm.txt
	@echo "making $(VLLM_VENV) (once; a few minutes, 3 GB)"
	@$(PYTHON) -m venv $(VLLM_VENV)
	@$(VLLM_PIP) install --no-deps $(TORCH_cpu)
	@$(VLLM_PIP) install --no-deps -r constraints-vllm.txt
	@$(VLLM_PIP) install --no-deps -e .
	@touch $@

$(LOWEST_VENV)/.installed: pyproject.toml | $(VENV)/.dev-installed
	@$(BIN)/uv venv -q --clear --python $(BIN)/python $(LOWEST_VENV)
	@$(BIN)/uv pip compile -q --resolution lowest-direct pyproject.toml -o $(LOWEST_VENV)/lowest.txt
	@VIRTUAL_ENV=$(LOWEST_VENV) $(BIN)/uv pip install -q -r $(LOWEST_VENV)/lowest.txt \
	  hypothesis langchain-text-splitters pytest pytest-xdist
	@touch $@

# Pins what is installed now; the platform's own torch build is left to the rule above.
lock: $(VENV)/.dev-installed
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' | grep -v '^longrlvr' > constraints.txt

clean:
	rm -rf $(VENV) $(VLLM_VENV) $(LOWEST_VENV) runs build dist
