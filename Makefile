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
# make test-gpu  the tests on GPUs, where there are any; needs TORCH=default, and vLLM beside it for its part
# make lock      constraints.txt and locks/, anew from pyproject.toml
# make audit     known weaknesses of what is installed; asks pypi.org
# make fuzz      coverage-guided fuzzing of the readers, by atheris, FUZZ_SECONDS each
# make test-real the pipeline with a real language model (1.1 GB, fetched once; about an hour on two quiet cores), which
#                llama.cpp serves from an environment of its own. GGUF=FILE takes another model, URL=… a server that runs
#                already, MODEL=NAME its name; CHAPTERS=DIR other texts. The run stays in runs/real, and goes on from there
# make test-ray  runs on Ray clusters that lose workers and nodes on their way; six minutes
# make test-peers exports in the hands of TRL, verl, OpenRLHF and verifiers, on the CPU, in an environment of their own
#                (some minutes, 3 GB); SLIME=DIR, a checkout of slime, for that too
# make test-harnesses  lm-evaluation-harness and evalscope, as they are, through `serve`, in an environment of their own
#                (some minutes, 4 GB)
# make resolve   which training frameworks resolve together with this package and its extras
#
# TORCH=cpu (default) installs PyTorch's CPU build; TORCH=default takes what the package index has, which on Linux is
# the CUDA build of several GB; anything else is given to pip as it is: TORCH="torch==2.13.0 --index-url …".

PYTHON ?= python3
VENV ?= .venv
VLLM_VENV ?= .venv-vllm
LOWEST_VENV ?= .venv-lowest
FUZZ_VENV ?= .venv-fuzz
FUZZ_SECONDS ?= 60
REAL_VENV ?= .venv-real
PEERS_VENV ?= .venv-peers
HARNESS_VENV ?= .venv-harness
MODELS ?= build/models
GGUF ?= $(MODELS)/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf
MODEL ?= qwen2.5-coder-1.5b-instruct
REAL_RUN ?= runs/real
RUN ?= runs/quickstart
CORPUS ?= runs/quickstart-corpus
WORLD ?= runs/world
REWARD ?= longrlvr
REWARDS := $(if $(COMPARE),longrlvr answer,$(REWARD))
TORCH ?= cpu

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
PEERS_PIP := $(PEERS_VENV)/bin/python -m pip --disable-pip-version-check -qq
VLLM_PIP := $(VLLM_VENV)/bin/python -m pip --disable-pip-version-check -qq
# Only files whose hashes locks/ has; then this project, built by the hatchling that came with them.
LOCKED := install --require-hashes --no-deps -r
PROJECT := install --no-build-isolation --no-deps -e .
# Only torch itself is looked for there; its dependencies come with the rest. A version with "+cpu" counts as newer than
# the same without, so the CPU build wins wherever this index, or a wheel folder that pip is configured with, has it.
CPU_INDEX := https://download.pytorch.org/whl/cpu
TORCH_VERSION := $(shell grep '^torch==' constraints.txt)
TORCH_cpu := $(TORCH_VERSION) --extra-index-url $(CPU_INDEX) --retries 1
TORCH_default := $(TORCH_VERSION)
TORCH_ARGS := $(or $(TORCH_$(TORCH)),$(TORCH))

WORLDS := train-longrlvr train-answer train-context train-warm-start
.PHONY: dataset train $(WORLDS) train-quickstart test test-slow campaign test-lowest test-vllm test-gpu test-real test-ray test-peers test-harnesses resolve docs check lint format lock audit fuzz clean
.DELETE_ON_ERROR:

dataset: $(VENV)/.run-installed $(CORPUS)
	$(BIN)/longrlvr-data run -c configs/quickstart.yaml --input $(CORPUS) -o $(RUN)

train: $(REWARDS:%=train-%)
	@test -z '$(COMPARE)' || $(BIN)/python -m datagen.train.curve $(REWARDS:%=$(WORLD)/%)

train-longrlvr train-answer train-context: train-%: train-warm-start
	$(BIN)/longrlvr-data train $(WORLD) -c train-world --model $(WORLD)/warm-start/checkpoints/step-000000 --reward $* -o $(WORLD)/$*

# What the rewards start from: the format and the quoting, and citations that are hardly better than luck.
train-warm-start: $(VENV)/.train-installed
	@test -d $(WORLD)/model || $(BIN)/longrlvr-data quickstart-world $(WORLD)
	$(BIN)/longrlvr-data train $(WORLD)/warm -c train-world --model $(WORLD)/model --steps 0 --sft-steps 1200 -o $(WORLD)/warm-start

train-quickstart: $(VENV)/.train-installed
	@test -d $(RUN)/dataset || $(MAKE) dataset
	$(BIN)/longrlvr-data train $(RUN) -c train-tiny

