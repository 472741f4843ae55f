"""Writes training_options.safetensors: gradient accumulation, stochastic depth and distillation in PyTorch.

    python make_training.py OUT [--seed 5]

Needs torch, numpy, safetensors. Float64; the networks are those of cream_torch.py, narrow.
"""
import argparse
from pathlib import Path

import torch
import torch.nn.functional as F

import cream_torch as ct
from make_golden import described, randomise_norms, save

PATH = [[0, 1], [3], [0, 2], [4], [2, 5]]
TEACHER = [[3], [1, 0], [5], [2], [4]]
CLASSES, SMOOTHING = 5, 0.1


def child(path, g=None, state=None):
    net = ct.ChildNet(path, CLASSES, widths=ct.Widths.narrow())
    if state is None:
        randomise_norms(net, g)
    else:
        net.load_state_dict(state)
    return net


def tensors(prefix, state):
    return {f"{prefix}/{k}": v.clone() for k, v in state.items() if "num_batches" not in k}


def hard_loss(logits, y):
    return F.cross_entropy(logits, y, label_smoothing=SMOOTHING)


def accumulation(start, x, y, t):
    """Two steps of RMSProp in TensorFlow's form, each on four batches of two images."""
    net = child(PATH, state=start)
    net.train()
    params = list(net.named_parameters())
    square = {k: torch.ones_like(p) for k, p in params}
    buffer = {k: torch.zeros_like(p) for k, p in params}
    losses = []
    for _ in range(2):
        net.zero_grad()
        total = 0
        for images, labels in zip(x.split(2), y.split(2)):
            loss = hard_loss(net(images), labels) / 4
            loss.backward()
            total += loss.item()
        losses.append(total)
        with torch.no_grad():
            for k, p in params:
                gr = p.grad + (1e-2 * p if p.ndim > 1 else 0)
                square[k].add_(0.1 * (gr * gr - square[k]))
                buffer[k].mul_(0.9).add_(0.01 * gr / (square[k] + 1e-3).sqrt())
                p.sub_(buffer[k])
    t |= tensors("accumulation/after", net.state_dict()) | {"accumulation/losses": torch.tensor(losses)}


def dropped(block, factors):
    """The block with its branch, per image, times a factor before the input is added."""
    class Dropped(torch.nn.Module):
        def forward(self, x):
            block.residual = False
            y = block(x)
            return x + factors.view(-1, 1, 1, 1) * y
    return Dropped()


def drop_path(start, x, y, t, g):
    """Rates grow linearly with the index among all blocks, from 0 (timm's EfficientNetBuilder)."""
    net = child(PATH, state=start)
    net.train()
    blocks = [(s, i) for s, stage in enumerate(net.blocks) for i in range(len(stage))]
    rates = [0.4 * number / len(blocks) for number in range(len(blocks))]
    params = list(net.named_parameters())
    factors = []
    for (s, i), rate in zip(blocks, rates):
        keep = 1 - rate
        factors.append(torch.floor(keep + torch.rand(len(x), generator=g)) / keep)
        if getattr(net.blocks[s][i], "residual", False):
            net.blocks[s][i] = dropped(net.blocks[s][i], factors[-1])
    logits = net(x)
    loss = hard_loss(logits, y)
    grads = torch.autograd.grad(loss, [p for _, p in params])
    t |= {"drop_path/rates": torch.tensor(rates), "drop_path/factors": torch.stack(factors)}
    t |= {"drop_path/logits": logits, "drop_path/loss": loss}
    t |= {f"drop_path/grad/{k}": gr for (k, _), gr in zip(params, grads)}


def distillation(start, x, y, t, g):
    """(1 - w) CE + w T^2 KL(teacher || student) at temperature T, the mean over images."""
    weight, temperature = 0.7, 3.0
    teacher, net = child(TEACHER, g), child(PATH, state=start)
    t |= tensors("teacher", teacher.state_dict())
    teacher.eval()
    net.train()
    with torch.no_grad():
        known = teacher(x)
    logits = net(x)
    soft = F.kl_div(F.log_softmax(logits / temperature, 1), F.log_softmax(known / temperature, 1),
                    log_target=True, reduction="batchmean")
    loss = (1 - weight) * hard_loss(logits, y) + weight * temperature**2 * soft
    loss.backward()
    t |= {"distillation/loss": loss, "distillation/teacher_logits": known, "distillation/logits": logits}
    t |= {f"distillation/grad/{k}": p.grad for k, p in net.named_parameters()}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out", type=Path)
    p.add_argument("--seed", type=int, default=5)
    a = p.parse_args()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(a.seed)
    g = torch.Generator().manual_seed(a.seed)
    # Of 64 pixels, so that the norms of the last blocks see eight values of a batch of two images.
    x = torch.randn(8, 3, 64, 64, generator=g)
    y = torch.randint(0, CLASSES, (8,), generator=g)
    start = child(PATH, g).state_dict()
    t = tensors("before", start) | {"input": x, "target": y}
    accumulation(start, x, y, t)
    drop_path(start, x, y, t, g)
    distillation(start, x, y, t, g)
    save(a.out / "training_options.safetensors", t, path=described(PATH), teacher=described(TEACHER),
         widths=vars(ct.Widths.narrow()))


if __name__ == "__main__":
    main()
