"""The pieces of a Unigram tokenizer, learned from words and their counts.

Each way to cut a word into pieces has the product of their probabilities; training maximises the probability
of all words, summed over the ways to cut them, by expectation and maximisation (EM), and between its rounds
drops the pieces whose loss costs least, until as many are left as were asked for. Single characters stay.

Source: Kudo 2018, "Subword Regularization", section 3.2; SentencePiece's trainer for the numbers.
Departures from SentencePiece and from `tokenizers`:
- Ties are broken by the pieces' characters, so that the same words give the same pieces in the same order;
  the trainer of `tokenizers` goes through hash maps and gives other pieces each time.
- Seed pieces are counted within words one length at a time, without a suffix array.
- Words end at line ends too, each of which is a word, and longer ones than MAX_WORD characters are cut into
  pieces of that many, so that texts without spaces are learned from as well.

Legend of shapes: N words of one length, L their characters, W longest piece, S pieces.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

MAX_PIECE = 16
"""Characters of the longest piece, as in SentencePiece."""
MAX_WORD = 64
"""Characters that are looked at together; what is longer is a text without spaces."""
_WITHIN_LINES = re.compile(rf"\n|[^\n]{{1,{MAX_WORD}}}")
_SEEDS_PER_PIECE = 10
"""Candidates to begin with, for each piece asked for."""
_SHRINK = 0.75
_NUM_SUB_ITERATIONS = 2
_SLACK = 1.1
_FEWEST = 0.5
"""Expected uses below which a piece is dropped at once, as in SentencePiece."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class _Words:
    """Words of one length: how often each occurs, int (N,), and the number of the piece that begins at a
    character and is a length long, int (N, L, W), -1 where there is none."""

    counts: NDArray[np.int64]
    pieces: NDArray[np.int64]


def train_unigram(words: Mapping[str, int], num_pieces: int) -> list[tuple[str, float]]:
    """The pieces and the logarithms of their probabilities, likeliest first.

    Args:
        words: Each word, of one character at least, and how often it occurs.
        num_pieces: How many pieces are wanted; fewer come out where the words do not hold so many. At least
            the number of distinct characters.
    """
    counted = _cut(words)
    characters = sorted({character for word in counted for character in word})
    names, scores = _seeds(counted, characters, num_pieces * _SEEDS_PER_PIECE)
    groups = _grouped(counted, names)
    kept = np.arange(len(names)) < len(characters)
    alive = np.ones(len(names), dtype=bool)
    target = max(int(num_pieces * _SLACK), len(characters))
    while True:
        for _ in range(_NUM_SUB_ITERATIONS):
            expected = _expected_uses(groups, scores)
            alive &= (expected >= _FEWEST) | kept
            scores = _scores(np.where(kept, np.maximum(expected, _FEWEST), expected), alive)
        if alive.sum() <= target:
            break
        _prune(alive, kept, groups, scores, names, max(int(alive.sum() * _SHRINK), target))
        scores = np.where(alive, scores, -np.inf)
    order = sorted(np.flatnonzero(alive).tolist(), key=lambda n: (not kept[n], -scores[n], names[n]))[
        :num_pieces
    ]
    return [(names[n], float(scores[n])) for n in sorted(order, key=lambda n: (-scores[n], names[n]))]


def _cut(words: Mapping[str, int]) -> dict[str, int]:
    """The words, those with line ends or too many characters in parts, in their order."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for part in _WITHIN_LINES.findall(word):
            counts[part] += count
    return dict(sorted(counts.items()))


def _seeds(words: Mapping[str, int], characters: Sequence[str], num_seeds: int) -> tuple[list[str], Floats]:
    """All characters, then the strings that occur twice at least and cover most of the text."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for begin in range(len(word)):
            for end in range(begin + 1, min(begin + MAX_PIECE, len(word)) + 1):
                counts[word[begin:end]] += count
    longer = [(piece, count) for piece, count in counts.items() if len(piece) > 1 and count > 1]
    longer.sort(key=lambda item: (-item[1] * len(item[0]), item[0]))
    names = [*characters, *(piece for piece, _ in longer[:num_seeds])]
    weights = np.array([max(1, counts[name]) * len(name) for name in names], dtype=np.float64)
    return names, np.log(weights / weights.sum())


def _grouped(words: Mapping[str, int], names: Sequence[str]) -> list[_Words]:
    """The words by their length, with the pieces that each of their parts is."""
    place = {name: number for number, name in enumerate(names)}
    groups = []
    for length in sorted({len(word) for word in words}):
        chosen = [word for word in words if len(word) == length]
        width = min(length, MAX_PIECE)
        pieces = np.full((len(chosen), length, width), -1, dtype=np.int64)
        for row, word in enumerate(chosen):
            for begin in range(length):
                for size in range(1, min(width, length - begin) + 1):
                    pieces[row, begin, size - 1] = place.get(word[begin : begin + size], -1)
        groups.append(_Words(counts=np.array([words[word] for word in chosen]), pieces=pieces))
    return groups


