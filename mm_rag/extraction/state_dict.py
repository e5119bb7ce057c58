"""Read the tensors of a file that PyTorch saved, without PyTorch and without running its code.

Loaders must not import PyTorch: each worker process would need seconds and 300 MB for it. The file
has PyTorch's first format, from before version 1.6: pickles of a magic number, the version, sizes
of numbers, the tensors' shapes and the storages' keys, followed by the numbers of each storage.
https://github.com/pytorch/pytorch/blob/v2.0.0/torch/serialization.py (`_legacy_save`)
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mm_rag.errors import CheckpointError

Tensors: TypeAlias = dict[str, npt.NDArray[Any]]

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_COUNT = np.dtype("<i8")  # of a storage's numbers, before them
_DTYPES: Mapping[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"),
    "LongStorage": np.dtype("<i8"),
}
# What damaged pickles raise.
_DAMAGED = (pickle.UnpicklingError, EOFError, ValueError, LookupError, TypeError, AttributeError)


def read_state_dict(data: bytes) -> Tensors:
    """Read the tensors of a state_dict, by their names.

    Only what a plain state_dict needs is unpickled: dicts, numbers, names, and tensors of 32-bit
    floats or 64-bit integers.

    Raises:
        CheckpointError: The file is damaged, of another format, or names anything else.
    """
    try:
        return _read(io.BytesIO(data))
    except _DAMAGED as error:
        raise CheckpointError(
            f"The weights are not a plain state_dict of PyTorch's first format: {error}"
        ) from error


@dataclass(frozen=True)
class _Storage:
    """Numbers that tensors are views of, which follow the pickles.

    Attributes:
        key: Name of the storage.
        dtype: Type of its numbers.
        count: Number of them.
    """

    key: str
    dtype: np.dtype[Any]
    count: int


@dataclass(frozen=True)
class _View:
    """A tensor: which numbers of a storage it consists of; strides are in numbers."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
        size = self.storage.dtype.itemsize
        last = self.offset + sum(
            (side - 1) * stride for side, stride in zip(self.shape, self.strides, strict=True)
        )
        if min((self.offset, *self.shape, *self.strides)) < 0 or last >= len(numbers):
            raise ValueError("a tensor is larger than its storage")
        strides = [stride * size for stride in self.strides]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides).copy()


class _Unpickler(pickle.Unpickler):
    """Unpickles tensors as views, and refuses every other class and function."""

    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case "collections", "OrderedDict":
                return OrderedDict
            case "torch._utils", "_rebuild_tensor_v2":
                return _view
            case "torch", _ if name in _DTYPES:
                return _DTYPES[name]
            case _:
                raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _place, count, view = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or view is not None:
            raise pickle.UnpicklingError(f"it refers to a {kind}")
        return _Storage(key, dtype, count)


def _view(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _View:
    return _View(storage, offset, tuple(shape), tuple(strides))


def _read(file: io.BytesIO) -> Tensors:
    magic, version, _sizes, found, keys = (_Unpickler(file).load() for _ in range(5))
    if (magic, version) != (_MAGIC, _VERSION):
        raise ValueError(f"magic number {magic}, version {version}")
    views: dict[str, _View] = dict(found)
    storages = {view.storage.key: view.storage for view in views.values()}
    numbers = {key: _numbers(file, storages[key]) for key in keys}
    return {name: view.of(numbers[view.storage.key]) for name, view in views.items()}


def _numbers(file: io.BytesIO, storage: _Storage) -> npt.NDArray[Any]:
    count = int(np.frombuffer(file.read(_COUNT.itemsize), _COUNT)[0])
    if count != storage.count:
        raise ValueError(f"a storage has {count} numbers instead of {storage.count}")
    numbers = np.frombuffer(file.read(count * storage.dtype.itemsize), storage.dtype)
    if len(numbers) != count:
        raise ValueError("it is cut off")
    return numbers
