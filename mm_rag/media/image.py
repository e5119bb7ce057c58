"""Open pictures as upright RGB, with their size checked before anything is decoded."""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from mm_rag._forking import ForkableLock
from mm_rag._optional import require
from mm_rag.content import Url
from mm_rag.errors import InputError, MediaTooLarge, UnreadableMedia
from mm_rag.media.access import FileSource, OpenedFile, check_bytes, open_bounded
from mm_rag.media.addresses import shown
from mm_rag.media.arrays import rgb_array
from mm_rag.media.image_metadata import ImageMetadata, describe
from mm_rag.media.kind import is_heif
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy

ImageSource: TypeAlias = FileSource | Url | bytes | Image.Image | npt.NDArray[np.uint8]

# Errors of Pillow's plugins on damaged files: they parse with struct, slices and dicts.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    MemoryError,
    ArithmeticError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    RuntimeError,
    struct.error,
    zlib.error,
)
_warnings_lock = ForkableLock()
_HEAD_BYTES = 128
_ORIENTATION, _UPRIGHT, _SIDEWAYS = 0x0112, 1, frozenset({5, 6, 7, 8})  # of EXIF
_BITS_PER_SAMPLE = 0x0102  # of TIFF
_BYTES_A_PIXEL = 16  # while decoding: four copies of four bytes if parts are transparent
_OPAQUE = frozenset({"1", "L", "P", "RGB"})
# Of transparent pictures: alpha from which a pixel is seen, level from which it is nearly white,
# and share of the pixels that may be darker in a drawing or a text in white.
_SOLID, _VISIBLE, _NEARLY_WHITE, _DARK_SHARE = 255, 32, 200, 0.02
_SHORTEST_FRAME = 0.02  # seconds; browsers show shorter frames, and those without a duration,
_USUAL_FRAME = 0.1  # for this time


@dataclass(frozen=True, kw_only=True)
class TimedFrame:
    """A frame of an animation.

    Attributes:
        picture: Upright RGB.
        start: Start time, in seconds from the first frame.
        end: Start time of the next frame.
    """

    picture: Image.Image
    start: float
    end: float


@dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """The header of a picture file.

    Attributes:
        width: Width of the upright picture, in pixels.
        height: Height of the upright picture, in pixels.
        format: Pillow's name, such as `"TIFF"`.
        is_plain: Whether any viewer shows the same as `open_image` gives: one frame, stored
            upright, with 8 bits a colour and no transparency.
    """

    width: int
    height: int
    format: str
    is_plain: bool


def open_image(source: ImageSource, policy: MediaPolicy = DEFAULT_POLICY) -> Image.Image:
    """Open a picture as upright RGB: the first frame or page, or the current frame of a PIL image.

    Transparent parts become white, or black behind a picture in nearly white. Grey of more than 8
    bits is scaled by mode and bit depth: I;16 ranges from 0 to 65,535; I and F from 0 to 255, as in
    Pillow's own conversions, unless the file format says otherwise. The number of pixels is checked
    before decoding.

    Args:
        source: A file, its address, a file's bytes, a PIL image, or an array of shape
            (height, width, 3), uint8.
        policy: Limits on bytes and pixels.

    Raises:
        UnreadableMedia: The picture is missing, damaged, or in a format that Pillow does not read.
        MediaTooLarge: It is over a limit of the policy.
        SourceForbidden: The policy does not allow opening it.
        InputError: The array is not a picture.
    """
    name = _name(source)
    with _opened(source, policy) as picture, _translated(name):
        # The frames of a file are not counted: a small animation may have very many.
        number = picture.tell() if isinstance(source, Image.Image) else 0
        return _frame(picture, number, name, policy)


def open_frames(source: ImageSource, policy: MediaPolicy = DEFAULT_POLICY) -> Iterator[Image.Image]:
    """Open the frames of a picture or pages of a TIFF one at a time, as upright RGB.

    Args:
        source: As for `open_image`.
        policy: Limits on bytes and pixels of each frame.

    Raises:
        UnreadableMedia: As for `open_image`; frames before the damaged one are yielded.
        MediaTooLarge: It is over a limit of the policy.
        InputError: The array is not a picture.
    """
    name = _name(source)
    with _opened(source, policy) as picture, _translated(name):
        # The current frame of a PIL image is not changed.
        here = isinstance(source, Image.Image)
        for number in [picture.tell()] if here else range(_count(picture)):
            yield _frame(picture, number, name, policy)


