#!/usr/bin/env bash
# A search and a retraining that are killed (SIGKILL) again and again and taken up each time end with
# the very bytes of those that ran through, whatever the numbers of threads and of loading workers.
#
#   tests/interrupted.sh [--kills 50] [--threads 1,2] [--workers 0,1,3] [--what search,retrain] [--seed 1]
#
# Each kind is killed so many times for each pair of threads and workers, and once more with pairs
# that change from start to start. After five kills a run is left to end, so that many are compared and
# kills fall everywhere in them; then the next one begins, until every kill has hit a live process. Each kill is one line on standard output: what it aimed at (a
# time after the start, a file being written, the end of an epoch, the work after the last epoch),
# and what it found. TOOLS names a folder of binaries; by default those of `make build`.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."

tools=${TOOLS:-${CARGO_TARGET_DIR:-target}/release}
for variable in $(compgen -e CREAM_ || true); do unset "$variable"; done

say() { echo "tests/interrupted.sh: $*" >&2; }
usage() {
  say "$*; see the head of the file"
  exit 2
}
[ "${BASH_VERSINFO[0]}" -ge 5 ] || usage "bash 5 or newer is needed"
[ -x "$tools/supernet-train" ] || usage "no tools in $tools: make build first"

kills=50 seed=1
threads=(1 2) workers=(0 1 3) kinds=(search retrain)
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || usage "$1 has no value"
  case $1 in
  --kills) kills=$2 ;;
  --threads) IFS=, read -ra threads <<<"$2" ;;
  --workers) IFS=, read -ra workers <<<"$2" ;;
  --what) IFS=, read -ra kinds <<<"$2" ;;
  --seed) seed=$2 ;;
  *) usage "$1 is unknown" ;;
  esac
  shift 2
done
[[ $kills$seed =~ ^[0-9]+$ ]] || usage "--kills and --seed are whole numbers"

work=$(mktemp -d)
pid=
# A difference keeps the folder that shows it.
cleanup() {
  local status=$?
  if [ -n "$pid" ]; then kill -KILL "$pid" 2>/dev/null || true; fi
  if [ "$status" = 1 ]; then say "kept: $work"; else rm -rf "$work"; fi
}
trap cleanup EXIT
fail() {
  say "FAILED: $*"
  exit 1
}

epochs=3
kills_a_run=5
# shorten RECIPE: short epochs after one of warm-up, and a checkpoint at every few steps.
shorten() {
  sed -E -e "s/^epochs = .*/epochs = $epochs/" -e 's/^warmup-epochs = .*/warmup-epochs = 1/' \
    -e 's/^batch = .*/batch = 32/' -e 's/^meta-interval = .*/meta-interval = 5/' \
    -e 's/^recalibration-batches = .*/recalibration-batches = 5/' \
    -e 's/^checkpoint-steps = .*/checkpoint-steps = 3/' "$1"
}

prepare() {
  "$tools/imagenet-prep" tests/data/fashion-mnist "$work/data" --search-val-share 0.2 \
    --per-class 50 --val-per-class 20 --quiet
  "$tools/path-export" --sample 1 --seed 1 --flops-max 3 --depths 1,2,2,1,1 --image-size 32 \
    --classes 10 --quiet >"$work/arch.json"
  shorten configs/search/sample.toml >"$work/search.toml"
  shorten configs/retrain/sample.toml >"$work/retrain.toml"
}

# start KIND FOLDER THREADS WORKERS: the trainer, as $pid, with what it says on file descriptor 3.
start() {
  local command=("$tools/supernet-train" --flops-max 3)
  [ "$1" = search ] || command=("$tools/arch-retrain" --arch "$work/arch.json")
  command+=(--data "$work/data" --out "$2" --config "$work/$1.toml" --threads "$3" --workers "$4"
    --resume auto --quiet)
  exec 3< <(exec "${command[@]}" 2>&1)
  pid=$!
  said=
}

now() { echo $((${EPOCHREALTIME/./} / 1000)); }

# step_on: waits for the trainer to say something, at most 2 ms; false when it has ended.
step_on() {
  local text='' status=0
  IFS= read -r -t 0.002 -u 3 text || status=$?
  said+=$text
  [ "$status" != 1 ]
}

