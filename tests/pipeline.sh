#!/usr/bin/env bash
# The whole pipeline on the bundled data, cut to two epochs: interrupted, resumed, finished, and
# asked again. Checks the files and numbers that come out, not only that nothing failed.
set -euo pipefail
cd "$(dirname "$0")/.."

# Neither the caller's make nor the caller's settings reach the runs below.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL DATA ARCH WEIGHTS EPOCHS SEED THREADS EXTRA RUNS \
  SHARD_ROOT FLOPS_MIN FLOPS_MAX TOOLS PREP_FLAGS
for variable in $(compgen -e CREAM_ || true); do unset "$variable"; done

work=$(mktemp -d)
job=
cleanup() {
  if [ -n "$job" ]; then kill -KILL -- "-$job" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

bin=${CARGO_TARGET_DIR:-target}/release
run=$work/runs/fashion-mnist/search-0-3
make_here=(make --no-print-directory RUNS="$work/runs" SHARD_ROOT="$work/data"
  SEARCH_CONFIG="$work/search.toml" RETRAIN_CONFIG="$work/retrain.toml" FLOPS_MAX=3)

say() { echo "tests/pipeline.sh: $*" >&2; }
fail() {
  say "FAILED: $*"
  exit 1
}

# shorten RECIPE: two epochs, one of them warm-up, and checkpoints often enough to be interrupted.
shorten() {
  sed -E -e 's/^epochs = .*/epochs = 2/' -e 's/^warmup-epochs = .*/warmup-epochs = 1/' \
    -e 's/^checkpoint-steps = .*/checkpoint-steps = 5/' "$1"
}

# largest KEY FILE: the largest integer under this key. Totals are never below their parts.
largest() {
  grep -oE "\"$1\": *[0-9]+" "$2" | grep -oE '[0-9]+$' | sort -n | tail -n 1
}

# fraction KEY FILE: the first value under this key.
fraction() { sed -nE "s/.*\"$1\": *([0-9.eE+-]+).*/\1/p" "$2" | head -n 1; }

# refuses STATUS PATTERN COMMAND...: the command ends so, with one line that matches.
refuses() {
  local expected=$1 pattern=$2 status=0
  shift 2
  "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
  [ "$status" = "$expected" ] || fail "$*: status $status, not $expected: $(cat "$work/err")"
  [ ! -s "$work/out" ] || fail "$*: printed data although it failed"
  [ "$(wc -l <"$work/err")" = 1 ] || fail "$*: not one line: $(cat "$work/err")"
  grep -qE "$pattern" "$work/err" || fail "$*: $(cat "$work/err") does not say $pattern"
}

stamps() { find "$work/runs" "$work/data" -type f -printf '%p %T@ %s\n' | sort; }

say "preparing"
shorten configs/search/sample.toml >"$work/search.toml"
shorten configs/retrain/sample.toml >"$work/retrain.toml"
make --no-print-directory build
"${make_here[@]}" prepare
[ -s "$work/data/fashion-mnist/index.json" ] || fail "no index of shards"

say "a search that is interrupted"
# Job control gives the run a process group of its own, so that the signal reaches make and trainer.
set -m
"${make_here[@]}" search >"$work/log" 2>&1 &
job=$!
set +m
for _ in $(seq 1200); do
  if [ -n "$(ls -A "$run/checkpoints" 2>/dev/null)" ]; then break; fi
  kill -0 "$job" 2>/dev/null || fail "the search ended before its first checkpoint: $(cat "$work/log")"
  sleep 0.1
done
kill -TERM -- "-$job"
status=0
wait "$job" || status=$?
job=
[ "$status" != 0 ] || fail "an interrupted search reported success"
[ ! -e "$run/board.json" ] || fail "an interrupted search left a board.json"
[ -n "$(ls -A "$run/checkpoints" 2>/dev/null)" ] || fail "no checkpoint in two minutes: $(cat "$work/log")"

say "the search resumes and finishes"
"${make_here[@]}" search 2>"$work/log" || fail "$(cat "$work/log")"
grep -q -- '--resume auto' "$work/log" || fail "the run did not resume"
grep -q 'bundled Fashion-MNIST' "$work/log" || fail "the search does not say what data it uses"
for file in config.toml supernet.safetensors board.json metrics.csv arch.json; do
  [ -s "$run/$file" ] || fail "no $file in the run"
done

say "what was found lies inside the interval"
"$bin/flops-count" --format json "$run/arch.json" >"$work/count.json"
flops=$(largest flops "$work/count.json")
[ "$flops" -gt 0 ] && [ "$flops" -le 3000000 ] || fail "$flops FLOPs, not in 0..3000000"
"$bin/path-export" "$run" | cmp - "$run/arch.json" || fail "path-export and arch.json differ"
# Standard input has no file name to show; all else is the same.
unnamed() { sed -E 's/"file":("[^"]*"|null)/"file":null/'; }
"$bin/path-export" "$run" | "$bin/flops-count" --format json - | cmp - <(unnamed <"$work/count.json") ||
  fail "an architecture piped into flops-count counts differently"

say "retraining and evaluating it"
"${make_here[@]}" pipeline >"$work/report" 2>"$work/log" || fail "$(cat "$work/log")"
! grep -q supernet-train "$work/log" || fail "the pipeline searched again"
evaluation=$run/retrain/evaluation.json
[ "$(largest images "$evaluation")" = 3000 ] || fail "not all 3000 images: $(cat "$evaluation")"
# Ten balanced classes: a tenth is chance, and two epochs are well above it.
top1=$(fraction top1 "$evaluation")
awk -v top1="$top1" 'BEGIN { exit !(top1 > 0.3 && top1 <= 1) }' || fail "top-1 is $top1"
grep -qF "$top1" "$work/report" || fail "the pipeline does not print its accuracy"

say "asked again, nothing runs"
before=$(stamps)
"${make_here[@]}" search pipeline >/dev/null 2>"$work/log" || fail "$(cat "$work/log")"
[ "$before" = "$(stamps)" ] || fail "a second make changed files"
! grep -qE '(supernet-train|arch-retrain) ' "$work/log" || fail "a second make trained again"

say "a touched recipe redoes what depends on it, and only that"
touch "$work/retrain.toml"
"${make_here[@]}" --dry-run pipeline >"$work/plan"
grep -q '/arch-retrain ' "$work/plan" || fail "touching the retrain recipe redoes nothing"
! grep -q '/supernet-train ' "$work/plan" || fail "touching the retrain recipe redoes the search"
touch "$work/search.toml"
"${make_here[@]}" --dry-run search >"$work/plan"
grep -q '/supernet-train ' "$work/plan" || fail "touching the search recipe redoes nothing"

say "every file that was left is what its schema says"
FORMATS_FOLDER=$work "${CARGO:-cargo}" test --quiet --locked --package cream-train --test schemas -- --ignored \
  >"$work/log" 2>&1 || fail "$(cat "$work/log")"

say "wrong input"
shards=$work/data/fashion-mnist
refuses 2 '[0-9]' "$bin/supernet-train" --data "$shards" --out "$work/none" --config "$work/search.toml" \
  --flops-min 0 --flops-max 0.001 --quiet
[ ! -e "$work/none/board.json" ] || fail "an unreachable limit left a board"
refuses 2 'nowhere' "$bin/evaluate" --weights "$work/nowhere.safetensors" --data "$shards"
refuses 2 'nowhere' "$bin/arch-retrain" --arch "$work/nowhere.json" --data "$shards" --out "$work/none"
echo '{"format": 1' >"$work/broken.json"
refuses 2 'broken.json' "$bin/flops-count" "$work/broken.json"
refuses 2 'nowhere' "$bin/path-export" "$work/nowhere"
echo 'epoch = 2' >"$work/typo.toml"
refuses 2 'epochs' "$bin/arch-retrain" --arch "$run/arch.json" --data "$shards" --out "$work/none" \
  --config "$work/typo.toml"

say "passed: $flops FLOPs, top-1 $top1 after two epochs"
