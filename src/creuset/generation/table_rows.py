"""Rows of a table that a model drew, in the units of the table.

Models of tables work on columns with the training split's mean taken off and divided by its standard
deviation (`dataset.standardise`); people and files on the columns as they are.
"""

import csv
import io

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creuset.data.spec import DataSpec


def to_rows(features: Tensor, spec: DataSpec) -> NDArray[np.float64]:
    """float (N, F) as a model draws them -> float64 (N, F) in the units of the columns."""
    std = torch.tensor(spec.feature_std, dtype=torch.float64)
    mean = torch.tensor(spec.feature_mean, dtype=torch.float64)
    rows: NDArray[np.float64] = (features.detach().double().cpu() * std + mean).numpy()
    return rows


def rows_as_csv(rows: NDArray[np.float64], names: tuple[str, ...]) -> str:
    """Rows (N, F) below the names of their columns, each number so that reading it gives the same one."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows.tolist())
    return text.getvalue()