def open_animation(
    source: ImageSource, policy: MediaPolicy = DEFAULT_POLICY
) -> Iterator[TimedFrame]:
    """Open the frames of an animation one at a time, at most the policy's `max_frames`.

    Args:
        source: As for `open_image`; a PIL image starts at its first frame.
        policy: Limits on bytes, on pixels of each frame, and on frames.

    Raises:
        UnreadableMedia: As for `open_image`; frames before the damaged one are yielded.
        MediaTooLarge: It is over a limit of the policy.
    """
    name, start = _name(source), 0.0
    with _opened(source, policy) as picture, _translated(name):
        for number in range(min(_count(picture), policy.max_frames)):
            frame = _frame(picture, number, name, policy)
            seconds = float(picture.info.get("duration") or 0) / 1000  # set by decoding
            end = start + (seconds if seconds >= _SHORTEST_FRAME else _USUAL_FRAME)
            yield TimedFrame(picture=frame, start=round(start, 3), end=round(end, 3))
            start = end


def image_format(source: ImageSource, policy: MediaPolicy = DEFAULT_POLICY) -> tuple[str, int]:
    """Pillow's name of a picture's format (`"TIFF"`) and its number of frames.

    Raises:
        UnreadableMedia: As for `open_image`.
        MediaTooLarge: It is over a limit of the policy.
    """
    with _opened(source, policy) as picture, _translated(_name(source)):
        return picture.format or "", _count(picture)


def image_info(source: ImageSource, policy: MediaPolicy = DEFAULT_POLICY) -> ImageInfo:
    """Size and format of a picture, without decoding it.

    Raises:
        UnreadableMedia: As for `open_image`, as far as the header shows.
        MediaTooLarge: It is over a limit of the policy.
        SourceForbidden: The policy does not allow opening it.
    """
    with _opened(source, policy) as picture, _translated(_name(source)):
        is_still = _count(picture) == 1
        with _quiet():
            turned = picture.getexif().get(_ORIENTATION, _UPRIGHT)
        width, height = reversed(picture.size) if turned in _SIDEWAYS else picture.size
        is_opaque = picture.mode in _OPAQUE and "transparency" not in picture.info
        return ImageInfo(
            width=width,
            height=height,
            format=picture.format or "",
            is_plain=is_still and is_opaque and turned == _UPRIGHT,
        )


def image_metadata(source: ImageSource, policy: MediaPolicy = DEFAULT_POLICY) -> ImageMetadata:
    """Captions, time and camera in the metadata of a picture; mostly empty.

    Raises:
        UnreadableMedia: As for `open_image`.
        MediaTooLarge: It is over a limit of the policy.
    """
    with _opened(source, policy) as picture, _translated(_name(source)), _quiet():
        return describe(picture)


def _frame(picture: Image.Image, number: int, name: str, policy: MediaPolicy) -> Image.Image:
    with _quiet():
        picture.seek(number)
        _check_pixels(picture, name, policy)
        level = _white_level(picture)  # before turning, which loses the format
        upright = ImageOps.exif_transpose(picture)
    return _rgb(upright, level)


@contextmanager
def _opened(source: ImageSource, policy: MediaPolicy) -> Generator[Image.Image]:
    if isinstance(source, Url):
        # Imported here, for addresses only.
        from mm_rag.media.fetch import local_file

        with local_file(source, policy) as (path, own), _opened(path, own) as picture:
            yield picture
        return
    if isinstance(source, Image.Image):
        _check_pixels(source, "The picture", policy)
        yield source
        return
    if not isinstance(source, Path | OpenedFile | bytes):
        picture = Image.fromarray(rgb_array(source))
        _check_pixels(picture, "The picture", policy)
        yield picture
        return
    name = _name(source)
    with _file(source, policy) as file:
        with _translated(name):
            head = file.read(_HEAD_BYTES)
            file.seek(0)
            if is_heif(head):
                let_pillow_read_heif()
            with _quiet():
                picture = Image.open(file)
        with picture:
            _check_format(picture, name)
            _check_pixels(picture, name, policy)
            yield picture


def _file(source: FileSource | bytes, policy: MediaPolicy) -> BinaryIO:
    if not isinstance(source, bytes):
        return open_bounded(source, policy)
    check_bytes(len(source), "The picture", policy)
    return io.BytesIO(source)


def _check_format(picture: Image.Image, name: str) -> None:
    """Refuse PostScript: Pillow passes it to Ghostscript, which executes it."""
    if picture.format == "EPS":
        raise UnreadableMedia(
            f"{name} is PostScript, a program rather than a picture. Convert it to PDF or PNG."
        )


def _name(source: ImageSource) -> str:
    if isinstance(source, Url):
        return shown(source.address).rsplit("/", 1)[-1] or "The picture"
    if isinstance(source, OpenedFile):
        return source.path.name
    return source.name if isinstance(source, Path) else "The picture"


