"""Writes small checkpoints in both forms of torch.save, and what they hold, for lib/pth/tests.

    python make_pth.py OUT

Needs torch and numpy. NAME.pth is the legacy form, NAME.zip.pth today's; NAME.txt lists the tensors that a
reader must find, one a line: name, type, shape, row-major little-endian bytes in hexadecimal.
"""
import argparse
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch


def network():
    return torch.nn.Sequential(OrderedDict([
        ("conv", torch.nn.Conv2d(2, 3, 3, bias=False)), ("bn", torch.nn.BatchNorm2d(3)), ("fc", torch.nn.Linear(3, 2)),
    ]))


def types():
    """One tensor per type, and every way in which a tensor can view its storage."""
    counting = torch.arange(24, dtype=torch.float32)
    cube = counting.view(2, 3, 4)
    tensors = OrderedDict((str(dtype).removeprefix("torch."), torch.tensor([0, 1, 100]).to(dtype)) for dtype in [
        torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
        torch.uint8, torch.bool])
    tensors["negative"] = torch.tensor([-1.5, float("inf"), -0.0])
    tensors["scalar"] = torch.tensor(7.25)
    tensors["empty"] = torch.zeros(0, 3)
    tensors["none_of_many"] = torch.zeros(5, 0)
    tensors["whole"] = cube
    tensors["tied"] = cube
    tensors["slice"] = cube[1:, 1:]
    tensors["column"] = cube[:, :, 2]
    tensors["transposed"] = cube.transpose(0, 2)
    tensors["every_second"] = counting[1::2]
    tensors["expanded"] = counting[3:5].view(2, 1, 1).expand(2, 3, 2)
    tensors["channels_last"] = torch.randn(2, 3, 2, 2).to(memory_format=torch.channels_last)
    tensors["parameter"] = torch.nn.Parameter(torch.randn(2, 2))
    return tensors


def trained():
    """A checkpoint as trainers write it: weights among much else. The average is what a reader takes."""
    net, average = network(), network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net.conv(torch.ones(1, 2, 3, 3)).sum().backward()
    net.fc(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    wrapped = OrderedDict(("module." + name, value) for name, value in net.state_dict().items())
    return {
        "epoch": 3, "arch": "childnet", "version": 2, "state_dict": wrapped,
        "args": argparse.Namespace(lr=0.1, decay=None, sizes=[1, 2], name="küche"), "best_acc1": torch.tensor(76.5),
        "optimizer": optimizer.state_dict(), "metric": np.float64(53.75), "steps": np.int64(-12), "good": np.bool_(True),
        "losses": np.arange(3.0), "schedule": torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 2, 5]).state_dict(),
        "device": torch.device("cpu"), "size": torch.Size([1, 2]), "dtype": torch.float16, "large": 1 << 70,
        "set": {1, 2}, "path": Path("out"), "state_dict_ema": average.state_dict(),
    }


def lines(tensors):
    for name, tensor in tensors.items():
        flat = tensor.detach().contiguous().reshape(-1)
        raw = flat.view(torch.uint8).numpy().tobytes().hex() if flat.numel() else ""
        shape = ",".join(map(str, tensor.shape)) or "-"
        yield f"{name} {str(tensor.dtype).removeprefix('torch.')} {shape} {raw or '-'}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    plain, checkpoint, every = network().state_dict(), trained(), types()
    wrapped = OrderedDict(("module." + name, value) for name, value in plain.items())
    for name, content, tensors in [
        ("plain", plain, plain), ("wrapped", {"model": wrapped}, plain),
        ("trained", checkpoint, checkpoint["state_dict_ema"]), ("types", every, every),
    ]:
        torch.save(content, out / f"{name}.pth", _use_new_zipfile_serialization=False)
        torch.save(content, out / f"{name}.zip.pth")
        (out / f"{name}.txt").write_text("".join(lines(tensors)))
    for protocol in [3, 4, 5]:
        torch.save(plain, out / f"plain.{protocol}.pth", _use_new_zipfile_serialization=False, pickle_protocol=protocol)
    raw = {name.removeprefix("module."): value for name, value in checkpoint["state_dict"].items()}
    (out / "trained.raw.txt").write_text("".join(lines(raw)))


if __name__ == "__main__":
    main()
