from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pymupdf
import pytest
from PIL import Image

from mm_rag.errors import MediaTooLarge, MissingExtra, PasswordNeeded, UnreadableMedia
from mm_rag.media import MediaPolicy
from mm_rag_loaders import LoadOptions, OfficeLoader, load_file
from mm_rag_loaders.office import libreoffice, sandbox
from mm_rag_loaders.outcome import Note
from tests.media.web import served
from tests.office_made import compound, docx, opendocument, pptx, xlsx

pytestmark = pytest.mark.slow

_REQUIRED = os.environ.get("MM_RAG_REQUIRE_OFFICE") == "1"
needs_office = pytest.mark.skipif(
    shutil.which("soffice") is None and not _REQUIRED, reason="LibreOffice is not installed"
)
needs_sandbox = pytest.mark.skipif(
    not sandbox.is_available(), reason="this system cannot hold LibreOffice in"
)
_FRAME = (
    '<draw:frame svg:x="1cm" svg:y="{y}cm" svg:width="4cm" svg:height="3cm">{inside}</draw:frame>'
)


def texts(path: Path, options: LoadOptions) -> list[str]:
    return [segment.text for segment in OfficeLoader(options).load(path)]


@needs_office
def test_a_word_document_gives_its_pages_under_its_own_name(
    tmp_path: Path, options: LoadOptions
) -> None:
    path = docx(tmp_path / "harbour_report.docx", "The harbour was rebuilt in 1913.", "Größe: 3 m²")
    loaded = load_file(path, options)
    assert (loaded.state, loaded.kind) == ("loaded", "office")
    page, passage = loaded.segments
    assert (page.modality, passage.modality) == ("image", "text")
    assert (page.source, page.sha256) == (str(path), loaded.sha256)
    assert (page.title, page.page) == ("harbour report", 1)
    # Not when it was made: the PDF's date is that of the conversion, another one each time.
    assert page.metadata == {"pages": 1, "converted_by": "LibreOffice"}
    assert "rebuilt in 1913." in passage.text
    assert "Größe: 3 m²" in passage.text
    with Image.open(str(page.preview)) as shot:
        assert min(shot.convert("L").tobytes()) < 64  # letters, for which a font was found


@pytest.mark.slow
@needs_office
@pytest.mark.parametrize("name", ["a.pptx", "a.xlsx", "a.odt", "a.odp", "a.ods", "a.rtf"])
def test_every_other_format_is_read(tmp_path: Path, options: LoadOptions, name: str) -> None:
    path = tmp_path / name
    frame = _FRAME.format(y=1, inside="<draw:text-box><text:p>lighthouse</text:p></draw:text-box>")
    cell = (
        '<table:table-cell office:value-type="string"><text:p>lighthouse</text:p>'
        "</table:table-cell>"
    )
    made: dict[str, Callable[[], object]] = {
        ".pptx": lambda: pptx(path, "lighthouse"),
        ".xlsx": lambda: xlsx(path, "lighthouse"),
        ".odt": lambda: opendocument(path, "text", "<text:p>lighthouse</text:p>"),
        ".odp": lambda: opendocument(path, "presentation", f"<draw:page>{frame}</draw:page>"),
        ".ods": lambda: opendocument(
            path,
            "spreadsheet",
            f'<table:table table:name="a"><table:table-row>{cell}</table:table-row></table:table>',
        ),
        ".rtf": lambda: path.write_text(r"{\rtf1\ansi lighthouse\par}"),
    }
    made[path.suffix]()
    assert "lighthouse" in texts(path, options)[0]


