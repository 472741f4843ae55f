"""A search and a retraining on the bundled data: loss curves beside the CPU's, and resumption."""
import csv
import json
import pathlib
import shutil
import struct
import time
from typing import NamedTuple

import report
from programs import UNFINISHED, Broken, say
from report import FAILED, NOT_RUN, OK, Row, relative_gap

# The losses of the first steps, one by one, at a rate at which rounding stays small for a while: between the CPU's
# instructions with and without fused products it was 2e-5 at most after five steps, three seeds each. An update that is
# a quarter smaller changes the next loss by 7e-3 or more.
EARLY_STEPS, EARLY_RATE, EARLY = 5, 0.002, 2e-4
# At once, without the recipe's warm-up.
EARLY_FLAGS = {"search": [], "retrain": ["--warmup-epochs", 0]}
# Mean losses of epochs, at the recipe's rate: two runs that part early, and learn alike. Between the CPU's instructions
# they were up to 4 % apart.
WHOLE = 1e-1
# bf16 keeps 8 bits: a rounding is off by up to 0.4 %, and such runs part at once.
EARLY_BF16, WHOLE_BF16 = 1e-1, 1.5e-1
# What a repeated run may be off by where the device does not add in one order: it parts as early.
REPEATED = WHOLE

RESULTS = {"search": ("supernet.safetensors", "board.json"), "retrain": ("model.safetensors", "model-raw.safetensors")}
# Instructions without fused products round otherwise than the best ones: the CPU as its own stand-in.
STAND_IN = "portable"


class Run(NamedTuple):
    """A finished run: its folder, the losses of its epochs, the last score as a share, seconds."""
    folder: pathlib.Path
    losses: list
    score: str
    seconds: float


class Trainer:
    """`search` or `retrain`, with the runs that it has made."""

    def __init__(self, context, kind):
        self.context, self.kind = context, kind
        self.name = {"search": "supernet-train", "retrain": "arch-retrain"}[kind]
        self.runs = {}

    def words(self, folder, device, precision, flags):
        """The command line of a run, with its environment."""
        c = self.context
        words = ["--data", c.data, "--out", folder, "--config", c.recipes[self.kind], "--epochs", c.epochs, "--seed", 1,
                 "--device", device, *flags]
        # Two epochs are left to the board.
        search = ["--flops-max", 3, "--warmup-epochs", max(1, c.epochs - 2)]
        words += search if self.kind == "search" else ["--arch", c.arch]
        if c.batch:
            words += ["--batch", c.batch]
        if precision != "f32":
            words += ["--precision", precision]
        return words

    def start(self, label, device, precision="f32", flags=(), allowed=(0,)):
        """Runs the trainer in the folder of this label."""
        folder = self.context.work / f"{self.kind}-{label}"
        say(f"{self.kind}, {label}")
        environment = None
        if device == "stand-in":
            device, environment = "cpu", {"CREAM_SIMD": STAND_IN}
        words = self.words(folder, device, precision, flags)
        self.context.programs.run(self.name, "--quiet", *words, environment=environment, allowed=allowed)
        return folder

    def first(self, label, device, precision="f32"):
        """The losses of the first steps, read from a checkpoint after each."""
        flags = ["--learning-rate", EARLY_RATE, "--checkpoint-steps", 1, "--keep-checkpoints", EARLY_STEPS,
                 "--stop-after", EARLY_STEPS, *EARLY_FLAGS[self.kind]]
        folder = self.start(f"{label}-first", device, precision, flags, (0, UNFINISHED))
        sums = [position["loss"] for position in map(position_of, sorted(folder.glob("checkpoints/step-*.safetensors")))
                if position["epoch"] == 0 and position["batch"] > 0]
        shutil.rmtree(folder)
        return [sum_ - before for sum_, before in zip(sums, [0.0, *sums])]

    def whole_flags(self):
        """What sets a whole run apart."""
        return [] if self.context.rate is None else ["--learning-rate", self.context.rate]

    def whole(self, label, device, precision="f32"):
        """A run from its beginning to its end; made once for each label."""
        if label not in self.runs:
            begun = time.monotonic()
            folder = self.start(label, device, precision, self.whole_flags())
            self.runs[label] = Run(folder, *metrics(folder, self.kind), time.monotonic() - begun)
        return self.runs[label]


def header(file):
    """Where a safetensors file's tensors begin, and what it says of them."""
    with open(file, "rb") as opened:
        length = struct.unpack("<Q", opened.read(8))[0]
        return 8 + length, json.loads(opened.read(length))


def position_of(checkpoint):
    """Where in the run a checkpoint was written, with the sums over its epoch."""
    return json.loads(header(checkpoint)[1]["__metadata__"]["cream"])["state"]["position"]


