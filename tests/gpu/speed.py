"""The benchmark: steps of the published networks and of a supernet, beside PyTorch's in the same run."""
import json
import pathlib
import select
import subprocess
import tempfile
import time

from programs import Broken, clean, last_line, say
from report import FAILED, MEASURED, NO_MEMORY, NOT_RUN, Row, out_of_memory, spread

PUBLISHED = ("14", "43", "114", "287", "481", "604")
SUPERNET = "1,2,3,2,2"
# The case that the project is judged by: network, batch, precision, and the ratio to reach.
GOAL = ("287", 256, "bf16", 1.5)
PRECISIONS = ("f32", "tf32", "bf16")
# Seconds that the peer may take for one answer: trying cuDNN's algorithms takes most of it.
PATIENCE = 300


class Peer:
    """PyTorch in a process of its own that answers requests; `missing` says why there is none."""

    def __init__(self, python, script):
        self.missing, self.said, self.process = None, {}, None
        if script is None:
            self.missing = "no PyTorch: tests/bench/peer.py is not beside this script"
            return
        command = [python, str(script), "serve"]
        # Not a pipe, which nobody would read while it fills.
        self.errors = tempfile.TemporaryFile("w+")
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=self.errors, text=True, env=clean(None))
        except OSError as error:
            self.missing = f"no PyTorch: {python}: {error.strerror}"
            return
        self.said = self.read()

    def read(self):
        """The next line, or what ended the process."""
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        self.process.kill()
        self.process.wait()
        self.errors.seek(0)
        reason = last_line(self.errors.read()) if ready else f"no answer in {PATIENCE} s"
        self.missing = f"no PyTorch: {reason}; --python names one that has it"
        return {"error": self.missing}

    def ask(self, request):
        """The answer to one request."""
        if self.missing:
            return {"error": self.missing}
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except OSError:
            pass
        return self.read()

    def end(self):
        """Ends the process."""
        if self.process and self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(30)


def cases(context):
    """(network, batch, precision), the most telling first: what is cut off by time is the rest."""
    precisions = [p for p in context.precisions if p == "f32" or context.device != "cpu"]
    found = [(network, batch, precision) for precision in reversed(precisions) for batch in reversed(context.batches)
             for network in context.networks]
    return sorted(found, key=lambda case: case != GOAL[:3])


def measure_ours(context, case, mode):
    """The benchmark's own object for one case and mode, or {"error": ...}."""
    network, batch, precision = case
    subject = ["--supernet", SUPERNET] if network == "supernet" else ["--path", network]
    words = [*subject, "--batch", batch, "--mode", mode, "--device", context.device, "--precision", precision,
             "--repeat", context.steps, "--warmup", context.warmup, "--json"]
    if context.size:
        words += ["--size", context.size]
    try:
        return json.loads(context.programs.run("bench", *words).stdout)
    except Broken as error:
        return {"error": str(error)}


def measure_theirs(context, case, mode, size, paths):
    """The peer's answer for the same case."""
    network, batch, precision = case
    request = {"mode": mode, "batch": batch, "precision": precision, "device": context.device, "size": size,
               "steps": context.steps, "warmup": context.warmup}
    request.update({"supernet": SUPERNET, "paths": paths} if network == "supernet" else {"path": int(network)})
    return context.peer.ask(request)


def median_ms(answer):
    """Milliseconds of a step of the peer."""
    times = answer["ms"]
    return (times[(len(times) - 1) // 2] + times[len(times) // 2]) / 2


def bench_rows(context, case):
    """A row for inference and one for training. Pairs take turns in who is first."""
    for mode in ("train", "infer"):
        ours, theirs = [], []
        for pair in range(context.pairs):
            own = measure_ours(context, case, mode) if pair % 2 == 0 or not ours else None
            first = own or ours[0]
            peer = {"error": ""} if "error" in first else measure_theirs(
                context, case, mode, first["size"], first.get("paths"))
            own = own or measure_ours(context, case, mode)
            ours.append(own)
            theirs.append(peer)
            if "error" in own or "error" in peer and not context.peer.missing:
                break
        context.raw.append({"case": case, "mode": mode, "ours": ours, "theirs": theirs})
        yield case_row(context, case, mode, ours, theirs)


def case_row(context, case, mode, ours, theirs):
    """The row of what was measured."""
    network, batch, precision = case
    name = f"{network}, batch {batch}, {precision}, {mode}"
    wrong = next((row["error"] for row in ours if "error" in row), None)
    if wrong is not None:
        return Row("bench", name, NO_MEMORY if out_of_memory(wrong) else FAILED, note=wrong)
    notes = [told(ours)]
    peer_wrong = next((row["error"] for row in theirs if "error" in row), None)
    peer, ratios = "", []
    if peer_wrong is None:
        ratios = [median_ms(their) / own["ms_per_step"] for own, their in zip(ours, theirs)]
        peer = spread([batch / median_ms(their) * 1e3 for their in theirs], 1)
    else:
        peer = "out of memory" if out_of_memory(peer_wrong) else "none"
        if not context.peer.missing:
            notes.append(f"peer: {peer_wrong}")
    if (*case, mode) == (*GOAL[:3], "train") and ratios:
        met = sorted(ratios)[len(ratios) // 2] >= GOAL[3]
        notes.insert(0, f"goal {GOAL[3]}: {'met' if met else 'missed'}")
    return Row("bench", name, MEASURED, spread([own["images_per_s"] for own in ours], 1), peer, spread(ratios),
               "; ".join(notes))


def told(ours):
    """What the benchmark says of the machine's share: floor, achieved bandwidth, launches."""
    best = min(ours, key=lambda row: row["ms_per_step"])
    parts = [f"{best['ms_per_step']:.2f} ms, floor {best['floor_percent']:.0f} %"]
    if "activations_gb_per_s" in best:
        share = best["activations_gb_per_s"] / best["copy_gb_per_s"]
        parts.append(f"{best['activations_gb_per_s']:.4g} of the copy's {best['copy_gb_per_s']:.4g} GB/s ({share:.0%})")
    if best.get("launches_per_step") is not None:
        parts.append(f"{best['launches_per_step']:.0f} launches")
    return ", ".join(parts)


def rows(context):
    """The rows of the section `bench`, one by one."""
    if context.peer.missing:
        yield Row("bench", "PyTorch", NOT_RUN, note=context.peer.missing)
    for precision in context.precisions:
        if precision != "f32" and context.device == "cpu":
            yield Row("bench", precision, NOT_RUN, note="not on the CPU")
    left = 0
    for case in cases(context):
        if context.until is not None and time.monotonic() > context.until:
            left += 1
            continue
        say("bench: {}, batch {}, {}".format(*case))
        yield from bench_rows(context, case)
    if left:
        note = "--minutes are over; --paths and --batches choose others"
        yield Row("bench", f"{left} more cases", NOT_RUN, note=note)


def peer_script(here):
    """The peer in the kit or in the repository."""
    for candidate in (here / "peer" / "bench" / "peer.py", here.parent / "bench" / "peer.py"):
        if candidate.is_file():
            return pathlib.Path(candidate)
    return None
