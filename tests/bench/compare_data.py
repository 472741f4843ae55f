"""Speed of preparing and of loading data beside Pillow and PyTorch's DataLoader.

In pairs, as compare.py: our process, then the peer's, the other way round in every second pair. The
line at the end states the median of the pairs' ratios, ours to the peer's images per second, with the
lowest and the highest. Both sides have the same number of threads or processes.

Makes a set with imagenet-shaped once and keeps it, with the shards that imagenet-prep makes of it. Needs
a Python with pillow, and torch and torchvision for the loader, and our binaries:

    cargo build --release -p imagenet-shaped -p imagenet-prep -p loader-bench
    python tests/bench/compare_data.py
    python tests/bench/compare_data.py --parts prepare --images 5000 --pairs 7
"""
import argparse
import importlib.util
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SHORT_SIDE, QUALITY = 292, 90
PARTS = {
    "prepare": ("PIL",),
    "loader": ("PIL", "torch", "torchvision"),
    "loader-full": ("PIL", "torch", "torchvision"),
    "loader-original": ("PIL", "torch", "torchvision"),
}
PACKAGES = {"PIL": "pillow"}


def fail(message, status=2):
    """Ends with one line that says what to do."""
    print(f"compare_data.py: {message}", file=sys.stderr)
    sys.exit(status)


def run(command):
    """Standard output of a command that must succeed."""
    command = [str(word) for word in command]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        fail(f"{command[0]}: {error.strerror}; build it as compare_data.py --help says")
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        fail(f"{' '.join(command)}: status {done.returncode}: {said}", 1)
    return done.stdout


def timed(command, images):
    """Images per second of a whole process, its start included."""
    start = time.perf_counter()
    run(command)
    return images / (time.perf_counter() - start)


class Bench:
    """The set, the shards and both sides of every part."""

    def __init__(self, a):
        self.a = a
        self.set, self.images = a.folder / f"set-{a.images}", a.images
        self.folders = self.set / "folders"
        self.scratch = a.folder / "scratch"

    def tool(self, name):
        return self.a.tools / name

    def make_set(self):
        """Nothing where it is there: set.json is written last."""
        if not (self.set / "set.json").exists():
            print(f"compare_data.py: {self.images} images in {self.set}", file=sys.stderr)
            shutil.rmtree(self.set, ignore_errors=True)
            self.set.parent.mkdir(parents=True, exist_ok=True)
            val = max(self.images // 20, 1)
            run([self.tool("imagenet-shaped"), self.set, "--form", "folders", "--classes", 20,
                 "--train", self.images - val, "--val", val, "--quiet"])

    def prep(self, out, *flags):
        return [self.tool("imagenet-prep"), self.folders, out, "--quiet",
                "--workers", self.a.threads, *flags]

    def shards(self, original):
        """The folder of shards; imagenet-prep does nothing where it is up to date."""
        out = self.a.folder / f"shards-{self.images}{'-original' if original else ''}"
        run(self.prep(out, *(["--keep-original"] if original else self.shrink())))
        return out

    def shrink(self):
        return ["--short-side", SHORT_SIDE, "--quality", QUALITY]

    def prepare(self):
        def emptied(name):
            shutil.rmtree(self.scratch / name, ignore_errors=True)
            (self.scratch / name).parent.mkdir(parents=True, exist_ok=True)
            return self.scratch / name

        def ours():
            return timed(self.prep(emptied("ours"), *self.shrink()), self.images)

        def theirs():
            out = emptied("theirs")
            command = [sys.executable, HERE / "prepare_peer.py", self.folders, out, "--short-side",
                       SHORT_SIDE, "--quality", QUALITY, "--processes", self.a.threads]
            return timed(command, self.images)

        what = f"to {SHORT_SIDE} pixels at quality {QUALITY}"
        self.report("prepare", what, "Pillow", ours, theirs)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def loader(self, name, augment, original):
        a = self.a
        shards = self.shards(original)
        flags = ["--augment", augment, "--batch", a.batch, "--workers", a.threads]

        def ours():
            command = [self.tool("loader-bench"), shards, *flags, "--batches", a.batches, "--json"]
            return json.loads(run(command))["images_per_s"]

        def theirs():
            command = [sys.executable, HERE / "loader_peer.py", shards, *flags, "--batches", a.batches]
            return json.loads(run(command))["images_per_s"]

        images = "originals" if original else f"short side {SHORT_SIDE}"
        self.report(name, f"{images}, batch {a.batch}", "DataLoader", ours, theirs)

    def report(self, name, what, peer, ours, theirs):
        """Runs the pairs; one line on standard output."""
        pairs = []
        for pair in range(self.a.pairs):
            if pair % 2 == 0:
                our_rate = ours()
                their_rate = theirs()
            else:
                their_rate = theirs()
                our_rate = ours()
            print(f"compare_data.py: {name}, pair {pair + 1} of {self.a.pairs}: "
                  f"{our_rate:.0f} and {their_rate:.0f} images/s", file=sys.stderr)
            pairs.append((our_rate, their_rate))
        our_rate, their_rate = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
        ratios = [our_rate / their_rate for our_rate, their_rate in pairs]
        print(f"{name:<15} {what}, threads {self.a.threads}  "
              f"ours {our_rate:.0f}, {peer} {their_rate:.0f} images/s  "
              f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f}) of {len(pairs)}",
              flush=True)

    def part(self, name):
        if name == "prepare":
            self.prepare()
        else:
            self.loader(name, "full" if name == "loader-full" else "crop", name == "loader-original")


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--folder", type=pathlib.Path, default=ROOT / "data" / "bench",
                   help="where set and shards are kept (data/bench)")
    p.add_argument("--images", type=int, default=2000, help="of the set (2000)")
    p.add_argument("--pairs", type=int, default=5, help="(5)")
    p.add_argument("--parts", default=",".join(PARTS), help="(%(default)s)")
    p.add_argument("--threads", type=int, default=2, help="or processes, of each side (2)")
    p.add_argument("--batch", type=int, default=64, help="(64)")
    p.add_argument("--batches", type=int, default=30, help="timed, of each side (30)")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    p.add_argument("--tools", type=pathlib.Path, default=target / "release", help="our binaries")
    a = p.parse_args()
    a.parts = a.parts.split(",")
    for part in a.parts:
        if part not in PARTS:
            fail(f"--parts: {part}: not known; give some of {','.join(PARTS)}")
    if min(a.pairs, a.threads, a.batch, a.batches) < 1 or a.images < 40:
        fail("--pairs, --threads, --batch and --batches are at least 1, --images at least 40")
    return a


def usable(parts):
    """Those whose packages this Python has; the others are named."""
    found = []
    for part in parts:
        missing = [PACKAGES.get(module, module) for module in PARTS[part]
                   if importlib.util.find_spec(module) is None]
        if missing:
            print(f"compare_data.py: {part} is left out: {sys.executable} has no {' and no '.join(missing)}; "
                  "install it there or name another Python", file=sys.stderr)
        else:
            found.append(part)
    if not found:
        fail("nothing is left to compare: use a Python with pillow, torch and torchvision")
    return found


def main():
    a = arguments()
    parts = usable(a.parts)
    bench = Bench(a)
    bench.make_set()
    for part in parts:
        bench.part(part)


if __name__ == "__main__":
    main()
