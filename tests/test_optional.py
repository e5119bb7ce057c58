"""What is missing, too old, too new or broken says which, what it is for, and how to mend it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mm_rag import _optional
from mm_rag._optional import install_command, pip_install, require, upgrade_command
from mm_rag.errors import InputError, MissingExtra
from mm_rag.media import decoding

PIP = f"{shlex.quote(sys.executable)} -m pip install"


class Site:
    """A folder of installed packages that comes before the real ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def record(self, name: str, version: str, *requires: str, origin: object = None) -> None:
        info = self.folder / f"{name}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (info / "METADATA").write_text("\n".join(lines))
        if origin:
            (info / "direct_url.json").write_text(json.dumps(origin))

    def mm_rag(self, *requires: str, origin: object = None) -> None:
        self.record("mm_rag", "9.0", *requires, origin=origin)

    def module(self, name: str, source: str = "") -> str:
        (self.folder / f"{name}.py").write_text(source)
        return name


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    _optional._packages.cache_clear()  # pyright: ignore[reportPrivateUsage]
    yield Site(folder)
    _optional._packages.cache_clear()  # pyright: ignore[reportPrivateUsage]


def refusal(module: str, extra: str = "pdf") -> str:
    with pytest.raises(MissingExtra) as caught:
        require(module, extra=extra, feature="Reading PDFs")
    return str(caught.value)


def test_what_is_there_is_returned() -> None:
    assert require("json", extra="pdf", feature="Anything").__name__ == "json"


def test_a_package_that_is_not_installed(site: Site) -> None:
    site.mm_rag("no-such-package>=2,<3; extra == 'pdf'")
    assert refusal("no_such_package") == (
        "Reading PDFs needs the package 'no-such-package', which is not installed "
        f"(No module named 'no_such_package'). Install it with: {PIP} 'mm-rag[pdf]'"
    )


def test_a_module_that_no_extra_names(site: Site) -> None:
    site.mm_rag()
    assert "'no_such_package', which is not installed" in refusal("no_such_package")


@pytest.mark.parametrize(("version", "unfit"), [("1.9", "older"), ("3.0", "newer")])
def test_another_version_that_can_be_imported(site: Site, version: str, unfit: str) -> None:
    site.mm_rag("fits-not>=2,<3; extra == 'pdf'")
    site.record("fits_not", version)
    assert refusal(site.module("fits_not")) == (
        "Reading PDFs needs the package 'fits-not' in a version that mm-rag was tested with "
        f"(>=2,<3); {version} is installed, which is {unfit}. Install it with: {PIP} 'mm-rag[pdf]'"
    )


def test_another_version_whose_import_fails_gives_the_imports_reason(site: Site) -> None:
    site.mm_rag("moved-names>=2,<3; extra == 'pdf'")
    site.record("moved_names", "1.9")
    site.module("moved_names")
    message = refusal("moved_names.server")
    assert "1.9 is installed, which is older (No module named 'moved_names.server'" in message
    assert "not installed" not in message


def test_a_version_that_fits_whatever_the_machine_is_called(site: Site) -> None:
    site.mm_rag("fits>=2,<3; extra == 'pdf'", "other>=5; extra == 'audio'", "core>=7")
    site.record("fits", "2.1rc1")
    assert require(site.module("fits"), extra="pdf", feature="Reading PDFs").__name__ == "fits"


@pytest.mark.parametrize(
    ("name", "source", "reason"),
    [
        (
            "without_screen",
            "raise ImportError('libGL.so.1: cannot open shared object file')",
            "ImportError: libGL.so.1: cannot open shared object file; "
            "OpenCV without libGL is opencv-python-headless.",
        ),
        (
            "without_ffmpeg",
            "raise RuntimeError('FFmpeg is not properly installed')",
            "RuntimeError: FFmpeg is not properly installed.",
        ),
        ("without_library", "raise OSError('libavutil.so.60')", "OSError: libavutil.so.60."),
        (
            "ages_ago",
            "import numpy; numpy.gone",
            "AttributeError: module 'numpy' has no attribute 'gone'.",
        ),
    ],
)
def test_a_package_that_is_installed_and_broken(
    site: Site, name: str, source: str, reason: str
) -> None:
    site.mm_rag(f"{name}>=2; extra == 'pdf'")
    site.record(name, "2.5")
    message = refusal(site.module(name, source))
    assert message.endswith(
        f"'{name}', which is installed in version 2.5 and cannot be imported: {reason}"
    )


