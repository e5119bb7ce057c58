"""EfficientNet-Lite2: what a photo shows, as probabilities of ImageNet's 1,000 classes.

The network is built here as an ONNX graph from the published weights, and run by onnxruntime, as
the OCR engine is: PyTorch would take each worker process seconds and 300 MB. The architecture is
that of EfficientNet (Tan and Le 2019, https://arxiv.org/abs/1905.11946) with width 1.1 and depth
1.2, in its Lite variant: ReLU6, no squeeze-and-excitation, stem, head and the number of blocks of
the first and last stage as in width and depth 1.0.
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from mm_rag._forking import leak, renew_after_fork
from mm_rag._optional import require
from mm_rag._threads import model_threads
from mm_rag.errors import CheckpointError, MissingExtra
from mm_rag.extraction.state_dict import Tensors, read_state_dict
from mm_rag.packaged import EFFICIENTNET_LITE2

SIDE = 260  # pixels of the square that the network looks at
CLASSES, FEATURES = 1000, 1280
# Of the square of a picture from which it is made, the network sees all but this margin: it was
# trained on such crops.
_MARGIN = 32
_MEAN, _RANGE = 127.0, 128.0  # levels of a colour become -1 to 1
_BATCH = 8  # views at once: memory grows with them, and time per view does not shrink

_FEATURE = "Recognising what photos show"

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels."""
_Floats: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Recognised:
    """The output of the network for some views.

    Attributes:
        probabilities: Probability of each class, in ImageNet's order; shape (views, 1000).
        features: The averages of its last layer, from which the probabilities are computed and
            which are similar for similar pictures; shape (views, 1280), never negative.
    """

    probabilities: _Floats
    features: _Floats


def centre(size: tuple[int, int]) -> Box:
    """The square in the middle of a picture that the network was trained to look at."""
    width, height = size
    side = min(size) * SIDE / (SIDE + _MARGIN)
    left, top = (width - side) / 2, (height - side) / 2
    return (left, top, left + side, top + side)


def view(picture: Image.Image, box: Box | None = None) -> Image.Image:
    """The part of a picture within a box, as the network sees it: 260 x 260 pixels.

    Args:
        picture: A picture of any size; transparent parts should have been filled before.
        box: By default the `centre`.
    """
    return picture.convert("RGB").resize(
        (SIDE, SIDE), Image.Resampling.BICUBIC, box=box or centre(picture.size), reducing_gap=3.0
    )


def recognise(views: Sequence[Image.Image]) -> Recognised:
    """Look at some views, each made by `view`.

    Safe to call from several threads.

    Raises:
        MissingExtra: The weights, onnx or onnxruntime are not installed, damaged, or fail.
    """
    parts = [_run(views[start : start + _BATCH]) for start in range(0, len(views), _BATCH)]
    features = [np.zeros((0, FEATURES), np.float32), *(part[0] for part in parts)]
    probabilities = [np.zeros((0, CLASSES), np.float32), *(part[1] for part in parts)]
    return Recognised(np.concatenate(probabilities), np.concatenate(features))


def _run(views: Sequence[Image.Image]) -> tuple[_Floats, _Floats]:
    levels = np.stack([np.asarray(each, np.float32) for each in views])
    inputs = ((levels - _MEAN) / _RANGE).transpose(0, 3, 1, 2)
    session = _session()
    try:
        features, probabilities = session.run(None, {"views": np.ascontiguousarray(inputs)})
    except MemoryError:
        raise
    except Exception as error:  # onnxruntime has errors of its own
        raise MissingExtra(
            f"{_FEATURE} with 'onnxruntime' failed: {type(error).__name__}: {error}"
        ) from error
    return features, probabilities


@cache
def _session() -> Any:
    """The network of this process.

    Raises:
        MissingExtra: The weights, onnx or onnxruntime are not installed, damaged, or fail.
    """
    onnx = require("onnx", extra="offline", feature=_FEATURE)
    runtime = require("onnxruntime", extra="offline", feature=_FEATURE)
    try:
        (path,) = EFFICIENTNET_LITE2.find()
        graph = _Network(read_state_dict(path.read_bytes()), onnx).model()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = model_threads()
        options.log_severity_level = 4
        return runtime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except (MissingExtra, MemoryError):
        raise
    except CheckpointError as error:
        raise MissingExtra(f"{_FEATURE} needs other weights: {error}") from error
    except Exception as error:  # onnx and onnxruntime have errors of their own
        raise MissingExtra(
            f"{_FEATURE} needs releases of 'onnx' and 'onnxruntime' that mm_rag knows; with the "
            f"installed ones the network could not be started ({error})."
        ) from error


class _SessionOfParent:
    """Drops the network in a forked child, which lacks its threads."""

    def after_fork(self) -> None:
        """Forget the network without closing it."""
        if _session.cache_info().currsize:
            leak(_session())
            _session.cache_clear()


_session_of_parent = _SessionOfParent()
renew_after_fork(_session_of_parent)


