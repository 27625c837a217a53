import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from creuset.errors import CheckpointError
from creuset.runs.rows import SampleRows

ROWS = SampleRows(
    arrays={"nll": np.array([1.5, 2.5]), "label": np.array([3, 1]), "brier_score": np.zeros(2)},
    samples="5" * 64,
)


def kept(folder: Path, content: bytes) -> tuple[Path, str]:
    path = folder / "run" / "evaluation" / "images.rows.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def test_rows_are_read_back_as_they_were(tmp_path: Path) -> None:
    found = SampleRows.read(*kept(tmp_path, ROWS.to_bytes()))
    assert found.samples == ROWS.samples
    assert found.arrays.keys() == ROWS.arrays.keys()
    for name, values in ROWS.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], values)
        assert found.arrays[name].dtype == values.dtype


def test_equal_rows_are_equal_bytes() -> None:
    turned = SampleRows(arrays=dict(reversed(list(ROWS.arrays.items()))), samples=ROWS.samples)
    assert len({one.to_bytes() for one in [ROWS, turned] * 5}) == 1


def test_rows_of_a_newer_creuset_are_refused(tmp_path: Path) -> None:
    stated = json.dumps({"format": 2, "samples": ""})
    content = safetensors.numpy.save({"nll": np.zeros(1)}, metadata={"creuset": stated})
    with pytest.raises(CheckpointError, match="written by a newer creuset\n  got: format 2"):
        SampleRows.read(*kept(tmp_path, content))


def test_changed_and_missing_rows_say_how_to_make_them_again(tmp_path: Path) -> None:
    path, _ = kept(tmp_path, ROWS.to_bytes())
    with pytest.raises(CheckpointError, match="these rows are not those of the evaluation") as caught:
        SampleRows.read(path, "0" * 64)
    assert caught.value.next_step == f"creuset eval {tmp_path / 'run'}"
    path.unlink()
    with pytest.raises(CheckpointError, match="the rows of this evaluation are missing"):
        SampleRows.read(path, "0" * 64)
