"""PDF: the text of each page with its characters' sizes, from which headings and paragraphs are told.

By rules: a line is a heading where its letters are larger than most of the document's, or bold and alone;
lines that stand at the same height on most pages at the top or the bottom, but for their numbers, are headers
and footers and left out; a word that is cut by a hyphen at a line's end is joined where it goes on with a
small letter; a paragraph ends where the next line is farther away than lines are, or begins further right.
"""

import ctypes
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from creuset.knowledge.parsing.reading import Bounds, Unreadable, Writer, clean
from creuset.knowledge.records import ParsedDocument

_EDGE_LINES = 2
"""Lines at the top and at the bottom of a page that may be its header or footer."""
_EDGE_SHARE = 0.5
_LEAST_PAGES = 4
_HEADING_RATIO = 1.12
_MAX_HEADING = 160
_DIGITS = re.compile(r"\d+|\b[ivxlc]+\b")
_ITEM = re.compile(r"(?:[•◦▪–*-]|\d{1,3}[.)]|[a-z]\))\s")
_HYPHENS = "-\u2010\u00ad\ufffe"


@dataclass(frozen=True)
class _Line:
    text: str
    size: float
    left: float
    top: float
    bottom: float
    is_fixed: bool


def read(data: bytes, _name: str, bounds: Bounds) -> ParsedDocument:
    """The document of a PDF file.

    Raises:
        Unreadable: It is encrypted, damaged, has too many pages, or no text.
    """
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        told = str(error)
        if "password" in told.lower() or "security" in told.lower():
            raise Unreadable("encrypted: it needs a password") from error
        raise Unreadable("a damaged PDF") from error
    try:
        if len(document) > bounds.max_pages:
            raise Unreadable(f"{len(document):,} pages, more than {bounds.max_pages:,}")
        title = clean(document.get_metadata_dict().get("Title", ""))
        pages, failed = [], 0
        for number in range(len(document)):
            try:
                pages.append(_lines(document, number))
            except pdfium.PdfiumError:
                pages.append([])
                failed += 1
    finally:
        document.close()
    if not any(pages):
        raise Unreadable(
            "no text in it: pictures of pages, perhaps scanned" if not failed else "a damaged PDF"
        )
    writer = Writer(bounds)
    if failed:
        writer.warnings.append(f"{failed:,} of {len(pages):,} pages are damaged")
    silent = sum(not lines for lines in pages) - failed
    if silent > 0.2 * len(pages):
        writer.warnings.append(f"{silent:,} of {len(pages):,} pages hold no text, perhaps scanned")
    _write(writer, _without_edges(pages))
    return writer.document(title=title, media_type="application/pdf")


def _lines(document: pdfium.PdfDocument, number: int) -> list[_Line]:
    page = document[number]
    try:
        text_page = page.get_textpage()
        try:
            return _page_lines(text_page)
        finally:
            text_page.close()
    finally:
        page.close()


def _page_lines(text_page: pdfium.PdfTextPage) -> list[_Line]:
    """The lines of a page with the size and the place of their letters; three letters of each are asked."""
    text = text_page.get_text_range(errors="ignore")
    lines, place = [], 0
    for piece in text.split("\n"):
        stripped = piece.strip()
        if stripped:
            start = place + len(piece) - len(piece.lstrip())
            lines.append(_line(text_page, stripped, start, start + len(stripped)))
        place += len(piece) + 1
    return lines


