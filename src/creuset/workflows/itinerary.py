"""What a tour was asked for, and how far it came: tour.json in its folder (format 1)."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from creuset.errors import CheckpointError, NotFoundError
from creuset.files import disk_errors, write_atomic
from creuset.recipe.render import flow

FORMAT = 1
MOST_STEPS_SHARE = 1e6
"""Beyond it no number of steps is meant."""
_FILE = "tour.json"


class Itinerary(BaseModel):
    """What a tour was asked for, and how far it came: tour.json.

    Args:
        seed: Decides every random draw.
        steps_share: Share of each station's training steps, in (0, MOST_STEPS_SHARE].
        settings: KEY=VALUE texts in place of recipes' values.
        seconds: What each station took so far, by its subject.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    seed: int = 0
    steps_share: float = Field(default=1.0, gt=0, le=MOST_STEPS_SHARE, allow_inf_nan=False)
    settings: tuple[str, ...] = ()
    seconds: dict[str, float] = {}

    def differences(self, other: "Itinerary") -> list[str]:
        """In which of seed, steps_share and settings two tours differ."""
        return [
            f"{name} {getattr(self, name)!r}, not {getattr(other, name)!r}"
            for name in ("seed", "steps_share", "settings")
            if getattr(self, name) != getattr(other, name)
        ]


def write_itinerary(itinerary: Itinerary, folder: Path) -> None:
    """Puts tour.json in place, at once."""
    write_atomic(folder / _FILE, itinerary.model_dump_json(indent=2) + "\n")


def read_itinerary(folder: Path) -> Itinerary:
    """What the tour in a folder was asked for.

    Raises:
        NotFoundError: There is no tour.
        CheckpointError: Its file cannot be read, or a newer creuset wrote it.
    """
    path = folder / _FILE
    if not path.is_file():
        raise NotFoundError("no tour here", where=folder, expected=f"a folder with {_FILE}")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        version = document["format"]
        if version > FORMAT:
            raise CheckpointError(
                "written by a newer creuset",
                where=path,
                got=f"format {version}",
                expected=f"format {FORMAT}",
                next_step="upgrade creuset",
            )
        return Itinerary.model_validate(document)
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise CheckpointError(
            "the tour's settings cannot be read",
            where=path,
            got=str(error).splitlines()[0],
            next_step="start another tour, with another --out",
        ) from error


def has_itinerary(folder: Path) -> bool:
    """Whether a tour lies in a folder; raises UsageError where none can lie."""
    with disk_errors(folder):
        return (folder / _FILE).exists()


def with_absolute_paths(settings: Sequence[str]) -> tuple[str, ...]:
    """The settings, with a data source that is a path written in full: a tour goes on from any folder."""
    rooted = []
    for setting in settings:
        key, _, value = setting.partition("=")
        path = Path(value).expanduser()
        is_path = key.strip() == "data.source" and value.strip() and path.exists()
        rooted.append(f"data.source={flow(str(path.resolve()))}" if is_path else setting)
    return tuple(rooted)
