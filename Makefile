# The whole job and its checks. `make` alone prints this help.
#
## Work:
##   make pipeline [FLOPS_MAX=200]         search, export, count, retrain and evaluate
##   make search FLOPS_MAX=200 [FLOPS_MIN=0]
##                                         train a supernet and export its best path as arch.json
##   make retrain [ARCH=net.json]          train a network from scratch; without ARCH the found one
##   make evaluate [ARCH=net.json] [WEIGHTS=w.safetensors]
##                                         score weights on the validation images
##   make evolve FLOPS_MAX=200             better paths of a search by crossover and mutation
##   make sample                           the bundled images as shards in data/fashion-mnist
##
## Experiments:
##   make rank-correlation [RANK_PATHS=24] [ALONE_SEEDS="0 1 2"] [SEARCH_SEEDS=0]
##                                         whether a search ranks paths as training each alone does
##   make compare-recipes [RECIPES_COMPARED="sample-plain sample-full sample-mixup"] [SEEDS="0 1 2"]
##                                         one network retrained with several recipes
##
## Installation:
##   make install [PREFIX=/usr/local] [DESTDIR=]
##                                         tools, man pages, completions and recipes
##   make uninstall [PREFIX=/usr/local] [DESTDIR=]
##                                         takes away what make install put there
##
## Development:
##   make build                            release binaries in target/release
##   make test                             every test, then a small pipeline from end to end, the
##                                         installation, and runs that are killed
##   make check                            formatting, lints, dependency arrows
##   make cuda-check                       the feature cuda without a device: lints, the registers, memory and
##                                         spills of every kernel, and the kernels on the host; brings the
##                                         compiler where there is none
##   make cuda-build                       release binaries with the feature cuda in target/cuda/release
##   make gpu-kit                          what tests/gpu/run needs on a machine with a GPU and without Rust, in
##                                         target/cuda/gpu-kit
##   make bench [PYTHON=path/to/python]    speed and memory of five networks; with a Python that has
##                                         torch, onnx and onnxruntime, beside those too
##   make parity PYTHON=path/to/python     PyTorch's checkpoints here, and exported networks beside PyTorch
##                                         and ONNX Runtime
##   make bench-data PYTHON=path/to/python
##                                         preparing and loading data, beside Pillow and PyTorch
##
## Variables:
##   DATA       folder of images or of shards; unset: the bundled Fashion-MNIST subset
##   FLOPS_MIN, FLOPS_MAX   the interval in millions of FLOPs as published (0 and 200)
##   EPOCHS, SEED, THREADS  override the recipe
##   EXTRA      any further flags of the trainer that the command runs (not for pipeline, which
##              runs two: use recipes)
##   SEARCH_CONFIG, RETRAIN_CONFIG   recipes; by default those in configs/ for the data and ARCH
##   GENERATIONS, POPULATION, PARENTS   of make evolve (10, 50 and 10)
##   JOBS       runs at once of an experiment, each on one thread (the number of cores)
##   PREP_FLAGS flags for imagenet-prep
##   BENCH_FLAGS, COMPARE_FLAGS   flags for bench and for compare.py (tests/bench)
##   DATA_FLAGS flags for compare_data.py
##   PARITY_FLAGS   flags for the scripts of tests/parity
##   RUNS, SHARD_ROOT   where runs and prepared data go (runs and data)
##   TOOLS      folder of ready binaries; unset: they are built first
##
## Runs land in runs/<data>/search-<min>-<max>/. Rerunning does only what is missing or out of date,
## and an interrupted run resumes. EPOCHS, SEED and EXTRA shape new runs; a finished one stays as
## it is until its folder is removed or its recipe changes.

include pipelines/shell.mk
.DEFAULT_GOAL := help
# Each stage uses every core, and its messages belong under its own heading.
.NOTPARALLEL:

CARGO ?= cargo

# Tools given by the user are taken as they are; otherwise cargo decides whether to rebuild. The
# target is phony and order-only wherever it is needed, so that new binaries do not put finished
# runs out of date.
ifndef TOOLS
TOOLS := $(or $(CARGO_TARGET_DIR),target)/release
BUILD := build
endif

include pipelines/settings.mk
include pipelines/rules.mk
include pipelines/pipeline.mk
include pipelines/experiments.mk
include pipelines/install.mk
include pipelines/cuda.mk

.PHONY: help build test check bench bench-data parity sample cargo-present

help:
	@sed -n 's/^## \{0,1\}//p' Makefile

cargo-present:
	@command -v $(CARGO) >/dev/null || { \
	  echo "make: $(CARGO): not found: install Rust 1.95 or newer from https://rustup.rs" >&2; \
	  exit 2; }

build: cargo-present
	@$(CARGO) build --release --locked

check: cargo-present
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	tests/dependencies.sh

# The pipeline test builds for itself, with none of the caller's settings; those after it use what was built.
test: cargo-present
	$(CARGO) test --workspace --locked
	tests/pipeline.sh
	tests/experiments.sh
	tests/install.sh
	tests/full-disk.sh
	tests/gpu/check.sh
	tests/interrupted.sh --kills 3 --threads 2 --workers 1 --seed 5 >/dev/null

# A process for each: the peak of memory is the process's.
BENCH_LINES := "--path 287 --batch 16" "--path 43 --batch 64" "--path 14 --batch 128" \
  "--path 604 --batch 16" "--supernet 1,2,3,2,2 --batch 16"

bench: | $(BUILD)
	@for line in $(BENCH_LINES); do $(TOOLS)/bench $$line $(BENCH_FLAGS); done
ifdef PYTHON
	@$(PYTHON) tests/bench/compare.py --bench $(TOOLS)/bench $(COMPARE_FLAGS)
endif

bench-data: | $(BUILD)
ifdef PYTHON
	@$(PYTHON) tests/bench/compare_data.py --tools $(TOOLS) $(DATA_FLAGS)
else
	@echo "make: bench-data compares with Python: give PYTHON=path/to/python" >&2; exit 2
endif

# Scripts of tests/parity.
PARITY := checkpoints timm_weights exports

parity: | $(BUILD)
ifdef PYTHON
	@for script in $(PARITY); do $(PYTHON) tests/parity/$$script.py --tools $(TOOLS) $(PARITY_FLAGS); done
else
	@echo "make: parity compares with Python: give PYTHON=path/to/python" >&2; exit 2
endif

sample:
	@$(MAKE) --no-print-directory DATA= prepare
	@echo "the bundled images as shards: $(SHARD_ROOT)/fashion-mnist" >&2
