"""The network for photos: the same numbers as in PyTorch, threads, forks and damaged weights."""

from __future__ import annotations

import collections
import io
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.nn import functional as F

from mm_rag.errors import CheckpointError, MissingExtra
from mm_rag.extraction import efficientnet
from mm_rag.extraction.efficientnet import centre, recognise, view
from mm_rag.extraction.state_dict import read_state_dict
from mm_rag.packaged import EFFICIENTNET_LITE2


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME"."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - PyTorch's name
        kernel, stride = self.kernel_size[0], self.stride[0]
        pads = [
            max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in input.shape[-2:]
        ]
        high, wide = pads
        padded = F.pad(input, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        return super().forward(padded)


def norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)


class Block(nn.Module):
    def __init__(self, inner: int, outer: int, kernel: int, stride: int, widen: int) -> None:
        super().__init__()
        wide = inner * widen
        if widen > 1:
            self._expand_conv = SameConv(inner, wide, 1, bias=False)
            self._bn0 = norm(wide)
        self._depthwise_conv = SameConv(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = norm(wide)
        self._project_conv = SameConv(wide, outer, 1, bias=False)
        self._bn2 = norm(outer)
        self.widens, self.adds = widen > 1, stride == 1 and inner == outer

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        seen = F.relu6(self._bn0(self._expand_conv(given))) if self.widens else given
        seen = F.relu6(self._bn1(self._depthwise_conv(seen)))
        seen = self._bn2(self._project_conv(seen))
        return seen + given if self.adds else seen


class Network(nn.Module):
    """EfficientNet-Lite2: blocks, kernel, stride, widening and width of each stage."""

    STAGES = (
        *((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80)),
        *((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
    )

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = SameConv(3, 32, 3, 2, bias=False), norm(32)
        blocks: list[Block] = []
        inner = 32
        for at, (count, kernel, stride, widen, width) in enumerate(self.STAGES):
            outer = int(width * 1.1 + 4) // 8 * 8
            many = count if at in (0, 6) else -int(-count * 1.2 // 1)
            for number in range(many):
                blocks.append(Block(inner, outer, kernel, stride if number == 0 else 1, widen))
                inner = outer
        self._blocks = nn.Sequential(*blocks)
        self._conv_head, self._bn1 = SameConv(inner, 1280, 1, bias=False), norm(1280)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen = self._blocks(F.relu6(self._bn0(self._conv_stem(views))))
        features = F.relu6(self._bn1(self._conv_head(seen))).mean((2, 3))
        return features, self._fc(features).softmax(1)


def drawn(seed: int) -> Image.Image:
    """A picture of coloured shapes on noise."""
    random = np.random.default_rng(seed)
    picture = Image.fromarray(random.integers(0, 255, (300, 400, 3), np.uint8)).resize((400, 300))
    draw = ImageDraw.Draw(picture)
    for _ in range(12):
        left, top, wide, high = random.integers(0, 200, 4)
        colour = tuple(random.integers(0, 255, 3).tolist())
        draw.ellipse((left, top, left + wide, top + high), fill=colour)
    return picture


def weights() -> bytes:
    return EFFICIENTNET_LITE2.find()[0].read_bytes()


@pytest.mark.slow
def test_the_numbers_are_those_of_the_published_network_in_pytorch() -> None:
    network = Network().eval()
    tensors = {
        name: torch.from_numpy(np.array(t)) for name, t in read_state_dict(weights()).items()
    }
    network.load_state_dict(tensors)
    views = [view(drawn(seed)) for seed in range(3)]
    inputs = torch.from_numpy((np.stack([np.asarray(v, np.float32) for v in views]) - 127) / 128)
    with torch.inference_mode():
        features, probabilities = network(inputs.permute(0, 3, 1, 2))
    found = recognise(views)
    np.testing.assert_allclose(found.features, features.numpy(), atol=1e-4)
    np.testing.assert_allclose(found.probabilities, probabilities.numpy(), atol=1e-4)
    assert found.features.shape == (3, 1280)
    assert found.probabilities.shape == (3, 1000)


def test_the_tensors_are_those_that_pytorch_reads() -> None:
    read = read_state_dict(weights())
    expected = torch.load(EFFICIENTNET_LITE2.find()[0], weights_only=True)
    assert list(read) == list(expected)
    assert all(np.array_equal(read[name], tensor.numpy()) for name, tensor in expected.items())


def test_views_are_independent_of_their_batch() -> None:
    views = [view(drawn(seed)) for seed in range(10)]
    together, alone = recognise(views), recognise(views[9:])
    np.testing.assert_allclose(together.features[9], alone.features[0], atol=1e-4)
    assert recognise([]).probabilities.shape == (0, 1000)


def test_the_middle_is_seen_without_a_margin() -> None:
    assert centre((584, 292)) == (162, 16, 422, 276)
    picture = Image.new("RGB", (584, 292), "red")
    picture.paste("blue", (162, 16, 422, 276))
    assert view(picture).getcolors() == [(260 * 260, (0, 0, 255))]


@pytest.mark.parametrize(
    ("mode", "size"),
    [("RGB", (1, 1)), ("L", (3, 2000)), ("P", (40, 30)), ("1", (16, 16)), ("CMYK", (90, 20))],
)
def test_pictures_of_any_size_and_mode_are_seen(mode: str, size: tuple[int, int]) -> None:
    seen = recognise([view(Image.new(mode, size))])
    assert np.isfinite(seen.features).all()
    assert seen.probabilities.sum() == pytest.approx(1.0, abs=1e-4)


def features_of(seen: Image.Image) -> npt.NDArray[np.float32]:
    return recognise([seen]).features


def test_several_threads_see_the_same() -> None:
    views = [view(drawn(seed)) for seed in range(4)]
    expected = [features_of(each) for each in views]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(features_of, views))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


FORKS = """
import os, sys
from PIL import Image
from mm_rag.extraction.efficientnet import recognise, view
views = [view(Image.new("RGB", (300, 300), "orange"))]
before = recognise(views).features
child = os.fork()
if child == 0:
    os._exit(0 if abs(recognise(views).features - before).max() < 1e-4 else 1)
_, status = os.waitpid(child, 0)
assert "torch" not in sys.modules
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
def test_a_forked_process_sees_the_same() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", FORKS], check=True, timeout=60, env=environment)


@pytest.fixture
def anew() -> Iterator[None]:
    """Start the network anew, before and after."""
    efficientnet._session.cache_clear()  # pyright: ignore[reportPrivateUsage]
    yield
    efficientnet._session.cache_clear()  # pyright: ignore[reportPrivateUsage]


class Installed:
    """A distribution in a folder."""

    def __init__(self, folder: Path, version: str) -> None:
        self.folder, self.version = folder, version

    def locate_file(self, path: str) -> Path:
        return self.folder / path


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, version: str) -> None:
    """Have the weights lie in a folder."""
    (file,) = EFFICIENTNET_LITE2.files
    path = folder / file.path
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    real = metadata.distribution

    def distribution(name: str) -> Installed | metadata.Distribution:
        return Installed(folder, version) if name == file.package else real(name)

    monkeypatch.setattr(metadata, "distribution", distribution)


@pytest.mark.usefixtures("anew")
def test_damaged_weights_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(weights())
    data[12_000_000] ^= 1
    installed(tmp_path, monkeypatch, bytes(data), "0.1.0")
    with pytest.raises(MissingExtra, match=r"^Recognising what photos show .*damaged or changed"):
        recognise([view(drawn(0))])


@pytest.mark.usefixtures("anew")
def test_weights_of_another_version_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, monkeypatch, b"other", "0.2.0")
    with pytest.raises(MissingExtra, match=r"is installed in version 0\.2\.0"):
        recognise([view(drawn(0))])


def pickled(*parts: object) -> bytes:
    return b"".join(pickle.dumps(part, 2) for part in parts)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return subprocess.getoutput, ("echo harm",)  # "commands" in pickles for Python 2


def test_files_that_are_no_plain_weights_are_refused() -> None:
    magic, sizes = 0x1950A86A20F9469CFC6C, {"little_endian": True}
    evil = pickled(magic, 1001, sizes, {"weight": Evil()}, [])
    with pytest.raises(CheckpointError, match=r"it names commands\.getoutput$"):
        read_state_dict(evil)
    for other in (
        b"",
        b"PK\x03\x04",
        pickled(1, 2, 3, {}, []),
        pickled(magic, 1001, sizes, [1], []),
    ):
        with pytest.raises(CheckpointError, match="not a plain state_dict"):
            read_state_dict(other)
    assert read_state_dict(pickled(magic, 1001, sizes, collections.OrderedDict(), [])) == {}


def saved(tensor: torch.Tensor) -> bytes:
    file = io.BytesIO()
    torch.save({"weight": tensor}, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def test_views_of_tensors_are_read_in_their_order() -> None:
    tensor = torch.arange(12.0).reshape(3, 4)
    for each in (tensor, tensor.T, tensor[1:, ::2], torch.tensor(7), torch.zeros(0)):
        assert np.array_equal(read_state_dict(saved(each))["weight"], each.numpy())


def test_files_that_were_cut_off_or_hold_other_numbers_are_refused() -> None:
    data = saved(torch.arange(12.0))
    for wrong in (data[:-1], data[:-60], saved(torch.zeros(2, dtype=torch.float16))):
        with pytest.raises(CheckpointError, match="not a plain state_dict"):
            read_state_dict(wrong)