@pytest.mark.slow
@needs_office
@pytest.mark.parametrize(("suffix", "source"), [("doc", "odt"), ("ppt", "odp"), ("xls", "ods")])
def test_old_formats_are_read(
    tmp_path: Path, options: LoadOptions, suffix: str, source: str
) -> None:
    """LibreOffice writes them: nothing simpler does."""
    path = {
        "odt": lambda: docx(tmp_path / "a.docx", "lighthouse"),
        "odp": lambda: pptx(tmp_path / "a.pptx", "lighthouse"),
        "ods": lambda: xlsx(tmp_path / "a.xlsx", "lighthouse"),
    }[source]()
    written = converted(path, suffix, tmp_path)
    old = tmp_path / "old_file"  # its content says what it is
    written.rename(old)
    loaded = load_file(old, options)
    kind = "spreadsheet" if suffix == "xls" else "office"
    assert (loaded.state, loaded.kind) == ("loaded", kind), loaded.reason
    assert "lighthouse" in loaded.segments[0].text


def converted(path: Path, suffix: str, folder: Path) -> Path:
    profile = (folder / "profile").as_uri()
    command = ["soffice", f"-env:UserInstallation={profile}", "--headless", "--convert-to", suffix]
    subprocess.run([*command, "--outdir", str(folder), str(path)], check=True, capture_output=True)
    return folder / f"{path.stem}.{suffix}"


@needs_office
def test_slides_are_pages_and_the_limit_of_pages_holds(
    tmp_path: Path, options: LoadOptions
) -> None:
    path = pptx(tmp_path / "a.pptx", "first slide", "second slide", "third slide")
    few = replace(options, policy=MediaPolicy(max_pages=2))
    loaded = load_file(path, few)
    pages = [segment for segment in loaded.segments if segment.modality == "image"]
    assert [(page.page, page.text) for page in pages] == [(1, "first slide"), (2, "second slide")]
    limit = "only the first 2 of 3 pages were read (MediaPolicy.max_pages)"
    assert Note("limit", limit) in loaded.notes


def linked(path: Path, prefixes: list[str]) -> Path:
    """A file of the kind of its name that names pictures and files to be pulled in."""
    match path.suffix:
        case ".docx":
            images = {f"r{n}": f"{prefix}/c.png" for n, prefix in enumerate(prefixes)}
            return docx(path, "hello", images=images)
        case ".rtf":
            fields = "".join(
                r'{\field{\*\fldinst { INCLUDEPICTURE "%s/c.png" \\d }}{\fldrslt x}}'  # noqa: UP031
                r'{\field{\*\fldinst { INCLUDETEXT "%s/c.odt" }}{\fldrslt x}}' % (prefix, prefix)
                for prefix in prefixes
            )
            path.write_text(r"{\rtf1\ansi hello " + fields + r"\par}")
            return path
        case ".odt":
            body = "<text:p>hello</text:p>" + "".join(map(_in_text, prefixes))
            return opendocument(path, "text", body)
        case ".odp":
            frames = "".join(
                _FRAME.format(y=4 * n, inside=f'<draw:image xlink:href="{prefix}/c.png"/>')
                for n, prefix in enumerate(prefixes, 1)
            )
            text = _FRAME.format(
                y=1, inside="<draw:text-box><text:p>hello</text:p></draw:text-box>"
            )
            return opendocument(path, "presentation", f"<draw:page>{text}{frames}</draw:page>")
        case _:
            return opendocument(path, "spreadsheet", "".join(map(_in_sheet, prefixes)))


def _in_text(prefix: str) -> str:
    image = f'<draw:image xlink:href="{prefix}/c.png"/>'
    thing = f'<draw:object xlink:href="{prefix}/c.ods"/>'
    return (
        f"<text:p>{_FRAME.format(y=1, inside=image)}{_FRAME.format(y=9, inside=thing)}</text:p>"
        f'<text:section text:name="{prefix}"><text:section-source xlink:href="{prefix}/c.odt"/>'
        "<text:p>old</text:p></text:section>"
    )


def _in_sheet(prefix: str) -> str:
    formulas = (
        f"of:=WEBSERVICE(&quot;{prefix}/c.txt&quot;)",
        f"of:=[&apos;{prefix}/c.ods&apos;#$S.A1]",
        f"of:=INDIRECT(&quot;&apos;{prefix}/c.ods&apos;#$S.A1&quot;)",
    )
    cells = "".join(f'<table:table-cell table:formula="{formula}"/>' for formula in formulas)
    return (
        f'<table:table><table:table-source xlink:href="{prefix}/c.ods" table:table-name="S"/>'
        '<table:table-row><table:table-cell office:value-type="string"><text:p>hello</text:p>'
        f"</table:table-cell>{cells}</table:table-row></table:table>"
    )


