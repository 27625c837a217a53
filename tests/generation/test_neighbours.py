"""Nearest words and differences of words, against plain loops over planted vectors."""

import numpy as np
import pytest
import torch

from creuset.data.tokenizer_training import train_tokenizer
from creuset.errors import NumericalError, UsageError
from creuset.generation.neighbours import WordVectors, parse_expression
from planted_words import PLANTED, planted


@pytest.fixture(scope="module")
def vectors() -> WordVectors:
    model, tokenizer, counts = planted()
    return WordVectors.of(model, tokenizer, counts)


def unit(word: str) -> np.ndarray:
    vector = np.array(PLANTED[word])
    return vector / np.linalg.norm(vector)


def slow_nearest(query: np.ndarray, left_out: set[str]) -> list[tuple[str, float]]:
    found = [
        (word, float(unit(word) @ query / np.linalg.norm(query))) for word in PLANTED if word not in left_out
    ]
    return sorted(found, key=lambda pair: -pair[1])


def test_words_come_by_their_frequency_without_special_tokens(vectors: WordVectors) -> None:
    assert vectors.words == tuple(PLANTED)
    assert vectors.counts.tolist() == list(range(20, 20 - len(PLANTED), -1))


@pytest.mark.parametrize("word", PLANTED)
def test_nearest_words_are_those_of_the_largest_cosine(vectors: WordVectors, word: str) -> None:
    expected = slow_nearest(unit(word), {word})
    found = vectors.near(word, 4)
    assert [one.word for one in found] == [name for name, _ in expected[:4]]
    assert [one.cosine for one in found] == pytest.approx([cosine for _, cosine in expected[:4]], abs=1e-6)


def test_a_difference_of_words_carries_over(vectors: WordVectors) -> None:
    found = vectors.near("King - man + woman", 20)
    expected = slow_nearest(unit("king") - unit("man") + unit("woman"), {"king", "man", "woman"})
    assert found[0].word == "queen"
    assert [one.word for one in found] == [name for name, _ in expected]  # all there are, none twice
    assert [one.cosine for one in found] == pytest.approx([cosine for _, cosine in expected], abs=1e-6)


def test_many_questions_are_answered_as_one_by_one(vectors: WordVectors) -> None:
    rows = np.random.default_rng(0).integers(len(PLANTED), size=(700, 3))  # more than one chunk
    answers = vectors.solve(rows[:, 0], rows[:, 1], rows[:, 2])
    words = list(PLANTED)
    for (a, b, c), answer in zip(rows.tolist(), answers.tolist(), strict=True):
        query = unit(words[b]) - unit(words[a]) + unit(words[c])
        expected = slow_nearest(query, {words[a], words[b], words[c]})
        assert expected[0][1] - dict(expected)[words[answer]] < 1e-6


def test_expressions() -> None:
    assert [(term.sign, term.word) for term in parse_expression("king - man + woman")] == [
        (1, "king"),
        (-1, "man"),
        (1, "woman"),
    ]
    assert [(term.sign, term.word) for term in parse_expression("- x-ray")] == [(-1, "x-ray")]


@pytest.mark.parametrize("text", ["", "king queen", "king -", "king - - man", "+"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a sum or difference of words"):
        parse_expression(text)


def test_an_unknown_word_is_named_with_the_nearest(vectors: WordVectors) -> None:
    with pytest.raises(UsageError, match='"Quen" is not in the vocabulary; did you mean "queen"'):
        vectors.near("Quen")
    with pytest.raises(UsageError, match=r'"apple\.pear" is not in the vocabulary'):  # three tokens
        vectors.near("apple.pear")


def test_pieces_of_words_have_no_neighbours() -> None:
    model, _, _ = planted()
    with pytest.raises(UsageError, match=r"no whole words(.*\n)*.*data.tokenizer: words"):
        WordVectors.of(model, train_tokenizer(["abc"], "characters"), [])


def test_vectors_that_are_no_numbers_are_refused() -> None:
    model, tokenizer, counts = planted()
    with torch.no_grad():
        model.table[3, 1] = torch.nan
    with pytest.raises(NumericalError, match=r"NaN or infinity in the vectors of words\n  got: 1 of"):
        WordVectors.of(model, tokenizer, counts)
