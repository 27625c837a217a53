"""A tour on its way: which runs it makes in which folder, and how it goes on where it was stopped.

A tour's folder holds

    tour.json       what was asked for, and the seconds of each station (itinerary.py)
    runs/RECIPE/    a run folder for each station that was begun
    report.html     when all stations are done

Settings are laid over the recipe of each station that they have an effect on (legs.py).
"""

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from creuset.errors import UsageError
from creuset.progress import Progress
from creuset.recipe.resolve import differences
from creuset.runs.folder import RunFolder
from creuset.workflows.again import precision_setting
from creuset.workflows.itinerary import Itinerary, write_itinerary
from creuset.workflows.legs import Leg, Station, plan_legs, settings_left_out
from creuset.workflows.load import run_recipe
from creuset.workflows.train import Run, resume, train


@dataclass(kw_only=True)
class Journey:
    """A tour on its way: where its runs lie, how far it came, and how long each station took.

    Args:
        folder: The tour's folder.
        itinerary: What was asked for; `seconds` grow on the way.
        legs: What each station comes to, by its subject.
        progress: Who watches.
    """

    folder: Path
    itinerary: Itinerary
    legs: Mapping[str, Leg]
    progress: Progress
    commands: list[str] = field(default_factory=list)
    seconds_here: float = 0.0

    @classmethod
    def begin(
        cls,
        folder: Path,
        itinerary: Itinerary,
        stations: Sequence[Station],
        progress: Progress,
        check: Callable[[Mapping[str, Leg]], None] | None = None,
    ) -> "Journey":
        """Checks all that can be checked before anything is trained, and writes tour.json.

        Args:
            folder: The tour's folder.
            itinerary: What was asked for.
            stations: Its models, in order.
            progress: Who watches.
            check: Refuses legs of which no report could be made.

        Raises:
            RecipeError: A setting that fits no station.
            UsageError: A run of the tour was made with other settings than these, or the folder cannot be
                written.
        """
        legs = plan_legs(stations, itinerary)
        journey = cls(folder=folder, itinerary=itinerary, legs=legs, progress=progress)
        for leg in legs.values():
            journey._require_same(leg)
        if check is not None:
            check(legs)
        journey._write()
        for sentence in settings_left_out(legs, itinerary):
            progress.say(f"tour: {sentence}")
        return journey

    @property
    def command(self) -> str:
        """What goes on with this tour."""
        return shlex.join(["creuset", "tour", "--resume", str(self.folder)])

    def visit(self, station: Station) -> Run:
        """Trains and measures one model, or goes on with it; what is finished is left as it is."""
        self.progress.say(f"tour: {station.subject}")
        leg = self.legs[station.subject]
        path = self._path(station)
        with self.timed(station.subject):
            if path.exists():
                run = resume(path, progress=self.progress)
            else:
                run = train(
                    station.recipe,
                    name=path,
                    seed=self.itinerary.seed,
                    settings=leg.settings,
                    progress=self.progress,
                )
        changed = [*leg.settings, *precision_setting(run.folder)]
        words = [word for setting in changed for word in ("--set", setting)]
        command = ["creuset", "train", station.recipe, *words, "--seed", str(self.itinerary.seed)]
        self.commands.append(shlex.join(command))
        return run

    @contextmanager
    def timed(self, subject: str) -> Iterator[None]:
        """Within the block, time is counted as that of `subject`, and written down at its end."""
        before = self.itinerary.seconds.get(subject, 0.0)
        begin = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - begin
            self.seconds_here += spent
            seconds = {**self.itinerary.seconds, subject: before + spent}
            self.itinerary = self.itinerary.model_copy(update={"seconds": seconds})
            self._write()

    def _path(self, station: Station) -> Path:
        return self.folder / "runs" / station.recipe

    def _require_same(self, leg: Leg) -> None:
        """Refuses a run that is there already, and is not the one that this leg would make."""
        path = self._path(leg.station)
        if not path.exists():
            return
        found = run_recipe(RunFolder.open(path))
        keys = differences(found, leg.recipe)
        if keys:
            there, asked = found.values(), leg.recipe.values()
            raise UsageError(
                "this run was made with other settings than the tour asks for",
                where=path,
                got=", ".join(f"{key} {there.get(key, 'absent')}" for key in keys),
                expected=", ".join(f"{key} {asked.get(key, 'absent')}" for key in keys),
                next_step="take another --out, or remove the run",
            )

    def _write(self) -> None:
        write_itinerary(self.itinerary, self.folder)
