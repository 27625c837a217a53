"""METEOR: words aligned one to one, recall before precision, and a penalty for words in another order.

    METEOR = (1 - gamma (chunks/matches)^beta) P R / (alpha P + (1 - alpha) R)

P and R are the matched shares of hypothesis and reference; a chunk is a run of matches that stand in the same
order in both. Words match in stages: equal ones first, then equal stems, then synonyms.

Sources: Banerjee and Lavie (2005), "METEOR: An Automatic Metric for MT Evaluation"; Lavie and Agarwal (2007)
for alpha, beta and gamma; Denkowski and Lavie (2011), "Meteor 1.3", section 2.1 (alignment by beam search).
Departures: stemmer and synonyms are the caller's, so no language is built in; all stages weigh the same and
function words count fully, as in 2007; the score of a set is the mean over texts.

Legend: i counts words of the hypothesis, j those of the reference.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from creuset.errors import UsageError
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context
from creuset.metrics.text.pairs import References, as_text_pairs, num_references
from creuset.metrics.text.rows import TextRows, mean_rows, mean_statistic
from creuset.metrics.text.tokens import Stemmer, unicode_tokens

_BEAM = 40
"""Alignments kept at each word: Meteor 1.5's default."""


@dataclass(frozen=True, kw_only=True)
class Synonyms:
    """Which words mean the same, with the name that stands in signatures.

    Args:
        name: Such as "wordnet3.0".
        of: A casefolded word -> the words that may stand for it.
    """

    name: str
    of: Callable[[str], Collection[str]]


def meteor(
    hypotheses: Sequence[str],
    references: References,
    *,
    stemmer: Stemmer | None = None,
    synonyms: Synonyms | None = None,
    alpha: float = 0.9,
    beta: float = 3.0,
    gamma: float = 0.5,
    context: Context = NO_CONTEXT,
) -> Score:
    """METEOR in [0, 1]: the mean over texts with Student's interval.

    Args:
        hypotheses: N texts; their words are those of metrics/text/tokens.py.
        references: For each its reference, or a list: the one with the best score counts.
        stemmer: Brings forms of a word together, in the second stage; None leaves the stage out.
        synonyms: The third stage; None leaves it out.
        alpha: Weight of precision against recall, in [0, 1]: at 0.9 nearly all is recall.
        beta: How steeply the penalty falls, above 0.
        gamma: The greatest penalty, in [0, 1].
        context: Data and split.

    Raises:
        DataError: No texts, unequal numbers, a hypothesis without reference.
        UsageError: alpha, beta or gamma out of range.
    """
    rows = meteor_rows(
        hypotheses, references, stemmer=stemmer, synonyms=synonyms, alpha=alpha, beta=beta, gamma=gamma
    )
    return rows.score(context=context)


def meteor_rows(
    hypotheses: Sequence[str],
    references: References,
    *,
    stemmer: Stemmer | None = None,
    synonyms: Synonyms | None = None,
    alpha: float = 0.9,
    beta: float = 3.0,
    gamma: float = 0.5,
) -> TextRows:
    """The rows of METEOR, one a text: its score, and 1.

    Args and Raises: as `meteor`.
    """
    if not (0 <= alpha <= 1 and beta > 0 and 0 <= gamma <= 1):
        raise UsageError(
            "not a form of METEOR",
            got=f"alpha {alpha}, beta {beta}, gamma {gamma}",
            expected="alpha and gamma in [0, 1], beta above 0",
        )
    texts, answers = as_text_pairs(hypotheses, references)

    def best(text: str, several: Sequence[str]) -> float:
        words = unicode_tokens(text)
        return max(
            _sentence(words, unicode_tokens(reference), stemmer, synonyms, alpha, beta, gamma)
            for reference in several
        )

    return TextRows(
        metric="meteor",
        unit="fraction",
        better="higher",
        rows=mean_rows([best(text, several) for text, several in zip(texts, answers, strict=True)]),
        statistic=mean_statistic,
        spread="t",
        bounds=(0, 1),
        fields={
            "alpha": alpha,
            "beam": _BEAM,
            "beta": beta,
            "gamma": gamma,
            "nrefs": num_references(answers),
            "stemmer": "none" if stemmer is None else stemmer.name,
            "synonyms": "none" if synonyms is None else synonyms.name,
            "tokenizer": "unicode",
        },
    )


