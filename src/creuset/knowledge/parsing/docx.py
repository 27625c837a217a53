"""Word documents (.docx): headings by their styles, paragraphs, lists, tables."""

import io
import re
import zipfile

from docx import Document
from docx.opc.exceptions import PackageNotFoundError
from docx.table import Table
from docx.text.paragraph import Paragraph
from lxml.etree import LxmlError

from creuset.knowledge.parsing.reading import Bounds, Unreadable, Writer, clean
from creuset.knowledge.records import ParsedDocument

_MAX_MEMBERS = 10_000
_MAX_BYTES = 500_000_000
_MAX_RATIO = 200
"""Uncompressed to compressed: text has some 10, a bomb over 1,000."""
_HEADING = re.compile(r"(?:heading|titre)\s*(\d)", re.IGNORECASE)


def read(data: bytes, _name: str, bounds: Bounds) -> ParsedDocument:
    """The document of a Word file.

    Raises:
        Unreadable: It is no Word file, an encrypted one, or one that unpacks to far more than it is.
    """
    _check_archive(data)
    try:
        document = Document(io.BytesIO(data))
        writer = Writer(bounds)
        for item in document.iter_inner_content():
            if isinstance(item, Table):
                writer.add("table", _rows(item))
            else:
                _add_paragraph(writer, item)
        title = document.core_properties.title or ""
    except Unreadable:
        raise
    except (
        PackageNotFoundError,
        KeyError,
        ValueError,
        LxmlError,
        zipfile.BadZipFile,
        AttributeError,
    ) as error:
        raise Unreadable(f"a damaged Word file: {str(error)[:80]}") from error
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    return writer.document(title=clean(title), media_type=kind)


def _check_archive(data: bytes) -> None:
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise Unreadable("encrypted, or an old .doc: save it as .docx without a password")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise Unreadable(f"no Word file: {str(error)[:80]}") from error
    size = sum(member.file_size for member in members)
    if len(members) > _MAX_MEMBERS or size > _MAX_BYTES or size > _MAX_RATIO * max(len(data), 50_000):
        raise Unreadable(f"a bomb: {len(data):,} bytes unpack to {size:,} in {len(members):,} files")
    if not any(member.filename == "word/document.xml" for member in members):
        raise Unreadable("no Word file: an archive without word/document.xml")


def _add_paragraph(writer: Writer, paragraph: Paragraph) -> None:
    style = (paragraph.style.name if paragraph.style is not None else "") or ""
    text = clean(paragraph.text)
    heading = _HEADING.match(style)
    if heading is not None:
        writer.add("heading", text, min(6, max(1, int(heading[1]))))
    elif style == "Title":
        writer.add("heading", text, 1)
    elif style.startswith("List"):
        writer.add("list", f"- {text}")
    else:
        writer.add("paragraph", text)


def _rows(table: Table) -> str:
    rows = []
    for row in table.rows:
        cells: list[str] = []
        for cell in row.cells:
            text = " ".join(clean(cell.text).split())
            if not cells or cells[-1] != text:  # a merged cell is told once
                cells.append(text)
        rows.append(" | ".join(cells))
    return "\n".join(rows)
