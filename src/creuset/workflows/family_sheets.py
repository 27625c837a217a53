"""What a report draws beside the table of families: a few samples of each, and whether all had one budget
and the same data."""

from collections.abc import Mapping

import torch

from creuset.data.dataset import Dataset
from creuset.generation.pictures import Pictures, to_pictures
from creuset.reporting.blocks import Finding
from creuset.reporting.numbers import seconds
from creuset.reporting.sheet import Sheet, picture_sheet
from creuset.workflows.family_table import FamilyTable
from creuset.workflows.load import Loaded

_NUM, _COLUMNS = 16, 4
_SIDE = 28
"""Smaller pictures are enlarged to about so many pixels a side."""
_ALIKE = 1.25
"""Up to this ratio two trainings count as equally long."""
OF_SMALL_SHEETS = f"the first {_NUM}, seed 0"


def small_sheets(
    models: Mapping[str, Loaded], dataset: Dataset, split: str, *, real: str | None
) -> dict[str, Sheet]:
    """A small sheet of each model that draws pictures, and of real ones.

    Args:
        models: By the names of their columns.
        dataset: The data of all of them.
        split: The part of it that was measured.
        real: The column of real pictures; None for none.
    """
    sheets = {
        name: _sheet(model.draw_pictures(_NUM, seed=0), f"{_NUM} samples of {name}")
        for name, model in models.items()
        if "samples" in model.family.traits
    }
    if real is not None:
        part = "train" if "train" in dataset.splits else split
        shown = torch.arange(min(_NUM, dataset.split(part).num_samples))
        sheets[real] = _sheet(to_pictures(dataset.batch(part, shown)["images"]), f"{len(shown)} {real}")
    return sheets


def budget_remarks(table: FamilyTable) -> list[Finding]:
    """Warnings where the trainings were not equally long, not told as much, or of unlike data."""
    found = []
    spent = {name: entry.training_seconds for name, entry in table.entries.items()}
    shortest, longest = min(spent, key=spent.__getitem__), max(spent, key=spent.__getitem__)
    if spent[longest] > _ALIKE * spent[shortest]:
        text = (
            f"These trainings had unlike budgets, from {seconds(spent[shortest])} ({shortest}) to "
            f"{seconds(spent[longest])} ({longest}); `creuset train RECIPE --max-time 10m` gives each "
            "the same."
        )
        found.append(Finding(text=text, kind="warning"))
    if len({entry.told for entry in table.entries.values()}) > 1:
        knowing = ", ".join(name for name, entry in table.entries.items() if entry.told != "none")
        text = (
            f"Classes were known to {knowing} alone: the others had to find them by themselves. "
            "`--set model.condition=none` trains without them."
        )
        found.append(Finding(text=text, kind="warning"))
    hashes = {name: entry.data_hash[:8] for name, entry in table.entries.items()}
    if len(set(hashes.values())) > 1:
        each = ", ".join(f"{name} {digits}" for name, digits in hashes.items())
        text = f"These runs were measured on the same pictures and trained on unlike data: {each}."
        found.append(Finding(text=text, kind="warning"))
    return found


def _sheet(pictures: Pictures, alt: str) -> Sheet:
    scale = max(round(_SIDE / max(pictures.shape[1:3])), 1)
    return picture_sheet(pictures, alt=alt, columns=_COLUMNS, scale=scale)
