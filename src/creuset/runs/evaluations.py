"""evaluation/SUITE.json: what was measured of a run, one document a suite."""

import json
from pathlib import Path
from typing import Any

from creuset.errors import CheckpointError
from creuset.files import write_atomic


def write_evaluation(folder: Path, suite: str, document: dict[str, Any]) -> Path:
    """Writes SUITE.json below `folder` and returns its path."""
    path = folder / f"{suite}.json"
    write_atomic(path, json.dumps(document, indent=2, allow_nan=False) + "\n")
    return path


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
