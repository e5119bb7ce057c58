"""Files in files as a collection has them: attachments and the files of archives."""

from __future__ import annotations

import shutil
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest
from PIL import Image

from mm_rag import Collection, Encoder
from mm_rag.agent_tools import Toolbox
from mm_rag.errors import InputError
from mm_rag_mcp.resources import list_resources, read_resource
from tests.media_made import make_pdf


def a_message(*files: tuple[str, bytes]) -> bytes:
    message = EmailMessage()
    message["From"] = "Ada <ada@example.org>"
    message["Subject"] = "The harbour wall"
    message.set_content("The offer is attached.")
    for name, data in files:
        message.add_attachment(data, "application", "octet-stream", filename=name)
    return message.as_bytes()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A message with a PDF, an archive with a table, a picture and that message, and a text."""
    folder = tmp_path / "files"
    folder.mkdir()
    pdf = make_pdf(tmp_path / "offer.pdf", ["Masonry costs 4200.", "Scaffolding costs 310."])
    (folder / "mail.eml").write_bytes(a_message(("offer.pdf", pdf.read_bytes())))
    Image.new("RGB", (90, 60), "teal").save(tmp_path / "wall.png")
    with zipfile.ZipFile(folder / "papers.zip", "w") as archive:
        archive.writestr("2024/minutes.txt", "The committee met on Tuesday about dredging.")
        archive.write(tmp_path / "wall.png", "2024/wall.png")
        archive.write(folder / "mail.eml", "mails/first.eml")
    (folder / "notes.txt").write_text("Ask Grace about the mooring rope.")
    return folder


@pytest.fixture
def indexed(collection: Collection, files: Path) -> Collection:
    collection.sync(files)
    return collection


def test_files_in_files_are_found_and_named(indexed: Collection) -> None:
    labels = {hit.segment.label for hit in indexed.search("masonry costs", k=2)}
    assert labels == {*("mail.eml/offer.pdf page 1", "papers.zip/mails/first.eml/offer.pdf page 1")}
    [hit, *_] = indexed.search("committee dredging", k=1)
    assert hit.segment.label == "papers.zip/2024/minutes.txt"
    assert "papers.zip/2024/minutes.txt" in str(hit)


def test_pages_of_two_members_are_two_results(collection: Collection, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("one", "two"):
            pdf = make_pdf(tmp_path / f"{name}.pdf", [f"Crane number {name}."])
            archive.write(pdf, f"{name}.pdf")
    collection.sync(tmp_path / "a.zip")
    hits = collection.search("crane number", k=5)
    assert {hit.segment.member for hit in hits} == {"one.pdf", "two.pdf"}


def test_a_filter_by_file_finds_what_is_in_it(indexed: Collection, files: Path) -> None:
    hits = indexed.search("costs", k=10, source=files / "papers.zip")
    assert {hit.segment.member for hit in hits} == {
        *("2024/minutes.txt", "2024/wall.png", "mails/first.eml", "mails/first.eml/offer.pdf")
    }
    hits = indexed.search("costs", k=10, where={"member": "offer.pdf"})
    assert {hit.segment.label for hit in hits} == {
        *("mail.eml/offer.pdf page 1", "mail.eml/offer.pdf page 2")
    }


def test_an_archive_that_moved_is_not_read_again(indexed: Collection, files: Path) -> None:
    (files / "papers.zip").rename(files / "archive 2024.zip")
    report = indexed.sync(files)
    assert report.count("moved") == 1
    [hit, *_] = indexed.search("committee dredging", k=1)
    assert hit.segment.label == "archive 2024.zip/2024/minutes.txt"
    [picture] = [s for s in indexed.contents if s.member == "2024/wall.png"]
    assert picture.media is not None
    assert Path(picture.media).is_file()


def test_what_was_removed_takes_its_members_with_it(indexed: Collection, files: Path) -> None:
    indexed.remove(files / "papers.zip")
    assert {segment.source for segment in indexed.contents} == {
        str(files / "mail.eml"),
        str(files / "notes.txt"),
    }
    (files / "papers.zip").unlink()
    (files / "mail.eml").unlink()
    indexed.sync(files)
    assert {segment.member for segment in indexed.contents} == {None}


def test_a_copy_of_an_archive_stands_for_its_files(collection: Collection, files: Path) -> None:
    shutil.copy(files / "papers.zip", files / "a copy.zip")
    collection.sync(files)
    toolbox = Toolbox(collection)
    listing = toolbox.ls("/papers.zip/2024").text
    assert "the same content as /a copy.zip/2024/minutes.txt" in listing


@pytest.mark.slow
def test_pictures_that_are_not_kept_are_drawn_again(
    tmp_path: Path, encoder: Encoder, files: Path
) -> None:
    place = tmp_path / "without"
    with Collection(place, encoder=encoder, assets="reference") as made:
        made.sync(files)
        hits = made.search("masonry costs 4200", k=3)
        shown = made.shown([hit for hit in hits if hit.segment.modality == "image"])
        assert shown
        for hit in shown:
            assert hit.segment.preview is not None
            with Image.open(hit.segment.preview) as picture:
                assert picture.width > 10


def test_a_collection_with_members_is_verified_and_repaired(indexed: Collection) -> None:
    before = sorted(segment.id for segment in indexed.contents)
    assert indexed.verify().ok
    indexed.repair()
    assert sorted(segment.id for segment in indexed.contents) == before


def test_the_tools_of_an_agent_see_files_as_folders(indexed: Collection) -> None:
    toolbox = Toolbox(indexed)
    root = toolbox.ls("/").text
    assert "/mail.eml" in root
    assert "/papers.zip/  (4 files)" in root
    assert "/papers.zip/2024/minutes.txt" in toolbox.ls("/papers.zip/2024").text
    both = toolbox.ls("/mail.eml").text
    assert "The offer is attached." in both
    assert "/mail.eml/offer.pdf  (2 pages)" in both
    assert "Scaffolding costs 310." in toolbox.cat("/mail.eml/offer.pdf/page-2").text
    assert "dredging" in toolbox.cat("/papers.zip/2024/minutes.txt").text
    opened = toolbox.open_segment("/papers.zip/mails/first.eml/offer.pdf/page-1")
    assert "Masonry costs 4200." in opened.text
    assert "/papers.zip/2024/minutes.txt:1:" in toolbox.grep("dredging").text
    assert "/papers.zip/2024/wall.png" in toolbox.find("*.png").text


def test_the_tools_search_in_a_file_of_an_archive(indexed: Collection) -> None:
    toolbox = Toolbox(indexed)
    found = toolbox.search("costs", path="/papers.zip")
    assert all(path.startswith("/papers.zip/") for path in found.paths)
    found = toolbox.search("costs", path="/papers.zip/mails")
    assert {path.rsplit("/", 1)[0] for path in found.paths if "page" in path} == {
        "/papers.zip/mails/first.eml/offer.pdf"
    }
    found = toolbox.search("costs", path="/mail.eml/offer.pdf")
    assert set(found.paths) <= {f"/mail.eml/offer.pdf/page-{n}" for n in (1, 2)}
    with pytest.raises(InputError, match=r"nothing at /papers\.zip/2025"):
        toolbox.ls("/papers.zip/2025/none.txt")


def test_files_in_files_are_resources_of_the_mcp_server(indexed: Collection) -> None:
    toolbox = Toolbox(indexed)
    listed = list_resources(toolbox, None)["resources"]
    uris = {each["name"]: each["uri"] for each in listed}
    assert "papers.zip/2024/minutes.txt" in uris
    [text, *_] = read_resource(toolbox, uris["mail.eml/offer.pdf/page-2"])["contents"]
    assert "Scaffolding costs 310." in text["text"]


def test_messages_of_a_mailbox_are_its_pages(collection: Collection, tmp_path: Path) -> None:
    path = tmp_path / "inbox.mbox"
    path.write_bytes(
        b"".join(
            b"From - Mon Mar 04 09:00:00 2024\n" + a_message((f"{n}.txt", b"rope %d" % n)) + b"\n\n"
            for n in (1, 2)
        )
    )
    (tmp_path / "other").mkdir()
    collection.sync(path)
    toolbox = Toolbox(collection)
    assert (
        "/inbox.mbox/page-2  (text, message 2: The harbour wall)" in toolbox.ls("/inbox.mbox").text
    )
    assert "rope 2" in toolbox.cat("/inbox.mbox/message-2/2.txt").text
