"""Words of texts in any script, for metrics that compare words.

    "L'été, l'élève"  ->  ["l", "été", "l", "élève"]

A token is a run of letters, digits and the marks that belong to them, in any script, casefolded and in one
Unicode form (NFKC), so that "É" typed as one character or as two is the same letter. Apostrophes and hyphens
separate: a French elision gives the clitic and the word, and so does an English contraction (don't: don, t).
Han characters and kana, which are written without spaces, are one token each. Thai, Lao and Khmer, which have
no spaces either, are not cut. Soft hyphens and joiners are dropped.

Source: Unicode Standard Annex 29, section 4 (what belongs to a word).
Departures: no word-internal punctuation, so that both halves of an elision count.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

_ALONE = re.compile("([㐀-䶿一-鿿豈-﫿\U00020000-\U0003fffd぀-ヺㇰ-ㇿ]ー*)")
"""A Han character or kana, with the marks that make it long."""

_ZERO_WIDTH_SPACE = "\u200b"


@dataclass(frozen=True, kw_only=True)
class Stemmer:
    """What brings the forms of a word together, with the name that stands in signatures.

    Args:
        name: Such as "snowball_french".
        stem: A casefolded word -> its stem.
    """

    name: str
    stem: Callable[[str], str]


def unicode_tokens(text: str) -> list[str]:
    """The words of a text in any script, in order."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join(_kept(character) for character in folded)
    return _ALONE.sub(r" \1 ", kept).split()


@lru_cache(maxsize=4096)
def _kept(character: str) -> str:
    """Itself in a word, a space between words, nothing where it is invisible."""
    category = unicodedata.category(character)
    if category[0] in "LMN":
        return character
    return "" if category == "Cf" and character != _ZERO_WIDTH_SPACE else " "
