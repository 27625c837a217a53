"""Exact match and token F1 against the official SQuAD script's functions, and in French."""

import re
import string
from collections import Counter

import numpy as np
import pytest

from creuset.errors import UsageError
from creuset.metrics import (
    answer_words,
    exact_match,
    exact_match_rows,
    token_f1,
    token_f1_rows,
    wilson_interval,
)
from sentences import pairs


def official_words(text: str) -> list[str]:
    """normalize_answer of the script of version 2, then its split."""
    lowered = "".join(character for character in text.lower() if character not in set(string.punctuation))
    return " ".join(re.compile(r"\b(a|an|the)\b", re.UNICODE).sub(" ", lowered).split()).split()


def official_f1(answer: str, reference: str) -> float:
    given, gold = official_words(answer), official_words(reference)
    if len(gold) == 0 or len(given) == 0:
        return int(gold == given)
    same = sum((Counter(gold) & Counter(given)).values())
    if same == 0:
        return 0
    precision, recall = same / len(given), same / len(gold)
    return (2 * precision * recall) / (precision + recall)


def test_the_official_script_agrees() -> None:
    answers, references = pairs(500, seed=6)
    answers += ["The Cat!", "a.b", "the", "U.S.A."]
    references += ["cat", "ab", "", "usa"]
    both = list(zip(answers, references, strict=True))
    np.testing.assert_allclose(
        token_f1_rows(answers, references).rows[:, 0], [official_f1(*each) for each in both], rtol=1e-12
    )
    exact = [official_words(answer) == official_words(reference) for answer, reference in both]
    np.testing.assert_array_equal(exact_match_rows(answers, references).rows[:, 0], exact)


def test_the_best_of_several_right_answers_counts() -> None:
    right = [["Paris", "the city of Paris"], ["1912"]]
    assert exact_match(["city of Paris", "1913"], right).value == 0.5
    assert exact_match(["city of Paris", "1913"], right).interval == wilson_interval(1, 2)
    assert token_f1(["in Paris", "1912"], right).value == pytest.approx((2 / 3 + 1) / 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("L'élève", ["élève"]),
        ("les Élèves de l’école", ["élèves", "de", "école"]),
        ("Une maison", ["maison"]),
        ("du pain", ["pain"]),
    ],
)
def test_french_articles_do_not_count(text: str, words: list[str]) -> None:
    assert answer_words(text, "french") == words
    assert len(answer_words(text, "unicode")) > len(words)


def test_the_normalisation_is_signed() -> None:
    score = exact_match(["l'été"], ["L’ÉTÉ !"], normalisation="french")
    assert score.value == 1
    assert "|normalisation:french|nrefs:1" in score.signature
    assert exact_match(["l'été"], ["un été"], normalisation="unicode").value == 0
    with pytest.raises(UsageError, match='no normalisation of answers "squat"; did you mean "squad"'):
        token_f1(["a"], ["b"], normalisation="squat")  # type: ignore[arg-type]
