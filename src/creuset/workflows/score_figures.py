"""What a report draws of a suite's scores: against floors, against the number of samples, and pairs to look
at."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.evaluation.code_likelihoods import CODE_NLL
from creuset.evaluation.pairs import COPIED
from creuset.evaluation.partners import UNTRAINED
from creuset.metrics.growth import growing_sizes, growth_of_mean
from creuset.metrics.score import Score
from creuset.reporting.blocks import Block, Figure, Finding, Row, Section, Table
from creuset.reporting.charts import Axis, Dot, DotChart, LineChart, Series
from creuset.reporting.numbers import common_decimals, compact
from creuset.reporting.score_table import printed_metric
from creuset.reporting.sheet import comparison_sheet

_OF_SAMPLES = ("nats_per_masked_token", "accuracy", "label_nll", "nll", CODE_NLL, "mse", "psnr")
"""Means over samples that are drawn against their number; others move with one of these."""
_OF_REAL_PICTURES = {"memorisation": "0.5", "near_copies": "about 0.01"}
"""What pictures that the model was not trained on would score."""
_CURVES = 8
_FLOOR = "_floor"
_FREQUENCIES = "_unigram"

Rows = Mapping[str, NDArray[Any]]


def finding_blocks(document: Mapping[str, Any]) -> list[Block]:
    """What a suite found beside its scores, and what it left out."""
    details = document["details"]
    return [
        *(Finding(text=f"{_sentence(text)}.") for text in details.get("findings", ())),
        *(Finding(text=f"{_sentence(text)}.", kind="warning") for text in details.get("remarks", ())),
    ]


def floor_blocks(document: Mapping[str, Any], subject: str) -> list[Block]:
    """Each score beside what it would be without a model: simple models, real pictures in place of generated
    ones, or the frequencies of tokens. Empty for a suite without floors.

    Args:
        document: Of a suite.
        subject: Whose scores they are.
    """
    floors = _scores(document, "floors")
    scores = {score.metric: score for score in _scores(document, "scores")}
    copied = [floor for floor in floors if floor.metric.endswith(COPIED)]
    frequencies = [floor for floor in floors if floor.metric.endswith(_FREQUENCIES)]
    others = (_FLOOR, COPIED, UNTRAINED, _FREQUENCIES)
    simple = [floor for floor in floors if not floor.metric.endswith(others)]
    real = [floor for floor in floors if floor.metric.endswith(_FLOOR)]
    blocks: list[Block] = []
    if simple:
        blocks.extend(_against_simple_models(simple, scores, subject))
    if copied:
        blocks.append(_against_copies(copied, scores))
    if real:
        notes = document["details"].get("notes", ())
        blocks.extend(_against_real_pictures(real, scores, notes, subject))
    if frequencies:
        blocks.append(_against_frequencies(frequencies, scores, subject))
    return blocks


def growth_section(document: Mapping[str, Any], rows: Rows) -> list[Section]:
    """A chart of each measure against the number of samples, two in a row; empty where none can be drawn.

    Args:
        document: Of a suite.
        rows: What it kept of each sample.
    """
    by_name = {score.metric: score for score in _scores(document, "scores")}
    figures = [
        _sample_figure(by_name[name], values)
        for name in _OF_SAMPLES
        if name in by_name
        for values in [_values(name, rows)]
        if values is not None and len(growing_sizes(len(values))) > 1
    ]
    curves = document["details"].get("curves", {})
    figures += [_distance_figure(by_name[name], curve) for name, curve in curves.items() if name in by_name]
    figures = figures[:_CURVES]
    if not figures:
        return []
    pairs = [Row(figures=figures[i : i + 2]) for i in range(0, len(figures), 2)]
    return [Section(title="Against the number of samples", blocks=pairs)]


def neighbour_figures(document: Mapping[str, Any], rows: Rows) -> list[Figure]:
    """Generated pictures above their nearest training pictures: the nearest pairs, then any."""
    details = document["details"].get("neighbours")
    if details is None or "neighbours_generated" not in rows:
        return []
    generated, training = rows["neighbours_generated"], rows["neighbours_training"]
    num = details["num_nearest"]
    said = ", ".join(
        f"{printed_metric(score.metric)} {score.value:.3f} (of real pictures {usual})"
        for score in _scores(document, "scores")
        for usual in [_OF_REAL_PICTURES.get(score.metric)]
        if usual is not None
    )
    distances = details["distances"]
    captions = (
        f"The {num} generated pictures that lie nearest to a training picture, each above that picture, at "
        f"distances of {distances[0]:.4g} to {distances[num - 1]:.4g} levels. A copy shows as two equal "
        "pictures; blurred or almost empty pictures lie near to everything, and are no copies. "
        f"Measured over all: {said}.",
        f"The {num} pictures that were drawn first, none left out, above their nearest training pictures: "
        "what nearness is usual.",
    )
    parts = ((slice(0, num), "nearest pairs"), (slice(num, None), "pairs of any pictures"))
    return [
        Figure(
            drawing=comparison_sheet(
                {"generated": generated[part], "nearest in training": training[part]}, alt=alt
            ),
            caption=caption,
        )
        for (part, alt), caption in zip(parts, captions, strict=True)
    ]


def _against_simple_models(floors: Sequence[Score], scores: Mapping[str, Score], subject: str) -> list[Block]:
    of_codes = floors[0].metric.startswith(CODE_NLL)
    nll = scores.get(CODE_NLL if of_codes else "nll")
    what, on = ("NLL of codes, nats a code map", "code maps") if of_codes else ("NLL, nats", "pixels")
    rows = [[_floor_name(floor), floor.value, *_ends(floor)] for floor in floors]
    table = Table(
        header=["model without learning", what, "low", "high"],
        rows=rows,
        caption=f"What simple models reach on the same {on}; one that learned something is below.",
        note=floors[-1].signature,
    )
    if nll is None:
        return [table]
    dots = [_dot(subject, nll, marked=True), *(_dot(_floor_name(floor), floor) for floor in floors)]
    chart = DotChart(
        title="NLL beside that of simple models", rows=dots, axis=Axis(label=f"{what} (lower is better)")
    )
    caption = "The model's NLL with its 95% interval beside those of models that learned almost nothing."
    return [table, Figure(drawing=chart, caption=caption)]


def _against_copies(floors: Sequence[Score], scores: Mapping[str, Score]) -> Table:
    names = [floor.metric.removesuffix(COPIED) for floor in floors]
    return Table(
        header=["measure", "written", "source copied"],
        rows=[
            [printed_metric(name), _printed(scores[name]) if name in scores else None, _printed(floor)]
            for name, floor in zip(names, floors, strict=True)
        ],
        caption="What the model writes, and the sources as they are, against the same references: names, "
        "numbers and commands that both languages share score without any translation.",
    )


def _against_frequencies(floors: Sequence[Score], scores: Mapping[str, Score], subject: str) -> Table:
    names = [floor.metric.removesuffix(_FREQUENCIES) for floor in floors]
    return Table(
        header=["measure", subject, "frequencies"],
        rows=[
            [printed_metric(name), _printed(scores[name]), _printed(floor)]
            for name, floor in zip(names, floors, strict=True)
        ],
        caption="The same hidden tokens told by how often each token stands in the training text, without a "
        "look at what is around: a model that learned something is better.",
        note=floors[0].signature,
    )


def _against_real_pictures(
    floors: Sequence[Score], scores: Mapping[str, Score], notes: Sequence[str], subject: str
) -> list[Block]:
    pairs = [(scores.get(floor.metric.removesuffix(_FLOOR)), floor) for floor in floors]
    table = Table(
        header=["measure", "generated", "real"],
        rows=[
            [
                printed_metric(floor.metric.removesuffix(_FLOOR)),
                None if score is None else _printed(score),
                _printed(floor),
            ]
            for score, floor in pairs
        ],
        caption="Generated pictures beside real ones in their place, against the same reference: a perfect "
        "generator would reach what real pictures reach, and no more.",
        note=" ".join([*(f"{_sentence(text)}." for text in notes), floors[0].signature]),
    )
    figures = [_beside_real(score, floor, subject) for score, floor in pairs if score is not None]
    rows = [Row(figures=figures[i : i + 2]) for i in range(0, len(figures), 2)]
    return [table, *rows]


def _beside_real(score: Score, floor: Score, subject: str) -> Figure:
    name = printed_metric(score.metric)
    chart = DotChart(
        title=f"{name} of generated and of real pictures",
        rows=[_dot(subject, score, marked=True), _dot("real pictures", floor)],
        axis=Axis(label=f"{name} ({score.better} is better)"),
    )
    interval = "with 95% intervals" if score.interval is not None else "without an interval"
    return Figure(drawing=chart, caption=f"{_sentence(name)}, {interval}.")


def _sample_figure(score: Score, values: NDArray[Any]) -> Figure:
    points = growth_of_mean(values, growing_sizes(len(values)))
    ends = [point.interval or (point.value, point.value) for point in points]
    series = Series(
        name=printed_metric(score.metric),
        x=[point.n for point in points],
        y=[point.value for point in points],
        low=[low for low, _ in ends],
        high=[high for _, high in ends],
    )
    caption = f"{_sentence(series.name)} of the first n samples of the split, with its 95% interval."
    return _growth_figure(score, [series], "samples", caption)


def _distance_figure(score: Score, curve: Mapping[str, Sequence[Any]]) -> Figure:
    name = printed_metric(score.metric)
    banded = all(end is not None for end in [*curve["low"], *curve["high"]])
    series = [
        Series(
            name="generated" if "floor" in curve else name,
            x=curve["n"],
            y=curve["value"],
            low=curve["low"] if banded else None,
            high=curve["high"] if banded else None,
        )
    ]
    caption = f"{_sentence(name)} of the first n generated pictures"
    if banded:
        caption += ", with its 95% interval."
    if "floor" in curve:
        series.append(Series(name="real", x=curve["n"], y=curve["floor"]))
        caption += (
            " and of real ones in their place: both fall by their bias of about c/n, so compare at one n."
        )
    return _growth_figure(score, series, "generated pictures", caption)


def _growth_figure(score: Score, series: Sequence[Series], what: str, caption: str) -> Figure:
    name = printed_metric(score.metric)
    unit = "" if score.unit in ("fraction", "score") else f", {score.unit.replace('_', ' ')}"
    chart = LineChart(
        title=f"{name} against the number of {what}",
        series=series,
        x=Axis(label=f"{what}", log=True),
        y=Axis(label=f"{name}{unit}"),
        height=150,
    )
    return Figure(drawing=chart, caption=caption)


def _values(metric: str, rows: Rows) -> NDArray[Any] | None:
    """The numbers whose mean a metric is, one a sample; None where they were not kept."""
    if metric == "accuracy" and {"label", "predicted"} <= set(rows):
        right: NDArray[Any] = (rows["label"] == rows["predicted"]).astype(np.float64)
        return right
    return rows.get(metric)


def _printed(score: Score) -> str:
    decimals = common_decimals([(score.value, score.interval)])
    if score.interval is None:
        return compact(score.value, decimals)
    low, high = (compact(end, decimals) for end in score.interval)
    return f"{compact(score.value, decimals)} [{low}, {high}]"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _dot(name: str, score: Score, *, marked: bool = False) -> Dot:
    return Dot(name=name, value=score.value, interval=score.interval, marked=marked)


def _floor_name(floor: Score) -> str:
    return floor.metric.removeprefix("code_").removeprefix("nll_").replace("_", " ")


def _ends(score: Score) -> tuple[float | None, float | None]:
    return (None, None) if score.interval is None else score.interval


def _scores(document: Mapping[str, Any], key: str) -> list[Score]:
    return [Score.from_json(score) for score in document[key]]