class Outside:
    """A folder and a server with what a file must not get hold of."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        Image.effect_noise((64, 64), 90).convert("RGB").save(folder / "c.png")
        (folder / "c.txt").write_text("TOPSECRET")
        opendocument(folder / "c.odt", "text", "<text:p>TOPSECRET</text:p>")
        cell = (
            '<table:table-cell office:value-type="string"><text:p>TOPSECRET</text:p>'
            "</table:table-cell>"
        )
        row = f"<table:table-row>{cell}</table:table-row>"
        table = f'<table:table table:name="S">{row}</table:table>'
        opendocument(folder / "c.ods", "spreadsheet", table)
        self.folder = folder
        self.files = {f"/{path.name}": path.read_bytes() for path in folder.iterdir()}
        self.picture = (folder / "c.png").read_bytes()


class Requests(dict[str, bytes]):
    """Answers that remember what was asked for."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        super().__init__(answers)
        self.asked: list[str] = []

    def get(self, key: str, default: object = None) -> object:  # pyright: ignore
        self.asked.append(key)
        return super().get(key, default)  # pyright: ignore


def found_in_pdf(path: Path, folder: Path) -> tuple[str, list[tuple[int, int]]]:
    """Text of the PDF that LibreOffice makes, and the sizes of the pictures in it."""
    copy = folder / "in" / path.name
    copy.parent.mkdir(parents=True)
    shutil.copyfile(path, copy)
    pdf = libreoffice.convert(copy, folder, path.name, MediaPolicy(max_load_seconds=60))
    with pymupdf.open(pdf) as document:
        text = " ".join(str(page.get_text()) for page in document)
        images = [image[2:4] for page in document for image in page.get_images()]
    return text, images


@pytest.mark.enable_socket
@pytest.mark.slow
@needs_office
@needs_sandbox
@pytest.mark.parametrize("suffix", [".docx", ".odt", ".odp", ".ods", ".rtf"])
def test_nothing_that_a_file_links_to_gets_in(tmp_path: Path, suffix: str) -> None:
    outside = Outside(tmp_path / "outside")
    answers = Requests(outside.files)
    with served(answers) as address:
        path = linked(tmp_path / f"a{suffix}", [address, outside.folder.as_uri()])
        text, images = found_in_pdf(path, tmp_path / "work")
    assert "hello" in text
    assert answers.asked == []
    assert "TOPSECRET" not in text
    assert (64, 64) not in images


