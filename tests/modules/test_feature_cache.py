"""The cache of vision features: what it keeps, how long, and where."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mm_rag.errors import InputError
from mm_rag.rerankers.feature_cache import FeatureCache, VisionFeatures

TOKENS, DIM = 8, 16
GRID = 24  # bytes of a grid: three int64
PAGE = GRID + TOKENS * DIM * 4 * 2  # bytes of a page with one level in float32


def key(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def page(
    number: int = 0, *, tokens: int = TOKENS, levels: int = 1, dtype: torch.dtype = torch.float32
) -> VisionFeatures:
    random = torch.Generator().manual_seed(number)
    made = [torch.randn(tokens, DIM, generator=random).to(dtype) for _ in range(1 + levels)]
    grid = torch.tensor([[1, 4, 8 + number]])
    text = f"<|vision_start|>{number} é<|vision_end|>"
    return VisionFeatures(placeholder=text, grid=grid, features=made[0], deepstack=tuple(made[1:]))


def cache(pages: float = 4, folder: Path | None = None, *, disk_pages: float = 100) -> FeatureCache:
    # A file has a header of up to 500 bytes beside the page.
    disk = int(disk_pages * (PAGE + 500))
    return FeatureCache(int(pages * PAGE), folder=folder, max_disk_bytes=disk, min_tokens=1)


def same(found: VisionFeatures | None, expected: VisionFeatures) -> None:
    assert found is not None
    assert found.placeholder == expected.placeholder
    assert len(found.deepstack) == len(expected.deepstack)
    pairs = [(found.grid, expected.grid), (found.features, expected.features)]
    for mine, theirs in [*pairs, *zip(found.deepstack, expected.deepstack, strict=True)]:
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


def held(kept: FeatureCache, count: int) -> list[int]:
    return [number for number in range(count) if kept.get(key(number)) is not None]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("levels", [0, 3, 12])
@pytest.mark.parametrize("on_disk", [False, True])
def test_what_was_put_is_got(
    tmp_path: Path, dtype: torch.dtype, levels: int, on_disk: bool
) -> None:
    seen = page(levels=levels, dtype=dtype)
    kept = cache(20, tmp_path)
    kept.put(key(0), seen)

    same((cache(20, tmp_path) if on_disk else kept).get(key(0)), seen)
    assert kept.get(key(1)) is None


def test_the_memory_of_a_page_is_what_the_docs_say() -> None:
    whole = torch.zeros(1280, 2048, dtype=torch.bfloat16)
    seen = VisionFeatures(
        placeholder="", grid=torch.ones(1, 3).long(), features=whole, deepstack=(whole,) * 3
    )

    assert seen.nbytes == 1280 * 2048 * (1 + 3) * 2 + GRID
    assert round(seen.nbytes / 1e6) == 21


def test_the_longest_unused_page_falls_out() -> None:
    kept = cache(2)
    for number in (0, 1):
        kept.put(key(number), page(number))
    kept.get(key(0))
    kept.put(key(2), page(2))

    assert (held(kept, 3), len(kept), kept.nbytes) == ([0, 2], 2, 2 * PAGE)


def test_a_page_put_twice_counts_once() -> None:
    kept = cache(2)
    for number in (0, 1):
        kept.put(key(0), page(number))

    assert (len(kept), kept.nbytes) == (1, PAGE)
    same(kept.get(key(0)), page(1))


def test_small_and_huge_media_are_not_kept(tmp_path: Path) -> None:
    kept = FeatureCache(PAGE, folder=tmp_path, min_tokens=TOKENS)
    kept.put(key("small"), page(tokens=TOKENS - 1))
    kept.put(key("huge"), page(tokens=TOKENS + 1))
    assert (len(kept), kept.nbytes, files(tmp_path)) == (0, 0, [])

    kept.put(key("fits"), page())
    assert len(kept) == 1


def test_zero_bytes_turn_it_off(tmp_path: Path) -> None:
    cache(4, tmp_path).put(key(0), page())
    off = FeatureCache(0, folder=tmp_path, min_tokens=0)
    off.put(key(1), page(1))

    assert held(off, 2) == []
    assert files(tmp_path) == [f"{key(0)}.safetensors"]


def test_what_is_kept_is_a_copy_of_just_the_page() -> None:
    batch = torch.randn(1000, DIM, requires_grad=True)
    rows = batch[10 : 10 + TOKENS]
    seen = VisionFeatures(
        placeholder="", grid=torch.ones(1, 3).long(), features=rows, deepstack=(rows,)
    )
    expected = rows.detach().clone()
    kept = cache()
    kept.put(key(0), seen)
    with torch.no_grad():
        batch.zero_()

    found = kept.get(key(0))
    assert found is not None
    assert not found.features.requires_grad
    for tensor in (found.features, *found.deepstack):
        torch.testing.assert_close(tensor, expected, rtol=0, atol=0)
        assert tensor.untyped_storage().nbytes() == tensor.nbytes


def test_tensors_that_are_not_contiguous(tmp_path: Path) -> None:
    turned = page().features.T.contiguous().T
    seen = VisionFeatures(placeholder="", grid=torch.ones(1, 3).long(), features=turned)
    cache(4, tmp_path).put(key(0), seen)

    same(cache(4, tmp_path).get(key(0)), seen)


def test_what_falls_out_of_ram_is_found_on_disk(tmp_path: Path) -> None:
    kept = cache(1, tmp_path)
    for number in range(3):
        kept.put(key(number), page(number))
    assert (len(kept), kept.nbytes) == (1, PAGE)

    for number in range(3):
        same(kept.get(key(number)), page(number))
    assert (len(kept), kept.nbytes) == (1, PAGE)


def test_a_page_that_outlived_its_file_is_written_when_it_falls_out(tmp_path: Path) -> None:
    kept = cache(1, tmp_path)
    kept.put(key(0), page(0))
    (tmp_path / f"{key(0)}.safetensors").unlink()
    kept.put(key(1), page(1))

    same(kept.get(key(0)), page(0))


def test_the_longest_unused_file_makes_room(tmp_path: Path) -> None:
    for number in range(3):
        cache(1, tmp_path, disk_pages=3).put(key(number), page(number))
    later = cache(1, tmp_path, disk_pages=3)
    same(later.get(key(0)), page(0))
    later.put(key(3), page(3))

    assert later.disk_bytes <= 3 * (PAGE + 500)
    assert held(cache(4, tmp_path), 4) == [0, 2, 3]


def test_files_of_earlier_runs_are_counted_and_bounded(tmp_path: Path) -> None:
    for number in range(4):
        cache(1, tmp_path).put(key(number), page(number))
    smaller = cache(1, tmp_path, disk_pages=2)

    assert 2 * PAGE < smaller.disk_bytes <= 2 * (PAGE + 500)
    assert held(smaller, 4) == [2, 3]


def test_a_page_larger_than_the_folders_bound_pushes_nothing_out(tmp_path: Path) -> None:
    kept = cache(20, tmp_path, disk_pages=2)
    kept.put(key(0), page(0))
    kept.put(key(1), page(1, levels=10))

    assert files(tmp_path) == [f"{key(0)}.safetensors"]
    assert held(kept, 2) == [0, 1]


@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "other tensors", "other shapes"])
def test_a_damaged_file_counts_as_absent_and_is_removed(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    kept = cache(1, tmp_path)
    kept.put(key(0), page(0))
    path = tmp_path / f"{key(0)}.safetensors"
    whole = path.read_bytes()
    damaged = {
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "noise": b"\xff" * len(whole),
        "other tensors": whole.replace(b'"grid"', b'"gird"'),
        "other shapes": whole.replace(b"[8,16]", b"[16,8]", 1),
    }
    assert damaged[damage] != whole
    path.write_bytes(damaged[damage])

    with caplog.at_level(logging.WARNING):
        assert cache(1, tmp_path).get(key(0)) is None
    assert "damaged" in caplog.text
    assert not path.exists()


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    names = ["notes.txt", "model.safetensors", "cafe.safetensors", "model.part"]
    for name in names:
        (tmp_path / name).write_bytes(b"x" * 10_000)
        os.utime(tmp_path / name, (0, 0))
    kept = cache(1, tmp_path, disk_pages=1)
    kept.put(key(0), page(0))
    kept.clear()

    assert files(tmp_path) == sorted(names)
    assert kept.disk_bytes == 0


def test_unfinished_files_are_removed_when_they_are_old(tmp_path: Path) -> None:
    old, new = tmp_path / f"{key(0)}-1.part", tmp_path / f"{key(1)}-2.part"
    for path in (old, new):
        path.write_bytes(b"half a page")
    two_hours_ago = time.time() - 7200
    os.utime(old, (two_hours_ago, two_hours_ago))
    cache(1, tmp_path)

    assert files(tmp_path) == [new.name]


def test_clearing_forgets_both(tmp_path: Path) -> None:
    kept = cache(1, tmp_path)
    for number in range(2):
        kept.put(key(number), page(number))
    kept.clear()

    assert (len(kept), kept.nbytes, kept.disk_bytes, held(kept, 2)) == (0, 0, 0, [])


@pytest.mark.parametrize("bad", ["", "page", "../" + "a" * 40, "A" * 64, "a" * 31, "a" * 129])
def test_a_key_that_is_no_digest(tmp_path: Path, bad: str) -> None:
    kept = cache(1, tmp_path)

    with pytest.raises(InputError, match="hex digest"):
        kept.get(bad)
    with pytest.raises(InputError, match="hex digest"):
        kept.put(bad, page())


@pytest.mark.parametrize("name", ["max_bytes", "max_disk_bytes", "min_tokens"])
def test_a_negative_size(name: str) -> None:
    sizes: dict[str, Any] = {name: -1}
    with pytest.raises(InputError, match=f"{name} is -1"):
        FeatureCache(**sizes)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made"):
        FeatureCache(folder=tmp_path / "file" / "cache")


def test_a_folder_that_went_away_costs_the_files_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = cache(4, tmp_path / "cache")
    (tmp_path / "cache").rmdir()
    with caplog.at_level(logging.WARNING):
        kept.put(key(0), page(0))

    assert "could not be written" in caplog.text
    same(kept.get(key(0)), page(0))
    assert kept.disk_bytes == 0


@pytest.mark.parametrize(
    ("features", "grid", "levels"),
    [
        (torch.zeros(4), torch.ones(1, 3), ()),
        (torch.zeros(4, 2), torch.ones(3), ()),
        (torch.zeros(4, 2), torch.ones(1, 3), (torch.zeros(4, 2), torch.zeros(3, 2))),
    ],
)
def test_shapes_that_do_not_fit(features: Tensor, grid: Tensor, levels: tuple[Tensor, ...]) -> None:
    with pytest.raises(InputError, match="shape"):
        VisionFeatures(placeholder="", grid=grid, features=features, deepstack=levels)


def test_what_is_printed(tmp_path: Path) -> None:
    kept = FeatureCache(2**20 * 5, folder=tmp_path)
    assert repr(kept) == "FeatureCache(0 pages, 0 of 5 MB in RAM, 0 MB on disk)"
    kept.put(key(0), page(tokens=2**14))
    assert repr(kept) == "FeatureCache(1 page, 2 of 5 MB in RAM, 2 MB on disk)"
    assert repr(FeatureCache()) == "FeatureCache(0 pages, 0 of 512 MB in RAM)"
    assert repr(page()) == "VisionFeatures(features=(8, 16) torch.float32, deepstack=1)"


def work(kept: FeatureCache, seed: int, failed: list[str]) -> None:
    for step in range(60):
        number = (seed * 7 + step * 3) % 6
        found = kept.get(key(number))
        if found is None:
            kept.put(key(number), page(number))
        elif not torch.equal(found.features, page(number).features):
            failed.append(f"{number} at {step}")


def test_threads_share_it(tmp_path: Path) -> None:
    kept, failed = cache(2, tmp_path, disk_pages=3), list[str]()
    threads = [threading.Thread(target=work, args=(kept, i, failed)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert kept.nbytes == len(kept) * PAGE <= 2 * PAGE


WORKER = """
import hashlib, sys, torch
from mm_rag.rerankers.feature_cache import FeatureCache, VisionFeatures
kept = FeatureCache(5000, folder=sys.argv[1], max_disk_bytes=15000, min_tokens=1)
for step in range(150):
    number = step % 7
    key = hashlib.sha256(str(number).encode()).hexdigest()
    found = kept.get(key)
    if found is None:
        features = torch.full((32, 32), float(number))
        grid = torch.ones(1, 3).long()
        kept.put(key, VisionFeatures(placeholder="x", grid=grid, features=features))
    else:
        assert found.features.shape == (32, 32) and found.features.eq(number).all()
"""


@pytest.mark.slow
def test_processes_share_a_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in running]

    assert [process.returncode for process in running] == [0, 0], said
    assert "damaged" not in "".join(said)
    assert not list(tmp_path.glob("*.part"))
