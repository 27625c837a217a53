"""How `creuset data show --out` draws examples of each class."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from creuset.data.dataset import Dataset

NUM_EXAMPLES = 10
"""Samples that `creuset data show` shows, on a sheet of each class."""
_MAX_CLASSES = 20
"""Rows of a sheet."""


def write_examples(dataset: "Dataset", out: Path) -> None:
    """Ten training pictures of each class, a row a class; without classes, ten rows of ten."""
    import torch

    from creuset.data.pixels import to_bytes
    from creuset.errors import UsageError
    from creuset.files import write_atomic
    from creuset.reporting.sheet import picture_sheet

    if dataset.spec.kind != "images":
        what = "a table has" if dataset.spec.kind == "table" else "texts have"
        raise UsageError(f"{what} no pictures", where="--out", next_step="leave --out away")
    if out.suffix != ".png":
        raise UsageError("sheets are written as .png", where=out, next_step=f"write --out {out.stem}.png")
    dataset = dataset.shown
    split = dataset.splits["train"]
    if split.labels is None:
        chosen = torch.arange(min(NUM_EXAMPLES**2, split.num_samples))
    else:
        # A class with fewer pictures shows some of them again, so that each row is one class.
        rows = [torch.nonzero(split.labels == label).flatten() for label in range(dataset.spec.num_classes)]
        chosen = torch.cat([row[torch.arange(NUM_EXAMPLES) % len(row)] for row in rows[:_MAX_CLASSES]])
    pictures = to_bytes(split.inputs[chosen], dataset.spec.num_levels).permute(0, 2, 3, 1).numpy()
    sheet = picture_sheet(pictures, alt=f"Examples of {dataset.report.origin}", columns=NUM_EXAMPLES)
    write_atomic(out, sheet.png)