def _sentence(
    words: list[str],
    reference: list[str],
    stemmer: Stemmer | None,
    synonyms: Synonyms | None,
    alpha: float,
    beta: float,
    gamma: float,
) -> float:
    matches, chunks = align(_candidates(words, reference, stemmer, synonyms))
    if not matches:
        return 0.0
    precision, recall = matches / len(words), matches / len(reference)
    mean = precision * recall / (alpha * precision + (1 - alpha) * recall)
    score: float = (1 - gamma * (chunks / matches) ** beta) * mean
    return score


def _candidates(
    words: list[str], reference: list[str], stemmer: Stemmer | None, synonyms: Synonyms | None
) -> list[list[tuple[int, int]]]:
    """For each i every (j, stage) that it may be matched with, at the earliest stage."""
    stems = [] if stemmer is None else [stemmer.stem(word) for word in reference]
    found: list[list[tuple[int, int]]] = []
    for word in words:
        stem = None if stemmer is None else stemmer.stem(word)
        alike = () if synonyms is None else synonyms.of(word)
        pairs = []
        for j, other in enumerate(reference):
            if other == word:
                pairs.append((j, 0))
            elif stemmer is not None and stems[j] == stem:
                pairs.append((j, 1))
            elif other in alike:
                pairs.append((j, 2))
        found.append(pairs)
    return found


@dataclass(frozen=True, slots=True)
class _Alignment:
    """Matches chosen for the first words of a hypothesis."""

    used: int
    """The matched j, as bits."""
    last: int
    """The j of the word before, or -2 where it is unmatched."""
    stages: tuple[int, int, int]
    """Matches at each stage."""
    chunks: int
    distance: int
    """Sum of |i - j|: settles what is left open."""

    def worth(self) -> tuple[int, int, int, int, int]:
        """More matches, then earlier stages, then fewer chunks, then less distance."""
        exact, stemmed, _ = self.stages
        return sum(self.stages), exact, stemmed, -self.chunks, -self.distance


def align(candidates: Sequence[Sequence[tuple[int, int]]]) -> tuple[int, int]:
    """The number of matches and of chunks of the best alignment that a beam search finds.

    Args:
        candidates: For each word of the hypothesis every (j, stage) it may be matched with, stage 0 to 2.
    """
    suitors = Counter(j for pairs in candidates for j, _ in pairs)
    beam = [_Alignment(0, -2, (0, 0, 0), 0, 0)]
    for i, pairs in enumerate(candidates):
        only_choice = len(pairs) == 1 and suitors[pairs[0][0]] == 1
        best: dict[tuple[int, int], _Alignment] = {}
        for state in beam:
            for longer in _extended(state, i, pairs)[only_choice:]:
                key = longer.used, longer.last
                if key not in best or longer.worth() > best[key].worth():
                    best[key] = longer
        beam = sorted(best.values(), key=_Alignment.worth, reverse=True)[:_BEAM]
    return sum(beam[0].stages), beam[0].chunks


def _extended(state: _Alignment, i: int, pairs: Sequence[tuple[int, int]]) -> list[_Alignment]:
    """The alignment with word i unmatched, then with it matched in each way that is still free."""
    longer = [_Alignment(state.used, -2, state.stages, state.chunks, state.distance)]
    for j, stage in pairs:
        if not state.used >> j & 1:
            counts = list(state.stages)
            counts[stage] += 1
            longer.append(
                _Alignment(
                    state.used | 1 << j,
                    j,
                    (counts[0], counts[1], counts[2]),
                    state.chunks + (j != state.last + 1),
                    state.distance + abs(i - j),
                )
            )
    return longer
