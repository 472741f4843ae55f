"""Writes the JPEG seeds besides those of make_seeds.py; run it in this folder with Pillow (made with 13.0.0)."""

import math
import os

from PIL import Image

WIDTH, HEIGHT = 35, 27


def waves(mode):
    """An image of as many different waves as the mode has channels."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    values = [round(128 + 100 * math.sin((x * (c + 1) + y * (c + 2)) / 4))
              for y in range(HEIGHT) for x in range(WIDTH) for c in range(channels)]
    return Image.frombytes(mode, (WIDTH, HEIGHT), bytes(values))


for name, mode, options in [
    ("progressive-420.jpg", "RGB", {"progressive": True, "subsampling": "4:2:0"}),
    ("progressive-444.jpg", "RGB", {"progressive": True, "subsampling": "4:4:4"}),
    ("progressive-grey.jpg", "L", {"progressive": True}),
    ("cmyk.jpg", "CMYK", {"optimize": True}),
    ("progressive-cmyk.jpg", "CMYK", {"progressive": True}),
    ("422-restarts.jpg", "RGB", {"optimize": True, "subsampling": "4:2:2",
                                 "restart_marker_blocks": 2}),
    ("grey.jpg", "L", {"optimize": True}),
]:
    waves(mode).save(os.path.join("image", name), "JPEG", quality=60, **options)
