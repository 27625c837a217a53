"""Rows of a table as a model takes and draws them, and in the units of the table.

Models of tables work on columns with the training split's mean taken off and divided by its standard
deviation (`dataset.standardise`); people and files on the columns as they are.
"""

import csv
import io
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creuset.data.dataset import standardise
from creuset.data.spec import DataSpec
from creuset.errors import DataError


def to_features(rows: Any, spec: DataSpec) -> Tensor:
    """What a user hands over, (N, F) in the units of the columns -> float32 (N, F) as a model takes them.

    Raises:
        DataError: Another form than that of the table that the model was trained on.
    """
    tensor = torch.as_tensor(np.asarray(rows, dtype=np.float64))
    if tensor.ndim != 2 or tuple(tensor.shape[1:]) != spec.shape or not len(tensor):
        raise DataError(
            "these rows are not of the form that the model was trained on",
            got=f"shape {tuple(tensor.shape)}",
            expected=f"(N, {spec.shape[0]}): {', '.join(spec.feature_names)}",
        )
    return standardise(tensor, spec)


def log_scale(spec: DataSpec) -> float:
    """The sum of log std over the columns: log p of a row in its units is less by this than standardised."""
    return math.fsum(math.log(std) for std in spec.feature_std)


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
