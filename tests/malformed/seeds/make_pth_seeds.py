"""Writes the seeds of PyTorch's checkpoints; run it in this folder with torch and numpy (made with 2.15.0)."""

import argparse
import os
import struct
from collections import OrderedDict

import numpy as np
import torch

os.makedirs("pth", exist_ok=True)
torch.manual_seed(1)
W, B = torch.arange(6.0).view(2, 3), torch.tensor([1, 2])


def save(name, content, **form):
    torch.save(content, f"pth/{name}.zip", **form)
    torch.save(content, f"pth/{name}.pth", _use_new_zipfile_serialization=False, **form)


save("plain", OrderedDict(w=W, b=B))
save("wrapped", {"state_dict": {"module.w": W}, "epoch": 1})
save("averaged", {"model": {"w": W}, "model_ema": {"w": W + 1}})
save("protocol-4", {"w": W, "b": B}, pickle_protocol=4)
save("views", {"t": W.t(), "s": W[:, 1], "e": B.expand(3, 2), "n": torch.zeros(0, 2), "p": torch.nn.Parameter(W)})
save("halves", {"h": W.half(), "b": W.bfloat16(), "o": W > 2})
save("trainer", {"model": {"w": W}, "args": argparse.Namespace(lr=0.1), "best": np.float64(0.5), "sizes": torch.Size([1]),
                 "losses": np.arange(2.0), "set": {1}, "large": 1 << 70})


def legacy(name, opcodes, storages=b"]."):
    head = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02"
    with open(f"pth/{name}.pth", "wb") as file:
        file.write(head + opcodes + b".\x80\x02" + storages)


def text(string):
    return b"X" + struct.pack("<I", len(string)) + string.encode()


STORAGE = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("k") + text("cpu") + b"K\x01tQ"
FILLED = b"]" + text("k") + b"a." + struct.pack("<Qf", 1, 1.0)
BUILD = b"ctorch._utils\n_rebuild_tensor_v2\n("
legacy("code", b"cposix\nsystem\n" + text("id") + b"\x85R")
legacy("code-on-the-stack", text("builtins") + text("eval") + b"\x93" + text("1") + b"\x85R")
legacy("inst", b"(" + text("id") + b"iposix\nsystem\n")
legacy("cyclic", b"]q\x00h\x00a")
legacy("cyclic-model", b"}q\x00" + text("model") + b"h\x00s")
legacy("nested", b"]" * 1000 + b"a" * 999)
legacy("laughs", text("laugh") + b"q\x00" + b"".join(b"(" + bytes([104, n]) * 10 + b"lq" + bytes([n + 1]) for n in range(10)))
legacy("copies", b"](" + b"NN\x86" * 100 + b"e\x85q\x00" + b"ccollections\nOrderedDict\nh\x00R" * 20)
legacy("zero-strides", b"}" + text("w") + BUILD + STORAGE + b"K\x00J\x40\x42\x0f\x00J\x40\x42\x0f\x00\x86K\x00K\x00\x86\x89}tRs",
       FILLED)
legacy("outside", b"}" + text("w") + BUILD + STORAGE + b"K\x01K\x01\x85K\x01\x85\x89}tRs", FILLED)
legacy("stride-of-one", b"}" + text("w") + BUILD + STORAGE + b"K\x00K\x01\x85\x8a\x08" + b"\xff" * 7 + b"\x7f\x85\x89}tRs", FILLED)
legacy("huge-string", b"\x8d" + b"\xff" * 8)
legacy("huge-storage", STORAGE.replace(b"K\x01t", b"J\xff\xff\xff\x7ft"), b"]" + text("k") + b"a." + struct.pack("<Q", 0x7fffffff))
legacy("counts-differ", STORAGE, b"]" + text("k") + b"a." + struct.pack("<Q", 2) + b"\0" * 8)
legacy("no-storage", STORAGE)
