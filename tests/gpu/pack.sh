#!/usr/bin/env bash
# What tests/gpu/run needs on a machine that has a driver, CUDA's libraries and Python, as one folder: the script, the
# programs, the tests of operators and networks, the bundled images as shards, a network to retrain, PyTorch's side.
#
# pack.sh BINARIES TESTS KIT   folder of release binaries, test binary of cream-nn, folder to make anew
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
most_mib=60

[ $# = 3 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
binaries=$1 tests=$2 kit=$3
for file in "$binaries/gpu-kit" "$binaries/imagenet-prep" "$binaries/path-export" "$tests"; do
  [ -x "$file" ] || {
    echo "pack.sh: ${file:-the test binary of cream-nn}: not there: make gpu-kit builds it" >&2
    exit 2
  }
done

mkdir -p "$(dirname "$kit")"
aside=$(mktemp -d "$kit.XXXXXX")
trap 'rm -rf "$aside"' EXIT
mkdir -p "$aside"/bin "$aside"/recipes/{search,retrain} "$aside"/peer/{bench,golden}

# Symbols are half of what a linker leaves.
strip -o "$aside/bin/gpu-kit" "$binaries/gpu-kit"
strip -o "$aside/bin/cream-nn-tests" "$tests"
cp "$root"/tests/gpu/{run,*.py,README.md} "$aside"
cp "$root/tests/bench/peer.py" "$aside/peer/bench"
cp "$root/tests/golden/cream_torch.py" "$aside/peer/golden"
for trainer in search retrain; do cp "$root/configs/$trainer/sample.toml" "$aside/recipes/$trainer"; done

"$binaries/imagenet-prep" "$root/tests/data/fashion-mnist" "$aside/data" --search-val-share 0.15 --quiet
tar -C "$aside" --remove-files -czf "$aside/data.tar.gz" data
"$binaries/path-export" --sample 1 --seed 1 --flops-max 3 --depths 1,2,2,1,1 --image-size 32 --classes 10 --quiet \
  >"$aside/arch.json"

bytes=$(cat "$aside"/bin/* | wc -c)
if [ "$bytes" -gt $((most_mib << 20)) ]; then
  ls -l "$aside/bin" >&2
  echo "pack.sh: the binaries take $bytes bytes, more than $most_mib MiB: leave out what tests/gpu/run can spare" >&2
  exit 1
fi
chmod 755 "$aside"
rm -rf "$kit"
mv "$aside" "$kit"
trap - EXIT
echo "the kit is in $kit: $(du -sm "$kit" | cut -f 1) MB, binaries $((bytes >> 20)) of $most_mib MiB" >&2
