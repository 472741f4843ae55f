#!/usr/bin/env bash
# tests/gpu/run as far as a machine without a GPU allows: its functions, wrong use, and every section with the CPU in
# the device's place, from a kit as `make gpu-kit` packs it and at sizes of seconds. TOOLS names a folder of binaries;
# by default those of `make build`.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../.."

tools=${TOOLS:-${CARGO_TARGET_DIR:-target}/release}
[ -x "$tools/gpu-kit" ] || { echo "tests/gpu/check.sh: no gpu-kit in $tools: make build first" >&2; exit 2; }
command -v python3 >/dev/null || { echo "tests/gpu/check.sh: no python3: not checked" >&2; exit 0; }
for variable in $(compgen -e CREAM_ || true); do unset "$variable"; done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { echo "tests/gpu/check.sh: $*" >&2; }
fail() {
  say "FAILED: $*"
  exit 1
}
run=$work/kit/run

# ends STATUS PATTERN ARGUMENT...: the script ends so, and says a line like this.
ends() {
  local expected=$1 pattern=$2 status=0
  shift 2
  "$run" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
  [ "$status" = "$expected" ] || fail "run $*: status $status, not $expected: $(tail -n 3 "$work/err")"
  grep -qE -- "$pattern" "$work/out" "$work/err" ||
    fail "run $*: nothing like $pattern: $(cat "$work/out" "$work/err")"
  [ "$status" != 2 ] || [ "$(wc -l <"$work/err")" = 1 ] || fail "run $*: not one line: $(cat "$work/err")"
}
# row PATTERN: the table has a row like this.
row() { grep -qE -- "^\| *$1" "$work/out" || fail "no row $1 in: $(cat "$work/out")"; }

say "packing"
cargo=("${CARGO:-cargo}" test --workspace --lib --locked --no-run --message-format json-render-diagnostics)
built=$("${cargo[@]}" 2>"$work/err") || fail "$(cat "$work/err")"
tests=$(sed -n 's/.*"name":"cream_nn".*"executable":"\([^"]*\)".*/\1/p' <<<"$built")
tests/gpu/pack.sh "$tools" "$tests" "$work/kit" 2>"$work/err" || fail "$(cat "$work/err")"
tar -tzf "$work/kit/data.tar.gz" | grep -x data/index.json >/dev/null || fail "the kit has no shards"
"$tools/imagenet-prep" tests/data/fashion-mnist "$work/shards" --search-val-share 0.2 --per-class 20 \
  --val-per-class 10 --quiet

say "functions and wrong use"
ends 0 'tests of the script hold' --self-test
ends 0 '--binaries' --help
ends 2 'tpu: give cuda' --device tpu
ends 2 'speed: not known' --only speed
ends 2 'batch' --batches 0
ends 2 'no such folder' --binaries "$work/none"
ends 2 'no bench' --binaries "$work/shards"
ends 2 'device cuda:4096: ' --device cuda:4096
ends 2 'no index.json' --device cpu --data "$work" --only search

say "every section, with the CPU as the device"
printf '#!/bin/sh\necho "ModuleNotFoundError: No module named torch" >&2\nexit 1\n' >"$work/python"
chmod +x "$work/python"
small=(--device cpu --python "$work/python" --data "$work/shards" --epochs 2 --batch 16
  --learning-rate 0.005)
ends 0 ' 0 failed' "${small[@]}" --out "$work/all.json" \
  --paths 14,supernet --batches 4 --size 32 --steps 1 --pairs 2
for section in search retrain; do
  row "$section *\| first [1-9] steps, f32 *\| ok "
  row "$section *\| 2 epochs, f32 *\| ok "
  row "$section *\| bf16 *\| not run .*\| not on the CPU"
  row "resume *\| $section, stopped after step [0-9]+ of [0-9]+ *\| ok *\| same bytes"
done
for operator in batch_norm depthwise gate update; do row "operators *\| $operator *\| ok .*[1-9] hold"; done
row 'gradients *\| depthwise *\| ok .*largest error'
row 'gradients *\| network: .*\| ok .*largest error'
row 'bench *\| PyTorch *\| not run .*no PyTorch: .*No module named torch'
row 'bench *\| bf16 *\| not run .*not on the CPU'
for mode in train infer; do
  for network in 14 supernet; do
    row "bench *\| $network, batch 4, f32, $mode *\| measured *\| [1-9].*none .*of the copy's"
  done
done
! grep -q '^| product' "$work/out" || fail "operators that no device runs are in the table"
python3 - "$work/all.json" <<'E2' || fail "the JSON does not hold the table"
import json, sys
said = json.load(open(sys.argv[1]))
assert len(said["rows"]) > 20 and len(said["bench"]) == 4 and said["curves"], said.keys()
E2

say "what fails makes it fail"
cat >"$work/kit/bin/cream-nn-tests" <<'E2'
#!/bin/sh
printf 'test ops::gate::tests::agrees ... FAILED\n---- ops::gate::tests::agrees stdout ----\n'
printf "thread 'x' panicked at a.rs:1:\ngate: error 1 above 0\ntest result: FAILED\n"
exit 101
E2
ends 1 ' 1 failed' --device cpu --only operators
row 'operators *\| gate *\| FAILED *\| 0 of 1 hold .*gate: error 1 above 0'
cat >"$work/kit/bin/gpu-kit" <<E2
#!/bin/sh
echo "supernet-train: broken on purpose" >&2
case "\$*" in *--repeat*) exit 0 ;; esac
exit 1
E2
ends 1 'search .*FAILED.*broken on purpose' "${small[@]}" --only search
say "passed"
