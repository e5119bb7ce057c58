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
from mm_rag.media.image_metadata import Described, describe
from mm_rag.media.kind import is_heif
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy

ImageSource: TypeAlias = FileSource | Url | bytes | Image.Image | npt.NDArray[np.uint8]

# What Pillow's plugins raise on damaged files: they parse with struct, slices and dicts.
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
_BYTES_A_PIXEL = 16  # while it is decoded: four copies of four bytes, where parts are transparent
_OPAQUE = frozenset({"1", "L", "P", "RGB"})
_SHORTEST_FRAME = 0.02  # seconds; browsers show shorter ones, and those without a time, for
_USUAL_FRAME = 0.1  # this long


@dataclass(frozen=True, kw_only=True)
class TimedFrame:
    """A frame of an animation.

    Attributes:
        picture: Upright RGB.
        start: When it is shown, in seconds from the first frame.
        end: When the next one takes its place.
    """

    picture: Image.Image
    start: float
    end: float


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What a picture's file says of it, before anything is decoded.

    Attributes:
        width: As it is shown, upright, in pixels.
        height: As it is shown, upright, in pixels.
        format: Pillow's name, such as `"TIFF"`.
        is_plain: Whether whoever shows the file shows what `open_image` gives: it has one frame,
            is stored upright, with 8 bits a colour, and nothing in it is transparent.
    """

    width: int
    height: int
    format: str
    is_plain: bool


def open_image(source: ImageSource, policy: MediaPolicy = DEFAULT_POLICY) -> Image.Image:
    """Open a picture as upright RGB; of an animation or a multi-page file, the first frame.

    Of a PIL image it is the frame that it is at.

    Transparent parts become white. Grey of more than 8 bits is scaled by its mode and the file's
    bit depth: I;16 holds 0 to 65,535; I and F hold 0 to 255, as in Pillow's own conversions, unless
    the file's format says otherwise. The number of pixels is checked from the header, before
    anything is decoded.

    Args:
        source: A file, its address, a file's bytes, a PIL image, or an array of shape
            (height, width, 3), uint8.
        policy: Limits on bytes and pixels.

    Raises:
        UnreadableMedia: The picture is missing, damaged or of a format that Pillow does not read.
        MediaTooLarge: It is over a limit of the policy.
        SourceForbidden: The policy does not allow to open it.
        InputError: The array is not a picture.
    """
    name = _name(source)
    with _opened(source, policy) as picture, _translated(name):
        # Of a file the frames are not counted: an animation of a few bytes may have many.
        number = picture.tell() if isinstance(source, Image.Image) else 0
        return _frame(picture, number, name, policy)


def open_frames(source: ImageSource, policy: MediaPolicy = DEFAULT_POLICY) -> Iterator[Image.Image]:
    """Open a picture's frames, the pages of a TIFF, one at a time, each as upright RGB.

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
        # A PIL image stays at the frame where its owner left it.
        here = isinstance(source, Image.Image)
        for number in [picture.tell()] if here else range(_count(picture)):
            yield _frame(picture, number, name, policy)


def open_animation(
    source: ImageSource, policy: MediaPolicy = DEFAULT_POLICY
) -> Iterator[TimedFrame]:
    """Open the frames of an animation one at a time, no more than the policy's `max_frames`.

    Args:
        source: As for `open_image`; a PIL image is shown from its first frame on.
        policy: Limits on bytes, on pixels of each frame, and on frames.

    Raises:
        UnreadableMedia: As for `open_image`; frames before the damaged one are yielded.
        MediaTooLarge: It is over a limit of the policy.
    """
    name, start = _name(source), 0.0
    with _opened(source, policy) as picture, _translated(name):
        for number in range(min(_count(picture), policy.max_frames)):
            frame = _frame(picture, number, name, policy)
            seconds = float(picture.info.get("duration") or 0) / 1000  # known once it is decoded
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


def image_outline(source: ImageSource, policy: MediaPolicy = DEFAULT_POLICY) -> Outline:
    """A picture's size and format.

    Raises:
        UnreadableMedia: As for `open_image`, as far as the file's head tells.
        MediaTooLarge: It is over a limit of the policy.
        SourceForbidden: The policy does not allow to open it.
    """
    with _opened(source, policy) as picture, _translated(_name(source)):
        is_still = _count(picture) == 1
        with _quiet():
            turned = picture.getexif().get(_ORIENTATION, _UPRIGHT)
        width, height = reversed(picture.size) if turned in _SIDEWAYS else picture.size
        is_opaque = picture.mode in _OPAQUE and "transparency" not in picture.info
        return Outline(
            width=width,
            height=height,
            format=picture.format or "",
            is_plain=is_still and is_opaque and turned == _UPRIGHT,
        )


def image_description(source: ImageSource, policy: MediaPolicy = DEFAULT_POLICY) -> Described:
    """What a picture says about itself: captions, time and camera; nothing for most.

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
        level = _white_level(picture)  # turning loses the file's format
        upright = ImageOps.exif_transpose(picture)
    return _rgb(upright, level)


@contextmanager
def _opened(source: ImageSource, policy: MediaPolicy) -> Generator[Image.Image]:
    if isinstance(source, Url):
        # Imported for those who use it: httpx takes longer to load than Pillow.
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
    """Pillow hands PostScript to Ghostscript, which runs the program that such a file is."""
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
    """Pillow warns of large pictures and odd EXIF; `warnings` is shared by all threads."""
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
            f"{name} is no picture that the installed Pillow can read: it is damaged or of "
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
        white = Image.new("RGBA", colours.size, "white")
        return Image.alpha_composite(white, colours).convert("RGB")
    return picture.convert("RGB")


def _eight_bits(picture: Image.Image, white_level: float) -> Image.Image:
    """Grey levels of 16 or 32 bits as 8 bits: Pillow's own conversion cuts them off at 255."""
    levels = np.asarray(picture).astype(np.float32)
    grey = np.nan_to_num(levels * np.float32(255 / white_level)).clip(0, 255)
    return Image.fromarray(np.rint(grey).astype(np.uint8))


def _white_level(picture: Image.Image) -> float:
    """The level of white in a grey picture, by its mode and its file's bit depth.

    It never depends on the levels themselves, so that a dark picture stays dark.

    - I;16 holds 0 to 65,535, or as many bits as a TIFF says.
    - I and F hold 0 to 255, as Pillow's own conversions from L and to RGB have it; more is white.
    - I from a file of 16 bits holds 0 to 65,535 (PGM), or 0 to 32,767 (TIFF with a sign).
    - F from a PFM file holds 0 to 1, as the format says.
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
    """The first of a TIFF tag's values, which Pillow gives in a tuple."""
    found = values[0] if isinstance(values, tuple) and values else values
    return found if isinstance(found, int) and found > 0 else None


def shrunk_to(picture: Image.Image, max_pixels: float) -> Image.Image:
    """The picture itself where it is small enough, else a smaller copy of the same shape.

    Args:
        picture: Of any mode.
        max_pixels: Upper bound of width times height, except that no side gets less than one.
    """
    scale = math.sqrt(max_pixels / (picture.width * picture.height))
    if scale >= 1:
        return picture
    # What is meant to be 1280 may come out as 1279.9999999999998.
    width, height = (max(1, int(side * scale + 1e-6)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def let_pillow_read_heif() -> None:
    """Register pillow-heif with Pillow.

    Raises:
        MissingExtra: It is not installed.
    """
    module = require("pillow_heif", extra="heic", feature="Reading HEIC pictures")
    module.register_heif_opener()
