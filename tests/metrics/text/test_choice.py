"""Multiple choice: what normalisation of length chooses."""

import pytest

from creuset.errors import DataError, UsageError
from creuset.metrics import Question, choice_accuracy, wilson_interval

UNEQUAL = Question(log_probs=[-4.0, -6.0, -9.0], num_tokens=[1, 2, 5], num_bytes=[10, 20, 20], right=0)
"""The sum chooses 0, nats a token 2 (-1.8), nats a byte 1 (-0.3)."""


@pytest.mark.parametrize(("normalisation", "chosen"), [("sum", 0), ("token", 2), ("byte", 1)])
def test_each_normalisation_chooses_another_answer(normalisation: str, chosen: int) -> None:
    assert UNEQUAL.chosen(normalisation) == chosen  # type: ignore[arg-type]
    score = choice_accuracy([UNEQUAL] * 3, normalisation=normalisation)  # type: ignore[arg-type]
    assert score.value == float(chosen == 0)
    assert score.interval == wilson_interval(3 * (chosen == 0), 3)
    assert score.signature.endswith(f"|interval:wilson95|normalisation:{normalisation}")


def test_the_first_of_equals_is_chosen() -> None:
    even = Question(log_probs=[-1.0, -1.0], num_tokens=[1, 1], num_bytes=[1, 1], right=1)
    assert choice_accuracy([even], normalisation="sum").value == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"log_probs": [-1.0]}, r"not a multiple choice\n  got: 1 log_probs, 2 num_tokens, 2 num_bytes"),
        ({"log_probs": [-1.0, float("nan")]}, "values that are not finite"),
        (
            {"num_bytes": [1, 0]},
            r"an answer without a length\n  got: num_tokens \[1, 1\], num_bytes \[1, 0\]",
        ),
        ({"right": 2}, r"not among the answers\n  got: index 2 of 2 answers\n  expected: 0 to 1"),
    ],
)
def test_questions_that_cannot_be_are_refused(changed: dict[str, object], message: str) -> None:
    fields = {"log_probs": [-1.0, -2.0], "num_tokens": [1, 1], "num_bytes": [1, 1], "right": 0, **changed}
    with pytest.raises(DataError, match=message):
        Question(**fields)  # type: ignore[arg-type]


def test_no_questions_and_unknown_normalisations_are_refused() -> None:
    with pytest.raises(DataError, match="questions: nothing to measure"):
        choice_accuracy([], normalisation="sum")
    with pytest.raises(UsageError, match='no normalisation of lengths "bytes"'):
        choice_accuracy([UNEQUAL], normalisation="bytes")  # type: ignore[arg-type]
