"""The suite `analogies` on planted vectors."""

import numpy as np
import pytest
import torch

from creuset.data.analogy_questions import Analogy, AnalogyQuestions
from creuset.errors import UsageError
from creuset.evaluation import AnalogySetting, Subject, suites
from creuset.evaluation.analogies import analogy_suite
from creuset.evaluation.suite import Evaluation
from creuset.evaluation.word_map import kept_neighbours
from creuset.metrics.intervals import wilson_interval
from creuset.models import family
from planted_words import planted

KINGS = (
    ("man", "king", "woman", "queen"),
    ("Man", "Woman", "Boy", "Girl"),
    ("king", "queen", "man", "woman"),
)
FRUIT = (("apple", "pear", "man", "king"), ("apple", "pears", "man", "boy"))


def questions(**sections: tuple[tuple[str, ...], ...]) -> AnalogyQuestions:
    return AnalogyQuestions(
        source="questions.txt",
        questions=tuple(
            Analogy(section=name, words=words)  # type: ignore[arg-type]
            for name, asked in sections.items()
            for words in asked
        ),
    )


def measured(setting: AnalogySetting) -> Evaluation:
    model, tokenizer, counts = planted()
    subject = Subject(family=family("token_embeddings"), model=model, device=torch.device("cpu"))
    return analogy_suite(subject, tokenizer, counts, setting, seed=0)


def test_accuracy_is_over_the_questions_that_can_be_asked() -> None:
    found = measured(AnalogySetting(questions=questions(kings=KINGS, fruit=FRUIT), words=("queen",)))
    scores = {score.metric: score for score in found.scores}
    assert list(scores) == ["analogy_accuracy", "analogy_accuracy_kings", "analogy_accuracy_fruit"]
    whole = scores["analogy_accuracy"]
    assert (whole.value, whole.n) == (3 / 4, 4)
    assert whole.interval == wilson_interval(3, 4)
    assert "left_out:1" in whole.signature
    assert scores["analogy_accuracy_kings"].value == 1
    assert (scores["analogy_accuracy_fruit"].value, scores["analogy_accuracy_fruit"].n) == (0, 1)
    assert found.remarks == ["1 of 5 questions are left out: the vocabulary of 8 lacks a word of theirs"]
    assert found.rows["analogy_accuracy"].tolist() == [1, 1, 1, 0]
    assert found.details["sections"][1] == {
        "name": "fruit",
        "num_asked": 1,
        "num_right": 0,
        "num_left_out": 1,
    }
    assert found.details["examples"][0] == ["man", "king", "woman", "queen", "queen"]
    first = found.details["neighbours"][0]
    assert (first["word"], first["count"], first["nearest"][0][0]) == ("queen", 17, "king")


def test_nothing_to_measure_is_said() -> None:
    found = measured(AnalogySetting(questions=questions(fruit=(("plum", "cherry", "man", "boy"),))))
    assert found.scores == []
    assert found.remarks == [
        "nothing to measure: none of the 1 questions of questions.txt has all of its words in the vocabulary "
        "of 8, which lacks plum, cherry"
    ]
    assert found.details["neighbours"]


def test_without_questions_the_neighbours_are_left() -> None:
    found = measured(AnalogySetting())
    assert found.scores == []
    assert found.remarks == ["no analogies were asked: give a file of them, --questions FILE"]
    assert found.details["map"]["words"][:2] == ["man", "woman"]
    assert found.details["map"] == measured(AnalogySetting()).details["map"]


def test_a_named_word_that_is_unknown_is_refused() -> None:
    with pytest.raises(UsageError, match='"plum" is not in the vocabulary'):
        measured(AnalogySetting(words=("plum",)))


def test_the_map_counts_the_neighbours_that_it_keeps() -> None:
    line = np.arange(6.0)[:, None] ** 1.1
    assert kept_neighbours(line, np.hstack([line, 0 * line]), 2) == 1
    folded = np.hstack([line % 3, 0 * line])
    assert kept_neighbours(line, folded, 2) < 0.5


def test_the_suite_is_for_models_with_vectors_of_tokens() -> None:
    assert suites(family("token_embeddings")) == ("analogies",)
    assert suites(family("decoder")) == ("text", "analogies")
    assert "analogies" not in suites(family("vae"))
