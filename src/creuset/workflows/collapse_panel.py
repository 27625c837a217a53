"""The collapse monitor of a report: each signal over the steps beside real samples, alarms and sheets."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from creuset.reporting.blocks import Block, Chapter, Figure, Finding, Row, Text
from creuset.reporting.charts import Axis, LineChart, Reference, ScatterChart, Series
from creuset.reporting.sheet import Sheet
from creuset.runs.folder import RunFolder
from creuset.runs.journal import read_journal
from creuset.training.watch import sentence

_CHARTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("spread",), "Mean distance between two samples, as a share of that of real ones."),
    (("deviation",), "Standard deviation over samples, as a share of that of real ones."),
    (("modes",), "Effective number of modes, as a share of that of real samples."),
    (("near_duplicates",), "Share of samples with another one nearer than all but 5% of real samples have."),
    (("coverage",), "Share of real samples whose ball of 5 neighbours holds a generated one."),
    (("recall",), "Share of real samples that lie in a generated sample's ball."),
    (("realism",), "Share of generated samples that lie in a real one's ball."),
    (("cells",), "KL divergence of the histogram over cells of the data, less what its size gives; nats."),
    (("copies",), "Share of samples nearer to training samples than held-out ones allow for."),
    (
        ("accuracy",),
        "How often the critic scores a held-out sample above a generated one; .5 at equilibrium.",
    ),
    (("critic_gap",), "How often the critic scores a training sample above a held-out one; .5 in health."),
    (("sensitivity",), "How far a sample moves for a step of its noise; there is no real counterpart."),
    (("singular_value",), "Largest singular value of the critic's weights; there is no real counterpart."),
    (("active_units",), "Share of latent dimensions whose posterior mean varies by more than 0.01."),
    (("kl_nats", "largest_kl_nats"), "KL divergence of a picture, and of the dimension that has the most."),
    (("live_units",), "Share of code units that vary over pictures."),
)
"""Signals that share a chart, and what they are."""
_TOLD = ("alarm", "rollback")
_HEIGHT = 150
_LOGARITHMIC = frozenset({"modes", "singular_value", "sensitivity"})
_SHARES = frozenset({"near_duplicates", "coverage", "recall", "realism"})
_IN_HEALTH = 2.0
"""Standard deviations on each side of the band of real samples."""


def collapse_chapter(run: RunFolder) -> list[Chapter]:
    """The chapter, or nothing where nothing was watched."""
    lines = list(read_journal(run.journal_path))
    checks = [line for line in lines if line["event"] == "collapse"]
    if not checks:
        return []
    shown = set(checks[-1]["values"])
    figures = [
        _figure(lines, [name for name in names if name in shown], caption)
        for names, caption in _CHARTS
        if shown & set(names)
    ]
    blocks: list[Block] = [*_told(lines), *_sheets(run, lines), *_rows(figures)]
    share = _share(checks)
    lead = f"{len(checks)} checks of the weights as they were trained; they took {share:.1%} of the time."
    return [Chapter(title="Collapse monitor", lead=lead, blocks=[*blocks, _how_to_read(lines)])]


def alarm_sentences(run: RunFolder) -> list[str]:
    """Alarms and rollbacks in words, in their order."""
    return [_in_words(line) for line in read_journal(run.journal_path) if line["event"] in _TOLD]


def _told(lines: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Alarms, as warnings, and rollbacks; or that there was none."""
    blocks: list[Block] = [
        Finding(text=f"{_begun(_in_words(line))}.", kind="warning" if line["event"] == "alarm" else "finding")
        for line in lines
        if line["event"] in _TOLD
    ]
    return blocks or [Finding(text="No alarm: nothing collapsed.")]


def _in_words(line: Mapping[str, Any]) -> str:
    values, step = line["values"], line["step"]
    if line["event"] == "alarm":
        return sentence(values, step)
    return f"rollback at step {step}, to step {values['back_to']}, with `{values['setting']}`"


def _sheets(run: RunFolder, lines: Sequence[Mapping[str, Any]]) -> list[Block]:
    """The samples at each alarm."""
    blocks: list[Block] = []
    for line in lines:
        if line["event"] != "alarm" or "sheet" not in line["values"]:
            continue
        path = run.path / line["values"]["sheet"]
        caption = f"Samples at step {line['step']}, when the alarm was raised: {line['values']['cause']}."
        drawing = _drawing(path, f"samples at step {line['step']}") if path.is_file() else None
        if drawing is not None:
            blocks.append(Figure(drawing=drawing, caption=caption))
    return blocks


