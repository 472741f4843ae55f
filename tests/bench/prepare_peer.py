"""A Python script for what imagenet-prep does to photographs: Pillow in some processes.

compare_data.py starts it. Every image of class folders is decoded, resized with Pillow's bicubic filter
to a short side, the long side floored, and saved as a JPEG; one that is small enough keeps its bytes.
Prints one JSON object: images, bad, and the seconds between the start of the processes and their end.

    python prepare_peer.py FOLDERS OUT --short-side 292 --quality 90 --processes 2
"""
import argparse
import json
import multiprocessing
import pathlib
import time

from PIL import Image


def prepare(job):
    """Whether the image could be read."""
    source, target, short, quality = job
    try:
        with Image.open(source) as image:
            if min(image.size) <= short:
                image.load()
                target.write_bytes(source.read_bytes())
                return True
            width, height = image.size
            if width <= height:
                size = short, short * height // width
            else:
                size = short * width // height, short
            image = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    except (OSError, SyntaxError, ValueError):
        return False
    image.save(target, "JPEG", quality=quality)
    return True


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folders", type=pathlib.Path, help="folder with train/CLASS and val/CLASS")
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--short-side", type=int, default=292)
    p.add_argument("--quality", type=int, default=90)
    p.add_argument("--processes", type=int, default=2)
    a = p.parse_args()
    start = time.perf_counter()
    jobs = []
    for folder in sorted(a.folders.glob("*/*")):
        out = a.out / folder.relative_to(a.folders)
        out.mkdir(parents=True, exist_ok=True)
        jobs += [(path, out / f"{path.stem}.jpg", a.short_side, a.quality) for path in sorted(folder.iterdir())]
    with multiprocessing.Pool(a.processes) as pool:
        good = sum(pool.imap_unordered(prepare, jobs, chunksize=16))
    seconds = time.perf_counter() - start
    print(json.dumps({"images": len(jobs), "bad": len(jobs) - good, "seconds": seconds}))


if __name__ == "__main__":
    main()
