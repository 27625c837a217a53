"""A long text in pieces, so that what the `tokenizers` library holds of a text is never held of all of it.

It holds 100 bytes and more for each character. Most tokenizers first cut a text into words, each of which is
made tokens by itself: where a word surely ends, the text may be cut, and the tokens stay as they are. GPT-2's
expression takes white space before a word in one, but for its last character; so a line end is a place only
where it stands alone.

Other tokenizers, such as those of SentencePiece that read a text without cutting it, get a text as a whole.
"""

import re
from collections.abc import Iterator
from typing import Any

CHARACTER = r"[\s\S]"
"""The expression by which a text is cut into characters."""
WORD = r"[\p{L}\p{M}\p{N}_]+|\S"
"""A word with the marks on it, or any other character but white space, as in data/vocabulary.py."""

LINES = re.compile(r"(?<=\S\n)(?=\S)")
"""Between lines: behind a line end that stands alone, before what is no white space."""
SPACES = re.compile(r"(?<=\S)(?= )")
"""Before a space that follows a word: Metaspace makes it a part of the next."""
_LOCAL = ("NFC", "Lowercase", "BertNormalizer")
"""Normalizers that no line end passes on anything of."""


def cut_places(normalizer: Any, pre_tokenizer: Any) -> re.Pattern[str] | None:
    """Where a text may be cut for a tokenizer with these components, as JSON; None where nowhere is known."""
    steps = _steps(normalizer, "normalizers")
    *digits, last = _steps(pre_tokenizer, "pretokenizers") or [{"type": ""}]
    if any(step["type"] not in _LOCAL for step in steps) or any(one["type"] != "Digits" for one in digits):
        return None
    kind = last["type"]
    if kind == "Metaspace" and last["split"] and not steps and not digits:
        return SPACES
    by_gpt2 = kind == "ByteLevel" and last["use_regex"] and not last["add_prefix_space"]
    by_expression = kind == "Split" and last["pattern"] in ({"Regex": CHARACTER}, {"Regex": WORD})
    return LINES if by_gpt2 or by_expression or kind == "BertPreTokenizer" else None


def _steps(part: Any, name: str) -> list[Any]:
    """The components of a sequence, or the one that there is."""
    if part is None:
        return []
    return list(part[name]) if part["type"] == "Sequence" else [part]


def pieces(text: str, places: re.Pattern[str] | None, *, length: int) -> Iterator[str]:
    """Pieces that together are the text, none empty.

    Args:
        text: Any text.
        places: Where a piece may end; None for nowhere.
        length: Characters of a piece at least, but for the last; it ends at the next place.
    """
    begin = 0
    while begin < len(text):
        found = None if places is None else places.search(text, begin + length)
        end = len(text) if found is None else found.start()
        yield text[begin:end]
        begin = end