def metrics(folder, kind):
    """The losses of the epochs, and the last score."""
    with open(folder / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    score = {"search": "best_search_val_top1", "retrain": "val_top1"}[kind]
    scores = [float(row[score]) for row in rows if row[score]]
    return [float(row["train_loss"]) for row in rows], f"top-1 {scores[-1]:.2%}" if scores else "no score"


def weights_gap(ours, theirs):
    """The largest difference of two files of f32 weights, as a share of its tensor's largest value, and the tensor."""
    (start, said), (other_start, other) = header(ours), header(theirs)
    worst, where = 0.0, "none"
    one, two = pathlib.Path(ours).read_bytes(), pathlib.Path(theirs).read_bytes()
    for name, entry in said.items():
        if name == "__metadata__":
            continue
        if other.get(name, {}).get("shape") != entry["shape"]:
            return float("inf"), f"{name}, of another shape"
        begin, end = entry["data_offsets"]
        begin_other, end_other = other[name]["data_offsets"]
        raw, raw_other = one[start + begin:start + end], two[other_start + begin_other:other_start + end_other]
        if raw == raw_other:
            continue
        values, others = ([v[0] for v in struct.iter_unpack("<f", part)] for part in (raw, raw_other))
        scale = max(max(map(abs, others)), 1e-6)
        gap = max(abs(a - b) for a, b in zip(values, others)) / scale
        if not gap <= worst:
            worst, where = gap, name
    return worst, where


def different(ours, theirs, kind):
    """The names of the results, and of the metrics, whose bytes differ."""
    names = [name for name in (*RESULTS[kind], "metrics.csv") if (theirs / name).exists()]
    return [name for name in names
            if not (ours / name).exists() or (ours / name).read_bytes() != (theirs / name).read_bytes()]


def curves(trainer):
    """The rows of the section `search` or `retrain`."""
    context, kind = trainer.context, trainer.kind

    def curve_row(case, ours, peer, tolerance, note=""):
        context.curves.append({"section": kind, "case": case, "ours": ours, "peer": peer})
        return report.curve_row(kind, case, ours, peer, tolerance, note)

    device = context.trained_on
    name = f"cpu, {STAND_IN}" if device == "stand-in" else device
    early = trainer.first("cpu", "cpu")
    out = [curve_row(f"first {len(early)} steps, f32", trainer.first("device", device), early, EARLY)]
    ours, peer = trainer.whole("device", device), trainer.whole("cpu", "cpu")
    note = f"{name} {ours.score}, {ours.seconds:.0f} s; cpu {peer.score}, {peer.seconds:.0f} s"
    out.append(curve_row(f"{context.epochs} epochs, f32", ours.losses, peer.losses, WHOLE, note))
    if device == "stand-in":
        out.append(Row(kind, "bf16", NOT_RUN, note="not on the CPU"))
    elif not context.programs.knows(trainer.name, "--precision"):
        out.append(Row(kind, "bf16", NOT_RUN, note=f"not in this build: {trainer.name} has no --precision"))
    else:
        case = f"first {len(early)} steps, bf16 beside the CPU's f32"
        out.append(curve_row(case, trainer.first("bf16", device, "bf16"), early, EARLY_BF16))
        ours = trainer.whole("bf16", device, "bf16")
        note = f"{ours.score}, {ours.seconds:.0f} s; cpu {peer.score}"
        case = f"{context.epochs} epochs, bf16 beside the CPU's f32"
        out.append(curve_row(case, ours.losses, peer.losses, WHOLE_BF16, note))
    return out


def resume(trainer):
    """One row: a run that was stopped and taken up again beside one that ran through."""
    kind, device = trainer.kind, trainer.context.trained_on
    through = trainer.whole("device", device)
    steps = steps_of(through.folder)
    stop = max(1, steps // 2 + 1)
    flags = trainer.whole_flags()
    folder = trainer.start("stopped", device, flags=["--stop-after", stop, *flags], allowed=(UNFINISHED,))
    trainer.start("stopped", device, flags=flags)
    case = f"{kind}, stopped after step {stop} of {steps}"
    names = different(folder, through.folder, kind)
    if not names:
        return Row("resume", case, OK, "same bytes", "", "", ", ".join(RESULTS[kind]) + ", metrics.csv")
    # Whether that is the resumption's fault says a second run without a stop.
    again = trainer.whole("again", device)
    repeats = different(again.folder, through.folder, kind)
    first = RESULTS[kind][0]
    gap, tensor = weights_gap(folder / first, through.folder / first)
    losses, _ = relative_gap(metrics(folder, kind)[0], through.losses)
    said = f"{', '.join(names)} differ: weights by {gap:.1e} of their largest ({tensor}), losses by {losses:.1e}"
    if not repeats:
        return Row("resume", case, FAILED, "other bytes", "", "", f"{said}, but two runs without a stop are the same")
    other, _ = weights_gap(again.folder / first, through.folder / first)
    result = OK if losses <= REPEATED else FAILED
    note = f"not deterministic on this device: two runs without a stop differ by {other:.1e} in weights; {said}"
    return Row("resume", case, result, "not the same bytes", "", "", note)


def steps_of(folder):
    """Steps of a finished run."""
    with open(folder / "metrics.csv", newline="") as file:
        return int(list(csv.DictReader(file))[-1]["step"])


def rows(context, section):
    """The rows of a section; a program that fails is a row."""
    try:
        if section == "resume":
            return [resume(context.trainer(kind)) for kind in RESULTS]
        return curves(context.trainer(section))
    except Broken as error:
        return [Row(section, "all", FAILED, note=str(error))]
