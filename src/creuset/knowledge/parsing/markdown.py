"""Markdown: headings, paragraphs, lists, tables and code; marks within a line stay as they are.

Source: CommonMark 0.31 and GitHub's tables, as far as blocks go. Departures: blocks within quotes and items
are not told apart, and HTML stays as it is written.
"""

import re

from creuset.knowledge.parsing.reading import Bounds, Writer, clean, decode
from creuset.knowledge.records import BlockKind, ParsedDocument

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+\S")
_ROW = re.compile(r"[ \t]*\|.*\|[ \t]*$")
_RULE = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$")
_FRONT = re.compile(r"---\n(.*?)\n(?:---|\.\.\.)\n", re.DOTALL)
_TITLE = re.compile(r"^title:[ \t]*[\"']?(.*?)[\"']?[ \t]*$", re.MULTILINE)


def read(data: bytes, _name: str, bounds: Bounds) -> ParsedDocument:
    """The document of a Markdown file."""
    text, encoding = decode(data)
    text, title = clean(text), ""
    front = _FRONT.match(text)
    if front is not None:
        found = _TITLE.search(front[1])
        title = "" if found is None else found[1]
        text = text[front.end() :]
    reader = _Blocks(Writer(bounds))
    for line in text.split("\n"):
        reader.take(line)
    reader.end()
    first = next((block for block in reader.writer.blocks if block.kind == "heading"), None)
    document = reader.writer.document(title=title, media_type="text/markdown", encoding=encoding)
    if title or first is None:
        return document
    return reader.writer.document(
        title=document.text[first.start : first.end], media_type="text/markdown", encoding=encoding
    )


class _Blocks:
    """Lines gathered into blocks."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self._kind: BlockKind = "paragraph"
        self._lines: list[str] = []
        self._fence = ""

    def take(self, line: str) -> None:
        if self._fence:
            self._in_fence(line)
            return
        fence, heading = _FENCE.match(line), _HEADING.match(line)
        if fence is not None:
            self.end()
            self._fence, self._kind = fence[1], "code"
        elif heading is not None:
            self.end()
            self.writer.add("heading", heading[2] or "", len(heading[1]))
        elif not line.strip():
            self.end()
        elif self._lines and self._kind == "paragraph" and (under := _UNDERLINE.match(line)) is not None:
            self._kind = "heading"
            text, self._lines = " ".join(self._lines), []
            self.writer.add("heading", text, 1 if under[1][0] == "=" else 2)
            self._kind = "paragraph"
        elif _RULE.match(line):
            self.end()
        else:
            self._plain(line)

    def end(self) -> None:
        """The block that was being gathered is whole."""
        lines, self._lines = self._lines, []
        self.writer.add(self._kind, "\n".join(lines))
        self._kind, self._fence = "paragraph", ""

    def _in_fence(self, line: str) -> None:
        stripped = line.strip()
        if stripped.startswith(self._fence) and not stripped.strip(self._fence[0]):
            self.end()
        else:
            self._lines.append(line)

    def _plain(self, line: str) -> None:
        kind: BlockKind = "table" if _ROW.match(line) else "list" if _ITEM.match(line) else "paragraph"
        goes_on = kind == self._kind or (kind == "paragraph" and self._kind == "list")
        if self._lines and not goes_on:
            self.end()
        if not self._lines:
            self._kind = kind
        self._lines.append(line)
