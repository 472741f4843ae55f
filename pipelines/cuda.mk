# The feature cuda: its check, and binaries that start with or without a device. Neither needs a device or a toolkit.

CUDA_TARGET := $(or $(CARGO_TARGET_DIR),target)/cuda

.PHONY: cuda-check cuda-build gpu-kit

# Every file of tests/emulation/tests is a test binary.
EMULATED := $(patsubst tests/emulation/tests/%.rs,--test %,$(wildcard tests/emulation/tests/*.rs))

# The check's own folder: placeholders stand for Candle's kernels in it, and must not get into a binary. Nothing of it
# runs, so that nothing need be optimised. The emulation is built with the whole workspace, as make test does, which
# would otherwise build its dependencies anew.
cuda-check: cargo-present
	tests/cuda/with-compiler --placeholders $(CARGO) clippy --workspace --all-targets --features cuda --locked \
	  --target-dir $(CUDA_TARGET)/check --config 'profile.dev.package."*".opt-level=0' -- -D warnings
	tests/cuda/with-compiler tests/cuda/resources.sh
	$(CARGO) test --workspace --locked $(EMULATED)
	CREAM_TEST_CUDA=0 tests/cuda/emulated tests/cuda/with-compiler --placeholders $(CARGO) test \
	  -p cream-nn -p cream-train --features cuda --locked --target-dir $(CUDA_TARGET)/check \
	  --config 'profile.dev.package."*".opt-level=0' --lib --test device -- --include-ignored

cuda-build: cargo-present
	tests/cuda/with-compiler $(CARGO) build --release --features cuda --locked --target-dir $(CUDA_TARGET)
	@echo "the programs are in $(CUDA_TARGET)/release" >&2

# Cargo says in JSON where it has put the tests.
gpu-kit: cuda-build
	tests/cuda/with-compiler $(CARGO) test --release --no-run -p cream-nn --lib --features cuda --locked \
	  --target-dir $(CUDA_TARGET) --message-format json-render-diagnostics >$(CUDA_TARGET)/gpu-kit.json
	@tests/gpu/pack.sh $(CUDA_TARGET)/release \
	  "$$(sed -n 's/.*"name":"cream_nn".*"executable":"\([^"]*\)".*/\1/p' $(CUDA_TARGET)/gpu-kit.json)" $(CUDA_TARGET)/gpu-kit
