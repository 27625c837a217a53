"""A long text in pieces, so that what the `tokenizers` library holds of a text is never held of all of it."""

import re
from collections.abc import Iterator

LINES = re.compile(r"(?<=\S\n)(?=\S)")
"""Between lines: behind a line end that stands alone, before what is no white space."""


def pieces(text: str, places: re.Pattern[str], *, length: int) -> Iterator[str]:
    """Pieces that together are the text, none empty.

    Args:
        text: Any text.
        places: Where a piece may end.
        length: Characters of a piece at least, but for the last; it ends at the next place.
    """
    begin = 0
    while begin < len(text):
        found = places.search(text, begin + length)
        end = len(text) if found is None else found.start()
        yield text[begin:end]
        begin = end
