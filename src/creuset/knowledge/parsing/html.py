"""HTML: what a reader sees, with its headings, lists, tables and code.

Left out: scripts, styles, navigation, forms, and what is marked as hidden; also headers and footers of the
page. Rows of tables are lines with " | " between their cells.
"""

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from creuset.knowledge.parsing.reading import Bounds, Unreadable, Writer, clean, decode
from creuset.knowledge.records import ParsedDocument

_LEFT_OUT = "script style noscript template nav form button select svg canvas iframe object head footer"
_DROPPED = frozenset(_LEFT_OUT.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_SET_APART = (
    "address article aside blockquote body center dd details dialog div dl dt fieldset figcaption figure "
    "header hr html main ol p section summary ul"
)
_BLOCKS = frozenset(_SET_APART.split())
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]+)", re.IGNORECASE)
_MAX_TAGS = 3_000_000
_SPACE = re.compile(r"\s+")


def read(data: bytes, _name: str, bounds: Bounds) -> ParsedDocument:
    """The document of an HTML file."""
    text, encoding = _decoded(data)
    return from_text(text, encoding, bounds)


def from_text(text: str, encoding: str, bounds: Bounds) -> ParsedDocument:
    """The document of HTML that was decoded.

    Raises:
        Unreadable: More tags than a page that people read has.
    """
    if text.count("<") > _MAX_TAGS:
        raise Unreadable(f"more than {_MAX_TAGS:,} tags")
    tree = LexborHTMLParser(text)
    page = _Page(Writer(bounds), bounds.max_depth)
    if tree.body is not None:
        page.read(tree.body)
    page.end()
    found = tree.css_first("title")
    title = "" if found is None else clean(found.text(deep=True))
    return page.writer.document(title=title, media_type="text/html", encoding=encoding)


def _decoded(data: bytes) -> tuple[str, str]:
    """The text, by a byte order mark, by UTF-8, by what the page says of itself, or by the bytes."""
    try:
        return data.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        said = _CHARSET.search(data[:4096])
    if said is not None and b"\0" not in data[:8192]:
        try:
            return data.decode(said[1].decode()), said[1].decode().lower()
        except (LookupError, UnicodeDecodeError):
            pass
    return decode(data)


class _Page:
    """Nodes of a page in order, gathered into blocks; without recursion, however deep they are nested."""

    def __init__(self, writer: Writer, max_depth: int) -> None:
        self.writer = writer
        self._max_depth = max_depth
        self._words: list[str] = []

    def read(self, body: LexborNode) -> None:
        stack: list[tuple[LexborNode | str, int]] = [(body, 0)]
        while stack:
            node, depth = stack.pop()
            if isinstance(node, str):  # behind the children of a block
                self.end()
                continue
            tag = node.tag or ""
            if tag == "-text":
                self._words.append(node.text_content or "")
            elif tag in _DROPPED or tag.startswith(("-", "_", "!")) or _is_hidden(node):
                continue
            elif depth > self._max_depth:
                self.writer.warnings.append(f"elements nested more than {self._max_depth} deep are one block")
                self._words.append(" " + node.text(deep=True, separator=" ") + " ")
            elif tag in _HEADINGS:
                self.end()
                self.writer.add("heading", _words(node), _HEADINGS[tag])
            elif tag in ("pre", "table", "li"):
                self._set_apart(tag, node, stack, depth)
            elif tag == "br":
                self._words.append("\n")
            else:
                if tag in _BLOCKS:
                    self.end()
                    stack.append(("", depth))
                stack.extend((child, depth + 1) for child in _children(node))

    def end(self) -> None:
        """The paragraph that was being gathered is whole."""
        text = "".join(self._words)
        self._words = []
        lines = [_SPACE.sub(" ", line).strip() for line in text.split("\n")] if "\n" in text else [text]
        joined = _SPACE.sub(" ", " ".join(lines)).strip()
        self.writer.add("paragraph", clean(joined))

    def _set_apart(
        self, tag: str, node: LexborNode, stack: list[tuple[LexborNode | str, int]], depth: int
    ) -> None:
        self.end()
        if tag == "pre":
            self.writer.add("code", clean(node.text(deep=True)))
        elif tag == "table" and node.css_first("table table") is None:
            self.writer.add("table", _rows(node))
        elif tag == "li" and not node.css("ul, ol, table, pre, p, div"):
            self.writer.add("list", f"- {_words(node)}")
        else:  # a table for layout, an item with blocks of its own
            stack.append(("", depth))
            stack.extend((child, depth + 1) for child in _children(node))


def _children(node: LexborNode) -> list[LexborNode]:
    """The children, the last first, as a stack takes them."""
    found = []
    child = node.last_child
    while child is not None:
        found.append(child)
        child = child.prev
    return found


def _words(node: LexborNode) -> str:
    return clean(_SPACE.sub(" ", node.text(deep=True, separator="")).strip())


def _rows(table: LexborNode) -> str:
    rows = []
    for row in table.css("tr"):
        cells = [_words(cell) for cell in row.css("td, th")]
        if any(cells):
            rows.append(" | ".join(cells))
    return "\n".join(rows)


def _is_hidden(node: LexborNode) -> bool:
    attributes = node.attributes
    style = (attributes.get("style") or "").replace(" ", "").lower()
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or "display:none" in style
        or "visibility:hidden" in style
    )
