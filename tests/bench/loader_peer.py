"""PyTorch's DataLoader with torchvision's transforms and Pillow, on the images of our shards.

compare_data.py starts it. An image is one positioned read of a shard, as ours, so both sides decode
the same bytes. Prints one JSON object: images_per_s over the timed batches, and the resident memory
of this process at most (peak_mb, 10^6 bytes), without its workers'.

    python loader_peer.py SHARDS --augment full --workers 2 --batch 64
"""
import argparse
import csv
import io
import json
import os
import pathlib
import resource
import time

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import transforms as T

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Shards(Dataset):
    """The training images of a folder of shards."""

    def __init__(self, folder, transform):
        index = json.loads((folder / "index.json").read_text())
        split = index["splits"]["train"]
        self.paths = [folder / shard["file"] for shard in split["shards"]]
        self.files, self.transform = {}, transform
        with open(folder / split["table"]["file"], newline="") as table:
            self.rows = [tuple(int(row[name]) for name in ("class", "shard", "offset", "length"))
                         for row in csv.DictReader(table)]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, place):
        label, shard, offset, length = self.rows[place]
        # Opened by the worker that reads it.
        if shard not in self.files:
            self.files[shard] = os.open(self.paths[shard], os.O_RDONLY)
        image = Image.open(io.BytesIO(os.pread(self.files[shard], length, offset)))
        return self.transform(image.convert("RGB")), label


def transform(level, size):
    """torchvision's nearest to each of our levels of augmentation."""
    steps = [T.RandomResizedCrop(size), T.RandomHorizontalFlip()]
    if level == "full":
        # Magnitude 9 of 10, on torchvision's scale of 0 to 30; each operation with probability 0.5.
        operation = T.RandAugment(num_ops=1, magnitude=27)
        steps += [T.RandomApply([operation], 0.5), T.RandomApply([operation], 0.5)]
    steps += [T.ToTensor(), T.Normalize(MEAN, STD)]
    if level == "full":
        steps.append(T.RandomErasing(p=0.2, scale=(0.02, 1 / 3), ratio=(0.3, 3.3), value="random"))
    return T.Compose(steps)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("shards", type=pathlib.Path)
    p.add_argument("--augment", choices=("crop", "full"), default="crop")
    p.add_argument("--size", type=int, default=224)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--workers", type=int, default=2)
    p.add_argument("--batches", type=int, default=30, help="timed (30)")
    p.add_argument("--warmup", type=int, default=4, help="batches before those (4)")
    a = p.parse_args()
    torch.manual_seed(0)
    data = Shards(a.shards, transform(a.augment, a.size))
    # Permutation after permutation: the timed batches lie inside one stream, where the workers never stop.
    ahead = 2 * a.workers
    images = (a.warmup + a.batches + ahead) * a.batch
    loader = DataLoader(data, a.batch, sampler=RandomSampler(data, num_samples=images),
                        num_workers=a.workers, drop_last=True)
    start = None
    for number, (pixels, _) in enumerate(loader, 1):
        assert pixels.shape == (a.batch, 3, a.size, a.size)
        if number == a.warmup:
            start = time.perf_counter()
        elif number == a.warmup + a.batches:
            seconds = time.perf_counter() - start
            break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"images_per_s": a.batches * a.batch / seconds, "peak_mb": peak}))


if __name__ == "__main__":
    main()
