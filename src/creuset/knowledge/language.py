"""English, French, or neither: by the words that hold sentences together.

Source: Grefenstette (1995), "Comparing two language identification schemes", the scheme by small words.
Departures: words of both languages are not counted, and too few words, or two languages as good as equally
likely, are told as no language.
"""

import re

_ENGLISH = (
    "the of and to is in that it for was with as are be this by an or from at which have not has but were "
    "they you can will all if there their when been more who would so what we no other than how where do "
    "does did should must may these those into only also its your my our why your get i he she any each "
    "because between while during"
)
_FRENCH = (
    "le la les de des du un une et est dans que qui pour par sur pas ne au aux avec ce cette ces sont il "
    "elle ils elles vous nous je se sa ses leur leurs mais ou où donc comme plus être été fait faire peut "
    "doit si tout tous toute toutes lors entre sans sous chez quel quelle quels quelles comment pourquoi "
    "quand mon ma mes votre vos notre nos dont ainsi en lui même selon afin cela aucun aucune très quoi "
    "combien"
)
_BOTH = set(_ENGLISH.split()) & set(_FRENCH.split())
_WORDS = {"en": frozenset(_ENGLISH.split()) - _BOTH, "fr": frozenset(_FRENCH.split()) - _BOTH}
_ELIDED = re.compile(r"\b(?:[ldjmtscn]|qu|jusqu|lorsqu|puisqu)['’](?=\w)", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+")
_LEAST_SHARE = 0.04
"""Of all words: below it small words stand in by chance, as in lists of names and in code."""
_ACCENTS = re.compile("[éèêëàâîïôûùçœ]", re.IGNORECASE)


def detect_language(text: str) -> str:
    """The language of a text.

    Args:
        text: Some words at least; of a long text its first pages say enough.

    Returns:
        "en", "fr", or "" where it cannot be told.
    """
    words = [word.casefold() for word in _WORD.findall(text)]
    if not words:
        return ""
    english: float = sum(word in _WORDS["en"] for word in words)
    french: float = sum(word in _WORDS["fr"] for word in words) + len(_ELIDED.findall(text))
    french += sum(1 for word in words if _ACCENTS.search(word)) / 2
    most, least = max(english, french), min(english, french)
    if most < max(1, _LEAST_SHARE * len(words)) or most < 1.5 * least + 0.5:
        return ""
    return "en" if english > french else "fr"
