"""Make pairs of texts out of a book in two languages whose HTML files have the same structure.

python examples/aligned_books.py FOLDER --out pairs.jsonl

FOLDER holds files such as ch01.en.html and ch01.fr.html, as the Debian Reference does (the packages
debian-reference-en and debian-reference-fr put them into /usr/share/debian-reference). Headings, paragraphs
and cells of tables are paired section by section, by the anchors that both files share, where a section holds
the same kinds of them in the same order; then sentence by sentence, where both have as many. The pairs are
data for `creuset train encoder-decoder-pairs --set data.source=pairs.jsonl`.
"""

import argparse
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

BLOCKS = ("h1", "h2", "h3", "h4", "h5", "p", "th", "td")
SENTENCE_END = re.compile(r"(?<=[.!?:])\s+(?=[A-ZÀ-Ý«\"])")
NUMBERING = re.compile(r"^(Chapter|Chapitre|Table|Tableau)?\s*[\dA-Z]+(\.\d+)*\.\s*")
WORD = re.compile(r"[^\W\d_]{2,}")

Block = tuple[str, str]
"""The name of a block's tag, and its text."""


class Sections(HTMLParser):
    """The blocks of a page by the anchor of the section that they stand in."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: dict[str, list[Block]] = {}
        self._section = ""
        self._open: list[str] = []
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        anchor = dict(attrs).get("id")
        if tag == "a" and anchor:
            self._section = anchor
        if tag in BLOCKS:
            self._close()
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open and tag == self._open[-1]:
            self._close()
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open:
            self._text.append(data)

    def _close(self) -> None:
        """Keeps what was read of the innermost block; a block within another one is one of its own."""
        text = " ".join("".join(self._text).split())
        self._text.clear()
        if text:
            self.blocks.setdefault(self._section, []).append((self._open[-1], text))


def read(path: Path) -> dict[str, list[Block]]:
    """The blocks of a page by section."""
    parser = Sections()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser.blocks


def aligned(first: dict[str, list[Block]], second: dict[str, list[Block]]) -> Iterator[tuple[str, str]]:
    """The texts of two pages that stand at the same place of the same section."""
    for section, blocks in first.items():
        others = second.get(section, [])
        if [tag for tag, _ in blocks] != [tag for tag, _ in others]:
            continue
        for (_, text), (_, other) in zip(blocks, others, strict=True):
            parts, other_parts = (SENTENCE_END.split(NUMBERING.sub("", one)) for one in (text, other))
            if len(parts) == len(other_parts):
                yield from zip(parts, other_parts, strict=True)
            else:
                yield text, other


def main(folder: Path, out: Path, languages: tuple[str, str] = ("en", "fr")) -> None:
    pairs: dict[tuple[str, str], None] = {}
    source, target = languages
    for page in sorted(folder.glob(f"*.{source}.html")):
        other = page.with_name(page.name.replace(f".{source}.", f".{target}."))
        if other.is_file():
            found = aligned(read(page), read(other))
            pairs.update((pair, None) for pair in found if pair[0] != pair[1] and all(map(WORD.search, pair)))
    if not pairs:
        raise SystemExit(f"{folder}: no two files such as ch01.{source}.html and ch01.{target}.html")
    lines = (json.dumps({"source": one, "target": two}, ensure_ascii=False) for one, two in pairs)
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    length = sum(len(one) for one, _ in pairs) / len(pairs)
    print(f"{out}: {len(pairs):,} pairs, {length:.0f} characters of {source} on average")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Pairs of texts from a book in two languages.")
    parser.add_argument("folder", type=Path, help="With files such as ch01.en.html and ch01.fr.html.")
    parser.add_argument("--out", type=Path, default=Path("pairs.jsonl"))
    parser.add_argument("--languages", nargs=2, default=("en", "fr"), metavar=("SOURCE", "TARGET"))
    given = parser.parse_args()
    main(given.folder, given.out, tuple(given.languages))