def test_a_package_that_lacks_one_of_its_own(site: Site) -> None:
    site.mm_rag("lacks>=2; extra == 'pdf'")
    site.record("lacks", "2.5")
    message = refusal(site.module("lacks", "import its_own_dependency"))
    assert "'lacks', which is installed in version 2.5 and cannot be imported" in message
    assert "No module named 'its_own_dependency'" in message
    assert message.endswith(f"Install it with: {PIP} 'mm-rag[pdf]'")


def test_a_module_of_mm_rag_needs_all_of_its_extra(site: Site) -> None:
    site.mm_rag("its-sdk>=2,<3; extra == 'mcp'", "its-server>=1; extra == 'mcp'")
    site.record("its_sdk", "2.1")
    message = refusal(site.module("adapter_of_ours", "import its_server"), "mcp")
    assert "the package 'its-server', which is not installed" in message


def test_the_command_for_a_clone(site: Site) -> None:
    folder = site.folder / "a clone"
    site.mm_rag(origin={"url": folder.as_uri(), "dir_info": {"editable": True}})
    assert install_command("pdf") == f"{PIP} -e '{folder}[pdf]'"
    assert upgrade_command() == f"git -C '{folder}' pull && {PIP} -e '{folder}'"


def test_the_command_for_a_folder_that_was_copied(site: Site) -> None:
    site.mm_rag(origin={"url": site.folder.as_uri(), "dir_info": {}})
    assert install_command("pdf") == f"{PIP} '{site.folder}[pdf]'"
    assert upgrade_command() == f"{PIP} --upgrade {site.folder}"


def test_the_command_for_a_repository(site: Site) -> None:
    vcs = {"vcs": "git", "commit_id": "abc123"}
    site.mm_rag(origin={"url": "https://host/mm-rag", "vcs_info": vcs})
    assert install_command("pdf") == f"{PIP} 'mm-rag[pdf] @ git+https://host/mm-rag@abc123'"


def test_the_command_for_the_index(site: Site) -> None:
    site.mm_rag()
    assert install_command("pdf") == f"{PIP} 'mm-rag[pdf]'"
    assert upgrade_command() == f"{PIP} --upgrade mm-rag"


def test_the_command_without_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", nothing)
    expected = f"uv pip install 'mm-rag[pdf]' --python {shlex.quote(sys.executable)}"
    assert pip_install("mm-rag[pdf]") == expected


@pytest.fixture
def fresh_backend() -> Iterator[None]:
    decoding._torchcodec_fault.cache_clear()  # pyright: ignore[reportPrivateUsage]
    yield
    decoding._torchcodec_fault.cache_clear()  # pyright: ignore[reportPrivateUsage]


@pytest.mark.usefixtures("fresh_backend")
@pytest.mark.parametrize(
    "source", ["ffmpeg_major_version = None", "raise RuntimeError('Could not load libtorchcodec')"]
)
def test_torchcodec_without_ffmpeg_is_not_called_missing(
    site: Site, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setitem(sys.modules, "torchcodec", None)  # put back afterwards
    del sys.modules["torchcodec"]
    site.mm_rag("torchcodec>=0.11; extra == 'video'")
    site.record("torchcodec", "0.17.0")
    site.module("torchcodec", source)
    assert decoding.decoding_backend() == "pyav"
    with pytest.raises(InputError, match=r"FFmpeg's shared libraries|Could not load") as caught:
        decoding._chosen("torchcodec")  # pyright: ignore[reportPrivateUsage]
    assert "not installed" not in str(caught.value)
    assert "'pyav'" in str(caught.value)
