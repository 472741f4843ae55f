#!/usr/bin/env bash
# Looks for bytes that a reader does not survive: fuzz.sh [SECONDS [TARGET...]]
#
# Runs every target, or those named, for SECONDS each (600), from the seeds and from what earlier
# runs found worth keeping (target/fuzz/corpus), and prints a table. Exit status 1: something was
# found; the file is in target/fuzz/found/TARGET. Mend the reader and keep the file as
# seeds/TARGET/found-WHAT, where `cargo test -p cream-malformed` replays it.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:-600}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "fuzz.sh: $seconds: give whole seconds, such as 600" >&2; exit 2; }
shift || true
all=(architecture archive board config idx image list parquet pth shards tensors)
targets=("$@")
(($#)) || targets=("${all[@]}")
for target in "${targets[@]}"; do
  [[ " ${all[*]} " == *" $target "* ]] ||
    { echo "fuzz.sh: $target: no such target; there are ${all[*]}" >&2; exit 2; }
done

cargo +nightly --version >/dev/null 2>&1 ||
  { echo "fuzz.sh: no nightly toolchain: rustup toolchain install nightly --profile minimal" >&2; exit 2; }
cargo fuzz --version >/dev/null 2>&1 ||
  { echo "fuzz.sh: no cargo-fuzz: cargo +nightly install cargo-fuzz --locked" >&2; exit 2; }

here=tests/malformed
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
cargo +nightly fuzz build --fuzz-dir $here/fuzz --target-dir target/fuzz

failed=0
table=$(printf '%-13s %11s %7s %9s %8s  %s' target executions edges features seconds found)
for target in "${targets[@]}"; do
  corpus=target/fuzz/corpus/$target found=target/fuzz/found/$target log=target/fuzz/$target.log
  mkdir -p "$corpus" "$found"
  before=$(find "$found" -type f | wc -l)
  echo "fuzz.sh: $target for $seconds s; log: $log" >&2
  # 64 Mi pixels, the most that an image may claim, take 192 MiB several times over.
  target/fuzz/"$host"/release/"$target" -max_total_time="$seconds" -timeout=10 \
    -rss_limit_mb=2048 -malloc_limit_mb=1024 -max_len=8192 -print_final_stats=1 \
    -dict=$here/fuzz/dictionaries/"$target".dict -artifact_prefix="$found/" \
    "$corpus" "$here/seeds/$target" >"$log" 2>&1 || failed=1
  cases=$(($(find "$found" -type f | wc -l) - before))
  figure() { sed -n "s/$1/\1/p" "$log" | tail -n 1; }
  table+=$'\n'$(printf '%-13s %11s %7s %9s %8s  %s' "$target" \
    "$(figure '^stat::number_of_executed_units: *\([0-9]*\).*')" \
    "$(figure '.* cov: \([0-9]*\) .*')" "$(figure '.* ft: \([0-9]*\) .*')" \
    "$(figure '^Done .* in \([0-9]*\) second.*')" "$cases")
done
echo "$table"
exit "$failed"