def _piece_scores(words: _Words, scores: Floats) -> Floats:
    """The score of each part, -inf where it is no piece: (N, L, W)."""
    return np.append(scores, -np.inf)[words.pieces]


def _expected_uses(groups: Sequence[_Words], scores: Floats) -> Floats:
    """How often each piece is used over all ways to cut all words, (S,): the forward-backward algorithm."""
    expected = np.zeros(len(scores))
    for words in groups:
        parts = _piece_scores(words, scores)  # (N, L, W)
        number, length, width = parts.shape
        forward = np.full((number, length + 1), -np.inf)
        backward = np.full((number, length + 1), -np.inf)
        forward[:, 0] = backward[:, length] = 0
        for end in range(1, length + 1):
            sizes = range(1, min(width, end) + 1)
            ways = [forward[:, end - size] + parts[:, end - size, size - 1] for size in sizes]
            forward[:, end] = np.logaddexp.reduce(ways, axis=0)
        for begin in range(length - 1, -1, -1):
            sizes = range(1, min(width, length - begin) + 1)
            ways = [backward[:, begin + size] + parts[:, begin, size - 1] for size in sizes]
            backward[:, begin] = np.logaddexp.reduce(ways, axis=0)
        for size in range(1, width + 1):
            begins = slice(0, length - size + 1)
            log_uses = forward[:, begins] + parts[:, begins, size - 1] + backward[:, size:]
            uses = np.exp(log_uses - forward[:, length:]) * words.counts[:, None]
            used = words.pieces[:, begins, size - 1]
            found = used >= 0
            expected += np.bincount(used[found], weights=uses[found], minlength=len(scores))
    return expected


def _scores(expected: Floats, alive: NDArray[np.bool_]) -> Floats:
    """Log probabilities out of expected uses, small ones made smaller (a Dirichlet prior's digamma)."""
    total = digamma(expected[alive].sum())
    return np.where(alive, digamma(np.where(alive, expected, 1.0)) - total, -np.inf)


def _best_uses(groups: Sequence[_Words], scores: Floats) -> Floats:
    """How often each piece is used when each word is cut in its likeliest way (Viterbi): (S,)."""
    uses = np.zeros(len(scores))
    for words in groups:
        parts = _piece_scores(words, scores)
        number, length, width = parts.shape
        rows = np.arange(number)
        best = np.full((number, length + 1), -np.inf)
        best[:, 0] = 0
        chosen = np.ones((number, length + 1), dtype=np.int64)
        for end in range(1, length + 1):
            ways = np.stack(
                [
                    best[:, end - size] + parts[:, end - size, size - 1]
                    for size in range(1, min(width, end) + 1)
                ]
            )
            chosen[:, end] = ways.argmax(axis=0) + 1
            best[:, end] = ways.max(axis=0)
        place = np.full(number, length)
        while place.any():
            open_rows = rows[place > 0]
            size = chosen[open_rows, place[open_rows]]
            place[open_rows] -= size
            used = words.pieces[open_rows, place[open_rows], size - 1]
            uses += np.bincount(used, weights=words.counts[open_rows], minlength=len(scores))
    return uses


def _prune(
    alive: NDArray[np.bool_],
    kept: NDArray[np.bool_],
    groups: Sequence[_Words],
    scores: Floats,
    names: Sequence[str],
    num_left: int,
) -> None:
    """Drops the pieces whose absence costs the likelihood least, until `num_left` are left."""
    uses = _best_uses(groups, scores)
    total = max(1.0, uses.sum())
    place = {names[n]: n for n in np.flatnonzero(alive).tolist()}
    candidates = np.flatnonzero(alive & ~kept).tolist()
    cost = {n: uses[n] / total * (scores[n] - _score_without(names[n], place, scores)) for n in candidates}
    candidates.sort(key=lambda n: (-cost[n], names[n]))
    for dropped in candidates[max(0, num_left - int(kept.sum())) :]:
        alive[dropped] = False


def _score_without(name: str, place: Mapping[str, int], scores: Floats) -> float:
    """The likeliest way to write a piece with others."""
    best = [0.0]
    for end in range(1, len(name) + 1):
        ways = [
            best[begin] + float(scores[place[name[begin:end]]])
            for begin in range(end)
            if name[begin:end] in place and end - begin < len(name)
        ]
        best.append(max(ways, default=-np.inf))
    return best[-1]
