"""One run of a peer in a process of its own: PyTorch in training, ONNX Runtime in inference; or many of PyTorch.

compare.py starts it. Prints one JSON object: ms_per_step, the median over the timed steps, and the
resident memory in MB (10^6 bytes) after the library was loaded (library_mb) and at most (peak_mb).

tests/gpu/run starts it to serve, because on a device loading the library takes longer than the steps: one JSON object
a line on standard input, with mode (train or infer), path or supernet with paths, size, batch, precision (f32, tf32 or
bf16, by autocast), device, steps and warmup; for each a line with the times of the steps in ms, or what went wrong.

    python peer.py train --path 287 --size 224 --batch 16
    python peer.py export --path 287 --size 224 --batch 16 --model 287.onnx
    python peer.py infer --size 224 --batch 16 --model 287.onnx
    python peer.py serve
"""
import argparse
import contextlib
import gc
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
    a.classes, a.device, a.channels_last = 1000, "cpu", True
    a.bf16 = a.tf32 = a.infer = False
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        cream_torch.bench(a)
    return float(re.search(r"median ([\d.]+) ms/step", said.getvalue()).group(1)), library_mb


def served(cream_torch, request):
    """The answer to one request: the times of its steps, and the most memory that the device's tensors took."""
    import torch
    a = argparse.Namespace(classes=1000, channels_last=True, threads=None, path=None, supernet=None, paths=None)
    vars(a).update(request)
    a.bf16, a.tf32, a.infer = a.precision == "bf16", a.precision == "tf32", a.mode == "infer"
    if a.supernet:
        paths = iter(a.paths)
        cream_torch.SuperNet.random_path = lambda net: next(paths)
    on_device = a.device.startswith("cuda")
    if on_device:
        torch.cuda.reset_peak_memory_stats(a.device)
    times = cream_torch.step_times(a)
    memory = torch.cuda.max_memory_allocated(a.device) / 1e6 if on_device else None
    return {"ms": [1e3 * seconds for seconds in times], "device_mb": memory}


def serve(a):
    """Answers requests until there are no more; the first line says what answers."""
    cream_torch = statement()
    import torch
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device"
    print(json.dumps({"torch": torch.__version__, "device": device}), flush=True)
    for line in sys.stdin:
        try:
            answer = served(cream_torch, json.loads(line))
        except (RuntimeError, ValueError) as error:
            answer = {"error": (str(error).strip().splitlines() or [type(error).__name__])[0]}
        # What this process keeps for itself, the other one of a pair would lack.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        print(json.dumps(answer), flush=True)


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
    p.add_argument("what", choices=["train", "export", "infer", "serve"])
    p.add_argument("--path", type=int, help="a published network")
    p.add_argument("--supernet", help="layers per stage, for example 1,2,3,2,2")
    p.add_argument("--paths", help="a supernet's path of every step, warm-up first, as JSON lists")
    p.add_argument("--size", type=int)
    p.add_argument("--batch", type=int)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--warmup", type=int, default=2)
    p.add_argument("--model", help="ONNX file to write or to run")
    a = p.parse_args()
    if a.what == "serve":
        return serve(a)
    if a.size is None or a.batch is None:
        p.error(f"{a.what} needs --size and --batch")
    if a.what == "export":
        return export(a)
    ms, library_mb = {"train": train, "infer": infer}[a.what](a)
    print(json.dumps({"ms_per_step": ms, "library_mb": library_mb, "peak_mb": resident("VmHWM")}))


if __name__ == "__main__":
    main()