@contextmanager
def _quiet() -> Generator[None]:
    """Suppress Pillow's warnings of large pictures and odd EXIF, for one thread at a time."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _translated(name: str) -> Generator[None]:
    try:
        yield
    except InputError:
        raise
    except Image.UnidentifiedImageError as error:
        raise UnreadableMedia(
            f"{name} is not a picture that the installed Pillow can read: it is damaged or of "
            "another format."
        ) from error
    except Image.DecompressionBombError as error:
        raise MediaTooLarge(f"{name} has more pixels than Pillow opens: {error}") from error
    except FileNotFoundError as error:
        raise UnreadableMedia(f"There is no file {name}.") from error
    except _DAMAGED as error:
        raise UnreadableMedia(f"{name} is a damaged picture: {_reason(error)}.") from error


def _reason(error: BaseException) -> str:
    text = str(error).strip().rstrip(".") or type(error).__name__
    return text.splitlines()[0][:200]


def _check_pixels(picture: Image.Image, name: str, policy: MediaPolicy) -> None:
    width, height = picture.size
    if width < 1 or height < 1:
        raise UnreadableMedia(f"{name} has no pixels: {width} x {height}.")
    most = policy.max_memory // _BYTES_A_PIXEL
    if most < width * height <= policy.max_pixels:
        raise MediaTooLarge(
            f"{name} has {width:,} x {height:,} pixels, which take more than the "
            f"{policy.max_memory:,} bytes that MediaPolicy.max_memory allows."
        )
    if width * height > policy.max_pixels:
        raise MediaTooLarge(
            f"{name} has {width:,} x {height:,} pixels; MediaPolicy.max_pixels allows "
            f"{policy.max_pixels:,}."
        )


def _count(picture: Image.Image) -> int:
    with _quiet():
        return int(getattr(picture, "n_frames", 1))


def _rgb(picture: Image.Image, white_level: float) -> Image.Image:
    if picture.mode.startswith(("I", "F")):
        return _eight_bits(picture, white_level).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        colours = picture.convert("RGBA")
        ground = Image.new("RGBA", colours.size, _ground(colours))
        return Image.alpha_composite(ground, colours).convert("RGB")
    return picture.convert("RGB")


def _ground(picture: Image.Image) -> str:
    """The colour behind a transparent picture: black if all that is seen of it is nearly white."""
    alpha = picture.getchannel("A")
    if alpha.getextrema()[0] == _SOLID:
        return "white"
    seen = alpha.point([0] * _VISIBLE + [_SOLID] * (256 - _VISIBLE))
    levels = np.cumsum(picture.convert("RGB").convert("L").histogram(seen))
    is_light = levels[-1] > 0 and levels[_NEARLY_WHITE] < _DARK_SHARE * levels[-1]
    return "black" if is_light else "white"


def _eight_bits(picture: Image.Image, white_level: float) -> Image.Image:
    """Scale grey levels of 16 or 32 bits to 8 bits: Pillow would clip them at 255."""
    levels = np.asarray(picture).astype(np.float32)
    grey = np.nan_to_num(levels * np.float32(255 / white_level)).clip(0, 255)
    return Image.fromarray(np.rint(grey).astype(np.uint8))


def _white_level(picture: Image.Image) -> float:
    """The level of white in a grey picture, from its mode and bit depth.

    It never depends on the levels themselves, so that a dark picture stays dark.

    - I;16 ranges from 0 to 65,535, or by the number of bits in a TIFF.
    - I and F range from 0 to 255, as in Pillow's own conversions from L and to RGB.
    - I from a file of 16 bits ranges from 0 to 65,535 (PGM), or to 32,767 (signed TIFF).
    - F from a PFM file ranges from 0 to 1.
    """
    is_deep = picture.mode.startswith("I;16")
    match picture.format:
        case "TIFF":
            bits = _first(getattr(picture, "tag_v2", {}).get(_BITS_PER_SAMPLE))
            if is_deep:
                return float(2 ** min(bits or 16, 16) - 1)
            return 32_767.0 if picture.mode == "I" and bits == 16 else 255.0
        case "PPM" if picture.mode == "I":
            return 65_535.0
        case "PPM" if picture.mode == "F":
            return 1.0
        case _:
            return 65_535.0 if is_deep else 255.0


def _first(values: object) -> int | None:
    """The first value of a TIFF tag, which Pillow gives as a tuple."""
    found = values[0] if isinstance(values, tuple) and values else values
    return found if isinstance(found, int) and found > 0 else None


def shrunk_to(picture: Image.Image, max_pixels: float) -> Image.Image:
    """The picture itself if it is small enough, else a smaller copy with the same aspect ratio.

    Args:
        picture: A picture of any mode.
        max_pixels: Upper bound of width times height; each side keeps at least one pixel.
    """
    scale = math.sqrt(max_pixels / (picture.width * picture.height))
    if scale >= 1:
        return picture
    # 1280 may be computed as 1279.9999999999998.
    width, height = (max(1, int(side * scale + 1e-6)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def let_pillow_read_heif() -> None:
    """Register pillow-heif with Pillow.

    Raises:
        MissingExtra: It is not installed.
    """
    module = require("pillow_heif", extra="heic", feature="Reading HEIC pictures")
    module.register_heif_opener()
