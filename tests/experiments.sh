#!/usr/bin/env bash
# The experiments on the bundled data, cut to an epoch or two each: evolution, rank correlation, recipes side by side.
# Checks what they leave, and that asking again does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL DATA ARCH WEIGHTS EPOCHS SEED THREADS EXTRA RUNS \
  SHARD_ROOT FLOPS_MIN FLOPS_MAX TOOLS PREP_FLAGS JOBS
for variable in $(compgen -e CREAM_ || true); do unset "$variable"; done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bin=${CARGO_TARGET_DIR:-target}/release
runs=$work/runs/fashion-mnist

say() { echo "tests/experiments.sh: $*" >&2; }
fail() {
  say "FAILED: $*"
  exit 1
}

# shorten RECIPE: an epoch of training, two of search, half of them warm-up.
shorten() {
  sed -E -e "s/^epochs = .*/epochs = $2/" -e 's/^warmup-epochs = .*/warmup-epochs = 1/' \
    -e 's/^(evaluate-epochs|recalibration-batches) = .*/\1 = 1/' "configs/$1.toml" >"$work/$(basename "$(dirname "$1")").toml"
}

make_here() {
  make --no-print-directory RUNS="$work/runs" SHARD_ROOT="$work/data" FLOPS_MAX=3 "$@" >"$work/out" 2>"$work/log" ||
    fail "make $*: $(cat "$work/log")"
}

make --no-print-directory build
shorten search/sample 2
shorten retrain/sample 1

say "evolution"
evolve=(SEARCH_CONFIG="$work/search.toml" GENERATIONS=3 POPULATION=6 PARENTS=2 evolve)
make_here "${evolve[@]}"
evolved=$runs/search-0-3/evolve
[ "$(cat "$evolved"/paths-*.jsonl | grep -o '"path":[^]]*\]\(,\[[^]]*\]\)*\]' | sort -u | wc -l)" -ge 17 ] ||
  fail "of three generations of 6 paths, fewer than 17 differ"
flops=$("$bin/flops-count" --format json "$evolved/arch.json" | grep -oE '"flops":[0-9]+' | grep -oE '[0-9]+' | sort -n | tail -n 1)
[ "$flops" -le 3000000 ] || fail "evolution found $flops FLOPs, above the limit"
# The best score of any generation is that of the path that was exported.
best=$(cat "$evolved"/scores-*.jsonl | grep -oE '"top1":[0-9.e-]+' | cut -d: -f2 | sort -g | tail -n 1)
grep -q "\"validation_top1\": $best" "$evolved/arch.json" || fail "arch.json is not the best of all: $best"
before=$(sha256sum "$evolved"/*)
rm "$evolved"/scores-2.jsonl
make_here "${evolve[@]}"
[ "$before" = "$(sha256sum "$evolved"/*)" ] || fail "evolution from the same seed found other paths"

say "rank correlation"
shorten search/rank-correlation 2
ranked=(RANK_SEARCH_CONFIG="$work/search.toml" RANK_RETRAIN_CONFIG="$work/retrain.toml" RANK_PATHS=4 ALONE_SEEDS="0 1"
  rank-correlation)
make_here "${ranked[@]}"
for part in '4 paths' 'other seeds (ceiling)' 'distilled - uniform'; do
  grep -qF "$part" "$work/out" || fail "the report does not say '$part': $(cat "$work/out")"
done
[ -s "$runs/rank-correlation/uniform-0/supernet.safetensors" ] || fail "a supernet was thrown away"
make_here "${ranked[@]}"
! grep -qE 'alone, seed|search, seed' "$work/log" || fail "a second make trained again: $(cat "$work/log")"

say "recipes side by side"
make_here EPOCHS=1 CREAM_EPOCHS=1 RECIPES_COMPARED="sample-plain sample-full" SEEDS="0 1" ARCH="$evolved/arch.json" compare-recipes
[ "$(grep -c 'over 2 seeds' "$work/out")" = 2 ] || fail "no two rows: $(cat "$work/out")"

say passed
