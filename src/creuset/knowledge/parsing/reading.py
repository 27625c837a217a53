"""What all readers share: bounds, what they raise, how bytes become text, and how a text is put together."""

import re
from dataclasses import dataclass, field

from charset_normalizer import from_bytes

from creuset.knowledge.language import detect_language
from creuset.knowledge.records import Block, BlockKind, PageSpan, ParsedDocument

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_USUAL = "cp1252"
_PROBED = 200_000
"""Bytes from which an encoding is guessed."""
_NOT_TEXT = re.compile("[\0-\x08\x0e-\x1f\x7f\ud800-\udfff]")
_CONTROL_SHARE = 0.02


class Unreadable(Exception):
    """A file that cannot be read; its text says why, for people."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How much may come of a file.

    Args:
        max_characters: Of its text.
        max_pages: Of a paged format.
        max_depth: Of elements within elements, and of messages within messages.
    """

    max_characters: int = 300_000_000
    max_pages: int = 20_000
    max_depth: int = 200


def decode(data: bytes) -> tuple[str, str]:
    """The text of bytes, and the encoding that they were read by.

    A byte order mark says it; else UTF-8 where it is; else what the bytes are likeliest to be.

    Raises:
        Unreadable: They are no text.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data.decode(encoding), encoding.removesuffix("-sig")
            except UnicodeDecodeError as error:
                raise Unreadable(f"not the {encoding} that it says it is") from error
    if b"\0" in data[:8192]:
        raise Unreadable("binary data, no text")
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        pass
    likely = list(from_bytes(data[:_PROBED]))
    if not likely:
        raise Unreadable("no text in an encoding that is known")
    best = likely[0].encoding
    # several encodings of one alphabet read as well as each other: what becomes French or English is that
    usual = data[:_PROBED].decode(_USUAL, "replace")
    if any(each.encoding == _USUAL for each in likely) and detect_language(usual):
        best = _USUAL
    text = data.decode(best, errors="replace")
    if len(_NOT_TEXT.findall(text[:_PROBED])) > _CONTROL_SHARE * min(len(text), _PROBED):
        raise Unreadable("binary data, no text")
    return text, best


def clean(text: str) -> str:
    """A text whose line ends are \\n, without characters that no reader sees: they are left out."""
    return _NOT_TEXT.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


@dataclass
class Writer:
    """Puts a document together, block by block; an empty line stands between two of them.

    Args:
        bounds: How long it may become.
    """

    bounds: Bounds
    parts: list[str] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    pages: list[PageSpan] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    length: int = 0
    _page_start: int = 0

    def add(self, kind: BlockKind, text: str, level: int = 0) -> None:
        """Adds a block; white space around it is left out, and an empty one with it.

        Raises:
            Unreadable: The document becomes longer than the bounds.
        """
        kept = text.strip("\n").rstrip() if kind == "code" else text.strip()
        if not kept.strip():
            return
        if self.parts:
            self._write("\n\n")
        start = self.length
        self._write(kept)
        inner = len(kept) - len(kept.lstrip())
        self.blocks.append(Block(kind=kind, start=start + inner, end=self.length, level=level))

    def end_page(self, number: int) -> None:
        """What was added since the last page's end is this page."""
        self.pages.append(PageSpan(number=number, start=self._page_start, end=self.length))
        self._page_start = self.length

    def document(self, *, title: str = "", media_type: str, encoding: str = "") -> ParsedDocument:
        """All of it."""
        return ParsedDocument(
            text="".join(self.parts),
            pages=tuple(self.pages),
            blocks=tuple(self.blocks),
            title=" ".join(title.split())[:500],
            media_type=media_type,
            encoding=encoding,
            warnings=tuple(dict.fromkeys(self.warnings)),
        )

    def _write(self, text: str) -> None:
        self.length += len(text)
        if self.length > self.bounds.max_characters:
            raise Unreadable(f"more than {self.bounds.max_characters:,} characters of text")
        self.parts.append(text)


def wrong_spans(document: ParsedDocument) -> str:
    """What is wrong with a document's blocks and pages; "" for nothing."""
    place = 0
    for block in document.blocks:
        if not place <= block.start < block.end <= len(document.text):
            return f"block {block} is out of order"
        if document.text[place : block.start].strip():
            return f"text between blocks at {place}"
        place = block.end
    if document.blocks and document.text[place:].strip():
        return f"text behind the last block at {place}"
    place = 0
    for page in document.pages:
        if not place <= page.start <= page.end <= len(document.text):
            return f"page {page} is out of order"
        place = page.end
    return ""
