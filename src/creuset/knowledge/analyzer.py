"""Texts into the terms that they are searched by: the same for an index and for questions.

    words -> small letters -> elision (l', d', qu' ...) -> stop words -> Snowball stem -> accents folded

Source: Porter (1980, 2001), the Snowball stemmers of French and English; elision before stop words and
accents folded after stemming as in Lucene's FrenchAnalyzer, since French stems depend on accents.

Departures: numbers with points or commas stay whole; words of an unknown language are neither stemmed nor
left out. A question is analysed in its own language and as text of no language; where its language cannot be
told, in all three ways. Terms of other languages than a chunk's are not in that chunk, and add nothing to its
score.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

import Stemmer

from creuset.knowledge.language import detect_language
from creuset.knowledge.stop_words import ENGLISH, FRENCH

VERSION = "1"
_TOKEN = re.compile(r"\d+(?:[.,]\d+)+|[^\W_]+(?:['’][^\W_]+)*")
_ELISION = re.compile(r"^(?:[ldjmtscn]|qu|jusqu|lorsqu|puisqu|quoiqu)['’](?=.)")
_POSSESSIVE = re.compile(r"['’]s?$")
_LONGEST = 64
"""Characters of a term: longer ones are data, such as base64, that nobody types."""
_CACHE = 1 << 17


class Analyzer:
    """Makes terms of texts. One object may be used by one thread at a time."""

    version = VERSION
    """Other versions make other terms: an index of another version is made anew."""

    def __init__(self) -> None:
        english, french = Stemmer.Stemmer("english"), Stemmer.Stemmer("french")
        self._terms: dict[str, Callable[[str], str]] = {
            "en": lru_cache(_CACHE)(lambda word: _english(word, english.stemWord)),
            "fr": lru_cache(_CACHE)(lambda word: _french(word, french.stemWord)),
            "": lru_cache(_CACHE)(_fold),
        }

    def terms(self, text: str, language: str) -> list[str]:
        """The terms of a text in their order, with repeats.

        Args:
            text: Any text.
            language: "en", "fr", or "" for neither.
        """
        term_of = self._terms[language]
        return [
            term
            for word in _TOKEN.findall(text.casefold())
            if len(word) <= _LONGEST and (term := term_of(word))
        ]

    def question_terms(self, question: str) -> list[str]:
        """The terms that a question is searched by, each once."""
        language = detect_language(question)
        ways = ["en", "fr"] if not language else [language]
        found = dict.fromkeys(term for way in ways for term in self.terms(question, way))
        stop = _stop_words(ways)
        plain = [word for word in _TOKEN.findall(question.casefold()) if word not in stop]
        found |= dict.fromkeys(term for word in plain for term in self.terms(word, ""))
        return list(found)


def _stop_words(languages: list[str]) -> frozenset[str]:
    """Words without a meaning in any of the languages."""
    lists = {"en": ENGLISH, "fr": FRENCH}
    return frozenset[str]().union(*(lists[language] for language in languages))


def _english(word: str, stem: Callable[[str], str]) -> str:
    plain = _POSSESSIVE.sub("", word)
    return "" if plain in ENGLISH or word in ENGLISH else _fold(stem(plain))


def _french(word: str, stem: Callable[[str], str]) -> str:
    plain = _ELISION.sub("", word)
    return "" if plain in FRENCH else _fold(stem(plain))


def _fold(word: str) -> str:
    """Without accents, ligatures taken apart."""
    if word.isascii():
        return word
    apart = unicodedata.normalize("NFKD", word.replace("œ", "oe").replace("æ", "ae"))
    return "".join(character for character in apart if not unicodedata.combining(character))
