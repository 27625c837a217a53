"""evaluation/SUITE.json: what was measured of a run, one document a suite, and beside it what was kept of
each sample."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from creuset.errors import CheckpointError
from creuset.files import write_atomic
from creuset.runs.rows import SampleRows


def write_evaluation(folder: Path, suite: str, document: dict[str, Any], rows: SampleRows | None) -> Path:
    """Writes SUITE.json below `folder` and returns its path; before it the rows, whose hash it then names."""
    if rows is not None:
        content = rows.to_bytes()
        write_atomic(_rows_path(folder, suite), content)
        document = {**document, "rows": {"sha256": hashlib.sha256(content).hexdigest()}}
    path = folder / f"{suite}.json"
    write_atomic(path, json.dumps(document, indent=2, allow_nan=False) + "\n")
    return path


def read_rows(folder: Path, suite: str, document: Mapping[str, Any]) -> SampleRows | None:
    """The rows that the document of a suite names; None where it names none.

    Raises:
        CheckpointError: They are missing, or not those that it wrote.
    """
    stated = document.get("rows")
    return None if stated is None else SampleRows.read(_rows_path(folder, suite), stated["sha256"])


def read_evaluations(folder: Path, run: str) -> dict[str, dict[str, Any]]:
    """The documents below `folder` by suite.

    Args:
        folder: Where they lie.
        run: The run's name on the command line.

    Raises:
        CheckpointError: One of them cannot be read.
    """
    documents: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("[!.]*.json")):
        try:
            documents[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise CheckpointError(
                "this evaluation cannot be read",
                where=path,
                got=error,
                next_step=f"delete it, then creuset eval {run}",
            ) from error
    return documents


def _rows_path(folder: Path, suite: str) -> Path:
    return folder / f"{suite}.rows.safetensors"