# until_time MS: false when the trainer ended before.
until_time() {
  while [ "$((${EPOCHREALTIME/./} / 1000))" -lt "$1" ]; do step_on || return 1; done
}

# finish: waits for the trainer to end; false when it was killed. A good run has nothing to say.
finish() {
  local status=0
  said+=$(cat <&3)
  exec 3<&-
  wait "$pid" || status=$?
  pid=
  [ "$status" = 137 ] || [ "$status" = 0 ] || fail "a trainer ended with status $status: $said"
  [ -z "$said" ] || fail "a trainer said: $said"
  [ "$status" = 0 ]
}

# rows FOLDER: sets $rows to the epochs in the metrics, and $row_step to the steps until the last.
rows() {
  local line row=
  rows=-1 row_step=0
  if [ -e "$1/metrics.csv" ]; then
    while IFS= read -r line; do rows=$((rows + 1)) row=$line; done <"$1/metrics.csv"
  fi
  if [ "$rows" -lt 1 ]; then rows=0; elif [[ $row =~ ^[0-9]+,([0-9]+), ]]; then row_step=${BASH_REMATCH[1]}; fi
}

# writing FOLDER: whether a file is being written that was not when the trainer was started.
writing() {
  local file
  for file in "$1"/.*.tmp "$1"/checkpoints/.*.tmp; do
    [ "$file" -nt "$work/started" ] && return
  done
  return 1
}

# newest FOLDER: sets $step to that of the newest checkpoint.
newest() {
  local file
  step=0
  for file in "$1"/checkpoints/step-*.safetensors; do
    if [[ $file =~ step-0*([0-9]+)\.safetensors$ ]]; then step=${BASH_REMATCH[1]}; fi
  done
}

draw() { drawn=$(((RANDOM << 15 | RANDOM) % ($1 > 0 ? $1 : 1))); }

# wait_for AIM FOLDER: false when the trainer ended before the moment came. $drawn_at is a time after
# the start in ms, $jitter one after what was waited for: so that a rename, the manifest and the removal
# of older checkpoints are met as well.
wait_for() {
  local begun before
  begun=$(now)
  rows "$2"
  before=$rows
  case $1 in
  time) until_time $((begun + drawn_at)) ;;
  write)
    until_time $((begun + drawn_at)) || return 1
    until writing "$2"; do step_on || return 1; done
    until_time $(($(now) + jitter))
    ;;
  epoch)
    while rows "$2" && [ "$rows" -le "$before" ]; do step_on || return 1; done
    until_time $(($(now) + jitter))
    ;;
  end)
    while rows "$2" && [ "$rows" -lt "$epochs" ]; do step_on || return 1; done
    until_time $(($(now) + drawn_at * tail / (span + 1)))
    ;;
  esac
}

# found FOLDER ROWS: what a kill found, of a run that had so many epochs at its start. An epoch's end is
# the time from its row in the metrics to the first checkpoint of the next.
found() {
  rows "$1"
  newest "$1"
  if writing "$1"; then
    hit=write
  elif [ "$rows" -ge "$epochs" ]; then
    hit=end
  elif [ "$rows" -gt "$2" ] && [ "$step" -le "$row_step" ]; then
    hit=epoch
  elif [ "$step" = 0 ]; then
    hit=start
  else
    hit=step
  fi
}

# compare KIND FOLDER: all files are those of the run that ran through, and nothing else is there.
compare() {
  local reference=$work/$1 file list='cd "$1" && find . -type f ! -name config.toml ! -name .lock | sort'
  diff <(bash -c "$list" - "$reference") <(bash -c "$list" - "$2") >&2 ||
    fail "$2 does not hold the files of $reference (> is too many, < is missing)"
  while read -r file; do
    cmp "$reference/$file" "$2/$file" >&2 || fail "$2/$file differs from that of the run that ran through"
  done < <(bash -c "$list" - "$reference")
  # Threads and workers stand in the settings, and may change.
  cmp <(grep -vE '^(threads|workers) ' "$reference/config.toml") \
    <(grep -vE '^(threads|workers) ' "$2/config.toml") >&2 || fail "$2/config.toml has other settings"
}