def _line(text_page: pdfium.PdfTextPage, text: str, start: int, end: int) -> _Line:
    page = text_page.raw
    places = sorted({start, (start + end) // 2, end - 1})
    sizes = [raw.FPDFText_GetFontSize(page, place) for place in places]
    boxes = [box for place in places if (box := _box(page, place)) is not None]
    if not boxes:
        return _Line(text, median(sizes), 0.0, 0.0, 0.0, False)
    return _Line(
        text,
        median(sizes),
        boxes[0][0],
        max(box[3] for box in boxes),
        min(box[1] for box in boxes),
        _is_fixed(page, places[len(places) // 2]),
    )


def _box(page: object, place: int) -> tuple[float, float, float, float] | None:
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    if not raw.FPDFText_GetCharBox(page, place, left, right, bottom, top):
        return None
    return left.value, bottom.value, right.value, top.value


def _is_fixed(page: object, place: int) -> bool:
    """Whether a letter is of a typewriter's font, as code is."""
    flags = ctypes.c_int()
    buffer = ctypes.create_string_buffer(128)
    length = raw.FPDFText_GetFontInfo(page, place, buffer, 128, flags)
    name = buffer.raw[: max(0, min(length, 128) - 1)].decode("utf-8", "ignore").lower()
    return bool(flags.value & 1) or any(word in name for word in ("mono", "courier", "typewriter", "consol"))


def _without_edges(pages: list[list[_Line]]) -> list[list[_Line]]:
    """Pages without the headers and footers that most of them have."""
    if len(pages) < _LEAST_PAGES:
        return pages
    seen = Counter(
        key
        for lines in pages
        for key in {_edge_key(line) for line in (*lines[:_EDGE_LINES], *lines[-_EDGE_LINES:])}
    )
    heights = Counter(
        key[1] for lines in pages for key in {_edge_key(line) for line in (*lines[:1], *lines[-1:])} if key[2]
    )
    filled = sum(bool(lines) for lines in pages)
    kept = []
    for lines in pages:
        edge = [*range(min(_EDGE_LINES, len(lines))), *range(max(0, len(lines) - _EDGE_LINES), len(lines))]
        gone = set()
        for place in edge:
            key = _edge_key(lines[place])
            numbered = key[2] and heights[key[1]] > _EDGE_SHARE * filled and place in (0, len(lines) - 1)
            if seen[key] > _EDGE_SHARE * filled or numbered:
                gone.add(place)
        kept.append([line for place, line in enumerate(lines) if place not in gone])
    return kept


def _edge_key(line: _Line) -> tuple[str, int, bool]:
    """What headers and footers of pages have in common: words but numbers, height, and whether a number is
    all or stands at an end of it.
    """
    words = _DIGITS.sub("#", line.text.lower())
    ends = words.strip().startswith("#") or words.strip().endswith("#")
    return (words, round(line.top / 3), ends and len(line.text) < 120)


def _write(writer: Writer, pages: list[list[_Line]]) -> None:
    sizes = Counter(round(line.size, 1) for lines in pages for line in lines for _ in range(len(line.text)))
    body = sizes.most_common(1)[0][0] if sizes else 0.0
    larger = sorted({size for size in sizes if size > body * _HEADING_RATIO}, reverse=True)
    levels = {size: min(6, number) for number, size in enumerate(larger, 1)}
    gaps = [
        above.bottom - below.top
        for lines in pages
        for above, below in pairwise(lines)
        if 0 < above.bottom - below.top < 4 * body
    ]
    usual = sorted(gaps)[len(gaps) // 4] if gaps else body  # lines of a paragraph, not those around one
    for number, lines in enumerate(pages, 1):
        _write_page(writer, lines, levels, body, usual)
        writer.end_page(number)


def _write_page(
    writer: Writer, lines: list[_Line], levels: dict[float, int], body: float, usual: float
) -> None:
    gathered: list[_Line] = []
    kind = ""
    for line in lines:
        level = levels.get(round(line.size, 1), 0) if len(line.text) <= _MAX_HEADING else 0
        here = f"heading {level}" if level else "code" if line.is_fixed else "text"
        starts = bool(_ITEM.match(line.text)) and here == "text"
        if gathered and (here != kind or starts or _is_apart(gathered[-1], line, body, usual, here)):
            _flush(writer, gathered, kind)
            gathered = []
        gathered.append(line)
        kind = here
    _flush(writer, gathered, kind)


def _is_apart(above: _Line, below: _Line, body: float, usual: float, kind: str) -> bool:
    """Whether two lines belong to two paragraphs."""
    gap = above.bottom - below.top
    if kind.startswith("heading"):
        return gap > 2 * below.size
    return gap > usual + 0.45 * body or gap < -20 * body


def _flush(writer: Writer, lines: list[_Line], kind: str) -> None:
    if not lines:
        return
    if kind == "code":
        writer.add("code", clean("\n".join(line.text for line in lines)))
        return
    text = lines[0].text
    for line in lines[1:]:
        if text[-1] in _HYPHENS and line.text[:1].islower() and text[-2:-1].isalpha():
            text = text[:-1] + line.text
        else:
            text = f"{text} {line.text}"
    text = clean(text.replace("\u00ad", "").replace("\ufffe", ""))
    if kind.startswith("heading"):
        writer.add("heading", text, int(kind.removeprefix("heading ")))
    else:
        writer.add("list" if _ITEM.match(text) else "paragraph", text)
