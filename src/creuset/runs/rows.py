"""What an evaluation keeps of each sample, as one safetensors file beside its JSON.

An array a name, whose first axis is what the name says: for most of them the samples in their order. The
metadata hold the format and the hash of the samples in their order, by which the rows of two runs are known
to pair up.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from creuset.errors import CheckpointError

FORMAT = 1
_METADATA = "creuset"


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleRows:
    """Numbers of each sample.

    Args:
        arrays: By name; the first axis is what the name says.
        samples: SHA-256 of the samples in their order.
    """

    arrays: Mapping[str, NDArray[Any]]
    samples: str

    def to_bytes(self) -> bytes:
        """The file: the same rows give the same bytes."""
        stated = json.dumps({"format": FORMAT, "samples": self.samples})
        arrays = {name: np.ascontiguousarray(values) for name, values in self.arrays.items()}
        return safetensors.numpy.save(arrays, metadata={_METADATA: stated})

    @classmethod
    def read(cls, path: Path, sha256: str) -> "SampleRows":
        """The rows in a file.

        Raises:
            CheckpointError: It is missing, not the file that the evaluation wrote, or of a newer creuset.
        """
        next_step = f"creuset eval {path.parent.parent}"
        if not path.is_file():
            raise CheckpointError("the rows of this evaluation are missing", where=path, next_step=next_step)
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise CheckpointError(
                "these rows are not those of the evaluation",
                where=path,
                got=f"sha256 {found}",
                expected=f"sha256 {sha256}",
                next_step=next_step,
            )
        with safetensors.safe_open(path, framework="np") as file:
            stated = json.loads(file.metadata()[_METADATA])
        if stated["format"] > FORMAT:
            raise CheckpointError(
                "written by a newer creuset",
                where=path,
                got=f"format {stated['format']}",
                expected=f"format {FORMAT}",
                next_step="upgrade creuset",
            )
        return cls(arrays=safetensors.numpy.load(content), samples=stated["samples"])