# reference KIND: the run that runs through; also how long it takes, and how long after its last epoch.
reference() {
  local begun last='' end file results="board.json supernet.safetensors"
  begun=$(now)
  start "$1" "$work/$1" "${threads[-1]}" "${workers[-1]}"
  while step_on; do
    rows "$work/$1"
    [ -n "$last" ] || [ "$rows" -lt "$epochs" ] || last=$(now)
  done
  finish || fail "the run without a kill was killed"
  end=$(now)
  [ "$1" = search ] || results="arch.json model.safetensors model-raw.safetensors"
  for file in config.toml metrics.csv manifest.json $results; do
    [ -s "$work/$1/$file" ] || fail "$work/$1 has no $file"
  done
  span=$((end - begun)) tail=$((end - last))
  say "$1: $span ms without a kill, $tail ms of them after the last epoch"
}

# combination KIND THREADS WORKERS: lists of either; each start draws from them.
combination() {
  local kind=$1 begun done=0 starts=0 runs=0 here folder='' before aim t w
  local -A hits=([start]=0 [step]=0 [write]=0 [epoch]=0 [end]=0) steps=()
  read -ra t <<<"$2"
  read -ra w <<<"$3"
  begun=$(now)
  while :; do
    if [ -z "$folder" ]; then
      runs=$((runs + 1)) here=0
      folder=$work/$kind-killed
      rm -rf "$folder"
    fi
    starts=$((starts + 1))
    [ "$starts" -le $((6 * kills + 20)) ] || fail "$kind: $starts starts and only $done kills: runs are too short"
    draw 10
    aim=(time time time time write write write epoch end time)
    aim=${aim[drawn]}
    draw $((span * 2 / 3))
    drawn_at=$drawn
    draw 4
    jitter=$((drawn == 0 ? 20 : drawn == 1 ? 5 : 0))
    draw ${#t[@]}
    t_now=${t[drawn]}
    draw ${#w[@]}
    w_now=${w[drawn]}
    rows "$folder"
    before=$rows
    : >"$work/started"
    start "$kind" "$folder" "$t_now" "$w_now"
    if [ "$done" -lt "$kills" ] && [ "$here" -lt "$kills_a_run" ] && wait_for "$aim" "$folder"; then
      kill -KILL "$pid" 2>/dev/null || true
    fi
    if finish; then
      compare "$kind" "$folder"
      folder=
      [ "$done" -lt "$kills" ] || break
      continue
    fi
    done=$((done + 1)) here=$((here + 1))
    found "$folder" "$before"
    hits[$hit]=$((hits[$hit] + 1))
    steps[$step]=1
    printf '%s\n' "$kind threads=$t_now workers=$w_now run=$runs kill=$done aim=$aim ms=$drawn_at+$jitter hit=$hit checkpoint=$step"
  done
  total=$((total + done)) ends=$((ends + runs))
  say "$kind, threads ${t[*]}, workers ${w[*]}: $done kills (${hits[start]} before the first checkpoint," \
    "${hits[step]} in steps, ${hits[write]} in writing, ${hits[epoch]} after an epoch's end, ${hits[end]} after the last" \
    "epoch; newest checkpoint at ${#steps[@]} different steps), $starts starts, $runs runs compared," \
    "$((($(now) - begun) / 1000)) s"
}

total=0 ends=0
RANDOM=$seed
begun=$(now)
prepare
for kind in "${kinds[@]}"; do
  case $kind in search | retrain) ;; *) usage "--what $kind is unknown" ;; esac
  reference "$kind"
  for t in "${threads[@]}"; do
    for w in "${workers[@]}"; do combination "$kind" "$t" "$w"; done
  done
  [ $((${#threads[@]} * ${#workers[@]})) = 1 ] || combination "$kind" "${threads[*]}" "${workers[*]}"
done
say "passed: seed $seed, $total kills, $ends runs whose files are those of the run that ran through," \
  "$((($(now) - begun) / 1000)) s"
