"""What `creuset eval --suite analogies` asks of a run's words, and what a report draws of the answers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from creuset.data.analogy_questions import read_analogies
from creuset.errors import UsageError
from creuset.evaluation import AnalogySetting, Suite
from creuset.evaluation.analogies import section_metric
from creuset.generation.neighbours import WordVectors
from creuset.metrics.score import Score
from creuset.models.base import Model
from creuset.reporting.blocks import Block, Cell, Figure, Section, Table
from creuset.reporting.charts import Axis, ScatterChart
from creuset.workflows.load import Loaded


def analogy_setting(
    suite: Suite, questions: str | Path | None, words: Sequence[str], data: str | None, split: str | None
) -> AnalogySetting | None:
    """What is asked; None for another suite.

    Args:
        suite: The suite that measures.
        questions: The file, or None.
        words: Words whose neighbours are shown.
        data, split: What the caller measures on, which analogies leave without effect.

    Raises:
        UsageError: An option without effect.
        NotFoundError, DataError: See `read_analogies`.
    """
    asked = {"--questions": questions, "--words": ", ".join(words) or None}
    others = {"--data": data, "--split": split}
    for name, value in (others if suite == "analogies" else asked).items():
        if value is not None:
            raise UsageError(
                f"an option without effect: {name}",
                where=name,
                got=f"{value}, with the suite {suite}",
                expected="the suite analogies" if name in asked else "--questions FILE",
                next_step="leave it out" + ("" if name in others else ", or --suite analogies"),
            )
    if suite != "analogies":
        return None
    return AnalogySetting(
        questions=None if questions is None else read_analogies(questions), words=tuple(words)
    )


def word_vectors(loaded: Loaded) -> WordVectors:
    """The words of a run by their vectors: `word_vectors(loaded).near("king - man + woman")`.

    Raises:
        UsageError: The model has no vectors of tokens, or its tokens are no whole words.
    """
    loaded.require("embeds_tokens", "tell which words are near")
    assert isinstance(loaded.model, Model)
    return WordVectors.of(loaded.model, loaded.tokenizer, loaded.spec.word_counts, where=loaded.run.path)


def analogy_blocks(document: Mapping[str, Any]) -> list[Block]:
    """Sections, examples, neighbours and the map of a stored suite of analogies."""
    details = document["details"]
    blocks: list[Block] = []
    if "sections" in details:
        scores = {score.metric: score for score in map(Score.from_json, document["scores"])}
        sections = _section_table(details["sections"], scores)
        blocks += [sections, _example_table(details["examples"])]
    blocks.append(_neighbour_table(details["neighbours"], details["num_words"]))
    if details["map"] is not None:
        blocks.append(_map_figure(details["map"]))
    return [Section(title="Words by their vectors", blocks=blocks)]


def _section_table(sections: Sequence[Mapping[str, Any]], scores: Mapping[str, Score]) -> Table:
    rows: list[list[Cell]] = []
    for one in sections:
        score = scores.get(section_metric(one["name"]))
        interval = (None, None) if score is None or score.interval is None else score.interval
        shares = [None if score is None else score.value, *interval]
        rows.append([one["name"], one["num_asked"], one["num_right"], *shares, one["num_left_out"]])
    return Table(
        header=["section", "asked", "right", "share", "low", "high", "left out"],
        rows=rows,
        caption="Analogies: the nearest word to b - a + c should be d. The share of right answers with its "
        "95% interval (Wilson's). Left out are questions with a word that the vocabulary lacks.",
    )


def _example_table(examples: Sequence[Sequence[str]]) -> Table:
    rows = [[f"{a} : {b} = {c} : ?", right, answer] for a, b, c, right, answer in examples]
    return Table(
        header=["question", "right", "answer"],
        rows=rows,
        caption="Some of the questions, evenly spread over the file, none chosen for its answer.",
    )


def _neighbour_table(neighbours: Sequence[Mapping[str, Any]], num_words: int) -> Table:
    rows = [
        [one["word"], one["count"], ", ".join(f"{word} {cosine:.2f}" for word, cosine in one["nearest"])]
        for one in neighbours
    ]
    return Table(
        header=["word", "in the text", "nearest, with their cosines"],
        rows=rows,
        caption=f"The nearest of {num_words:,} words, by cosine: of words that were named, and of words from "
        "the most frequent to the rarest.",
    )


def _map_figure(found: Mapping[str, Any]) -> Figure:
    words = found["words"]
    chart = ScatterChart(
        title="words in a plane, near where their vectors are",
        points=np.array(found["points"], dtype=np.float64),
        x=Axis(label="t-SNE 1"),
        y=Axis(label="t-SNE 2"),
        names=words,
        height=640,
    )
    caption = (
        f"The {len(words)} most frequent words by t-SNE. It keeps {found['kept']:.0%} of the neighbours: so "
        "many of the ten words nearest to a word, among these, are among its ten nearest here. Distances "
        "between groups mean little."
    )
    return Figure(drawing=chart, caption=caption)
