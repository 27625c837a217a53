"""The collapse alarm as the loop meets it: a journal line for each check, and what is done about an alarm.

Lines: "calibration" before the first step, with mean and standard deviation of each signal between real
samples; "collapse" at each check, with every signal; "alarm" with the cause, the signal, the step at which it
began, the sheet of samples and what to set. The time that checks took stands under `clock`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from creuset.recipe.remedy import Remedy
from creuset.recipe.render import flow
from creuset.training.collapse import Alarm, CollapseWatch
from creuset.training.distributed import Processes
from creuset.training.recorder import Recorder


@dataclass(frozen=True, kw_only=True)
class Raised:
    """An alarm and what follows from it.

    Args:
        alarm: The alarm.
        remedy: What the recipe can set against it; None where nothing is known.
        goes_back: Whether training goes on from the last healthy checkpoint, with the remedy.
        seconds_of_checks: What all checks until then took.
    """

    alarm: Alarm
    remedy: Remedy | None
    goes_back: bool = False
    seconds_of_checks: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Response:
    """What is done about an alarm.

    Args:
        remedy: What the recipe can set against it.
        ends: Whether the training ends for it.
        goes_back: Whether it then goes on from the last healthy checkpoint.
    """

    remedy: Remedy | None
    ends: bool = False
    goes_back: bool = False


class Watch:
    """Checks a training and acts on what is found.

    Args:
        signals: The signals and their memory.
        answer: What is to be done about an alarm.
        sheet: Writes the samples of a step and returns where they are; None where there are none to show.
        seconds: That calibration took.
    """

    def __init__(
        self,
        signals: CollapseWatch,
        *,
        answer: Callable[[Alarm], Response],
        sheet: Callable[[int], str] | None,
        seconds: float = 0.0,
    ) -> None:
        self._signals, self._answer, self._sheet = signals, answer, sheet
        self.every = signals.every
        self._seconds = self._of_calibration = seconds

    def begin(self, recorder: Recorder) -> None:
        """The line of the calibration, before the first step."""
        values = self._signals.calibration()
        if values:
            recorder.record(0, "calibration", values, clock={})

    def check(
        self, step: int, recorder: Recorder, processes: Processes, seconds: Callable[[], float]
    ) -> Raised | None:
        """Measures, judges and tells; returns the alarm for which the training ends, if one is raised.

        Args:
            step: Steps done.
            recorder: What is told.
            processes: Who else trains: the first one decides.
            seconds: Of training so far.
        """
        begin = time.monotonic()
        values: dict[str, float] = processes.share(self._signals.look(step))
        alarms = self._signals.judge(step, values)
        self._seconds += time.monotonic() - begin
        clock = {"seconds": seconds(), "seconds_of_checks": self._seconds}
        recorder.record(step, "collapse", values, clock=clock)
        ending: Raised | None = None
        for alarm in alarms:
            response = self._answer(alarm)
            begin = time.monotonic()
            sheet = None if self._sheet is None else self._sheet(step)
            self._seconds += time.monotonic() - begin
            told = alarm_values(alarm, response.remedy, sheet)
            recorder.record(step, "alarm", told, clock={"seconds": seconds()})
            recorder.progress.say(sentence(told, step))
            if response.ends and ending is None:
                ending = Raised(
                    alarm=alarm,
                    remedy=response.remedy,
                    goes_back=response.goes_back,
                    seconds_of_checks=self._seconds,
                )
        return ending

    def facts(self) -> dict[str, Any]:
        """What a checkpoint keeps of it: what is remembered, whether nothing was bad, the time it took."""
        collapse = {**self._signals.state(), "healthy": self._signals.is_healthy}
        return {"collapse": collapse, "seconds_of_checks": self._seconds}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Goes on from what `facts` gave."""
        self._signals.restore(facts["collapse"])
        self.count_from(facts["seconds_of_checks"])

    def count_from(self, seconds: float) -> None:
        """So many seconds of checks went before."""
        self._seconds = self._of_calibration + seconds


def alarm_values(alarm: Alarm, remedy: Remedy | None, sheet: str | None) -> dict[str, float | str]:
    """An alarm as the values of its journal line."""
    told: dict[str, float | str] = {name: value for name, value in asdict(alarm).items() if name != "step"}
    if sheet is not None:
        told["sheet"] = sheet
    if remedy is not None:
        told["setting"], told["why"] = written(remedy), remedy.why
    return told


def written(remedy: Remedy) -> str:
    """A remedy's settings as `--set` takes them."""
    return " ".join(f"{key}={flow(value)}" for key, value in remedy.settings.items())


def sentence(values: Mapping[str, Any], step: int) -> str:
    """An alarm in words, from its journal line.

    Args:
        values: Of the line.
        step: Of the line.
    """
    text = (
        f"collapse at step {step}: {values['cause']}, since step {values['began']} "
        f"({values['signal']} {values['value']:.3g}, limit {values['limit']:.3g})"
    )
    if "sheet" in values:
        text += f"; samples: {values['sheet']}"
    if "setting" in values:
        text += f"; set {values['setting']}: {values['why']}"
    return text
