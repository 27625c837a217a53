"""How far a quote supports a sentence, by code alone.

    support = agreement (overlap + order + likeness) / 3

    overlap    the share of the sentence's terms that stand in the quote, each by its weight
    order      the same of the longest sequence of terms that both have in common, in order
    likeness   the cosine of their vectors, from 0; where there are no vectors, the mean of the other two
    agreement  1 where numbers, names and negation of the sentence are those of the quote, else 0

Words and vectors alone take "the valve is opened" for a proof of "the valve is closed by the guest": order
and agreement are what tells them apart. What the quote says beyond the sentence does not count against it.

Source: the longest common subsequence as in ROUGE-L (Lin 2004); the rest is made for this.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from creuset.knowledge.analyzer import Analyzer

DEFAULT_SUPPORT = 0.85
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[ \u00a0\u202f.,]\d{3})*(?:[.,]\d+)?(?![\w])")
_NAME = re.compile(
    r"(?<!\w)(?:--?[A-Za-z][\w-]*|~?/[\w./~+-]{2,}|[\w.+-]+@[\w.-]+|\w+(?:[._/-]\w+)+|[A-Za-z]+\d\w*|\w*[a-z][A-Z]\w*)"
)
_CAPITAL = re.compile(r"(?<=[\wÀ-ÿ,;)’'] )[A-ZÀ-Þ][\wÀ-ÿ]+")
"""Within a sentence: behind a word, a comma or a bracket."""
_NEGATION = re.compile(
    r"\b(?:no|not|never|none|nothing|nobody|neither|nor|cannot|without|\w+n['’]t|ne|n['’]\w+|pas|jamais|aucune?|rien|"
    r"personne|sans|ni|impossible|forbidden|prohibited|interdite?s?)\b",
    re.IGNORECASE,
)
_PAIRS = (
    ("before", "after"),
    ("open", "close"),
    ("opened", "closed"),
    ("increase", "decrease"),
    ("more", "less"),
    ("above", "below"),
    ("first", "last"),
    ("minimum", "maximum"),
    ("always", "never"),
    ("enable", "disable"),
    ("enabled", "disabled"),
    ("allowed", "forbidden"),
    ("hot", "cold"),
    ("left", "right"),
    ("avant", "après"),
    ("ouvert", "fermé"),
    ("ouvrir", "fermer"),
    ("plus", "moins"),
    ("premier", "dernier"),
    ("minimum", "maximum"),
    ("autorisé", "interdit"),
    ("chaud", "froid"),
    ("gauche", "droite"),
)
_OPPOSITE = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Stated:
    """What a piece of text states, as far as code can tell.

    Args:
        terms: In order, with repeats.
        numbers: Each as digits with a point before decimals.
        names: Options, paths, identifiers, and words with a capital within a sentence, in small letters.
        words: In small letters.
        negations: How many.
    """

    terms: tuple[str, ...]
    numbers: frozenset[str]
    names: frozenset[str]
    words: frozenset[str]
    negations: int


def stated(text: str, language: str, analyzer: Analyzer) -> Stated:
    """What a text states."""
    names = {match.group().rstrip(".,").casefold() for match in _NAME.finditer(text)}
    names |= {match.group().casefold() for match in _CAPITAL.finditer(text)}
    plain = _NUMBER.sub(lambda match: _plain_number(match.group()), text)
    return Stated(
        terms=tuple(analyzer.terms(plain, language)),
        numbers=frozenset(_plain_number(match.group()) for match in _NUMBER.finditer(text)),
        names=frozenset(names),
        words=frozenset(word.casefold() for word in _WORD.findall(text)),
        negations=len(_NEGATION.findall(text)),
    )


def support(
    sentence: Stated, quote: Stated, quote_text: str, weights: Mapping[str, float], cosine: float | None
) -> float:
    """How far a quote supports a sentence, in [0, 1].

    Args:
        sentence, quote: What both state.
        quote_text: The quote itself, in which names are looked for.
        weights: Of terms, above 0; those that are not there weigh 1.
        cosine: Of their vectors; None where there are none.
    """
    if not sentence.terms or not agrees(sentence, quote, quote_text):
        return 0.0
    held = set(quote.terms)
    total = sum(weights.get(term, 1.0) for term in sentence.terms)
    overlap = sum(weights.get(term, 1.0) for term in sentence.terms if term in held) / total
    order = _common_sequence(sentence.terms, quote.terms, weights) / total
    likeness = (overlap + order) / 2 if cosine is None else max(0.0, cosine)
    return min(1.0, (overlap + order + likeness) / 3)


def agrees(sentence: Stated, quote: Stated, quote_text: str) -> bool:
    """Whether numbers, names and negation of a sentence are those of a quote, and no word is its opposite."""
    lowered = quote_text.casefold()
    return (
        sentence.numbers <= quote.numbers
        and all(name in lowered for name in sentence.names)
        and (sentence.negations > 0) == (quote.negations > 0)
        and not any(
            _OPPOSITE[word] in quote.words and word not in quote.words
            for word in sentence.words & _OPPOSITE.keys()
        )
    )


def _plain_number(text: str) -> str:
    """1,000, 1 000 and 1.000 are 1000; 2,5 and 2.50 are 2.5."""
    digits = re.sub(r"[ \u00a0\u202f]", "", text)
    grouped = re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", digits)
    if grouped is not None:
        return re.sub(r"[.,]", "", digits)
    digits = digits.replace(",", ".")
    whole, point, decimals = digits.rpartition(".")
    if not point:
        return digits.lstrip("0") or "0"
    whole = whole.replace(".", "").lstrip("0") or "0"
    decimals = decimals.rstrip("0")
    return f"{whole}.{decimals}" if decimals else whole


def _common_sequence(one: Sequence[str], other: Sequence[str], weights: Mapping[str, float]) -> float:
    """The heaviest sequence of terms that stand in both in the same order."""
    best = [0.0] * (len(other) + 1)
    for term in one:
        weight = weights.get(term, 1.0)
        before = 0.0
        for place, held in enumerate(other, 1):
            here = best[place]
            best[place] = max(here, best[place - 1], before + weight if held == term else 0.0)
            before = here
    return best[-1]