$(CORPUS): | $(VENV)/.run-installed
	$(BIN)/longrlvr-data quickstart-corpus $@

test: lint
	$(BIN)/python -m pytest -n 2

test-slow: $(VENV)/.dev-installed
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow
	CAMPAIGN=28 $(BIN)/python -m pytest -n 2 tests/campaign/test_crashes.py

campaign: $(VENV)/.dev-installed
	CAMPAIGN=200 $(BIN)/python -m pytest -n 2 -rP tests/campaign

FUZZED := response fences context reply settings answers body journal

fuzz: $(FUZZ_VENV)/.installed
	mkdir -p build/fuzz
	for reader in $(FUZZED); do $(FUZZ_VENV)/bin/python -m tests.campaign.fuzz_parsers $$reader \
	  -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=build/fuzz/$$reader- || exit; done

test-vllm: $(VLLM_VENV)/.installed
	$(VLLM_VENV)/bin/python -m pytest -m vllm

# Fails where there is none, so that nobody takes skipped tests for passed ones.
NO_GPU := no GPU is visible to PyTorch here, so nothing was tested: install its CUDA build (make clean, TORCH=default)
test-gpu: $(VENV)/.dev-installed
	@$(BIN)/python -c 'import sys, torch; sys.exit(None if torch.cuda.is_available() else "$(NO_GPU)")'
	$(BIN)/python -m pytest -m gpu -rsP tests/gpu

test-real: $(VENV)/.dev-installed $(if $(URL),,$(REAL_VENV)/.installed $(GGUF))
	REAL_URL=$(URL) REAL_GGUF=$(GGUF) REAL_PYTHON=$(REAL_VENV)/bin/python REAL_MODEL=$(MODEL) REAL_RUN=$(REAL_RUN) \
	  REAL_CHAPTERS=$(CHAPTERS) $(BIN)/python -m pytest -m real -rP tests/real

$(MODELS)/qwen2.5-coder-%-instruct-q4_k_m.gguf: | $(REAL_VENV)/.installed
	$(REAL_VENV)/bin/python tests/real/fetch_model.py $(MODELS) --size $*

test-ray: $(VENV)/.dev-installed
	$(BIN)/python -m pytest -m "ray or slow" tests/executors

test-peers: $(VENV)/.dev-installed $(PEERS_VENV)/.installed
	PEERS_PYTHON=$(abspath $(PEERS_VENV))/bin/python SLIME=$(abspath $(SLIME)) $(BIN)/python -m pytest -m peers -rs tests/peers

test-harnesses: $(VENV)/.dev-installed $(HARNESS_VENV)/.installed
	HARNESS_PYTHON=$(abspath $(HARNESS_VENV))/bin/python $(BIN)/python -m pytest -m peers -rs tests/peers/test_harnesses.py

# The rooms whose tests need no torch. The tests' own tools are not held down.
LOWEST_TESTS := test_shards.py test_records.py servers llm text clustering selection stages executors grounding run

test-lowest: $(LOWEST_VENV)/.installed
	$(LOWEST_VENV)/bin/python -m pytest $(addprefix tests/,$(LOWEST_TESTS))

resolve: $(VENV)/.dev-installed
	$(BIN)/python tests/resolve.py

check: test docs test-slow test-lowest test-vllm resolve

docs: $(VENV)/.dev-installed
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

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "longrlvr-data needs Python 3.11 or newer: set PYTHON=")'
	@echo "making $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run-installed: pyproject.toml locks/run.lock | $(VENV)/.made
	@echo "installing longrlvr-data"
	@$(PIP) $(LOCKED) locks/run.lock
	@$(PIP) $(PROJECT)
	@touch $@

$(VENV)/.torch-installed: | $(VENV)/.made
	@echo "installing PyTorch (once; a few minutes)"
	@$(PIP) install --no-deps $(TORCH_ARGS)
	@touch $@

# `pip install torch` adds what the build of torch that is there needs besides: nothing, or CUDA's libraries.
$(VENV)/.train-installed: pyproject.toml locks/train.lock | $(VENV)/.torch-installed
	@echo "installing longrlvr-data and what training needs"
	@$(PIP) $(LOCKED) locks/train.lock
	@$(PIP) install torch
	@$(PIP) $(PROJECT)
	@touch $@ $(VENV)/.run-installed

$(VENV)/.dev-installed: pyproject.toml locks/dev.lock | $(VENV)/.torch-installed
	@echo "installing longrlvr-data and what its checks and its documentation need"
	@$(PIP) $(LOCKED) locks/dev.lock
	@$(PIP) install torch
	@$(PIP) $(PROJECT)
	@touch $@ $(VENV)/.run-installed $(VENV)/.train-installed

