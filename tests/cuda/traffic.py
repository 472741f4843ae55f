#!/usr/bin/env python3
"""What the kernels of one training step move through a device's memory: the table in lib/nn/PERFORMANCE.md.

usage: flops-count --format csv 287 | tests/cuda/traffic.py [RESOURCES]

RESOURCES is what tests/cuda/resources.sh printed; with it, rows have the registers and the shared memory of compute
capability 8.0. Layers are taken as the layers in lib/nn/src/layers run them, one operator after the other: every tensor
that a kernel reads or writes counts once, however often the caches serve it. Activations and their gradients are
bfloat16, parameters and the optimizer's state float.
"""

import csv
import re
import sys
from collections import Counter

BATCH = 256
ACTIVATION, PARAMETER = 2, 4
BYTES_PER_MS = 3e9

# Kernels whose bytes depend on the statistics of a norm or on few rows only.
SMALL = {
    "batch_norm_statistics",
    "batch_norm_parameters",
    "depthwise_weight",
    "bias_activation_forward",
    "bias_activation_backward",
    "cross_entropy_rows",
    "cross_entropy_mean",
    "cross_entropy_backward",
}


def main():
    layers = list(csv.DictReader(sys.stdin))
    if not layers or "kind" not in layers[0]:
        sys.exit("traffic.py: no layers: pipe in what flops-count --format csv prints of one network")
    moved = traffic(layers)
    resources = read_resources(sys.argv[1]) if len(sys.argv) > 1 else {}
    kernels = [kernel for kernel in [*moved, *sorted(SMALL)] if kernel != "products"]
    print("| kernel | registers, f32 / bf16 | shared B, f32 / bf16 | GB | floor at 3 TB/s, ms |")
    print("|---|---|---|---|---|")
    for kernel in sorted(kernels):
        registers, shared = resources.get(kernel, ("", ""))
        print(f"| `{kernel}` | {registers} | {shared} | {amount(moved.get(kernel))} |")
    print(f"| all | | | {amount(sum(moved.values()) - moved['products'])} |")
    print(f"| products of cuBLAS | | | {amount(moved['products'])} |")


def amount(moved):
    return "small |" if moved is None else f"{moved / 1e9:.2f} | {moved / BYTES_PER_MS:.2f}"


def traffic(layers):
    """Bytes of a step by kernel."""
    moved = Counter()

    def add(kernel, elements, size=ACTIVATION):
        moved[kernel] += BATCH * elements * size

    image = elements_of(layers[0], "in")
    moved["images_normalise"] = BATCH * image * (1 + ACTIVATION)
    for number, layer in enumerate(layers):
        before, after = elements_of(layer, "in"), elements_of(layer, "out")
        match layer["kind"]:
            case "convolution" if layer["out_height"] != "1":
                convolution(layer, before, after, number == 0, add)
            case "batch-norm":
                for kernel, passes in [("moments", 1), ("forward", 2), ("sums", 2), ("backward", 3)]:
                    add(f"batch_norm_{kernel}", passes * after)
            case "depthwise":
                for kernel in ["forward", "input_gradient", "weight_gradient"]:
                    add(f"depthwise_{kernel}", before + after)
            case "squeeze-pool" | "global-pool":
                add("pool_forward", before)
                add("pool_backward", before)
            case "squeeze-gate":
                add("gate_forward", 2 * after)
                add("gate_backward", 3 * after)
            # On pooled vectors, and the logits: small.
            case "convolution" | "squeeze-reduce" | "squeeze-expand" | "linear":
                pass
            case kind:
                sys.exit(f"traffic.py: layers of kind {kind} are not counted: add them to traffic()")
    parameters = PARAMETER * sum(int(layer["params"]) for layer in layers)
    # A parameter with its two states, read and written, and its gradient; an average of the weights.
    moved["update_rmsprop"], moved["update_blend"] = 7 * parameters, 3 * parameters
    moved["finite_first"] = parameters
    return moved


def convolution(layer, before, after, first, add):
    """A dense convolution as a product, of patches where its windows have more than a pixel."""
    area = int(layer["params"]) // (int(layer["in_channels"]) * int(layer["out_channels"]))
    entries = before
    if area > 1:
        entries = area * int(layer["in_channels"]) * int(layer["out_height"]) * int(layer["out_width"])
        add("patches_forward", before + entries)
    # The output; the gradient of the weight; that of the input, which images do not have.
    add("products", (2 if first else 3) * (entries + after))


def elements_of(layer, side):
    sides = (f"{side}_{name}" for name in ["channels", "height", "width"])
    channels, height, width = (int(layer[name]) for name in sides)
    return channels * height * width


def read_resources(path):
    """By kernel without element type and window: registers and shared memory, f32 before bf16, windows in a row."""
    numbers = {}
    with open(path) as table:
        for line in table:
            words = line.split()
            if len(words) != 7 or words[2] != "80":
                continue
            name, window, suffix = re.fullmatch(r"(.*?)(?:_(\d))?_(f32|bf16)", words[0]).groups()
            by_suffix = numbers.setdefault(name, {}).setdefault(suffix, [])
            by_suffix.append((int(window or 0), words[3], words[4]))
    if not numbers:
        sys.exit(f"traffic.py: {path} has no kernels: give what tests/cuda/resources.sh prints")
    return {name: (joined(by_suffix, 1), joined(by_suffix, 2)) for name, by_suffix in numbers.items()}


def joined(by_suffix, column):
    sides = []
    for suffix in ["f32", "bf16"]:
        numbers = [row[column] for row in sorted(by_suffix.get(suffix, []))]
        sides.append(", ".join(numbers if len(set(numbers)) > 1 else numbers[:1]))
    sides = [side for side in sides if side]
    return " / ".join(sides if len(set(sides)) > 1 else sides[:1])


if __name__ == "__main__":
    main()
