"""Texts that say the same but for capitals, white space, and the marks that end words: what was trained is no
less known where a comma was added before it is measured.

    "What is  2+2 ?"   "what is 2+2"      alike
    "What is 2*2?"     "What is 2+2?"     not

Source: NFKC of Unicode, so that full-width letters and ligatures count as what they stand for.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable

_MARKS = re.compile(r"""[.,;:!?"'`…’‘“”«»。，！？、：；]+(?!\w)|(?<!\w)["'`‘“«]+""")


def alike(texts: Iterable[str]) -> str:
    """A hash that texts share, one by one, where they say the same; "" where they say nothing."""
    plain = [_plain(text) for text in texts]
    return hashlib.sha256("\0".join(plain).encode()).hexdigest() if any(plain) else ""


def _plain(text: str) -> str:
    return " ".join(_MARKS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).split())