$(VLLM_VENV)/.installed: pyproject.toml locks/vllm.lock
	@echo "making $(VLLM_VENV) (once; a few minutes, 3 GB)"
	@$(PYTHON) -m venv $(VLLM_VENV)
	@$(VLLM_PIP) install --no-deps $(TORCH_cpu)
	@$(VLLM_PIP) $(LOCKED) locks/vllm.lock
	@$(VLLM_PIP) $(PROJECT)
	@touch $@

$(FUZZ_VENV)/.installed: locks/run.lock
	@$(PYTHON) -m venv $(FUZZ_VENV)
	@$(FUZZ_VENV)/bin/python -m pip -qq $(LOCKED) locks/run.lock
	@$(FUZZ_VENV)/bin/python -m pip -qq install atheris==3.0.0
	@touch $@

$(REAL_VENV)/.installed:
	@$(PYTHON) -m venv $(REAL_VENV)
	@$(REAL_VENV)/bin/python -m pip --disable-pip-version-check -qq install xllamacpp==2026.10.11549
	@touch $@

$(HARNESS_VENV)/.installed:
	@echo "making $(HARNESS_VENV) (once; a few minutes, 4 GB)"
	@$(PYTHON) -m venv $(HARNESS_VENV)
	@$(HARNESS_VENV)/bin/python -m pip --disable-pip-version-check -qq install --no-deps $(TORCH_cpu)
	@$(HARNESS_VENV)/bin/python -m pip --disable-pip-version-check -qq install 'lm_eval[api]==0.4.13' evalscope==1.14.1
	@touch $@

# verl and OpenRLHF need each its own versions of what only GPUs use: what their data, rewards and options need is here.
$(PEERS_VENV)/.installed:
	@echo "making $(PEERS_VENV) (once; a few minutes, 3 GB)"
	@$(PYTHON) -m venv $(PEERS_VENV)
	@$(PEERS_PIP) install --no-deps $(TORCH_cpu)
	@$(PEERS_PIP) install torch trl==1.16.0 verifiers==0.4.0 'transformers>=5.5.3,<5.11,!=5.6.0' accelerate 'ray>=2.41' \
	  'tensordict>=0.8,<=0.10.0,!=0.9.0' hydra-core codetiming torchdata pylatexenc peft cachetools uvicorn pyarrow hatchling
	@$(PEERS_PIP) install --no-deps verl==0.9.1 openrlhf==0.11.2
	@touch $@

$(LOWEST_VENV)/.installed: pyproject.toml | $(VENV)/.dev-installed
	@$(BIN)/uv venv -q --clear --python $(BIN)/python $(LOWEST_VENV)
	@$(BIN)/uv pip compile -q --resolution lowest-direct pyproject.toml -o $(LOWEST_VENV)/lowest.txt
	@VIRTUAL_ENV=$(LOWEST_VENV) $(BIN)/uv pip install -q -r $(LOWEST_VENV)/lowest.txt \
	  hypothesis langchain-text-splitters pytest pytest-xdist
	@touch $@

# constraints.txt has the versions that go together, of everything; locks/ the hashes of their files, for every platform,
# by what is installed together. A version changes only where pyproject.toml wants another, or by make lock UPGRADE=-U,
# or UPGRADE="-P openai". torch is left to the rule above, and so is what only its CUDA build needs.
COMPILE := $(BIN)/uv pip compile -q --universal --no-annotate --custom-compile-command "make lock"
LOCK := $(COMPILE) --generate-hashes -c constraints.txt
EVERYTHING := --extra dev --extra docs --group build pyproject.toml
WITHOUT_TORCH := '/^[^ ]/ { torch = /^(torch|triton|cuda-[a-z]+|nvidia-[a-z0-9-]+)==/ } !torch'

lock: $(if $(wildcard $(BIN)/uv),,$(VENV)/.dev-installed)
	$(COMPILE) $(UPGRADE) $(EVERYTHING) -o constraints.txt
	$(LOCK) --extra documents --group build pyproject.toml -o locks/run.lock
	$(LOCK) --extra documents --extra embed --extra train --group build pyproject.toml -o locks/train.lock
	$(LOCK) $(EVERYTHING) -o locks/dev.lock
	$(COMPILE) --generate-hashes --no-deps constraints-vllm.txt -o locks/vllm.lock
	for name in run train dev; do awk $(WITHOUT_TORCH) locks/$$name.lock > locks/new && mv locks/new locks/$$name.lock; done

# Known weaknesses of what the locks name, by the advisories of pypi.org, in an environment that is thrown away.
audit: $(VENV)/.dev-installed
	for file in constraints.txt constraints-vllm.txt; do \
	  $(BIN)/uv tool run pip-audit --strict --disable-pip --no-deps -r $$file || exit; done

clean:
	rm -rf $(VENV) $(VLLM_VENV) $(LOWEST_VENV) $(FUZZ_VENV) $(REAL_VENV) $(PEERS_VENV) runs build dist
