"""How a run is named on the command line."""

from pathlib import Path

from creuset.assets import workspace


def reference(path: Path) -> str:
    """The run's name on the command line: its ID in the workspace's runs/, elsewhere its path."""
    inside = path.resolve().parent == (workspace() / "runs").resolve()
    return path.name if inside else str(path)
