"""Office files for tests, as small as LibreOffice takes them."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

_MAIN = "http://schemas.openxmlformats.org"
_PARTS = f"{_MAIN}/officeDocument/2006/relationships"
_PACKAGE = f"{_MAIN}/package/2006"
_DRAWING = f"{_MAIN}/drawingml/2006"
_OPENXML = "application/vnd.openxmlformats-officedocument."
_OASIS = "urn:oasis:names:tc:opendocument:xmlns"
_PREFIXES = {
    "office": "office",
    "text": "text",
    "draw": "drawing",
    "table": "table",
    "svg": "svg-compatible",
    "manifest": "manifest",
}


def docx(path: Path, *paragraphs: str, images: Mapping[str, str] | None = None) -> Path:
    """A Word document; its images are links, by their ids."""
    body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
    images = images or {}
    body += "".join(_linked_image(name) for name in images)
    document = (
        f'<w:document xmlns:w="{_MAIN}/wordprocessingml/2006/main" xmlns:r="{_PARTS}">'
        f"<w:body>{body}</w:body></w:document>"
    )
    links = "".join(
        f'<Relationship Id="{name}" Type="{_PARTS}/image" Target="{url}" TargetMode="External"/>'
        for name, url in images.items()
    )
    members = {
        "word/document.xml": document,
        "word/_rels/document.xml.rels": _relationships(links),
    }
    return _openxml(path, "word/document.xml", "wordprocessingml.document", members)


def _linked_image(name: str) -> str:
    picture = f"{_DRAWING}/picture"
    return (
        f'<w:p><w:r><w:drawing><wp:inline xmlns:wp="{_DRAWING}/wordprocessingDrawing">'
        '<wp:extent cx="990600" cy="792088"/><wp:docPr id="1" name="x"/>'
        f'<a:graphic xmlns:a="{_DRAWING}/main"><a:graphicData uri="{picture}">'
        f'<pic:pic xmlns:pic="{picture}"><pic:nvPicPr><pic:cNvPr id="0" name="x"/><pic:cNvPicPr/>'
        f'</pic:nvPicPr><pic:blipFill><a:blip r:link="{name}"/><a:stretch><a:fillRect/>'
        '</a:stretch></pic:blipFill><pic:spPr><a:xfrm><a:off x="0" y="0"/>'
        '<a:ext cx="990600" cy="792088"/></a:xfrm><a:prstGeom prst="rect"><a:avLst/></a:prstGeom>'
        "</pic:spPr></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>"
    )


def pptx(path: Path, *slides: str) -> Path:
    """A presentation of slides with a line of text each."""
    spaces = f'xmlns:a="{_DRAWING}/main" xmlns:r="{_PARTS}"'
    main = f"{_MAIN}/presentationml/2006/main"
    ids = "".join(f'<p:sldId id="{256 + n}" r:id="s{n}"/>' for n in range(len(slides)))
    members = {
        "ppt/presentation.xml": (
            f'<p:presentation xmlns:p="{main}" {spaces}><p:sldIdLst>{ids}</p:sldIdLst>'
            '<p:sldSz cx="9144000" cy="6858000"/><p:notesSz cx="6858000" cy="9144000"/>'
            "</p:presentation>"
        ),
        "ppt/_rels/presentation.xml.rels": _relationships(
            "".join(
                f'<Relationship Id="s{n}" Type="{_PARTS}/slide" Target="slides/slide{n}.xml"/>'
                for n in range(len(slides))
            )
        ),
    }
    for number, text in enumerate(slides):
        members[f"ppt/slides/slide{number}.xml"] = (
            f'<p:sld xmlns:p="{main}" {spaces}><p:cSld><p:spTree><p:nvGrpSpPr>'
            '<p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/><p:sp>'
            '<p:nvSpPr><p:cNvPr id="2" name="t"/><p:cNvSpPr txBox="1"/><p:nvPr/></p:nvSpPr>'
            '<p:spPr><a:xfrm><a:off x="900000" y="900000"/><a:ext cx="7000000" cy="900000"/>'
            '</a:xfrm><a:prstGeom prst="rect"><a:avLst/></a:prstGeom></p:spPr><p:txBody>'
            f"<a:bodyPr/><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"
            "</p:spTree></p:cSld></p:sld>"
        )
    return _openxml(path, "ppt/presentation.xml", "presentationml.presentation", members)


def xlsx(path: Path, *cells: str) -> Path:
    """A workbook with one column of text."""
    main = f"{_MAIN}/spreadsheetml/2006/main"
    rows = "".join(f'<row><c t="inlineStr"><is><t>{text}</t></is></c></row>' for text in cells)
    members = {
        "xl/workbook.xml": (
            f'<workbook xmlns="{main}" xmlns:r="{_PARTS}"><sheets>'
            '<sheet name="Numbers" sheetId="1" r:id="s1"/></sheets></workbook>'
        ),
        "xl/_rels/workbook.xml.rels": _relationships(
            f'<Relationship Id="s1" Type="{_PARTS}/worksheet" Target="sheet1.xml"/>'
        ),
        "xl/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>',
    }
    return _openxml(path, "xl/workbook.xml", "spreadsheetml.sheet", members)


def _openxml(path: Path, main: str, kind: str, members: Mapping[str, str]) -> Path:
    overrides = {main: f"{kind}.main"}
    overrides |= {name: "presentationml.slide" for name in members if "slides/" in name}
    overrides |= {name: "spreadsheetml.worksheet" for name in members if "/sheet" in name}
    types = "".join(
        f'<Override PartName="/{name}" ContentType="{_OPENXML}{kind}+xml"/>'
        for name, kind in overrides.items()
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Default Extension="xml" ContentType="application/xml"/>{types}</Types>',
        )
        archive.writestr(
            "_rels/.rels",
            _relationships(
                f'<Relationship Id="m" Type="{_PARTS}/officeDocument" Target="{main}"/>'
            ),
        )
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def _relationships(inside: str) -> str:
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{inside}</Relationships>'


def opendocument(path: Path, kind: str, body: str, *, locked: bool = False) -> Path:
    """An OpenDocument `text`, `presentation` or `spreadsheet`."""
    mime = f"application/vnd.oasis.opendocument.{kind}"
    spaces = " ".join(f'xmlns:{name}="{_OASIS}:{of}:1.0"' for name, of in _PREFIXES.items())
    spaces += ' xmlns:xlink="http://www.w3.org/1999/xlink"'
    lock = "<manifest:encryption-data/>" if locked else ""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", mime)
        archive.writestr(
            "META-INF/manifest.xml",
            f'<manifest:manifest {spaces}><manifest:file-entry manifest:full-path="/" '
            f'manifest:media-type="{mime}"/><manifest:file-entry manifest:full-path="content.xml" '
            f'manifest:media-type="text/xml">{lock}</manifest:file-entry></manifest:manifest>',
        )
        archive.writestr(
            "content.xml",
            f'<office:document-content {spaces} office:version="1.2"><office:body>'
            f"<office:{kind}>{body}</office:{kind}></office:body></office:document-content>",
        )
    return path


def compound(path: Path, *streams: str) -> Path:
    """A file of the kind of old office files, with the names of streams but nothing in them."""
    end, free = 0xFFFFFFFE, 0xFFFFFFFF
    header = bytes.fromhex("d0cf11e0a1b11ae1").ljust(24, b"\0")
    header += struct.pack(
        "<HHHHH6xIIIIIIIII", 62, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, end, 0, end, 0
    )
    header += struct.pack("<109I", 0, *[free] * 108)
    table = struct.pack("<128I", 0xFFFFFFFD, 2, end, *[free] * 125)
    entries = [_entry(name) for name in ("Root Entry", *streams)]
    directory = b"".join(entries).ljust(1024, b"\0")
    return _written(path, header + table + directory)


def _entry(name: str) -> bytes:
    words = name.encode("utf-16-le")
    return (words.ljust(64, b"\0") + struct.pack("<H", len(words) + 2)).ljust(128, b"\0")


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
