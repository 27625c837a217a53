"""Make plain texts out of a folder of HTML pages.

python examples/pages_to_texts.py FOLDER --out texts

A page NAME.html becomes texts/NAME.txt: a line for each block, such as a heading, a paragraph or a cell of a
table. Folders of texts are data for `creuset train encoder-masked --set data.source=texts`, and for every
model of language. With --languages en fr only pages such as ch01.en.html and ch01.fr.html are read.
"""

import argparse
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6", "title")
BLOCKS = {*HEADINGS, "br", "dd", "div", "dt", "li", "p", "pre", "table", "td", "th", "tr"}
UNREAD = {"script", "style"}


class Lines(HTMLParser):
    """What a page says, a line for each block."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._words: list[str] = []
        self._unread = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._unread += tag in UNREAD
        if tag in BLOCKS:
            self.end_line()

    def handle_endtag(self, tag: str) -> None:
        self._unread -= tag in UNREAD
        if tag in BLOCKS:
            self.end_line()

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self._words.append(data)

    def end_line(self) -> None:
        """Keeps what was read since the last line, spaces and breaks as single spaces."""
        line = " ".join("".join(self._words).split())
        self._words.clear()
        if line:
            self.lines.append(line)


def main(folder: Path, out: Path, languages: Sequence[str] = ()) -> None:
    endings = tuple(f".{language}.html" for language in languages) or (".html",)
    pages = sorted(path for path in folder.glob("*.html") if path.name.endswith(endings))
    if not pages:
        raise SystemExit(f"{folder}: no file whose name ends in {' or '.join(endings)}")
    out.mkdir(parents=True, exist_ok=True)
    num_characters = 0
    for page in pages:
        reader = Lines()
        reader.feed(page.read_text(encoding="utf-8"))
        reader.close()
        reader.end_line()
        num_characters += (out / f"{page.stem}.txt").write_text(
            "\n".join(reader.lines) + "\n", encoding="utf-8"
        )
    print(f"{out}: {len(pages):,} texts, {num_characters:,} characters")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Plain texts from a folder of HTML pages.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("texts"))
    parser.add_argument("--languages", nargs="*", default=(), metavar="LANGUAGE")
    given = parser.parse_args()
    main(given.folder, given.out, given.languages)
