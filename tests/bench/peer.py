"""One run of a peer in a process of its own: PyTorch in training, ONNX Runtime in inference.

compare.py starts it. Prints one JSON object: ms_per_step, the median over the timed steps, and the
resident memory in MB (10^6 bytes) after the library was loaded (library_mb) and at most (peak_mb).

    python peer.py train --path 287 --size 224 --batch 16
    python peer.py export --path 287 --size 224 --batch 16 --model 287.onnx
    python peer.py infer --size 224 --batch 16 --model 287.onnx
"""
import argparse
import contextlib
import io
import json
import pathlib
import re
import statistics
import sys
import time

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"


def resident(field):
    """VmRSS or VmHWM of this process in MB; the kB of /proc are 1024 bytes."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(rf"^{field}:\s*(\d+) kB$", status, re.M).group(1)) * 1024 / 1e6


def statement():
    """The networks as PyTorch states them."""
    sys.path.insert(0, str(GOLDEN))
    sys.dont_write_bytecode = True
    import cream_torch
    return cream_torch


def train(a):
    """The statement's own benchmark, channels-last; a supernet runs the given paths in their order."""
    cream_torch = statement()
    library_mb = resident("VmRSS")
    if a.supernet:
        paths = iter(json.loads(a.paths))
        cream_torch.SuperNet.random_path = lambda net: next(paths)
    a.classes, a.device, a.channels_last, a.bf16 = 1000, "cpu", True, False
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        cream_torch.bench(a)
    return float(re.search(r"median ([\d.]+) ms/step", said.getvalue()).group(1)), library_mb


def export(a):
    """Writes the network with starting weights as ONNX for this batch and size."""
    cream_torch = statement()
    import torch
    torch.manual_seed(0)
    net = cream_torch.ChildNet(cream_torch.PUBLISHED[a.path][1]).eval()
    images = torch.randn(a.batch, 3, a.size, a.size)
    try:
        torch.onnx.export(net, (images,), a.model, dynamo=False)
    except (TypeError, RuntimeError, ImportError) as error:
        # Versions of PyTorch without the older exporter; the newer one needs the package onnxscript.
        print(f"peer.py: the older exporter: {error}; trying the newer one", file=sys.stderr)
        torch.onnx.export(net, (images,), a.model, dynamo=True)


def infer(a):
    """ONNX Runtime on the CPU with its default optimisations."""
    import numpy
    import onnxruntime
    library_mb = resident("VmRSS")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = a.threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(a.model, options, providers=["CPUExecutionProvider"])
    shape = (a.batch, 3, a.size, a.size)
    images = numpy.random.default_rng(0).standard_normal(shape, dtype=numpy.float32)
    feed = {session.get_inputs()[0].name: images}
    times = []
    for step in range(a.warmup + a.steps):
        start = time.perf_counter()
        session.run(None, feed)
        if step >= a.warmup:
            times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3, library_mb


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=["train", "export", "infer"])
    p.add_argument("--path", type=int, help="a published network")
    p.add_argument("--supernet", help="layers per stage, for example 1,2,3,2,2")
    p.add_argument("--paths", help="a supernet's path of every step, warm-up first, as JSON lists")
    p.add_argument("--size", type=int, required=True)
    p.add_argument("--batch", type=int, required=True)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--warmup", type=int, default=2)
    p.add_argument("--model", help="ONNX file to write or to run")
    a = p.parse_args()
    if a.what == "export":
        return export(a)
    ms, library_mb = {"train": train, "infer": infer}[a.what](a)
    print(json.dumps({"ms_per_step": ms, "library_mb": library_mb, "peak_mb": resident("VmHWM")}))


if __name__ == "__main__":
    main()