@pytest.mark.enable_socket
@pytest.mark.slow
@needs_office
def test_without_the_settings_it_would_get_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the test above can fail."""
    monkeypatch.setattr(sandbox, "is_available", lambda: False)
    monkeypatch.setattr(libreoffice, "write_profile", Path.mkdir)
    monkeypatch.setattr(libreoffice, "environment", lambda home: {"PATH": os.environ["PATH"]})  # pyright: ignore
    outside = Outside(tmp_path / "outside")
    answers = Requests(outside.files)
    with served(answers) as address:
        path = linked(tmp_path / "a.docx", [address, outside.folder.as_uri()])
        _, images = found_in_pdf(path, tmp_path / "work")
    assert "/c.png" in answers.asked
    assert (64, 64) in images


@needs_office
@needs_sandbox
def test_files_in_the_roots_are_read_and_nothing_else_of_the_machine(
    tmp_path: Path, options: LoadOptions
) -> None:
    path = docx(tmp_path / "a.docx", "lighthouse")
    policy = MediaPolicy(roots=(tmp_path,))
    assert "lighthouse" in texts(path, replace(options, policy=policy))[0]


def _files_in(folder: str) -> list[Path]:
    found = [Path(place, name) for place, _, names in os.walk(folder) for name in names]
    return [path for path in found if path.is_file()]


@needs_sandbox
def test_the_sandbox_opens_no_file_but_those_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "own.txt").write_text("own")
    (tmp_path / "private.txt").write_text("private")
    link = tmp_path / "work" / "link.txt"
    link.symlink_to(tmp_path / "private.txt")
    cat = str(shutil.which("cat"))
    folders = ("/usr/local", "/opt", "/usr/share/doc", "/usr/include", "/usr/src", "/srv", "/home")
    places = [next(iter(_files_in(folder)), None) for folder in folders]
    outside = [tmp_path / "private.txt", link, Path(__file__), Path(os.__file__), *places]
    private = [str(path) for path in (*outside, Path("/etc/passwd")) if path and os.access(path, 4)]
    for path in ("work/own.txt", *private):
        command = [cat, str(tmp_path / path)]
        held = sandbox.command(tmp_path / "work", 2**32, 60, command)
        done = subprocess.run(held, capture_output=True, start_new_session=True, check=False)
        if path == "work/own.txt":
            assert done.stdout == b"own", done.stderr
        else:
            assert done.stdout == b"", path
            assert b"denied" in done.stderr, path


@pytest.mark.slow
@needs_office
@needs_sandbox
@pytest.mark.parametrize("suffix", [".rtf", ".odp", ".docx"])
def test_pictures_of_the_system_do_not_get_in(tmp_path: Path, suffix: str) -> None:
    folders = ("/usr/share/icons", "/usr/share/pixmaps", "/usr/share/doc", "/usr/local", "/opt")
    pictures = (path for folder in folders for path in _files_in(folder) if path.suffix == ".png")
    picture = next((path for path in pictures if not _is_of_libreoffice(path)), None)
    if picture is None:
        pytest.skip("this system has no picture to link to")
    path = linked(tmp_path / f"a{suffix}", [str(picture.parent), picture.parent.as_uri()])
    if suffix == ".rtf":
        path.write_text(path.read_text().replace("/c.png", f"/{picture.name}"))
    else:
        _renamed_inside(path, "/c.png", f"/{picture.name}")
    text, images = found_in_pdf(path, tmp_path / "work")
    assert "hello" in text
    assert images == []


def _is_of_libreoffice(path: Path) -> bool:
    return "office" in str(path).lower()


def _renamed_inside(path: Path, old: str, new: str) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data.replace(old.encode(), new.encode()))


def test_where_nothing_holds_it_in_roots_are_not_left(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")  # pyright: ignore
    path = docx(tmp_path / "a.docx", "lighthouse")
    loaded = load_file(path, replace(options, policy=MediaPolicy(roots=(tmp_path,))))
    assert loaded.state == "refused"
    assert "nothing would keep LibreOffice from files outside" in loaded.reason


def test_without_libreoffice_the_report_says_what_to_install(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libreoffice, "_PROGRAMS", ("no-such-program",))
    path = tmp_path / "a.rtf"
    path.write_text(r"{\rtf1\ansi lighthouse\par}")
    loaded = load_file(path, options)
    assert loaded.state == "unreadable"  # and not "unsupported", which no sync looks at again
    assert "install libreoffice-writer" in loaded.reason
    with pytest.raises(MissingExtra, match="LibreOffice, which is not installed"):
        texts(path, options)


@pytest.fixture
def no_office(monkeypatch: pytest.MonkeyPatch) -> None:
    """LibreOffice is there, but must not be needed."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/no/such/{name}")  # pyright: ignore


@pytest.mark.usefixtures("no_office")
def test_locked_files_say_so(tmp_path: Path, options: LoadOptions) -> None:
    new = compound(tmp_path / "a.docx", "EncryptionInfo", "EncryptedPackage")
    slides = compound(tmp_path / "a.ppt", "Current User", "PowerPoint Document", "EncryptedSummary")
    free = opendocument(tmp_path / "a.odt", "text", "", locked=True)
    for path in (new, slides, free):
        with pytest.raises(PasswordNeeded, match="is locked with a password"):
            texts(path, options)


