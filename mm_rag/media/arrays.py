"""Convert pictures, frames and samples in arrays of any layout and number type to one form.

Pictures have integers from 0 to 255, or floats from 0 to 1, or from 0 to 255 if any is over 1.
Recordings have floats in [-1, 1], or integers of 8 (unsigned), 16 or 32 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from mm_rag.errors import InputError, UnreadableMedia

Array: TypeAlias = npt.NDArray[Any]

_CHANNELS = (1, 3, 4)  # grey; red, green, blue; the same with opacity
_FULL_SCALE = {"u1": 2**7, "i2": 2**15, "i4": 2**31}


def as_array(value: Any) -> Array:
    """Convert an array, a torch tensor or a list of numbers to a numpy array.

    Raises:
        InputError: It is none of them.
    """
    if hasattr(value, "detach"):  # a tensor; torch need not be imported
        return _of_tensor(value)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"A {type(value).__name__} is no array: {error}.") from error
    if array.dtype.kind not in "buif" or array.ndim == 0:
        raise InputError(f"Expected an array of numbers; got {_described(value, array)}.")
    return array


def _of_tensor(value: Any) -> Array:
    try:
        tensor = value.detach().cpu()
        is_half = tensor.is_floating_point() and tensor.element_size() < 4
        return np.asarray((tensor.float() if is_half else tensor).numpy())
    except (RuntimeError, TypeError, NotImplementedError) as error:  # sparse, quantised, meta
        raise InputError(f"The tensor cannot be read as an array: {error}") from error


def mono_samples(value: Any) -> npt.NDArray[np.float32]:
    """Mix the samples of a recording to mono.

    Args:
        value: Shape (n,), (channels, n) or (n, channels): the shorter axis is the channels.

    Returns:
        Shape (n,), float32; not copied if it is that already.

    Raises:
        InputError: The shape or the type of integers is another one.
        UnreadableMedia: There are no samples, or some are not finite.
    """
    array = as_array(value)
    if array.ndim > 2:
        raise InputError(f"Audio samples have shape (n,) or (channels, n); got {array.shape = }.")
    if array.size == 0:
        raise UnreadableMedia(f"The audio array has no samples: {array.shape = }.")
    samples = _floats(array)
    if samples.ndim == 2:
        samples = samples.mean(axis=int(np.argmin(samples.shape)))
    if not np.isfinite(samples).all():
        raise UnreadableMedia("The audio array has samples that are not finite (NaN or infinite).")
    return samples


def rgb_array(value: Any) -> npt.NDArray[np.uint8]:
    """Convert a picture to RGB, with transparent parts on white.

    Args:
        value: Shape (height, width), (height, width, channels) or (channels, height, width) with
            1, 3 or 4 channels.

    Returns:
        Shape (height, width, 3), uint8.

    Raises:
        InputError: The shape or the range of numbers is another one.
        UnreadableMedia: It has no pixels.
    """
    array = as_array(value)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3:
        raise InputError(
            "An array is used as a picture when its shape is (height, width, 3) or "
            f"(3, height, width); this one has {array.shape = }."
        )
    return _opaque(_eight_bits(_channels_last(array, "picture")))


def rgb_frames(value: Any) -> npt.NDArray[np.uint8]:
    """Convert the frames of a video to RGB, with transparent parts on white.

    Args:
        value: Shape (frames, height, width, channels) or (frames, channels, height, width) with
            1, 3 or 4 channels.

    Returns:
        Shape (frames, height, width, 3), uint8.

    Raises:
        InputError: The shape or the range of numbers is another one.
        UnreadableMedia: It has no frames, or no pixels.
    """
    array = as_array(value)
    if array.ndim != 4:
        raise InputError(
            "An array is used as a video when its shape is (frames, height, width, 3) or "
            f"(frames, 3, height, width); this one has {array.shape = }."
        )
    return _opaque(_eight_bits(_channels_last(array, "video")))


def stacked(frames: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """Stack pictures as frames of a video, shape (frames, height, width, 3).

    Raises:
        InputError: They have different sizes.
    """
    sizes = {(frame.shape[1], frame.shape[0]) for frame in frames}
    if len(sizes) > 1:
        shown = ", ".join(f"{width} x {height}" for width, height in sorted(sizes)[:4])
        raise InputError(f"The frames of a video must be of one size; these are {shown} pixels.")
    return np.stack(frames)


def _floats(array: Array) -> npt.NDArray[np.float32]:
    if array.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    full_scale = _FULL_SCALE.get(array.dtype.str[1:])
    if full_scale is None:
        raise InputError(
            "Audio samples are floats in [-1, 1], or integers of type int16, int32 or uint8; got "
            f"{array.dtype = }."
        )
    centred = array.astype(np.float64) - (full_scale if array.dtype.kind == "u" else 0)
    return (centred / full_scale).astype(np.float32)


def _channels_last(array: Array, what: str) -> Array:
    if array.shape[-1] in _CHANNELS:
        moved = array
    elif array.shape[-3] in _CHANNELS:
        moved = np.moveaxis(array, -3, -1)
    else:
        raise InputError(
            f"An array used as a {what} needs 1, 3 or 4 channels, as its last axis or before "
            f"height and width; this one has {array.shape = }."
        )
    if moved.size == 0:
        raise UnreadableMedia(f"The {what} array has no pixels: {array.shape = }.")
    return moved


def _eight_bits(array: Array) -> npt.NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return np.round(array.astype(np.float32) / 257).astype(np.uint8)
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 255):  # NaN too
        raise InputError(
            "The numbers of a picture go from 0 to 1 or from 0 to 255; these go from "
            f"{low:g} to {high:g}. Undo what normalised them, and pass the picture itself."
        )
    scale = 255.0 if array.dtype.kind == "f" and high <= 1 else 1.0
    return np.round(array * scale).astype(np.uint8)


def _opaque(array: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    if array.shape[-1] == 1:
        array = np.repeat(array, 3, axis=-1)
    if array.shape[-1] == 4:
        # As one tall picture, so that Pillow blends all frames at once.
        tall = Image.fromarray(np.ascontiguousarray(array.reshape(-1, array.shape[-2], 4)))
        white = Image.new("RGBA", tall.size, "white")
        blended = np.asarray(Image.alpha_composite(white, tall).convert("RGB"))
        array = blended.reshape(*array.shape[:-1], 3)
    return np.ascontiguousarray(array)


def _described(value: Any, array: Array) -> str:
    if isinstance(value, np.ndarray):
        return f"{array.dtype = }, {array.shape = }"
    return f"a {type(value).__name__}"