def _drawing(path: Path, title: str) -> Sheet | ScatterChart | None:
    """A sheet of pictures, or the points of a table of two columns; None for anything else."""
    if path.suffix == ".png":
        png = path.read_bytes()
        with Image.open(io.BytesIO(png)) as image:
            width, height = image.size
        return Sheet(png=png, width=width, height=height, alt=title)
    if path.suffix != ".csv":
        return None
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    if len(header) != 2:
        return None
    points = np.array(rows, dtype=np.float64)
    return ScatterChart(title=title, points=points, x=Axis(label=header[0]), y=Axis(label=header[1]))


def _figure(lines: Sequence[Mapping[str, Any]], names: Sequence[str], caption: str) -> Figure:
    """A chart of signals: each way of the training, what real samples reach, the limit and the alarms."""
    calibrated = [line["values"] for line in lines if line["event"] == "calibration"]
    health: Mapping[str, float] = calibrated[-1] if calibrated else {}
    ways = _ways(lines)
    series: list[Series] = []
    references: list[Reference] = []
    for name in names:
        for number, way in enumerate(ways):
            kept = number == len(ways) - 1
            title = name.replace("_", " ") if len(names) > 1 else "generated"
            if not kept:
                title = f"abandoned {number + 1}" if len(ways) > 2 else "abandoned"
            points = [(line["step"], line["values"][name]) for line in way]
            series.append(Series(name=title, x=[x for x, _ in points], y=[y for _, y in points]))
        if f"{name}_mean" in health:
            series.append(_band(name, health, max(line["step"] for way in ways for line in way)))
        if f"{name}_limit" in health:
            references.append(Reference(name="limit", value=health[f"{name}_limit"]))
        alarms = [line for line in lines if line["event"] == "alarm" and line["values"]["signal"] == name]
        for line in alarms:
            series.append(Series(name="alarm", x=[line["step"]], y=[line["values"]["value"]]))
    log = not _LOGARITHMIC.isdisjoint(names)
    chart = LineChart(
        title=f"{', '.join(names)} over the steps",
        series=series,
        x=Axis(label="training step"),
        y=Axis(label=names[0].replace("_", " "), log=log),
        references=references,
        height=_HEIGHT,
    )
    return Figure(drawing=chart, caption=caption)


def _band(name: str, health: Mapping[str, float], last: int) -> Series:
    """What real samples reach, over all steps."""
    mean, deviation = health[f"{name}_mean"], health[f"{name}_sd"]
    low, high = mean - _IN_HEALTH * deviation, mean + _IN_HEALTH * deviation
    if name in _LOGARITHMIC:
        low = max(low, mean / 10)
    if name in _SHARES:
        low, high = max(low, 0.0), min(high, 1.0)
    return Series(name="real", x=[0, last], y=[mean, mean], low=[low, low], high=[high, high])


def _ways(lines: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """The checks of each way that the training took: those that were abandoned, and the last one."""
    ways: list[list[Mapping[str, Any]]] = [[]]
    for line in lines:
        if line["event"] == "collapse":
            ways[-1].append(line)
        elif line["event"] == "rollback":
            back_to = line["values"]["back_to"]
            before = [one for one in ways[-1] if one["step"] <= back_to]
            ways[-1] = [one for one in ways[-1] if one["step"] >= back_to]
            ways.append(before)
    return [way for way in ways if way]


def _rows(figures: Sequence[Figure]) -> list[Block]:
    """Two charts side by side."""
    return [
        Row(figures=figures[start : start + 2]) if start + 1 < len(figures) else figures[start]
        for start in range(0, len(figures), 2)
    ]


def _how_to_read(lines: Sequence[Mapping[str, Any]]) -> Text:
    if not any(line["event"] == "calibration" and "spread_mean" in line["values"] for line in lines):
        return Text(text="The limit is that of the definition; nothing of it comes from real samples.")
    return Text(
        text="The band is the mean of real samples held against real samples before the first step, two "
        "standard deviations to each side. The limit is where a signal is bad; an alarm needs several bad "
        "checks in a row, and a distance from real samples that noise does not explain."
    )


def _share(checks: Sequence[Mapping[str, Any]]) -> float:
    """The share of the training time that checks took."""
    clock = checks[-1]["clock"]
    return float(clock["seconds_of_checks"]) / max(float(clock["seconds"]), 1e-9)


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]