@pytest.mark.usefixtures("no_office")
def test_what_only_the_name_calls_an_office_file_is_not_converted(
    tmp_path: Path, options: LoadOptions
) -> None:
    """LibreOffice shows any bytes as a table."""
    whole = docx(tmp_path / "a.docx", "lighthouse").read_bytes()
    for name, data in {"cut.docx": whole[:-100], "noise.xls": bytes(range(256)) * 9}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UnreadableMedia, match="is damaged, or no office file"):
            texts(tmp_path / name, options)


@needs_office
def test_damage_inside_is_reported(tmp_path: Path, options: LoadOptions) -> None:
    path = opendocument(tmp_path / "a.odt", "text", "<text:p>never closed")
    loaded = load_file(path, options)
    assert loaded.state == "unreadable"
    assert "LibreOffice cannot open a.odt" in loaded.reason


@pytest.mark.usefixtures("no_office")
def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(
    tmp_path: Path, options: LoadOptions
) -> None:
    path = docx(tmp_path / "a.docx", "lighthouse" * 10_000)
    small = replace(options, policy=MediaPolicy(max_bytes=20_000))
    assert path.stat().st_size < 20_000
    with pytest.raises(MediaTooLarge, match=r"unpacks to .* bytes; MediaPolicy.max_bytes allows"):
        texts(path, small)


def test_a_pdf_named_docx_is_loaded_as_a_pdf(tmp_path: Path, options: LoadOptions) -> None:
    document = pymupdf.open()
    document.new_page().insert_text((72, 72), "lighthouse")
    document.save(tmp_path / "a.docx")
    loaded = load_file(tmp_path / "a.docx", options)
    assert (loaded.state, loaded.kind) == ("loaded", "pdf")
    assert loaded.notes == (Note("misnamed", "named .docx, but is a PDF"),)


@pytest.mark.skipif(os.name == "nt", reason="the program is a shell script")
def test_a_conversion_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, began = tmp_path / "soffice", tmp_path / "began"
    program.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {began}\nwait\n")
    program.chmod(0o755)
    monkeypatch.setattr(libreoffice, "_PROGRAMS", (str(program),))
    monkeypatch.setattr(sandbox, "is_available", lambda: False)
    path = tmp_path / "a.rtf"
    path.write_text(r"{\rtf1\ansi lighthouse\par}")
    short = replace(options, policy=MediaPolicy(max_load_seconds=0.5))
    with pytest.raises(MediaTooLarge, match=r"longer than 0.5 s \(MediaPolicy.max_load_seconds\)"):
        texts(path, short)
    assert _is_gone(int(began.read_text()))
    # The text of a newer format needs no LibreOffice.
    loaded = load_file(docx(tmp_path / "a.docx", "lighthouse"), short)
    assert [segment.text for segment in loaded.segments] == ["lighthouse"]
    assert [note.kind for note in loaded.notes] == ["limit"]


@needs_sandbox
def test_a_conversion_ends_with_the_process_that_wanted_it(tmp_path: Path) -> None:
    program, began = tmp_path / "soffice", tmp_path / "began"
    program.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {began}\nwait\n")
    program.chmod(0o755)
    text = (
        "from pathlib import Path\n"
        "from mm_rag.media import MediaPolicy\n"
        "from mm_rag_loaders.office import libreoffice\n"
        f"libreoffice._PROGRAMS = ({str(program)!r},)\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "libreoffice.convert(folder / 'a.docx', folder, 'a.docx', MediaPolicy())\n"
    )
    with subprocess.Popen([sys.executable, "-c", text]) as running:
        until = time.monotonic() + 30
        while not (began.exists() and began.read_text()) and time.monotonic() < until:
            time.sleep(0.02)
        running.kill()
    assert _is_gone(int(began.read_text()))


def _is_gone(process: int, seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":  # ended, though nobody asked what came of it
            return True
        time.sleep(0.02)
    return False
