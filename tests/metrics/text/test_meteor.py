"""METEOR against nltk's, which aligns greedily, and by hand."""

import itertools

import numpy as np
import pytest
from nltk.stem.porter import PorterStemmer
from nltk.translate.meteor_score import single_meteor_score

from creuset.errors import UsageError
from creuset.metrics import Stemmer, Synonyms, meteor, meteor_rows, unicode_tokens
from creuset.metrics.text.meteor import align

PORTER = Stemmer(name="porter", stem=PorterStemmer().stem)
WORDS = [
    "guide",
    "guides",
    "guiding",
    "action",
    "actions",
    "military",
    "forces",
    "obeys",
    "obey",
    "commands",
    "commanding",
    "party",
    "the",
    "always",
    "of",
    "practical",
    "principle",
    "heeds",
    "under",
    "being",
    "directions",
    "army",
    "which",
    "ensure",
    "ensures",
    "to",
    "is",
    "it",
    "a",
]


class NoWordNet:
    """What nltk asks a WordNet for, without any synonyms."""

    def synsets(self, word: str) -> list[object]:
        return []


class NoStemmer:
    """Leaves words as they are, so that nltk's second stage finds nothing more."""

    def stem(self, word: str) -> str:
        return word


def peer(hypothesis: str, reference: str, stemmer: object, **weights: float) -> float:
    return float(
        single_meteor_score(
            unicode_tokens(reference),
            unicode_tokens(hypothesis),
            stemmer=stemmer,  # type: ignore[arg-type]
            wordnet=NoWordNet(),  # type: ignore[arg-type]
            **weights,
        )
    )


def without_repetitions(rng: np.random.Generator) -> str:
    return " ".join(rng.permutation(WORDS)[: rng.integers(0, 16)])


@pytest.mark.parametrize("weights", [{}, {"alpha": 0.5, "beta": 1.5, "gamma": 0.3}])
def test_sentences_without_repeated_words_score_as_in_nltk(weights: dict[str, float]) -> None:
    rng = np.random.default_rng(0)
    hypotheses = [without_repetitions(rng) for _ in range(300)]
    references = [without_repetitions(rng) for _ in range(300)]
    expected = [peer(*texts, NoStemmer(), **weights) for texts in zip(hypotheses, references, strict=True)]
    rows = meteor_rows(hypotheses, references, **weights)  # type: ignore[arg-type]
    np.testing.assert_allclose(rows.rows[:, 0], expected, rtol=1e-12)


def test_stems_match_after_equal_words_as_in_nltk() -> None:
    distinct = ["guides action obeys commands", "the armies obey", "running dogs", "guide", ""]
    references = ["guiding actions obey command", "the army obeys", "the dog runs", "guided", "x"]
    expected = [peer(*texts, PORTER) for texts in zip(distinct, references, strict=True)]
    rows = meteor_rows(distinct, references, stemmer=PORTER)
    np.testing.assert_allclose(rows.rows[:, 0], expected, rtol=1e-12)
    assert rows.rows[0, 0] > 0.9
    assert meteor_rows(distinct, references).rows[0, 0] == 0


def test_repeated_words_are_aligned_in_no_more_chunks_than_in_nltk() -> None:
    rng = np.random.default_rng(1)
    better = 0
    for _ in range(200):
        texts = [" ".join(rng.choice(WORDS[:8], size=rng.integers(1, 15))) for _ in range(2)]
        ours, theirs = meteor([texts[0]], [texts[1]]).value, peer(texts[0], texts[1], NoStemmer())
        assert ours >= theirs - 1e-12
        better += ours > theirs + 1e-12
    assert better > 20


def test_the_alignment_is_the_best_of_all() -> None:
    rng = np.random.default_rng(2)
    for _ in range(60):
        words, others = (list(rng.choice(list("abc"), size=rng.integers(1, 6))) for _ in range(2))
        candidates = [[(j, 0) for j, other in enumerate(others) if other == word] for word in words]
        assert align(candidates) == best_of_all(candidates)


def best_of_all(candidates: list[list[tuple[int, int]]]) -> tuple[int, int]:
    """The most matches, then the fewest chunks, over every alignment there is."""
    best = (0, 0)
    for choice in itertools.product(*[[None, *(j for j, _ in pairs)] for pairs in candidates]):
        matched = [j for j in choice if j is not None]
        if len(set(matched)) < len(matched):
            continue
        chunks = sum(
            j is not None and (i == 0 or choice[i - 1] is None or choice[i - 1] + 1 != j)
            for i, j in enumerate(choice)
        )
        best = max(best, (len(matched), -chunks))
    return best[0], -best[1]


def test_a_case_by_hand() -> None:
    # Three of four words match in two chunks: P = 3/4, R = 3/3, penalty .5 (2/3)^3.
    score = meteor(["The cat really sat"], ["the cat sat"])
    mean = 0.75 / (0.9 * 0.75 + 0.1)
    assert score.value == pytest.approx((1 - 0.5 * (2 / 3) ** 3) * mean)
    assert score.signature.endswith(
        "|alpha:0.9|beam:40|beta:3.0|gamma:0.5|interval:t95|nrefs:1|stemmer:none|synonyms:none|tokenizer:unicode"
    )


def test_synonyms_match_last() -> None:
    alike = Synonyms(name="two", of=lambda word: {"car": ["auto"], "auto": ["car"]}.get(word, []))
    assert meteor(["red car"], ["red auto"], synonyms=alike).value == pytest.approx(1 - 0.5 / 8)
    assert meteor(["car auto"], ["auto x"], synonyms=alike).value == meteor(["car auto"], ["auto x"]).value


def test_the_best_of_several_references_counts() -> None:
    assert meteor(["a b c"], [["x", "a b c", ""]]).value == meteor(["a b c"], ["a b c"]).value
    assert meteor(["", ""], ["", "a"]).value == 0


def test_weights_out_of_range_are_refused() -> None:
    with pytest.raises(UsageError, match=r"not a form of METEOR\n  got: alpha 1.5"):
        meteor(["a"], ["a"], alpha=1.5)
