"""Several runs in one chart: what was validated against seconds and against steps, and the loss by place."""

from collections.abc import Mapping, Sequence
from typing import Any

from creuset.models import family
from creuset.models.base import Trait
from creuset.reporting.blocks import Figure, Row
from creuset.reporting.charts import Axis, LineChart, Series
from creuset.runs.folder import RunFolder
from creuset.runs.journal import read_journal, without_abandoned
from creuset.workflows.chapters import words

_LOSS = "loss"
_ONE_LOSS: tuple[Trait, ...] = ("classifies", "scores_text", "transduces_text", "fills_masks")
"""Families that share one of these share what their loss is: nats of a label, or of a token of some kind."""
_AXES = {"seconds": "seconds of training", "step": "training step"}


def joint_curves(runs: Mapping[str, RunFolder]) -> list[Row | Figure]:
    """What runs validated, each quantity against seconds and against steps, all that have it in one chart.

    Args:
        runs: By the names that they are shown by, in the order of their colours.

    Returns:
        Two figures for each quantity that two runs or more validated twice or more, those of the first one
        as wide as the page. The loss is left out where it is no one quantity (`losses_are_one_quantity`).
    """
    lines = {name: _validations(run) for name, run in runs.items()}
    blocks: list[Row | Figure] = []
    for quantity in dict.fromkeys(name for found in lines.values() for name in _quantities(found)):
        having = {
            name: [line for line in found if quantity in line["values"]] for name, found in lines.items()
        }
        drawn = {name: found for name, found in having.items() if len(found) > 1}
        compared = [runs[name] for name in drawn]
        if len(drawn) > 1 and (quantity != _LOSS or losses_are_one_quantity(compared)):
            own = quantity == _LOSS and not _share_a_loss(compared)
            pair = [_figure(quantity, drawn, against, own=own) for against in _AXES]
            blocks += pair if not blocks else [Row(figures=pair)]
    return blocks


def own_losses(runs: Mapping[str, RunFolder]) -> list[Row | Figure]:
    """The validation loss of each run in a chart of its own, all over the same seconds of training.

    Args:
        runs: By the names that they are shown by.

    Returns:
        Figures of one size in one row; nothing of runs that were validated less than twice.
    """
    lines = {
        name: [line for line in _validations(run) if _is_number(line["values"].get(_LOSS))]
        for name, run in runs.items()
    }
    drawn = {name: found for name, found in lines.items() if len(found) > 1}
    longest = max((_place(line, "seconds") for found in drawn.values() for line in found), default=0.0)
    figures = [_own_figure(name, found, longest) for name, found in drawn.items()]
    return [Row(figures=figures)] if len(figures) > 1 else list(figures)


def _own_figure(name: str, lines: Sequence[Mapping[str, Any]], longest: float) -> Figure:
    chart = LineChart(
        title=f"{name}: loss of the validation split against seconds of training",
        series=[
            Series(
                name=name,
                x=[_place(line, "seconds") for line in lines],
                y=[line["values"][_LOSS] for line in lines],
            )
        ],
        x=Axis(label=_AXES["seconds"], low=0.0, high=longest),
        y=Axis(label="validation loss"),
        height=170,
    )
    return Figure(drawing=chart, caption=f"{name}: its own loss on the validation split.")


def losses_are_one_quantity(runs: Sequence[RunFolder]) -> bool:
    """Whether the losses of the runs' families may be drawn in one chart: those of codes with none of pixels,
    or of other codes."""
    manifests = [run.manifest() for run in runs]
    codes = {(manifest.data_spec.get("codes") or {}).get("checkpoint") for manifest in manifests}
    return len(codes) == 1 and (len({manifest.family for manifest in manifests}) == 1 or _share_a_loss(runs))


def _share_a_loss(runs: Sequence[RunFolder]) -> bool:
    traits = [family(run.manifest().family).traits for run in runs]
    return any(all(trait in found for found in traits) for trait in _ONE_LOSS)


def loss_by_place(documents: Mapping[str, Mapping[str, Any]]) -> Figure:
    """The loss against the length of what was read, of stored suites of text.

    Args:
        documents: By the names of their curves.
    """
    series = [
        Series(name=name, x=[float(place) for place in range(1, len(nats) + 1)], y=nats)
        for name, document in documents.items()
        for nats in [document["details"]["nats_by_place"]]
    ]
    chart = LineChart(
        title="loss against the tokens read before",
        series=series,
        x=Axis(label="tokens read before"),
        y=Axis(label="nats per token"),
    )
    return Figure(drawing=chart, caption="How much a longer text before a token helps to tell it.")


def _validations(run: RunFolder) -> list[dict[str, Any]]:
    """The journal's lines about validations of the whole model."""
    return [
        line for line in without_abandoned(read_journal(run.journal_path)) if line["event"] == "validation"
    ]


def _quantities(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of the numbers of some journal lines."""
    named = {name: None for line in lines for name, value in line["values"].items() if _is_number(value)}
    return list(named)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _figure(
    quantity: str, lines: Mapping[str, Sequence[Mapping[str, Any]]], against: str, *, own: bool
) -> Figure:
    """One quantity; `own` says that each run's recipe has a say in what it is."""
    series = [
        Series(
            name=name,
            x=[_place(line, against) for line in found],
            y=[line["values"][quantity] for line in found],
        )
        for name, found in lines.items()
    ]
    label, what = _AXES[against], f"validation {words(quantity)}"
    chart = LineChart(title=f"{what} against {label}", series=series, x=Axis(label=label), y=Axis(label=what))
    caption = f"{what.capitalize()} against {label}."
    if own:
        caption += " Of each run as its own recipe defines it."
    return Figure(drawing=chart, caption=caption)


def _place(line: Mapping[str, Any], against: str) -> float:
    return float(line["clock"][against] if against == "seconds" else line[against])
