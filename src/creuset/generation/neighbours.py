"""Words by their vectors: which lie near to a word, or to a sum and difference of words.

Nearness is the cosine. "king - man + woman" adds and takes off vectors of length 1, and the words that are
named are left out of the answers.

Source: Mikolov, Yih and Zweig 2013, "Linguistic Regularities in Continuous Space Word Representations",
section 4 (the cosine, and the three words left out); lengths made 1 before they are added: word2vec's
compute-accuracy.

Legend of shapes: N words, E features, Q queries.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from creuset.data.tokenizer import Tokenizer
from creuset.errors import UsageError, did_you_mean
from creuset.models.base import Model
from creuset.models.requirements import require_finite

_CHUNK = 512
"""Queries held against all words at once."""
_SIGNS = {"+": 1.0, "-": -1.0}
_MOST_SUGGESTED = 10_000
"""Of the most frequent words, among which the nearest name of an unknown one is looked for."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """A word and how near it is.

    Args:
        word: As the vocabulary writes it.
        cosine: In [-1, 1].
    """

    word: str
    cosine: float


@dataclass(frozen=True, kw_only=True)
class Term:
    """A word of an expression, to be added or taken off."""

    sign: float
    word: str


@dataclass(frozen=True, kw_only=True, eq=False)
class WordVectors:
    """The vectors of a model's words, from the most frequent on. Made by `WordVectors.of`.

    Args:
        words: As the vocabulary writes them.
        counts: How often each stands in the training text, int64 (N,); 0 where that is not known.
        units: Their vectors, divided by their lengths, float32 (N, E).
        tokenizer: What looks a word up.
        ids: The id of each word, int64 (N,).
    """

    words: tuple[str, ...]
    counts: NDArray[np.int64]
    units: Vectors
    tokenizer: Tokenizer
    ids: NDArray[np.int64]

    @classmethod
    def of(cls, model: Model, tokenizer: Tokenizer, counts: Sequence[int], *, where: object = None) -> Self:
        """The words of a model.

        Args:
            model: With a vector for each token.
            tokenizer: Its own.
            counts: How often each id stands in the training text; empty where that is not known.
            where: What an error names.

        Raises:
            UsageError: The tokens are no whole words.
            NumericalError: A vector is not finite.
        """
        if not tokenizer.has_whole_words:
            raise UsageError(
                "the tokens of this model are no whole words, so that words have no vectors",
                where=where,
                expected="a model that was trained with data.tokenizer: words",
                next_step="train one: --set data.tokenizer=words",
            )
        table = require_finite(model.embeddings(), "the vectors of words").cpu().numpy()
        seen = np.asarray(counts, dtype=np.int64) if counts else np.zeros(len(table), dtype=np.int64)
        usual = [
            number
            for number in range(tokenizer.vocab_size)
            if number not in tokenizer.skipped_ids and (not counts or seen[number] > 0)
        ]
        ids = np.array(sorted(usual, key=lambda number: -seen[number]), dtype=np.int64)
        rows = table[ids].astype(np.float32)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        lengths[lengths == 0] = 1
        return cls(
            words=tuple(tokenizer.token(number) for number in ids.tolist()),
            counts=seen[ids],
            units=rows / lengths,
            tokenizer=tokenizer,
            ids=ids,
        )

    def place(self, word: str) -> int | None:
        """The row of a word, brought to the form of the vocabulary first; None where it has none."""
        found = self.tokenizer.encode(word, add_special=False)
        return self._place_of_id.get(found[0]) if len(found) == 1 else None

    def near(self, expression: str, num: int = 10) -> list[Neighbour]:
        """The words that are nearest to a word, or to sums and differences of words.

        Args:
            expression: "king", or "king - man + woman", with spaces around the signs.
            num: How many.

        Raises:
            UsageError: Not such an expression, or a word that the vocabulary lacks.
        """
        terms = parse_expression(expression)
        places = [self._required(term.word) for term in terms]
        signs = np.array([term.sign for term in terms], dtype=np.float32)
        return self.nearest(signs @ self.units[places], num, left_out=places)

    def nearest(self, query: Vectors, num: int, *, left_out: Collection[int] = ()) -> list[Neighbour]:
        """The words of the largest cosine with a query (E,), the nearest first, equal ones in their order.

        Args:
            query: A vector; one of length 0 is at cosine 0 of all.
            num: How many.
            left_out: Rows that are no answers.
        """
        length = float(np.linalg.norm(query))
        cosines = self.units @ (query / length if length > 0 else query)
        cosines[list(left_out)] = -np.inf
        order = np.argsort(-cosines, kind="stable")[: max(0, min(num, len(cosines) - len(set(left_out))))]
        return [Neighbour(word=self.words[row], cosine=float(cosines[row])) for row in order]

    def solve(self, a: NDArray[np.int64], b: NDArray[np.int64], c: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each question "a is to b as c is to", the row nearest to b - a + c that is none of the three.

        Args:
            a, b, c: Rows, int64 (Q,).

        Returns:
            int64 (Q,); the first of several that are equally near.
        """
        answers = np.empty(len(a), dtype=np.int64)
        for begin in range(0, len(a), _CHUNK):
            part = slice(begin, begin + _CHUNK)
            queries = self.units[b[part]] - self.units[a[part]] + self.units[c[part]]
            scores = queries @ self.units.T  # a query's length moves all of its scores alike
            questions = np.arange(len(queries))
            for named in (a[part], b[part], c[part]):
                scores[questions, named] = -np.inf
            answers[part] = scores.argmax(1)
        return answers

    @cached_property
    def _place_of_id(self) -> dict[int, int]:
        return {number: place for place, number in enumerate(self.ids.tolist())}

    def _required(self, word: str) -> int:
        place = self.place(word)
        if place is None:
            nearest = did_you_mean(word.lower(), self.words[:_MOST_SUGGESTED])
            raise UsageError(
                f'"{word}" is not in the vocabulary{nearest}',
                got=word,
                expected=f"one of {len(self.words):,} words, such as {', '.join(self.words[:5])}",
            )
        return place


def parse_expression(text: str) -> list[Term]:
    """ "king - man + woman" as its terms; a sign stands alone between spaces, the first may be left out.

    Raises:
        UsageError: Words or signs without a partner, or nothing.
    """
    pieces = text.split()
    if pieces and pieces[0] not in _SIGNS:
        pieces = ["+", *pieces]
    signs, words = pieces[::2], pieces[1::2]
    if not words or len(signs) != len(words) or any(sign not in _SIGNS for sign in signs):
        raise UsageError(
            "not a sum or difference of words",
            got=f'"{text}"',
            expected='a word, or words with signs between them, such as "king - man + woman"',
        )
    return [Term(sign=_SIGNS[sign], word=word) for sign, word in zip(signs, words, strict=True)]
