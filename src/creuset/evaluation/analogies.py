"""The suite `analogies`: which words lie near to which, and whether differences of words mean something.

Questions "a is to b as c is to d" are asked where the vocabulary holds all four words; the others are left
out, counted and said. Beside them, for a report: the nearest neighbours of some words, and a map of the most
frequent ones (word_map.py).

Source: Mikolov et al. 2013, "Efficient Estimation of Word Representations in Vector Space", section 4.1.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.data.analogy_questions import AnalogyQuestions
from creuset.data.tokenizer import Tokenizer
from creuset.evaluation.suite import Evaluation, Subject
from creuset.evaluation.word_map import word_map
from creuset.generation.neighbours import WordVectors
from creuset.metrics.intervals import wilson_interval
from creuset.metrics.score import Score
from creuset.metrics.signature import Context
from creuset.models.base import Model

QUESTIONS = "questions"
"""What stands in the place of a split."""
METRIC = "analogy_accuracy"

_NEIGHBOURS = 8
_LADDER = 12
"""Words of falling frequency whose neighbours are shown."""
_EXAMPLES = 10
"""Questions of the file that are shown with their answers."""


@dataclass(frozen=True, kw_only=True)
class AnalogySetting:
    """What is asked.

    Args:
        questions: None to ask nothing, and show neighbours and the map alone.
        words: Words whose neighbours are shown, beside words of each frequency.
    """

    questions: AnalogyQuestions | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Asked:
    """The questions of which the vocabulary holds all words.

    Args:
        numbers: Which of the file's questions, int64 (Q,).
        rows: The rows of their words, int64 (Q, 4).
        answers: The rows of the answers, int64 (Q,).
    """

    numbers: NDArray[np.int64]
    rows: NDArray[np.int64]
    answers: NDArray[np.int64]

    @property
    def right(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.answers == self.rows[:, 3]
        return found


def section_metric(name: str) -> str:
    """What the score of a section is called."""
    return f"{METRIC}_{name}"


def analogy_suite(
    subject: Subject,
    tokenizer: Tokenizer,
    counts: Sequence[int],
    setting: AnalogySetting,
    *,
    seed: int,
) -> Evaluation:
    """Accuracy over all questions and over each section, neighbours, and a map.

    Args:
        subject: A model with a vector for each token.
        tokenizer: Its own.
        counts: How often each id stands in the training text; empty where that is not known.
        setting: What is asked.
        seed: Decides the map.

    Raises:
        UsageError: The tokens are no whole words, or a word that was named is not in the vocabulary.
        NumericalError: A vector is not finite.
    """
    assert isinstance(subject.model, Model)
    vectors = WordVectors.of(subject.model, tokenizer, counts, where=subject.family.name)
    details: dict[str, Any] = {
        "num_words": len(vectors.words),
        "neighbours": _neighbours(vectors, setting.words),
        "map": word_map(vectors, seed=seed),
    }
    shown = Evaluation(suite="analogies", split=QUESTIONS, details=details)
    if setting.questions is None:
        remark = "no analogies were asked: give a file of them, --questions FILE"
        return replace(shown, remarks=[remark])
    return _asked_all(vectors, setting.questions, shown)


def _asked_all(vectors: WordVectors, questions: AnalogyQuestions, shown: Evaluation) -> Evaluation:
    """The evaluation with the scores of a file's questions."""
    total = len(questions.questions)
    asked = _ask(vectors, questions)
    num_left_out = total - len(asked.numbers)
    if not len(asked.numbers):
        missing = _missing(vectors, questions)
        remark = (
            f"nothing to measure: none of the {total:,} questions of {questions.source} has all of its words "
            f"in the vocabulary of {len(vectors.words):,}, which lacks {', '.join(missing)}"
        )
        return replace(shown, remarks=[remark])
    remarks = []
    if num_left_out:
        remarks.append(
            f"{num_left_out:,} of {total:,} questions are left out: the vocabulary of {len(vectors.words):,} "
            "lacks a word of theirs"
        )
    sections = _sections(questions, asked)
    scores = [_score(METRIC, asked.right, _context(questions, QUESTIONS, num_left_out))]
    for section in sections:
        if section["num_asked"]:
            name = section["name"]
            chosen = np.array([questions.questions[number].section == name for number in asked.numbers])
            context = _context(questions, name, section["num_left_out"])
            scores.append(_score(section_metric(name), asked.right[chosen], context))
    names = [list(questions.questions[number].words) for number in asked.numbers]
    found = {"sections": sections, "examples": _examples(vectors, questions, asked)}
    return replace(
        shown,
        scores=scores,
        remarks=remarks,
        details={**shown.details, **found},
        rows={METRIC: asked.right.astype(np.float64)},
        samples=hashlib.sha256(json.dumps(names).encode()).hexdigest(),
    )


