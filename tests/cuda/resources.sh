#!/usr/bin/env bash
# What every kernel needs of a multiprocessor, as the assembler reports it for compute capability 8.0 and 9.0: one row for
# each kernel. A kernel that keeps registers in memory (a spill) fails. Run by tests/cuda/with-compiler.
#
# resources.sh [OPERATOR...]   only these folders of lib/nn/src/ops
set -euo pipefail
cd "$(dirname "$0")/../../lib/nn/src/ops"

# As lib/nn/build.rs compiles them, and what the driver then makes of it.
flags=(--std=c++17 -O3 -I cuda)
for architecture in 80 90; do
  flags+=(-gencode "arch=compute_80,code=sm_$architecture")
done

report=$(mktemp -d)
trap 'rm -rf "$report"' EXIT
if [ $# -gt 0 ]; then
  sources=("${@/%//kernel.cu}")
else
  sources=(*/kernel.cu)
fi
for source in "${sources[@]}"; do
  operator=${source%/kernel.cu}
  echo "operator $operator" >>"$report/all"
  if ! "$NVCC" "${flags[@]}" --resource-usage --fatbin -o "$report/fatbin" "$source" >"$report/one" 2>&1; then
    cat "$report/one" >&2
    echo "resources.sh: $source does not compile" >&2
    exit 1
  fi
  # Warnings are of use, so they are shown; there should be none.
  grep -v '^ptxas info\|bytes stack frame' "$report/one" >&2 || true
  cat "$report/one" >>"$report/all"
done

awk '
  function number(word) { return match($0, "[0-9]+ " word) ? substr($0, RSTART, RLENGTH) + 0 : 0 }
  BEGIN { print "kernel\toperator\tsm\tregisters\tshared B\tstack B\tspill B" }
  /^operator / { operator = $2 }
  /Compiling entry function/ { split($0, quoted, "\x27"); name = quoted[2]; sm = substr(quoted[4], 4) }
  /bytes stack frame/ { stack = number("bytes stack"); spill = number("bytes spill stores") + number("bytes spill loads") }
  /Used [0-9]+ registers/ {
    rows++
    printf "%s\t%s\t%s\t%d\t%d\t%d\t%d\n", name, operator, sm, number("registers"), number("bytes smem"), stack, spill
    if (spill > 0) { spilled++ }
  }
  END {
    if (rows == 0) { print "resources.sh: no kernel was reported: is the report read wrongly?" >"/dev/stderr"; exit 1 }
    if (spilled > 0) { print "resources.sh: " spilled " kernels spill registers" >"/dev/stderr"; exit 1 }
  }
' "$report/all" >"$report/table" && status=0 || status=$?
{ head -n 1 "$report/table"; tail -n +2 "$report/table" | sort -k2,2 -k1,1 -k3,3n; } | column -t -s $'\t'
exit "$status"
