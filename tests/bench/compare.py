"""Speed and memory beside PyTorch in training and ONNX Runtime in inference, on the CPU.

Every comparison runs in pairs: our process, then the peer's, the other way round in every second
pair, each fresh, with steps to warm up before those that are timed. A pair gives one ratio of ours
to the peer's images per second; the line at the end states the median ratio with the lowest and the
highest. Machines drift; the two of a pair drift together.

Needs a Python with torch (training) and onnx and onnxruntime besides (inference), and our binary:

    cargo build --release -p cream-bench
    python tests/bench/compare.py
    python tests/bench/compare.py --pairs 3 --lines 287,supernet --modes train --peers torch
"""
import argparse
import importlib.util
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
from typing import NamedTuple, Optional

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# An inference pass takes about a third of a training step.
INFERENCE_STEPS = 3


class Line(NamedTuple):
    """A network at a size and a batch, and how many training steps are timed."""
    flags: tuple
    size: int
    batch: int
    steps: int


LINES = {
    "287": Line(("--path", "287"), 224, 16, 5),
    "43": Line(("--path", "43"), 96, 64, 5),
    "14": Line(("--path", "14"), 64, 128, 7),
    "604": Line(("--path", "604"), 224, 16, 3),
    "supernet": Line(("--supernet", "1,2,3,2,2"), 224, 16, 5),
}
PEERS = {
    "torch": ("train", "PyTorch channels-last"),
    "torch-jemalloc": ("train", "PyTorch channels-last with jemalloc"),
    "onnxruntime": ("infer", "ONNX Runtime"),
}
# Memory that is freed stays mapped, as PyTorch's advice for speed on the CPU has it.
JEMALLOC = "dirty_decay_ms:-1,muzzy_decay_ms:-1"


class Case(NamedTuple):
    """One process: milliseconds of a step, most resident memory and what of it is the library, in MB."""
    ms: float
    peak_mb: float
    library_mb: float = 0.0
    paths: Optional[list] = None


def fail(message, status=2):
    """Ends with one line that says what to do."""
    print(f"compare.py: {message}", file=sys.stderr)
    sys.exit(status)


def run(command, environment=None):
    """Standard output of a command that must succeed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    except OSError as error:
        fail(f"{command[0]}: {error.strerror}; build it with cargo build --release -p cream-bench")
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        fail(f"{' '.join(map(str, command))}: status {done.returncode}: {said}", 1)
    return done.stdout


class Comparison:
    """One line in one mode against one peer."""

    def __init__(self, a, name, peer, model):
        self.a, self.name, self.peer, self.model = a, name, peer, model
        self.line, self.mode = LINES[name], PEERS[peer][0]
        self.steps = self.line.steps * (1 if self.mode == "train" else INFERENCE_STEPS)

    def flags(self):
        line, a = self.line, self.a
        return ["--size", line.size, "--batch", line.batch, "--threads", a.threads, "--warmup", a.warmup]

    def ours(self):
        flags = [*self.line.flags, *self.flags(), "--mode", self.mode, "--repeat", self.steps, "--json"]
        row = json.loads(run([self.a.bench, *map(str, flags)]))
        return Case(row["ms_per_step"], row["peak_mb"] or 0.0, paths=row.get("paths"))

    def theirs(self, paths):
        flags = [*self.line.flags, *self.flags(), "--steps", self.steps]
        if paths:
            flags += ["--paths", json.dumps(paths)]
        if self.model:
            flags += ["--model", self.model]
        environment = dict(os.environ, OMP_NUM_THREADS=str(self.a.threads))
        if self.peer == "torch-jemalloc":
            environment.update(LD_PRELOAD=self.a.jemalloc, MALLOC_CONF=JEMALLOC)
        command = [sys.executable, HERE / "peer.py", self.mode, *map(str, flags)]
        row = json.loads(run(command, environment))
        return Case(row["ms_per_step"], row["peak_mb"], row["library_mb"])

    def pairs(self):
        """Our and the peer's cases, pair by pair."""
        paths = None
        for pair in range(self.a.pairs):
            if pair % 2 == 0:
                ours = self.ours()
                # The peer's supernet runs the very paths that ours did, which are the same every time.
                paths = ours.paths
                theirs = self.theirs(paths)
            else:
                theirs = self.theirs(paths)
                ours = self.ours()
            print(f"compare.py: {self.name} {self.mode}, {self.peer}, pair {pair + 1} of {self.a.pairs}: "
                  f"{ours.ms:.1f} and {theirs.ms:.1f} ms/step", file=sys.stderr)
            yield ours, theirs

    def report(self):
        """One line on standard output."""
        pairs = list(self.pairs())
        line, batch = self.line, self.line.batch
        ours, theirs = (statistics.median(batch / case[i].ms * 1e3 for case in pairs) for i in (0, 1))
        ratios = [theirs.ms / ours.ms for ours, theirs in pairs]
        ours_mb, theirs_mb = (max(case[i].peak_mb for case in pairs) for i in (0, 1))
        library_mb = statistics.median(theirs.library_mb for _, theirs in pairs)
        print(f"{self.name:<8} {self.mode}  {line.size:>3} px  batch {batch:>3}  threads {self.a.threads}  "
              f"ours {ours:>7.1f}, {PEERS[self.peer][1]} {theirs:.1f} images/s  "
              f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f}) of {len(pairs)}  "
              f"peak ours {ours_mb:.0f} MB, theirs {theirs_mb:.0f} MB "
              f"({theirs_mb - library_mb:.0f} MB without the library)", flush=True)


