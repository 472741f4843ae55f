"""Exported networks in other programs: the same logits from ONNX Runtime, the same tensors in PyTorch.

Each published network and each baseline gets weights from PyTorch, at its real size: the published ones from
the statement in tests/golden, the baselines from one below, which builds a network from its architecture
file. path-export makes ONNX models of them, which onnx checks in full and ONNX Runtime runs beside PyTorch
on random images, and beside evaluate on the crops that it fed (--save-inputs). A Hugging Face folder must
load into the statement by name, with nothing missing and nothing left. Then every option of the ONNX export.

Needs a Python with torch, safetensors, onnx and onnxruntime, and our release binaries:

    make parity PYTHON=path/to/python
    python tests/parity/exports.py --only 14,efficientnet-lite0
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "golden"))
BASELINES = ["mobilenet-v3-large", "efficientnet-b0", "efficientnet-b1", "efficientnet-lite0"]
LIMIT = 1e-4
FAILED = []


def fail(message, status=2):
    """Ends with one line that says what to do."""
    print(f"exports.py: {message}", file=sys.stderr)
    sys.exit(status)


try:
    import onnx
    import onnxruntime
    import torch
    import torch.nn.functional as F
    from safetensors.torch import load_file, save_file
    from torch import nn
except ImportError as error:
    fail(f"{error}; install torch, safetensors, onnx and onnxruntime, or name another Python")
import cream_torch

ACTIVATIONS = {
    "swish": F.silu,
    "relu": F.relu,
    "relu6": F.relu6,
    "h-swish": F.hardswish,
    "none": lambda x: x,
    "hard-sigmoid": lambda x: F.relu6(x + 3) / 6,
    "sigmoid": torch.sigmoid,
}


class Conv(nn.Conv2d):
    """Without bias, padded as the architecture says."""

    def __init__(self, net, cin, cout, kernel=1, stride=1, groups=1):
        self.same = net["padding"] == "same"
        super().__init__(cin, cout, kernel, stride, 0 if self.same else kernel // 2, groups=groups, bias=False)

    def forward(self, x):
        if self.same:
            kernel, stride, size = self.kernel_size[0], self.stride[0], x.shape[-1]
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            x = F.pad(x, (total // 2, total - total // 2) * 2)
        return super().forward(x)


def norm(net, channels):
    return nn.BatchNorm2d(channels, net["norm"]["epsilon"])


class SqueezeExcite(nn.Module):
    def __init__(self, rule, channels):
        super().__init__()
        self.conv_reduce = nn.Conv2d(channels, rule["width"], 1)
        self.conv_expand = nn.Conv2d(rule["width"], channels, 1)
        self.activation, self.gate = ACTIVATIONS[rule["activation"]], ACTIVATIONS[rule["gate"]]

    def forward(self, x):
        pooled = x.mean((2, 3), keepdim=True)
        return x * self.gate(self.conv_expand(self.activation(self.conv_reduce(pooled))))


class Block(nn.Module):
    def __init__(self, net, rule, cin):
        super().__init__()
        cout, kernel, stride = rule["channels"], rule["kernel"], rule["stride"]
        self.operator, self.activation = rule["operator"], ACTIVATIONS[rule["activation"]]
        self.residual = self.operator != "convolution" and stride == 1 and cin == cout
        if self.operator == "convolution":
            self.conv, self.bn1 = Conv(net, cin, cout, kernel, stride), norm(net, cout)
            return
        mid = cin
        if self.operator == "inverted-residual":
            mid = cream_torch.divisible(cin * rule["expansion"])
            self.conv_pw, self.bn1 = Conv(net, cin, mid), norm(net, mid)
            self.conv_dw, self.bn2 = Conv(net, mid, mid, kernel, stride, mid), norm(net, mid)
            self.conv_pwl, self.bn3 = Conv(net, mid, cout), norm(net, cout)
        else:
            self.conv_dw, self.bn1 = Conv(net, mid, mid, kernel, stride, mid), norm(net, mid)
            self.conv_pw, self.bn2 = Conv(net, mid, cout), norm(net, cout)
        self.se = SqueezeExcite(rule["squeeze_excite"], mid) if rule["squeeze_excite"] else nn.Identity()

    def forward(self, x):
        if self.operator == "convolution":
            return self.activation(self.bn1(self.conv(x)))
        if self.operator == "inverted-residual":
            y = self.activation(self.bn1(self.conv_pw(x)))
            y = self.bn3(self.conv_pwl(self.se(self.activation(self.bn2(self.conv_dw(y))))))
        else:
            y = self.bn2(self.conv_pw(self.se(self.activation(self.bn1(self.conv_dw(x))))))
        return x + y if self.residual else y


class Net(nn.Module):
    """The network of an architecture file."""

    def __init__(self, net):
        super().__init__()
        stem, head, cin = net["stem"], net["head"], net["stem"]["channels"]
        self.conv_stem, self.bn1 = Conv(net, 3, cin, stem["kernel"], stem["stride"]), norm(net, cin)
        self.stem_activation, self.head_activation = (ACTIVATIONS[part["activation"]] for part in (stem, head))
        stages = []
        for rules in net["stages"]:
            blocks = []
            for rule in rules:
                blocks.append(Block(net, rule, cin))
                cin = rule["channels"]
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        self.before = head["position"] == "before-pool"
        if self.before:
            self.conv_head, self.bn2 = Conv(net, cin, head["channels"]), norm(net, head["channels"])
        else:
            self.conv_head = nn.Conv2d(cin, head["channels"], 1)
        self.classifier = nn.Linear(head["channels"], net["num_classes"])
        cream_torch.init(self)

    def forward(self, x):
        x = self.blocks(self.stem_activation(self.bn1(self.conv_stem(x))))
        if self.before:
            x = self.head_activation(self.bn2(self.conv_head(x))).mean((2, 3))
        else:
            x = self.head_activation(self.conv_head(x.mean((2, 3), keepdim=True))).flatten(1)
        return self.classifier(x)


def run(*command):
    """Standard output of a command that must succeed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        fail(f"{' '.join(map(str, command))}: status {done.returncode}: {said}")
    return done.stdout


