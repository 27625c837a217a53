"""Make plain texts out of a folder of HTML pages.

python examples/pages_to_texts.py FOLDER --out texts

A page NAME.html becomes texts/NAME.txt: a line for each block, such as a heading, a paragraph or a cell of a
table. Folders of texts are data for `creuset train encoder-masked --set data.source=texts`, and for every
model of language. With --languages en fr only pages such as ch01.en.html and ch01.fr.html are read.
"""

import argparse
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

INLINE = re.compile(
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|img|ins|kbd|mark|q|s|samp|small|span|strike"
    "|strong|sub|sup|time|tt|u|var|wbr"
)
"""Tags within a line; all others end it."""
UNREAD = {"script", "style"}


class Lines(HTMLParser):
    """What a page says, a line for each block."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._words: list[str] = []
        self._unread = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._unread = self._unread or tag in UNREAD
        if not INLINE.fullmatch(tag):
            self.end_line()

    def handle_endtag(self, tag: str) -> None:
        self._unread = self._unread and tag not in UNREAD
        if not INLINE.fullmatch(tag):
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


def text_of(page: Path) -> str:
    """The lines of a page; nothing where it says nothing."""
    reader = Lines()
    try:
        reader.feed(page.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise SystemExit(f"{page}: not UTF-8, {error}") from None
    reader.close()
    reader.end_line()
    return "".join(f"{line}\n" for line in reader.lines)


def main(folder: Path, out: Path, languages: Sequence[str] = ()) -> None:
    endings = tuple(f".{language}.html" for language in languages) or (".html",)
    pages = sorted(path for path in folder.glob("*.html") if path.name.endswith(endings))
    if not pages:
        raise SystemExit(f"{folder}: no file whose name ends in {' or '.join(endings)}")
    if out.exists() and any(out.iterdir()):
        raise SystemExit(f"{out}: there are files in this folder, which would be read with the new ones")
    texts = {page.stem: text for page in pages if (text := text_of(page))}
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (out / f"{name}.txt").write_text(text, encoding="utf-8")
    print(f"{out}: {len(texts):,} texts, {sum(map(len, texts.values())):,} characters")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Plain texts from a folder of HTML pages.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("texts"))
    parser.add_argument("--languages", nargs="*", default=(), metavar="LANGUAGE")
    given = parser.parse_args()
    main(given.folder, given.out, given.languages)