def find_jemalloc():
    """The library's path as the dynamic linker has it, or nothing."""
    try:
        known = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True).stdout
    except OSError:
        return None
    found = re.search(r"libjemalloc\.so\.2 .*=> (\S+)", known)
    return found and found.group(1)


def chosen(text, known, flag):
    """The names of a comma-separated list, all of them known."""
    names = text.split(",")
    for name in names:
        if name not in known:
            fail(f"{flag}: {name}: not known; give some of {','.join(known)}")
    return names


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--pairs", type=int, default=7)
    p.add_argument("--lines", default=",".join(LINES), help="(%(default)s)")
    p.add_argument("--modes", default="train,infer", help="(%(default)s)")
    p.add_argument("--peers", default=",".join(PEERS), help="(%(default)s)")
    p.add_argument("--threads", type=int, default=2, help="of ours and of the peers (2)")
    p.add_argument("--warmup", type=int, default=2, help="steps of every process before the timed ones (2)")
    p.add_argument("--jemalloc", help="libjemalloc.so.2, if not where the dynamic linker finds it")
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    p.add_argument("--bench", default=pathlib.Path(target) / "release" / "bench", help="our binary")
    a = p.parse_args()
    a.lines, a.peers = chosen(a.lines, LINES, "--lines"), chosen(a.peers, PEERS, "--peers")
    a.modes = chosen(a.modes, ("train", "infer"), "--modes")
    if min(a.pairs, a.threads) < 1 or a.warmup < 0:
        fail("--pairs and --threads are at least 1, --warmup at least 0")
    return a


def usable(a):
    """The peers that are asked for and can run here."""
    peers = [peer for peer in a.peers if PEERS[peer][0] in a.modes]
    modules = ["torch"] + (["onnx", "onnxruntime"] if "onnxruntime" in peers else [])
    for module in modules:
        if importlib.util.find_spec(module) is None:
            fail(f"{sys.executable} has no {module}: use another Python, or leave peers out with --peers")
    a.jemalloc = a.jemalloc or find_jemalloc()
    if "torch-jemalloc" in peers and not a.jemalloc:
        print("compare.py: no libjemalloc.so.2 found, so PyTorch runs without it only; "
              "install it or give --jemalloc", file=sys.stderr)
        peers.remove("torch-jemalloc")
    return peers


def main():
    a = arguments()
    peers = usable(a)
    with tempfile.TemporaryDirectory() as folder:
        for name in a.lines:
            line, model = LINES[name], pathlib.Path(folder) / f"{name}.onnx"
            for peer in peers:
                infer = PEERS[peer][0] == "infer"
                # Which path a supernet is asked to run is nothing that an exported graph could choose.
                if infer and name == "supernet":
                    continue
                if infer:
                    flags = [*line.flags, "--size", line.size, "--batch", line.batch, "--model", model]
                    run([sys.executable, HERE / "peer.py", "export", *map(str, flags)])
                Comparison(a, name, peer, model if infer else None).report()


if __name__ == "__main__":
    main()
