"""The embedding score against BERTScore's formula written with loops."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from creuset.errors import DataError, UsageError
from creuset.metrics import (
    Baseline,
    EncodedText,
    Encoder,
    IdfWeights,
    embedding_rows,
    embedding_score,
    idf_weights,
)

DIM = 5


def encode(texts: Sequence[str]) -> list[EncodedText]:
    """A token a word: its vector follows from its letters, its place moves it a little."""
    encoded = []
    for text in texts:
        ids = [sum(map(ord, word)) for word in text.split()]
        vectors = np.array(
            [np.random.default_rng(i).normal(size=DIM) + 0.1 * place for place, i in enumerate(ids)]
        )
        encoded.append(EncodedText(vectors=vectors.reshape(len(ids), DIM), token_ids=ids))
    return encoded


ENCODER = Encoder(name="letters", encode=encode)
HYPOTHESES = ["the cat sat", "a dog", "hello world again", "", "one"]
REFERENCES = ["the cat sat down", "the dog ran", "hello", "x", "one"]


def slow(hypothesis: str, reference: str, idf: IdfWeights | None) -> tuple[float, float, float]:
    """F1, precision and recall, token by token."""
    own, other = encode([hypothesis, reference])

    def one_way(a: EncodedText, b: EncodedText) -> float:
        total = weights = 0.0
        for token, x in zip(a.token_ids, np.asarray(a.vectors), strict=True):
            cosines = [
                sum(x * y) / math.sqrt(sum(x * x)) / math.sqrt(sum(y * y)) for y in np.asarray(b.vectors)
            ]
            weight = 1.0
            if idf is not None:
                weight = math.log((idf.num_texts + 1) / (idf.document_frequencies.get(token, 0) + 1))
            total += weight * max(cosines)
            weights += weight
        return total / weights

    if not own.token_ids or not other.token_ids:
        return 0.0, 0.0, 0.0
    precision, recall = one_way(own, other), one_way(other, own)
    return 2 * precision * recall / (precision + recall), precision, recall


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loops_agree(weighted: bool) -> None:
    idf = idf_weights([each.token_ids for each in encode(REFERENCES)]) if weighted else None
    expected = [slow(*texts, idf) for texts in zip(HYPOTHESES, REFERENCES, strict=True)]
    rows = embedding_rows(HYPOTHESES, REFERENCES, encoder=ENCODER, idf=idf)
    np.testing.assert_allclose(np.stack([each.rows[:, 0] for each in rows], axis=1), expected, rtol=1e-12)
    assert [each.metric for each in rows] == [
        "embedding_score_f1",
        "embedding_score_precision",
        "embedding_score_recall",
    ]
    assert rows[0].fields["idf"] == ("none" if idf is None else idf.name)
    assert rows[0].fields["encoder"] == "letters"


def test_more_pairs_than_a_batch_are_the_same_pairs() -> None:
    many = embedding_rows(HYPOTHESES * 30, REFERENCES * 30, encoder=ENCODER)[0]
    once = embedding_rows(HYPOTHESES, REFERENCES, encoder=ENCODER)[0]
    np.testing.assert_allclose(many.rows[:, 0], np.tile(once.rows[:, 0], 30), rtol=1e-12)


def test_equal_texts_score_one_and_a_baseline_moves_zero() -> None:
    baseline = Baseline(precision=0.5, recall=0.6, f1=0.8)
    scores = embedding_score(["a b c"] * 2, ["a b c"] * 2, encoder=ENCODER, baseline=baseline)
    assert [score.value for score in scores] == pytest.approx([1, 1, 1])
    plain = embedding_score(HYPOTHESES, REFERENCES, encoder=ENCODER)
    moved = embedding_score(HYPOTHESES, REFERENCES, encoder=ENCODER, baseline=baseline)
    for before, after, base in zip(plain, moved, (0.8, 0.5, 0.6), strict=True):
        assert after.value == pytest.approx((before.value - base) / (1 - base))
        assert f"|baseline:{base}|" in after.signature


def test_the_best_value_over_references_counts() -> None:
    each = [slow("the cat sat", other, None) for other in ("the", "a cat sat down")]
    scores = embedding_score(["the cat sat"], [["the", "a cat sat down"]], encoder=ENCODER)
    assert [score.value for score in scores] == pytest.approx(np.max(each, axis=0))


@pytest.mark.parametrize(
    ("vectors", "ids", "message"),
    [
        ([[1.0, math.nan]], [1], "values that are not finite"),
        ([[0.0, 0.0]], [1], r'hypotheses, "a": a vector of length 0\n  got: token 0'),
        ([[1.0, 2.0]], [1, 2], r"do not fit their tokens\n  got: shape \(1, 2\) for 2 tokens"),
        ([1.0, 2.0], [1, 2], r"do not fit their tokens\n  got: shape \(2,\) for 2 tokens"),
    ],
)
def test_vectors_that_cannot_be_compared_are_refused(vectors: object, ids: list[int], message: str) -> None:
    broken = Encoder(
        name="x",
        encode=lambda texts: [EncodedText(vectors=vectors, token_ids=ids) for _ in texts],  # type: ignore[arg-type]
    )
    with pytest.raises(DataError, match=message):
        embedding_score(["a"], ["b"], encoder=broken)


def test_encoders_that_change_their_mind_are_refused() -> None:
    sizes = iter([3, 4])

    def growing(texts: Sequence[str]) -> list[EncodedText]:
        size = next(sizes)
        return [EncodedText(vectors=np.ones((1, size)), token_ids=[0]) for _ in texts]

    with pytest.raises(DataError, match=r"unlike sizes\n  got: 3 numbers a token in the hypothesis, 4 in"):
        embedding_score(["a"], ["b"], encoder=Encoder(name="x", encode=growing))
    with pytest.raises(DataError, match=r"the encoder lost texts\n  got: 0 for 1 hypotheses"):
        embedding_score(["a"], ["b"], encoder=Encoder(name="x", encode=lambda texts: []))


def test_weights_that_leave_nothing_are_refused() -> None:
    with pytest.raises(DataError, match="idf leaves no token to weigh"):
        embedding_score(["a"], ["a"], encoder=ENCODER, idf=idf_weights([[ord("a")]]))
    with pytest.raises(DataError, match="no texts to count tokens in"):
        idf_weights([])
    with pytest.raises(UsageError, match="not a baseline"):
        Baseline(precision=0.1, recall=0.1, f1=1.0)


def test_weights_of_other_texts_have_another_name() -> None:
    one, other = idf_weights([[1, 2], [2]]), idf_weights([[1, 3], [3]])
    assert one.name.startswith("texts2-")
    assert one.name != other.name
    assert one.name == idf_weights([[2], [2, 1]]).name  # what was counted, in whatever order


def test_intervals_end_at_1() -> None:
    texts = ["abc", "abcd", "xy"]
    baseline = Baseline(precision=0.5, recall=0.5, f1=0.5)
    score = embedding_score(["abc", "abcd", "zq"], texts, encoder=ENCODER, baseline=baseline)[0]
    assert score.interval is not None
    assert score.interval[1] <= 1
