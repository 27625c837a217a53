"""What a tuned language model and its base make of the rows of a split, in batches of so many tokens.

Legend of shapes: N rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from creuset.data.dataset import Dataset
from creuset.data.trained_rows import TrainedRows
from creuset.metrics.inputs import FloatArray
from creuset.models.base import Batch
from creuset.models.tuned import Tuned
from creuset.progress import Progress

_TOKENS_AT_ONCE = 8192


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The tuned model and its base."""

    tuned: Tuned
    base: Tuned


def row_nats(model: Tuned, dataset: Dataset, split: str, progress: Progress) -> FloatArray:
    """What is learned of each row costs so many nats, float64 (N,); of preferences chosen answers first."""
    return each_row(model, model.text_nats, dataset, split, progress)


def each_row(
    model: Tuned, measure: Callable[[Batch], Tensor], dataset: Dataset, split: str, progress: Progress
) -> FloatArray:
    """What is measured of each row, in batches of so many tokens, float64 (N,)."""
    tuning = dataset.split(split).tuning
    assert tuning is not None
    return each_text(model, measure, tuning.trained, progress)


def each_text(
    model: Tuned, measure: Callable[[Batch], Tensor], rows: TrainedRows, progress: Progress
) -> FloatArray:
    """As `each_row`, of rows that are no split of a data set."""
    lengths = rows.rows.lengths
    found = np.zeros(len(lengths))
    order = torch.argsort(lengths, descending=True)
    device = next(model.parameters()).device
    progress.start("likelihood", len(order), "rows")
    done = 0
    for places in _groups(order, lengths):
        batch = {name: value.to(device) for name, value in rows.batch(places).items()}
        found[places.numpy()] = measure(batch).double().cpu().numpy()
        done += len(places)
        progress.advance(done)
    progress.finish()
    return found


def _groups(order: torch.Tensor, lengths: torch.Tensor) -> Iterator[torch.Tensor]:
    """Rows that are read at once: so many tokens together, or a single row."""
    group: list[int] = []
    num_tokens = 0
    for place in order.tolist():
        size = int(lengths[place])
        if group and num_tokens + size > _TOKENS_AT_ONCE:
            yield torch.tensor(group)
            group, num_tokens = [], 0
        group.append(place)
        num_tokens += size
    yield torch.tensor(group)