@dataclass(frozen=True)
class _Stage:
    """Blocks of one stage: how many, their kernel, and the stride of the first of them."""

    blocks: int
    kernel: int
    stride: int


# EfficientNet's seven stages, with 1, 2, 2, 3, 3, 4 and 1 blocks, at depth 1.2.
_STAGES = (
    _Stage(1, 3, 1),
    _Stage(3, 3, 2),
    _Stage(3, 5, 2),
    _Stage(4, 3, 2),
    _Stage(4, 5, 1),
    _Stage(5, 5, 2),
    _Stage(1, 3, 1),
)
_EPSILON = 1e-3  # of batch normalisation


class _Network:
    """Builds the ONNX graph. Widths are those of the weights.

    Args:
        weights: The published state_dict.
        onnx: The package.
    """

    def __init__(self, weights: Tensors, onnx: Any) -> None:
        self._weights, self._onnx = weights, onnx
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def model(self) -> Any:
        """The model: from `views` to `features` and `probabilities`."""
        helper, floats = self._onnx.helper, self._onnx.TensorProto.FLOAT
        self._layers()
        graph = helper.make_graph(
            self._nodes,
            "EfficientNet-Lite2",
            [helper.make_tensor_value_info("views", floats, ["n", 3, SIDE, SIDE])],
            [
                helper.make_tensor_value_info("features", floats, ["n", FEATURES]),
                helper.make_tensor_value_info("probabilities", floats, ["n", CLASSES]),
            ],
            self._constants,
        )
        # Every onnxruntime of the range in pyproject.toml runs these versions.
        versions = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=versions, ir_version=8)

    def _layers(self) -> None:
        seen = self._convolution("views", "_conv_stem", "_bn0", stride=2)
        number = 0
        for stage in _STAGES:
            for first in (True, *[False] * (stage.blocks - 1)):
                seen = self._block(seen, f"_blocks.{number}", stage, first=first)
                number += 1
        seen = self._convolution(seen, "_conv_head", "_bn1")
        self._node("Flatten", [self._node("GlobalAveragePool", [seen])], to="features", axis=1)
        classes = [self._constant("_fc.weight"), self._constant("_fc.bias")]
        scores = self._node("Gemm", ["features", *classes], transB=1)
        self._node("Softmax", [scores], to="probabilities", axis=1)

    def _block(self, seen: str, name: str, stage: _Stage, *, first: bool) -> str:
        """A block: widen, look around, and narrow again. Equal sizes are added to the input."""
        wide = seen
        if f"{name}._expand_conv.weight" in self._weights:
            wide = self._convolution(seen, f"{name}._expand_conv", f"{name}._bn0")
        around = self._convolution(
            wide,
            f"{name}._depthwise_conv",
            f"{name}._bn1",
            kernel=stage.kernel,
            stride=stage.stride if first else 1,
            by_channel=True,
        )
        narrow = self._convolution(around, f"{name}._project_conv", f"{name}._bn2", is_linear=True)
        return narrow if first else self._node("Add", [narrow, seen])

    def _convolution(
        self,
        seen: str,
        name: str,
        norm: str,
        *,
        kernel: int | None = None,
        stride: int = 1,
        by_channel: bool = False,
        is_linear: bool = False,
    ) -> str:
        """A convolution with the batch normalisation after it, and ReLU6 unless `is_linear`."""
        kernels, norms = self._weights[f"{name}.weight"], self._norm(norm)
        if kernel not in (None, kernels.shape[-1]):
            raise CheckpointError(f"{name} has kernels of {kernels.shape[-1]} pixels.")
        scale = norms["weight"] / np.sqrt(norms["running_var"] + _EPSILON)
        shift = norms["bias"] - norms["running_mean"] * scale
        found = self._node(
            "Conv",
            [
                seen,
                self._constant(f"{name}.weight", kernels * scale[:, None, None, None]),
                self._constant(f"{name}.bias", shift),
            ],
            strides=[stride, stride],
            group=len(kernels) if by_channel else 1,
            auto_pad="SAME_UPPER",  # as TensorFlow pads: more on the right and below
        )
        if is_linear:
            return found
        bounds = [self._constant("zero", np.float32(0)), self._constant("six", np.float32(6))]
        return self._node("Clip", [found, *bounds])

    def _norm(self, name: str) -> Tensors:
        parts = ("weight", "bias", "running_mean", "running_var")
        return {part: self._weights[f"{name}.{part}"] for part in parts}

    def _constant(self, name: str, value: Any = None) -> str:
        """Add a tensor, once; by default the weight of that name."""
        if all(known.name != name for known in self._constants):
            values = np.asarray(self._weights[name] if value is None else value, np.float32)
            self._constants.append(self._onnx.numpy_helper.from_array(values, name))
        return name

    def _node(self, kind: str, inputs: list[str], to: str = "", **settings: Any) -> str:
        """Add a node and return the name of its output."""
        name = to or f"{kind}{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [name], **settings))
        return name