def _ask(vectors: WordVectors, questions: AnalogyQuestions) -> _Asked:
    words = {word for question in questions.questions for word in question.words}
    places = {word: vectors.place(word) for word in sorted(words)}
    numbers: list[int] = []
    rows: list[list[int]] = []
    for number, question in enumerate(questions.questions):
        found = [place for word in question.words if (place := places[word]) is not None]
        if len(found) == len(question.words):
            numbers.append(number)
            rows.append(found)
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    answers = vectors.solve(table[:, 0], table[:, 1], table[:, 2])
    return _Asked(numbers=np.array(numbers, dtype=np.int64), rows=table, answers=answers)


def _missing(vectors: WordVectors, questions: AnalogyQuestions) -> list[str]:
    """Some of the words that the vocabulary lacks, in the order of the file."""
    words = dict.fromkeys(word for question in questions.questions for word in question.words)
    return [word for word in words if vectors.place(word) is None][:4]


def _sections(questions: AnalogyQuestions, asked: _Asked) -> list[dict[str, Any]]:
    names = [question.section for question in questions.questions]
    of_asked = [names[number] for number in asked.numbers]
    right = [name for name, hit in zip(of_asked, asked.right, strict=True) if hit]
    return [
        {
            "name": name,
            "num_asked": of_asked.count(name),
            "num_right": right.count(name),
            "num_left_out": names.count(name) - of_asked.count(name),
        }
        for name in questions.sections
    ]


def _context(questions: AnalogyQuestions, part: str, num_left_out: int) -> Context:
    return Context(
        data=questions.content_hash, split=part, extra={"left_out": num_left_out, "answer": "3cosadd"}
    )


def _score(metric: str, right: NDArray[np.bool_], context: Context) -> Score:
    hits = int(right.sum())
    return context.score(
        metric=metric,
        value=hits / len(right),
        unit="fraction",
        better="higher",
        interval=wilson_interval(hits, len(right)),
        n=len(right),
        fields={"interval": "wilson95"},
    )


def _examples(vectors: WordVectors, questions: AnalogyQuestions, asked: _Asked) -> list[list[str]]:
    """Some questions, evenly spread over those that were asked: a, b, c, the right word, the answer."""
    chosen = np.unique(np.linspace(0, len(asked.numbers) - 1, _EXAMPLES).astype(int))
    return [
        [*questions.questions[asked.numbers[place]].words, vectors.words[asked.answers[place]]]
        for place in chosen.tolist()
    ]


def _neighbours(vectors: WordVectors, named: Sequence[str]) -> list[dict[str, Any]]:
    """The nearest words of those that are named, and of words of falling frequency."""
    lettered = [word for word in vectors.words if word.isalpha()]
    ranks = np.unique(np.geomspace(1, max(1, len(lettered)), _LADDER).astype(int)) - 1
    ladder = [lettered[rank] for rank in ranks.tolist()] if lettered else []
    rows = []
    for word in dict.fromkeys([*named, *ladder]):
        nearest = vectors.near(word, _NEIGHBOURS)
        place = vectors.place(word)
        rows.append(
            {
                "word": word,
                "count": int(vectors.counts[place]) if place is not None else 0,
                "nearest": [[neighbour.word, neighbour.cosine] for neighbour in nearest],
            }
        )
    return rows
