#!/usr/bin/env bash
# What a full disk does to each tool that writes much: on a small file system of its own, shards, checkpoints and
# results run out of room. Checks that the one line says so, that nothing which was there before is lost or changed,
# that nothing half-written is taken for whole, and that with more room the same command ends as it would have.
# TOOLS is the folder of the binaries, by default the release ones that tests/pipeline.sh builds.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${TOOLS:-${CARGO_TARGET_DIR:-target}/release}
say() { echo "tests/full-disk.sh: $*" >&2; }
fail() {
  say "FAILED: $*"
  exit 1
}

# Mounting takes a mount namespace: our own as root, else one in which we are root.
if [ "${FULL_DISK_INSIDE:-}" != yes ]; then
  probe='d=$(mktemp -d) && mount -t tmpfs -o size=1m full-disk "$d" && umount "$d" && rmdir "$d"'
  for namespace in "unshare --mount" "unshare --mount --map-root-user" ""; do
    if $namespace sh -c "$probe" 2>/dev/null; then
      FULL_DISK_INSIDE=yes exec $namespace tests/full-disk.sh
    fi
  done
  say "SKIPPED: a small file system cannot be mounted here (neither as root nor with unshare)," \
    "so what a full disk does is not tested"
  exit 0
fi

for variable in $(compgen -e CREAM_ || true); do unset "$variable"; done
work=$(mktemp -d)
disk=$work/disk
cleanup() {
  umount "$disk" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

# disk_of BYTES: a disk with so much room, a file taking up the rest. grow BYTES: it gives way to so much in all.
# (A mounted disk cannot be resized by everybody who can mount one.)
capacity=$((128 << 20))
disk_of() {
  umount "$disk" 2>/dev/null || true
  mkdir -p "$disk"
  mount -t tmpfs -o "size=$capacity" full-disk "$disk"
  head -c "$(((capacity - $1) / 4096 * 4096))" /dev/zero >"$disk/filler"
}
grow() { truncate --size "$(((capacity - $1) / 4096 * 4096))" "$disk/filler"; }

# runs_out FILE COMMAND...: the command ends with status 1 and one line: that this file does not fit, and what to do.
runs_out() {
  local file=$1 status=0
  shift
  "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
  [ "$status" = 1 ] || fail "$*: status $status, not 1: $(cat "$work/err")"
  [ "$(wc -l <"$work/err")" = 1 ] || fail "$*: not one line: $(cat "$work/err")"
  for part in "$file" "No space left on device" "free some space and run the same command again"; do
    grep -qF "$part" "$work/err" || fail "$*: '$part' is not in: $(cat "$work/err")"
  done
  say "  $(sed "s|$work/||g" "$work/err")"
  [ -z "$(find "$disk" -name '*.tmp')" ] || fail "half-written files: $(find "$disk" -name '*.tmp')"
}

size() { stat -c %s "$1"; }
# Room that files take on the disk, in whole pages.
room() { find "$@" -type f -printf '%s\n' | awk '{ n += int(($1 + 4095) / 4096) * 4096 } END { print n }'; }

same() {
  local file
  for file in "$@"; do
    cmp "$reference/$file" "$run/$file" || fail "$file is not that of a run with room enough"
  done
}

images=tests/data/fashion-mnist
data=$work/data
say "preparing"
"$bin/imagenet-prep" "$images" "$data" --search-val-share 0.15 --per-class 20 --val-per-class 5 --quiet

say "shards that do not fit"
prepare=("$bin/imagenet-prep" "$images" --shard-size 1 --per-class 100 --val-per-class 20 --quiet)
run=$disk/shards
disk_of $((1536 * 1024))
status=0
"${prepare[@]}" "$run" 2>"$work/err" || status=$?
[ "$status" = 2 ] || fail "a set that will not fit: status $status, not 2: $(cat "$work/err")"
grep -qE "needs about [0-9.]+ MB, but 1.6 MB are free there; free some space" "$work/err" || fail "$(cat "$work/err")"
[ ! -e "$run" ] || fail "a set that will not fit left something"

prepare+=(--no-space-check)
reference=$work/shards
"${prepare[@]}" "$reference"
all=$(room "$reference")
run=$disk/shards
# In a later shard; too few pages for what is written last, the records of the shards being there still.
for case in "train-000001.tar $((1536 * 1024))" "$run/ $((all - 4096))"; do
  read -r file bytes <<<"$case"
  disk_of "$bytes"
  runs_out "$file" "${prepare[@]}" "$run"
  [ ! -e "$run/index.json" ] || fail "shards that did not fit left an index.json"
  grow "$capacity"
  "${prepare[@]}" "$run"
  diff -r "$reference" "$run" || fail "the shards are not those of a disk with room"
done

# trains RESULTS COMMAND...: a run of two epochs, each with its checkpoint, then these results, on a disk that is too
# small for the second checkpoint, then for the last of the RESULTS, and then has room. The command lacks its --out.
trains() {
  local results=($1) first second largest
  shift
  reference=$work/reference
  run=$disk/run
  rm -rf "$reference"
  "$@" --quiet --out "$reference"
  first=$(basename "$(find "$reference/checkpoints" -type f | sort | head -n 1)")
  second=$(basename "$(find "$reference/checkpoints" -type f | sort | tail -n 1)")
  [ "$first" != "$second" ] || fail "one checkpoint only: the recipe is too short"
  largest=${results[-1]}

  disk_of $(($(size "$reference/checkpoints/$first") + $(size "$reference/checkpoints/$second") / 2))
  echo "somebody else's" >"$disk/other"
  runs_out "checkpoints/$second" "$@" --quiet --out "$run"
  same "checkpoints/$first"
  [ ! -e "$run/checkpoints/$second" ] || fail "a checkpoint that did not fit is there"

  grow $(($(room "$reference") - $(size "$reference/$largest") / 2))
  runs_out "$largest" "$@" --quiet --out "$run"
  same "checkpoints/$first" "checkpoints/$second"
  [ ! -e "$run/$largest" ] || fail "a result that did not fit is there"

  grow "$capacity"
  "$@" --out "$run" 2>"$work/err" || fail "$(cat "$work/err")"
  grep -q "resuming from .*$second" "$work/err" || fail "did not resume: $(cat "$work/err")"
  same metrics.csv "checkpoints/$first" "checkpoints/$second" "${results[@]}"
  [ "$(cat "$disk/other")" = "somebody else's" ] || fail "a file that is not the run's has changed"
}

say "a search that does not fit"
cat >"$work/search.toml" <<'TOML'
image-size = 32
depths = [1, 1, 1, 1, 1]
epochs = 2
warmup-epochs = 1
batch = 32
board-size = 4
recalibration-batches = 2
transform = "pad-crop"
keep-checkpoints = 2
TOML
trains "board.json supernet.safetensors" "$bin/supernet-train" --data "$data" --config "$work/search.toml"

say "a retraining that does not fit"
cat >"$work/retrain.toml" <<'TOML'
epochs = 2
cooldown-epochs = 0
warmup-epochs = 0
batch = 32
transform = "pad-crop"
keep-checkpoints = 2
TOML
"$bin/path-export" "$work/reference" --quiet >"$work/arch.json"
trains "model-raw.safetensors model.safetensors" "$bin/arch-retrain" --arch "$work/arch.json" --data "$data" \
  --config "$work/retrain.toml"

say "passed"
