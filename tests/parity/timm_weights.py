"""timm's weights in our tools: its EfficientNets and MobileNetV3, the same crops, the same logits.

timm itself builds each network, with random weights and lively statistics, and its files are written as timm and
its trainer write them: a plain state dict, the trainer's checkpoint with an average beside, both with and without
`module.`, and safetensors. evaluate reads them; its logits are held against timm's on the crops that it fed
(--save-inputs).

timm has two kinds of each network. Those that begin with tf_ pad and normalise as TensorFlow's, the others pad
half and have PyTorch's epsilon; weights say neither. Where a network's padding or epsilon is not that of our
architecture file, a line says so, with how far off the answers are with the file as it is, and the comparisons
take a copy of the file with timm's two values. Where timm prepares images otherwise, a line says that too.

Needs a Python with torch, safetensors, pillow and timm, and our release binaries:

    make parity PYTHON=path/to/python
    python tests/parity/timm_weights.py --only efficientnet_b0
"""
import argparse
import itertools
import json
import pathlib
import sys
import tempfile

sys.dont_write_bytecode = True
from checkpoints import FAILED, LIMIT, ROOT, check, fail, lively, logits_of, normalised, run
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file

# timm's name, what is asked of it besides, our architecture.
NETWORKS = [
    ("mobilenetv3_large_100", {"bn_eps": 1e-3}, "mobilenet-v3-large"),
    ("mobilenetv3_large_100", {}, "mobilenet-v3-large"),
    ("tf_mobilenetv3_large_100", {}, "mobilenet-v3-large"),
    ("tf_efficientnet_b0", {}, "efficientnet-b0"),
    ("efficientnet_b0", {}, "efficientnet-b0"),
    ("tf_efficientnet_b1", {}, "efficientnet-b1"),
    ("efficientnet_b1", {}, "efficientnet-b1"),
    ("tf_efficientnet_lite0", {}, "efficientnet-lite0"),
    ("efficientnet_lite0", {}, "efficientnet-lite0"),
]
PHOTOS = ["chelsea", "coffee", "rocket"]


def image_set(tools, place, images):
    """Shards of at most `images` images: the photos as they are, mirrored, upside down and inverted."""
    views = [lambda photo: photo, ImageOps.mirror, ImageOps.flip, ImageOps.invert]
    for number, (view, name) in enumerate(itertools.product(views, PHOTOS)):
        if number == images:
            break
        with Image.open(ROOT / "tests" / "golden" / "photos" / f"{name}.jpg") as photo:
            image = view(photo.convert("RGB"))
        for split in ("train", "val"):
            folder = place / "set" / split / str(PHOTOS.index(name))
            folder.mkdir(parents=True, exist_ok=True)
            image.save(folder / f"{name}-{number}.jpg", quality=95)
    run(tools / "imagenet-prep", place / "set", place / "shards", "--keep-original")
    return place / "shards"


def forms(net, average):
    """Files as people have them: name, content, ending, our flags, the network."""
    raw, ema = net.state_dict(), average.state_dict()
    wrapped = lambda state: {f"module.{name}": tensor for name, tensor in state.items()}
    trainer = lambda state, ema: {
        "epoch": 449, "arch": "a network", "state_dict": state,
        "optimizer": torch.optim.SGD(net.parameters(), 0.1, momentum=0.9).state_dict(), "version": 2,
        "args": argparse.Namespace(lr=0.064, model_ema=True, aa="rand-m9-mstd0.5"),
        "amp_scaler": {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 0}, "state_dict_ema": ema,
        "metric": 77.6,
    }
    return [
        ("plain", raw, ".pth", [], net),
        ("plain, module.", wrapped(raw), ".pth", [], net),
        ("trainer, average", trainer(raw, ema), ".pth.tar", [], average),
        ("trainer, raw", trainer(raw, ema), ".pth.tar", ["--raw"], net),
        ("trainer, module., average", trainer(wrapped(raw), wrapped(ema)), ".pth.tar", ["--ema"], average),
        ("trainer, module., raw", trainer(wrapped(raw), wrapped(ema)), ".pth.tar", ["--raw"], net),
        ("safetensors", raw, ".safetensors", [], net),
        ("safetensors, module.", wrapped(raw), ".safetensors", [], net),
    ]