def check(what, holds, said):
    """A line for one comparison."""
    print(f"{'ok  ' if holds else 'FAIL'} {what}: {said}", flush=True)
    if not holds:
        FAILED.append(what)


def lively(net, seed):
    """Weights and running statistics that no layer is without effect of."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.7, 1.3)
                module.bias.normal_(0, 0.2)
                module.momentum = 0.5
            elif isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
                module.bias.normal_(0, 0.1)
        net.train()
        for _ in range(3):
            net(torch.randn(4, 3, 96, 96))
    return net.eval()


def exported(tools, place, weights, arch, *flags):
    """A session of the model that path-export writes, checked in full."""
    file = place / "net.onnx"
    run(tools / "path-export", "--weights", weights, "--arch", arch, "--format", "onnx", "--out", file, *flags)
    onnx.checker.check_model(onnx.load(file), full_check=True)
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def compare(what, session, images, expected):
    """The logits of a session against others."""
    found = torch.from_numpy(session.run(["logits"], {"images": images.contiguous().numpy()})[0])
    scale = expected.abs().max().item()
    difference = (found - expected).abs().max().item() / scale
    # Logits that no image changes would agree whatever happened on the way.
    spread = (expected - expected.mean(0)).abs().max().item() / scale
    check(what, difference < LIMIT and spread > 100 * LIMIT and found.shape == expected.shape,
          f"{difference:.1e} of the largest logit, which images change by {spread:.1e}")


def normalised(pixels, net):
    """Pixels [N, 3, H, W] from 0 to 255 to what networks take."""
    mean, std = (torch.tensor(net["input"][key]).view(1, 3, 1, 1).float() for key in ("mean", "std"))
    return (pixels / 255 - mean) / std


def shards(tools, place):
    """A thousand classes, with few and small images to train, and twelve to validate."""
    photos = sorted((ROOT / "tests" / "golden" / "photos").glob("*.jpg"))
    small = sorted((ROOT / "tests" / "data" / "plankton").glob("*/*.jpg"))
    for index in range(1000):
        folder = place / "set" / "train" / f"c{index:03}"
        folder.mkdir(parents=True)
        shutil.copy(small[index % len(small)], folder / f"{index}.jpg")
    for index, photo in enumerate(photos + small[::len(small) // 8][:8]):
        folder = place / "set" / "val" / f"c{index:03}"
        folder.mkdir(parents=True)
        shutil.copy(photo, folder / f"{index}.jpg")
    run(tools / "imagenet-prep", place / "set", place / "shards", "--keep-original")
    return place / "shards"


def of_network(name, tools, place, data):
    """One network at its size."""
    text = run(tools / "path-export", "--name", name, "--quiet")
    net, arch = json.loads(text), place / "arch.json"
    arch.write_text(text)
    statement = lively(Net(net) if name in BASELINES else cream_torch.ChildNet(cream_torch.PUBLISHED[int(name)][1]), 7)
    weights = place / "weights.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in statement.state_dict().items()}, weights)
    size = net["image_size"]
    images = torch.randn(4, 3, size, size)
    with torch.no_grad():
        expected = statement(images)
    session = exported(tools, place, weights, arch)
    compare(f"{name} at {size}, ONNX Runtime and PyTorch", session, images, expected)

    logits, inputs = place / "logits.safetensors", place / "inputs.safetensors"
    run(tools / "evaluate", "--weights", weights, "--arch", arch, "--data", data, "--no-verify",
        "--logits", logits, "--save-inputs", inputs)
    pixels = load_file(inputs)["inputs"].permute(0, 3, 1, 2).float()
    compare(f"{name} at {size}, ONNX Runtime and evaluate", session, normalised(pixels, net),
            load_file(logits)["logits"])

    folder = place / f"{name}-hf"
    run(tools / "path-export", "--weights", weights, "--arch", arch, "--format", "huggingface", "--out", folder)
    config, tensors = json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")
    own = {key: value for key, value in statement.state_dict().items() if "num_batches" not in key}
    statement.load_state_dict(tensors, strict=True)
    same = own.keys() == tensors.keys() and all(torch.equal(own[key], tensors[key]) for key in own)
    check(f"{name}, Hugging Face folder", same and config["pretrained_cfg"]["input_size"] == [3, size, size]
          and config["num_classes"] == 1000 and config["architecture"] == net["name"],
          f"{len(tensors)} tensors load by name, and are the same")
    return statement, net, weights, arch


def options(name, tools, place, statement, net, weights, arch):
    """Every way to ask for a model."""
    size = net["image_size"]
    pixels = torch.randint(0, 256, (3, 3, size, size)).float()
    images = normalised(pixels, net)
    with torch.no_grad():
        expected = statement(images)
    for flags in (["--opset", "13"], ["--opset", "22"], ["--keep-batch-norm"], ["--batch", "3"]):
        compare(f"{name} {' '.join(flags)}", exported(tools, place, weights, arch, *flags), images, expected)
    session = exported(tools, place, weights, arch, "--include-normalisation")
    compare(f"{name} --include-normalisation", session, pixels, expected)
    other = size + 33
    larger = torch.randn(2, 3, other, other)
    with torch.no_grad():
        expected = statement(larger)
    session = exported(tools, place, weights, arch, "--image-size", other)
    compare(f"{name} --image-size {other}", session, larger, expected)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tools", type=pathlib.Path, default=ROOT / "target" / "release")
    parser.add_argument("--only", type=lambda text: text.split(","), help="of the networks only these")
    a = parser.parse_args()
    print(f"torch {torch.__version__}, onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}")
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        data = shards(a.tools, place)
        for name in [*map(str, cream_torch.PUBLISHED), *BASELINES]:
            if a.only and name not in a.only:
                continue
            made = of_network(name, a.tools, place, data)
            if name in ("14", "efficientnet-lite0"):
                options(name, a.tools, place, *made)
    if FAILED:
        fail(f"{len(FAILED)} comparisons failed, the first: {FAILED[0]}", 1)


if __name__ == "__main__":
    main()
