"""Plain text: paragraphs between empty lines."""

import re

from creuset.knowledge.parsing.reading import Bounds, Writer, clean, decode
from creuset.knowledge.records import ParsedDocument

_EMPTY_LINES = re.compile(r"\n[ \t]*\n\s*")
_ITEM = re.compile(r"[ \t]*(?:[-*•–]|\d{1,3}[.)])[ \t]")


def read(data: bytes, _name: str, bounds: Bounds) -> ParsedDocument:
    """The document of a text file."""
    text, encoding = decode(data)
    writer = Writer(bounds)
    for paragraph in _EMPTY_LINES.split(clean(text)):
        writer.add("list" if _ITEM.match(paragraph) else "paragraph", paragraph)
    return writer.document(media_type="text/plain", encoding=encoding)