def save(content, file):
    """As timm does: torch.save, or safetensors with nothing beside the tensors."""
    if file.suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in content.items()}, file)
    else:
        torch.save(content, file)


def evaluated(tools, place, shards, weights, arch, flags=()):
    """evaluate's logits, and the crops that it fed."""
    logits, inputs = place / "logits.safetensors", place / "inputs.safetensors"
    run(tools / "evaluate", "--weights", weights, "--arch", arch, *flags, "--data", shards, "--no-verify",
        "--threads", 1, "--logits", logits, "--save-inputs", inputs)
    return load_file(logits)["logits"], load_file(inputs)["inputs"]


def apart(ours, theirs):
    """The largest difference, as a share of the largest logit."""
    return (ours - theirs).abs().max().item() / theirs.abs().max().item()


def differences(net, name, ours):
    """Our architecture with timm's padding and epsilon, and lines on what it has otherwise."""
    theirs = json.loads(json.dumps(ours))
    padding = "same" if type(net.conv_stem).__name__ == "Conv2dSame" else "half"
    theirs["name"], theirs["padding"], theirs["norm"]["epsilon"] = name, padding, net.bn1.eps
    network = [f"{what} {b}, ours {a}" for what, a, b in [
        ("padding", ours["padding"], padding), ("epsilon", ours["norm"]["epsilon"], net.bn1.eps)] if a != b]
    rule, given = net.default_cfg, ours["input"]
    images = [f"{what} {b}, ours {a}" for what, a, b in [
        ("size", ours["image_size"], rule["input_size"][1]),
        ("mean", [round(x, 4) for x in given["mean"]], list(rule["mean"])),
        ("std", [round(x, 4) for x in given["std"]], list(rule["std"])),
        ("crop", given["evaluation"]["crop"], rule["crop_pct"]),
        ("interpolation", given["evaluation"]["interpolation"], rule["interpolation"])] if a != b]
    return theirs, network, images


def network(tools, place, shards, name, keywords, baseline, timm):
    """Every form of one network's file."""
    what = name + "".join(f", {key} {value}" for key, value in keywords.items())
    ours = json.loads((ROOT / "configs" / "arch" / "baselines" / f"{baseline}.json").read_text())
    net, average = (lively(timm.create_model(name, **keywords), seed) for seed in (0, 1))
    theirs, otherwise, images = differences(net, name, ours)
    if images:
        print(f"note {what}: timm's weights are for {'; '.join(images)}")
    arch = baseline
    if otherwise:
        arch = place / "arch.json"
        arch.write_text(json.dumps(theirs))
    answers = {}
    for form, content, suffix, flags, expected in forms(net, average):
        weights = place / f"weights{suffix}"
        save(content, weights)
        logits, inputs = evaluated(tools, place, shards, weights, arch, flags)
        if expected not in answers:
            mean, std = ours["input"]["mean"], ours["input"]["std"]
            answers[expected] = logits_of(expected, normalised(inputs, mean, std))
        difference = apart(logits, answers[expected])
        check(f"{what}, {form}", difference < LIMIT,
              f"{difference:.1e} of the largest logit over {len(logits)} images")
    if otherwise:
        off = apart(evaluated(tools, place, shards, weights, baseline)[0], answers[net])
        print(f"note {what}: {'; '.join(otherwise)}; with --arch {baseline} as it is {off:.1e} off")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tools", type=pathlib.Path, default=ROOT / "target" / "release")
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--only", type=lambda text: text.split(","), help="of the networks only these, by timm's names")
    a = parser.parse_args()
    try:
        import timm
    except ImportError as error:
        print(f"skip timm's networks: {error}")
        return
    print(f"torch {torch.__version__}, timm {timm.__version__}")
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        shards = image_set(a.tools, place, a.images)
        for name, keywords, baseline in NETWORKS:
            if not a.only or name in a.only:
                network(a.tools, place, shards, name, keywords, baseline, timm)
    if FAILED:
        fail(f"{len(FAILED)} comparisons failed, the first: {FAILED[0]}")


if __name__ == "__main__":
    main()
