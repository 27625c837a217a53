"""Multiple choice by log-probability: the model chooses the answer that it finds most probable.

A long answer is less probable than a short one whatever it says, so the sum may be divided:

    sum      log p(answer | question)                      favours short answers
    token    per token: acc_norm of some harnesses         depends on the tokenizer
    byte     per byte in UTF-8: acc_norm of others         does not

Which of the three stands in the signature: scores under unlike ones differ by several points.

Sources: Brown et al. (2020), "Language Models are Few-Shot Learners", section 2.4 (per token); Gao (2021),
"Multiple Choice Normalization in LM Evaluation" (per byte).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from creuset.errors import DataError, UsageError
from creuset.metrics.inputs import as_floats
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context
from creuset.metrics.text.rows import TextRows, mean_rows, mean_statistic

Lengths = Literal["sum", "token", "byte"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question with what a model makes of each of its answers.

    Args:
        log_probs: log p(answer | question) in nats, summed over tokens; one for each of 2 answers or more.
        num_tokens: Tokens of each answer, from 1.
        num_bytes: Bytes of each answer in UTF-8, from 1.
        right: The index of the right answer.

    Raises:
        DataError: Numbers that do not fit, are not finite, or a right answer that is not among them.
    """

    log_probs: Sequence[float]
    num_tokens: Sequence[int]
    num_bytes: Sequence[int]
    right: int

    def __post_init__(self) -> None:
        as_floats("log_probs", self.log_probs, "answers")
        sizes = len(self.log_probs), len(self.num_tokens), len(self.num_bytes)
        if sizes[0] < 2 or len(set(sizes)) > 1:
            raise DataError(
                "not a multiple choice",
                got=f"{sizes[0]} log_probs, {sizes[1]} num_tokens, {sizes[2]} num_bytes",
                expected="one of each for 2 answers or more",
            )
        if min(*self.num_tokens, *self.num_bytes) < 1:
            raise DataError(
                "an answer without a length",
                got=f"num_tokens {list(self.num_tokens)}, num_bytes {list(self.num_bytes)}",
                expected="1 or more",
            )
        if not 0 <= self.right < sizes[0]:
            raise DataError(
                "the right answer is not among the answers",
                got=f"index {self.right} of {sizes[0]} answers",
                expected=f"0 to {sizes[0] - 1}",
            )

    def chosen(self, normalisation: Lengths) -> int:
        """The index of the most probable answer, the first of several."""
        lengths = {
            "sum": np.ones(len(self.log_probs)),
            "token": np.asarray(self.num_tokens, dtype=np.float64),
            "byte": np.asarray(self.num_bytes, dtype=np.float64),
        }[normalisation]
        return int(np.argmax(np.asarray(self.log_probs, dtype=np.float64) / lengths))


def choice_accuracy(
    questions: Sequence[Question], *, normalisation: Lengths, context: Context = NO_CONTEXT
) -> Score:
    """The share of questions whose most probable answer is the right one, with Wilson's interval.

    Args:
        questions: N questions.
        normalisation: What log-probabilities are divided by: "sum" (nothing), "token" or "byte". It has no
            default, since none is common.
        context: Data and split.

    Raises:
        DataError: No questions.
        UsageError: A normalisation that there is not.
    """
    return choice_rows(questions, normalisation=normalisation).score(context=context)


def choice_rows(questions: Sequence[Question], *, normalisation: Lengths) -> TextRows:
    """The rows of multiple choice, one a question: 1 where the choice is right, else 0, and 1.

    Args and Raises: as `choice_accuracy`.
    """
    if normalisation not in ("sum", "token", "byte"):
        raise UsageError(f'no normalisation of lengths "{normalisation}"', expected="sum, token or byte")
    if not questions:
        raise DataError("nothing to measure", where="questions", got="0 questions", expected="at least one")
    found = [float(question.chosen(normalisation) == question.right) for question in questions]
    return TextRows(
        metric="choice_accuracy",
        unit="fraction",
        better="higher",
        rows=mean_rows(found),
        statistic=mean_statistic,
        spread="wilson",
        fields={"normalisation": normalisation},
    )
