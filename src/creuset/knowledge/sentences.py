"""Where sentences begin and end, in French and English, by rules that can be read.

A sentence ends behind . ! ? or … with the quotes and brackets that close there, where white space follows and
then a capital, a digit or an opening mark; not behind an abbreviation or an initial. An empty line ends one
always, and so does the end of a line before an item of a list or a row of a table.

Not to be confused with a parser: where a sentence begins with a small letter (as "systemd is ..."), it is
told as part of the one before.
"""

import re

_ABBREVIATIONS = {
    "en": "e.g i.e etc vs cf al fig figs eq eqs sec ch vol no nos p pp ed eds mr mrs ms dr prof st jr sr inc "
    "ltd co corp dept approx est jan feb mar apr jun jul aug sep sept oct nov dec u.s u.k a.m p.m",
    "fr": "m mm mme mmes mlle mlles dr pr me etc cf p pp éd art al chap fig vol t n nos env av apr j.-c "
    "c.-à-d p.ex ex réf tél janv févr avr juil sept oct nov déc bd",
}
_KNOWN = {language: frozenset(words.split()) for language, words in _ABBREVIATIONS.items()}
_EITHER = _KNOWN["en"] | _KNOWN["fr"]
_GOES_ON = frozenset(["etc", "al", "inc", "ltd", "co", "corp", "a.m", "p.m", "j.-c", "u.s", "u.k"])
"""Abbreviations that may end a sentence: a capital behind one begins the next."""

_CLOSING = "\"'”’»)]"
_OPENING = "\"'“‘«([¿¡"
_END = re.compile(rf"[.!?…]+[{re.escape(_CLOSING)}]*(?:[ \u00a0\u202f]?»)?(?=\s)")
_LINE = re.compile(
    r"\n[ \t]*(?=\n)|\n(?=[ \t]*(?:[-*•–▪◦·]|\d{1,3}[.)]|[a-z][)])[ \t])|\n(?=[^\n]* \| )|(?<=\|)\n"
)
_WORD_BEFORE = re.compile(r"[^\s(\[«\"“]+$")


def sentence_spans(text: str, language: str) -> list[tuple[int, int]]:
    """The sentences of a text, without the white space around them.

    Args:
        text: Any text.
        language: "en" or "fr", whose abbreviations are known; "" for those of both.

    Returns:
        (start, end) in characters, in order, without overlap; what is between two of them is white space.
    """
    known = _KNOWN.get(language, _EITHER)
    cuts = {match.end() for match in _LINE.finditer(text)}
    cuts |= {match.end() for match in _END.finditer(text) if _ends(text, match, known)}
    spans = []
    begin = 0
    for cut in [*sorted(cuts), len(text)]:
        piece = text[begin:cut]
        start = begin + len(piece) - len(piece.lstrip())
        end = begin + len(piece.rstrip())
        if start < end:
            spans.append((start, end))
        begin = cut
    return spans


def _ends(text: str, match: re.Match[str], known: frozenset[str]) -> bool:
    """Whether the marks of a match end a sentence."""
    following = text[match.end() : match.end() + 40].lstrip()
    if not following:
        return True
    first = following[0]
    if not (first.isupper() or first.isdigit() or first in _OPENING or first in "-–—•*`/~$"):
        return False
    if match.group()[0] != "." or match.group().startswith(".."):
        return True
    found = _WORD_BEFORE.search(text, max(0, match.start() - 40), match.start())
    word = "" if found is None else found.group()
    if len(word) == 1 and word.isupper():  # an initial
        return False
    if word.casefold() not in known:
        return True
    return word.casefold() in _GOES_ON and first.isupper()
