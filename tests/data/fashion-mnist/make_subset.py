#!/usr/bin/env python3
"""Makes the balanced subset of Fashion-MNIST in this folder.

    python3 make_subset.py FULL OUT

FULL holds the four gzipped IDX files of the whole data set, for instance
/usr/share/datasets/fashion-mnist of Debian's package dataset-fashion-mnist. OUT gets the same four
names with the first 500 images of each class of the training file and the first 300 of each class
of the test file, in file order. The same input gives the same bytes. Needs nothing but Python 3.
"""

import gzip
import struct
import sys
from pathlib import Path

IMAGES, LABELS = 0x803, 0x801
PARTS = [("train", 500), ("t10k", 300)]


def read(path, magic, dimensions):
    with gzip.open(path) as file:
        found, *sizes = struct.unpack(f">{1 + dimensions}I", file.read(4 + 4 * dimensions))
        if found != magic:
            sys.exit(f"{path}: magic number {found:#x}, not {magic:#x}")
        return sizes, file.read()


def write(path, magic, sizes, data):
    header = struct.pack(f">{1 + len(sizes)}I", magic, *sizes)
    # No name and no time in the gzip header: the bytes depend on the content only.
    with open(path, "wb") as raw:
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=9, mtime=0) as file:
            file.write(header + data)


def subset(full, out, part, per_class):
    (count, rows, columns), pixels = read(full / f"{part}-images-idx3-ubyte.gz", IMAGES, 3)
    (label_count,), labels = read(full / f"{part}-labels-idx1-ubyte.gz", LABELS, 1)
    size = rows * columns
    if count != label_count or len(labels) != count or len(pixels) != count * size:
        sys.exit(f"{part}: images and labels do not fit together")
    taken = dict.fromkeys(range(10), 0)
    chosen = []
    for index, label in enumerate(labels):
        if taken[label] < per_class:
            taken[label] += 1
            chosen.append(index)
    if any(number != per_class for number in taken.values()):
        sys.exit(f"{part}: too few images of a class: {taken}")
    images = b"".join(pixels[index * size : (index + 1) * size] for index in chosen)
    write(out / f"{part}-images-idx3-ubyte.gz", IMAGES, [len(chosen), rows, columns], images)
    write(out / f"{part}-labels-idx1-ubyte.gz", LABELS, [len(chosen)], bytes(labels[i] for i in chosen))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    full, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for part, per_class in PARTS:
        subset(full, out, part, per_class)


if __name__ == "__main__":
    main()
