#!/usr/bin/env bash
# The arrows between crates: arch -> weights -> nn -> train <- data, pth -> nn, weights -> onnx; cli serves only
# the tools; the tensor library begins at nn. Holds what each package may depend on, directly or through others.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0

# allow PACKAGE CRATE...: of our crates and the tensor library's, only these.
allow() {
  local package=$1 name
  shift
  local tree
  tree=$(cargo tree --locked --package "$package" --edges normal,build --prefix none --format '{p}')
  while read -r name _; do
    case " $package $* " in
    *" $name "*) ;;
    *)
      echo "tests/dependencies.sh: $package depends on $name:" \
        "remove the dependency, or move the code to the crate that may have it" >&2
      failed=1
      ;;
    esac
  done < <(cut -d ' ' -f 1 <<<"$tree" | sort -u | grep -E '^(cream|candle)-')
}

allow cream-cli
allow cream-arch
allow cream-data
allow cream-pth
allow cream-weights cream-arch
allow cream-onnx cream-arch cream-weights
allow cream-nn cream-arch cream-weights cream-pth candle-core
allow cream-train cream-arch cream-data cream-weights cream-nn cream-pth candle-core

allow flops-count cream-arch cream-cli
allow path-export cream-arch cream-cli cream-weights cream-onnx
allow imagenet-prep cream-data cream-cli
allow supernet-train cream-train cream-arch cream-data cream-weights cream-nn cream-cli cream-pth candle-core
allow arch-retrain cream-train cream-arch cream-data cream-weights cream-nn cream-cli cream-pth candle-core
allow evaluate cream-train cream-arch cream-data cream-weights cream-nn cream-cli cream-pth candle-core

# Times the networks and the operators.
allow cream-bench cream-train cream-arch cream-data cream-weights cream-nn cream-cli cream-pth candle-core

# The trainers and the benchmark in one file.
allow cream-gpu-kit cream-bench cream-train cream-arch cream-data cream-weights cream-nn cream-cli cream-pth candle-core

# Makes a data set shaped as ImageNet.
allow imagenet-shaped cream-data cream-cli

# Times the loader.
allow loader-bench cream-data cream-cli

# Calls every reader there is.
allow cream-malformed imagenet-prep cream-train cream-arch cream-data cream-weights cream-nn cream-cli cream-pth candle-core

# Runs CUDA kernels on the host; its tests hold them against the CPU's operators.
allow cream-emulation

# Stands in for a device and its libraries.
allow cream-emulated-device

# A check that finds nothing must not pass because the tree could not be read.
cargo tree --locked --package cream-nn --edges normal --prefix none | grep '^candle-core ' >/dev/null ||
  { echo "tests/dependencies.sh: candle-core not seen below cream-nn: is the check broken?" >&2; failed=1; }

exit "$failed"
