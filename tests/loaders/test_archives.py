from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mm_rag import MediaPolicy
from mm_rag_loaders import LoadedFile, LoadOptions, load_file

MIB = 1024**2


def read(path: Path, options: LoadOptions) -> LoadedFile:
    found = load_file(path, options)
    assert (found.state, found.kind) == ("loaded", "archive"), found.reason
    return found


def texts(found: LoadedFile) -> dict[str | None, str]:
    return {segment.member: segment.text for segment in found.segments}


def notes(found: LoadedFile) -> list[tuple[str, str]]:
    return [(note.kind, note.text) for note in found.notes]


def a_zip(path: Path, files: Mapping[str, str], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with what folders have."""
    folder = tmp_path / "tree"
    (folder / "minutes/März").mkdir(parents=True)
    (folder / "minutes/a.txt").write_text("the harbour wall")
    (folder / "minutes/März/größe.txt").write_text("two metres")
    (folder / ".hidden").write_text("secret")
    (folder / ".DS_Store").write_text("x")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX/._a.txt").write_text("x")
    (folder / "z_link.txt").symlink_to("minutes/a.txt")
    return folder


TREE = {"minutes/a.txt": "the harbour wall", "minutes/März/größe.txt": "two metres"}
LEFT_OUT = [
    ("hidden", ".hidden was not read: hidden files are left out"),
    ("unsupported", "z_link.txt was not read: links are not followed"),
]


@pytest.mark.parametrize("mode", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz", "tar.zst"])
def test_an_archive_of_tar_is_its_files(
    tmp_path: Path, tree: Path, options: LoadOptions, mode: str
) -> None:
    if mode == "tar.zst" and shutil.which("zstd") is None:
        pytest.skip("zstd compresses it")
    path = tmp_path / f"a.{mode}"
    subprocess.run(["tar", "--auto-compress", "-cf", path, "-C", tree, "."], check=True)
    found = read(path, options)
    assert texts(found) == TREE
    assert sorted(notes(found)) == LEFT_OUT
    assert {segment.label for segment in found.segments} == {
        f"a.{mode}/minutes/a.txt",
        f"a.{mode}/minutes/März/größe.txt",
    }


@pytest.mark.skipif(shutil.which("zip") is None, reason="zip makes the archive")
def test_an_archive_of_zip_is_its_files(tmp_path: Path, tree: Path, options: LoadOptions) -> None:
    path = tmp_path / "a.zip"
    subprocess.run(["zip", "-qry", path, "."], cwd=tree, check=True)
    found = read(path, options)
    assert texts(found) == TREE
    assert sorted(notes(found)) == LEFT_OUT


def test_files_of_every_kind_are_read_in_order_and_nested(
    tmp_path: Path, options: LoadOptions
) -> None:
    inner = a_zip(tmp_path / "inner.zip", {"deep.txt": "deep words"})
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("b.txt", "second letter")
        archive.writestr("mails/a.eml", "From: Ada <a@example.org>\nSubject: Hi\n\nmail words\n")
        archive.write(inner, "c/inner.zip")
        archive.writestr("program.exe", b"MZ\x90\0\3\0\0\0" + b"\0" * 200)
    found = read(tmp_path / "a.zip", options)
    assert [(each.member, each.text.splitlines()[-1]) for each in found.segments] == [
        ("b.txt", "second letter"),
        ("mails/a.eml", "mail words"),
        ("c/inner.zip/deep.txt", "deep words"),
    ]
    [(kind, text)] = notes(found)
    assert kind == "unsupported"
    assert text.startswith("program.exe was not read")


@pytest.mark.parametrize(
    ("suffix", "compress"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_a_compressed_file_is_that_file(
    tmp_path: Path, options: LoadOptions, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"notes.txt.{suffix}"
    path.write_bytes(compress(b"the harbour ") + compress(b"wall"))
    assert texts(read(path, options)) == {"notes.txt": "the harbour wall"}


def test_a_gzip_file_says_the_name_of_its_file(tmp_path: Path, options: LoadOptions) -> None:
    data = io.BytesIO()
    with gzip.GzipFile("minutes.txt", "wb", fileobj=data) as file:
        file.write(b"words")
    (tmp_path / "download.gz").write_bytes(data.getvalue())
    assert texts(read(tmp_path / "download.gz", options)) == {"minutes.txt": "words"}


@pytest.mark.parametrize(
    ("codec", "names"),
    [
        ("cp437", ["Größe.txt", "Übersicht März.txt"]),
        ("cp850", ["résumé été.txt", "Straße.txt"]),
        ("utf-8", ["Größe.txt"]),
        ("cp932", ["報告書.txt", "テスト資料.txt"]),
        ("gb18030", ["会议纪要.txt", "报告.txt"]),
        ("big5", ["會議記錄.txt", "報告.txt"]),
        ("cp949", ["회의록.txt", "보고서.txt"]),
        ("cp866", ["Отчёт.txt", "Протокол собрания.txt"]),
    ],
)
def test_names_in_the_code_page_of_their_system_are_decoded(
    tmp_path: Path, options: LoadOptions, codec: str, names: list[str]
) -> None:
    placeholders = ["x" * len(name.encode(codec)) for name in names]
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for number, placeholder in enumerate(placeholders):
            archive.writestr(f"{number}{placeholder}", f"text {number}")
    made = data.getvalue()
    for number, (name, placeholder) in enumerate(zip(names, placeholders, strict=True)):
        made = made.replace(
            f"{number}{placeholder}".encode(), str(number).encode() + name.encode(codec)
        )
    (tmp_path / "a.zip").write_bytes(made)
    assert list(texts(read(tmp_path / "a.zip", options))) == [
        f"{number}{name}" for number, name in enumerate(names)
    ]


def test_names_that_lead_out_of_the_archive_are_made_safe(
    tmp_path: Path, options: LoadOptions
) -> None:
    path = a_zip(
        tmp_path / "a.zip",
        {
            "../../etc/x.txt": "up",
            "/abs/y.txt": "root",
            "C:\\win\\z.txt": "drive",
            "esc\x1b[2J.txt": "escape",
            "..": "dots",
            f"{'n' * 3000}.txt": "long",
        },
    )
    found = texts(read(path, options))
    assert list(found)[:-1] == ["etc/x.txt", "abs/y.txt", "win/z.txt", "esc_[2J.txt", "unnamed"]
    assert found[max(found, key=lambda name: len(name or ""))] == "long"
    assert not (tmp_path.parent / "etc").exists()


def test_files_with_one_name_are_told_apart(tmp_path: Path, options: LoadOptions) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for text in (b"one", b"two"):
            header = tarfile.TarInfo("a.txt")
            header.size = 3
            archive.addfile(header, io.BytesIO(text))
    assert texts(read(tmp_path / "a.tar", options)) == {"a.txt": "one", "a (2).txt": "two"}


@pytest.mark.skipif(shutil.which("zip") is None, reason="zip locks the archive")
def test_locked_files_are_noted_or_unlocked(tmp_path: Path, options: LoadOptions) -> None:
    (tmp_path / "a.txt").write_text("locked words")
    subprocess.run(["zip", "-qP", "geheim", "a.zip", "a.txt"], cwd=tmp_path, check=True)
    found = read(tmp_path / "a.zip", options)
    assert notes(found) == [
        ("unsupported", "a.txt was not read: locked with a password (LoadOptions.password)")
    ]
    opened = LoadOptions(assets=options.assets, password="geheim")
    assert texts(read(tmp_path / "a.zip", opened)) == {"a.txt": "locked words"}
    wrong = LoadOptions(assets=options.assets, password="falsch")
    [(_, text)] = notes(read(tmp_path / "a.zip", wrong))
    assert text == "a.txt was not read: locked with another password than LoadOptions.password"


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_of_a_cut_archive_what_came_before_is_read(
    tmp_path: Path, options: LoadOptions, name: str
) -> None:
    words = "the harbour wall " * 8_000 + os.urandom(100_000).hex()
    (tmp_path / "first.txt").write_text("first words")
    (tmp_path / "second.txt").write_text(words)
    path = tmp_path / name
    if name == "a.zip":
        a_zip(path, {"first.txt": "first words", "second.txt": words})
    else:
        command = ["tar", "--auto-compress", "-cf", path, "first.txt", "second.txt"]
        subprocess.run(command, cwd=tmp_path, check=True)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 9 // 10])
    found = read(path, options)
    assert texts(found)["first.txt"] == "first words"
    assert "second.txt" in texts(found)
    assert ("damaged", "second.txt was read only in part: damaged") in notes(found)


def test_a_file_with_a_wrong_checksum_is_read_with_a_note(
    tmp_path: Path, options: LoadOptions
) -> None:
    path = a_zip(tmp_path / "a.zip", {"a.txt": "good words"}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"good", b"food"))
    found = read(path, options)
    assert texts(found) == {"a.txt": "food words"}
    assert notes(found) == [("damaged", "a.txt was read only in part: damaged")]


def test_after_a_damaged_header_the_next_files_are_found(
    tmp_path: Path, options: LoadOptions
) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("one.txt", "two.txt", "three.txt"):
            header = tarfile.TarInfo(name)
            header.size = 5
            archive.addfile(header, io.BytesIO(b"words"))
    data = path.read_bytes()
    at = data.index(b"two.txt")
    path.write_bytes(data[:at] + b"\xff" * 200 + data[at + 200 :])
    found = read(path, options)
    assert list(texts(found)) == ["one.txt", "three.txt"]
    assert notes(found) == [("damaged", "the archive is damaged: files in it may be missing")]


def zeros(mib: int) -> io.BufferedIOBase:
    class Zeros(io.RawIOBase):
        left = mib * MIB

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
            count = min(len(buffer), self.left)
            buffer[:count] = bytes(count)
            self.left -= count
            return count

    return io.BufferedReader(Zeros(), MIB)


@pytest.mark.slow
def test_bombs_are_not_unpacked(tmp_path: Path, options: LoadOptions) -> None:
    bomb = "bomb.bin was not read: over 250 times as large when unpacked"
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ok.txt", "fine")
        with archive.open("bomb.bin", "w") as file:
            shutil.copyfileobj(zeros(300), file, MIB)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for name, size in (("ok.txt", 0), ("bomb.bin", 300)):
            header = tarfile.TarInfo(name)
            header.size = size * MIB or 4
            archive.addfile(header, zeros(size) if size else io.BytesIO(b"fine"))
    with gzip.open(tmp_path / "bomb.bin.gz", "wb") as file:
        shutil.copyfileobj(zeros(300), file, MIB)
    for name in ("a.zip", "a.tar.gz"):
        found = read(tmp_path / name, options)
        assert texts(found) == {"ok.txt": "fine"}
        assert ("limit", bomb) in notes(found)
    assert notes(read(tmp_path / "bomb.bin.gz", options)) == [("limit", bomb)]


def test_files_that_overlap_are_not_unpacked(tmp_path: Path, options: LoadOptions) -> None:
    path = a_zip(tmp_path / "a.zip", {"aa.txt": "words", "bb.txt": "words"})
    data = bytearray(path.read_bytes())
    second = data.index(b"PK\1\2", data.index(b"PK\1\2") + 4)
    data[second + 42 : second + 46] = (0).to_bytes(4, "little")  # where the first begins
    path.write_bytes(data)
    found = read(path, options)
    assert len(found.segments) <= 1
    assert (
        "limit",
        "aa.txt was not read: they overlap each other, as in a decompression bomb",
    ) in (notes(found))


def test_a_size_that_is_a_lie_is_a_note(tmp_path: Path, options: LoadOptions) -> None:
    header = tarfile.TarInfo("a.txt")
    header.size = 10**13
    (tmp_path / "a.tar").write_bytes(header.tobuf() + b"some words")
    found = read(tmp_path / "a.tar", options)
    assert (
        "limit",
        "a.txt was not read: over 4,294,967,296 bytes when unpacked (MediaPolicy.max_bytes)",
    ) in (notes(found))


def test_headers_of_gigabytes_are_not_read(tmp_path: Path, options: LoadOptions) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 500 * MIB
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(header.tobuf(tarfile.USTAR_FORMAT) + b"0" * MIB)
    found = read(tmp_path / "a.tar.gz", options)
    [(kind, text)] = notes(found)
    assert (kind, "a header of 524,288,000 bytes" in text) == ("damaged", True)


def test_limits_of_the_policy_are_noted(tmp_path: Path, options: LoadOptions) -> None:
    path = a_zip(tmp_path / "a.zip", {f"{n}.txt": f"text {n}" for n in range(5)})
    few = LoadOptions(assets=options.assets, policy=MediaPolicy(max_members=2))
    found = read(path, few)
    assert list(texts(found)) == ["0.txt", "1.txt"]
    [(kind, text)] = notes(found)
    assert (kind, "MediaPolicy.max_members" in text) == ("limit", True)


@pytest.mark.parametrize(
    ("member", "name"),
    [
        ("META-INF/MANIFEST.MF", "a.jar"),
        ("AndroidManifest.xml", "a.apk"),
        ("mm-1.dist-info/WHEEL", "a.whl"),
    ],
)
def test_programs_are_no_archives(
    tmp_path: Path, options: LoadOptions, member: str, name: str
) -> None:
    path = a_zip(tmp_path / name, {member: "Version: 1", "a/b.class": "x"})
    found = load_file(path, options)
    assert found.state == "unsupported"
    assert "a package of a program" in found.reason


def test_nothing_temporary_is_left(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    read(a_zip(tmp_path / "a.zip", {"a.txt": "one", "b.txt": "two"}), options)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_many_files_of_one_fault_are_one_note(tmp_path: Path, options: LoadOptions) -> None:
    path = a_zip(tmp_path / "a.zip", {f"{n}.pdf": "%PDF-1.7 nonsense" for n in range(9)})
    found = notes(read(path, options))
    assert len(found) == 4
    assert found[0][1].startswith("0.pdf was not read: ")
    assert found[3][1].startswith("6 further files were not read: ")


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.xz", "a.zst"])
def test_what_is_no_archive_is_unreadable(tmp_path: Path, options: LoadOptions, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x81\xff\0\3" * 300)
    found = load_file(tmp_path / name, options)
    assert (found.state, found.reason) == ("unreadable", f"{name} is damaged, or no archive.")
