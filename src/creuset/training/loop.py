"""The one training loop: steps, journal, validation, samples, checkpoints, and stopping well.

It knows players, a loss callable and batches; it knows no model family. After step s it does, in this order:
a journal line with the means since the last one, a validation, a sheet of samples, a checkpoint. All of it
follows from (recipe, seed, step), so a run that was killed and resumed writes the same journal and weights.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from creuset.device import peak_memory_bytes
from creuset.errors import NumericalError
from creuset.models.base import Model
from creuset.recipe.sections import TrainingConfig
from creuset.runs.checkpoint import Checkpoint
from creuset.training.distributed import Processes
from creuset.training.ema import ExponentialMovingAverage
from creuset.training.heap import Heap
from creuset.training.optimizer import Player, learning_rate_factor
from creuset.training.recorder import Recorder
from creuset.training.saving import Tensors, check_is_of
from creuset.training.schedule import Schedule
from creuset.training.stopping import Patience, StopRequest, TimeLimit
from creuset.training.stuck import StuckLoss
from creuset.training.update import Updates
from creuset.training.watch import Raised, Watch

T = TypeVar("T")

StopReason = Literal["finished", "early_stop", "max_time", "signal", "collapse", "stuck"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a training ended.

    Args:
        step: Training steps done.
        reason: Why no further one was.
        signal_number: The signal that came, if one did.
        seconds: Of training, over all of its parts.
        alarm: What collapsed, where that is the reason, and whether to go back for it.
        stuck: Whose loss stayed at what guessing costs, where that is the reason.
    """

    step: int
    reason: StopReason
    signal_number: int | None
    seconds: float
    alarm: Raised | None = None
    stuck: StuckLoss | None = None


class Loop:
    """A training from one step to another.

    Args:
        model: What is trained; after `run` its parameters are the last ones, not the averages.
        family: The family's name, for checkpoints.
        updates: Makes the steps.
        players: Whose optimizers a checkpoint holds.
        training: The recipe's training section.
        processes: Who else trains.
        recorder: What is told.
        validate: Measures the model on held-out data: "loss" and its parts; None without a validation split.
        sample: Draws a sheet of samples after a step; None for a family that has none.
        save: Keeps a checkpoint, given whether it is the best so far; returns its name.
        watch: Watches for collapse; None where nothing is watched.
        stuck: Watches a loss that is known where nothing is learned; None of others.
    """

    def __init__(
        self,
        *,
        model: Model,
        family: str,
        updates: Updates,
        players: Sequence[Player],
        training: TrainingConfig,
        processes: Processes,
        recorder: Recorder,
        validate: Callable[[], dict[str, float]] | None,
        sample: Callable[[int], None] | None,
        save: Callable[[Checkpoint, bool], str],
        watch: Watch | None = None,
        stuck: StuckLoss | None = None,
    ) -> None:
        self.model, self.family, self.updates, self.players = model, family, updates, players
        self.training, self.processes, self.recorder = training, processes, recorder
        self.validate, self._sample, self._save, self._watch = validate, sample, save, watch
        self.schedule = Schedule.of(training)
        self.stuck = stuck
        self.step = 0
        self.ema = ExponentialMovingAverage(model, training.ema_decay) if training.ema_decay > 0 else None
        self._tensors = Tensors(model=model, players=players, ema=self.ema)
        self._patience = Patience(training.patience)
        self._sums: dict[str, dict[str, float]] = {}
        self._counts: dict[str, dict[str, int]] = {}
        self._seconds_before = 0.0
        self._begin = time.monotonic()
        self._last_log = (self._begin, 0)
        self._checkpointed: str | None = None

    def run(self, max_seconds: float | None = None) -> Outcome:
        """Trains until the last step, early stop, the time limit or a signal; ends with a checkpoint.

        Args:
            max_seconds: Stop when so many seconds have gone by, after one step at least.

        Raises:
            NumericalError: NaN or infinity; the last good checkpoint is named.
        """
        limit = TimeLimit(max_seconds)
        progress = self.recorder.progress
        self._begin = time.monotonic()
        self._last_log = (self._begin, self.step)
        first_step, saved = self.step, self._checkpointed is not None
        reason: StopReason = "finished"
        signal_number: int | None = None
        raised: Raised | None = None
        heap = Heap()
        if self._watch is not None and self.step == 0:
            self._watch.begin(self.recorder)
        progress.start("training", self.schedule.num_steps, "steps")
        try:
            with StopRequest().listening() as request:
                while self.step < self.schedule.num_steps:
                    timed_out = limit.reached() and self.step > first_step
                    stop, signal_number = self._stop_reason(request.signal_number, timed_out)
                    if stop is not None:
                        reason = stop
                        if not saved:
                            self._checkpoint(best=False, scheduled=False)
                        break
                    reports = self.take_step()
                    heap.after_step()
                    raised, saved = self._after_step()
                    if self._is_stuck(reports):
                        reason = "stuck"
                        if not saved:
                            self._checkpoint(best=False, scheduled=False)
                        break
                    if raised is not None:
                        reason = "collapse"
                        if not (saved or raised.goes_back):
                            self._checkpoint(best=False, scheduled=False)
                        break
        finally:
            progress.finish()
        if reason == "finished":
            signal_number = request.signal_number  # it came during the last step
        seconds = self._seconds()
        if reason != "finished" and (raised is None or not raised.goes_back):
            self.recorder.record(self.step, "stop", {"reason": reason}, clock={"seconds": seconds})
        self.recorder.sync()
        return Outcome(
            step=self.step,
            reason=reason,
            signal_number=signal_number,
            seconds=seconds,
            alarm=raised,
            stuck=self.stuck if reason == "stuck" else None,
        )

    def take_step(self) -> dict[str, dict[str, float]]:
        """One training step, without the events after it; returns what each player reports.

        Raises:
            NumericalError: NaN or infinity; nothing was changed by the step.
        """
        factor = learning_rate_factor(self.step, self.training)
        for player in self.players:
            player.set_learning_rate(factor)
        try:
            reports = self.updates.step(self.step)
        except NumericalError as error:
            if error.next_step is None:  # the model's numbers, and not those of a reward
                error.next_step = self._advice()
            raise
        if self.ema is not None:
            self.ema.update(self.step)
        self.step += 1
        for name_of_player, values in reports.items():
            sums = self._sums.setdefault(name_of_player, {})
            counts = self._counts.setdefault(name_of_player, {})
            for name, value in values.items():  # a step may leave a value out: means are over those with it
                sums[name] = sums.get(name, 0.0) + value
                counts[name] = counts.get(name, 0) + 1
        return reports

    def _after_step(self) -> tuple[Raised | None, bool]:
        """The events that are due: a collapse for which training ends, and whether a checkpoint was made."""
        due, schedule = self.schedule.due, self.schedule
        if due(self.step, schedule.log_every):
            self._log()
        best = False
        if self.validate is not None and due(self.step, schedule.validate_every):
            # one process decides, or two that round differently would part
            values = self.processes.share(self._as_used(self.validate))
            self._require_finite(values)
            self.recorder.record(self.step, "validation", values, clock={"seconds": self._seconds()})
            best = self._patience.see(values["loss"])
        if self._sample is not None and due(self.step, schedule.sample_every):
            sample = self._sample
            self._as_used(lambda: sample(self.step))
            self.recorder.record(self.step, "sample", {}, clock={"seconds": self._seconds()})
        raised = None
        if self._watch is not None and due(self.step, self._watch.every):
            raised = self._check(self._watch)
            if raised is not None and raised.goes_back:
                return raised, False
        if best or due(self.step, schedule.checkpoint_every):
            self._checkpoint(best=best, scheduled=True)
            return raised, True
        return raised, False

    def _is_stuck(self, reports: Mapping[str, Mapping[str, float]]) -> bool:
        """Whether the loss stays at what guessing costs; of the last step that is nothing to stop for."""
        if self.stuck is None:
            return False
        found = self.stuck.see(self.step, next(iter(reports.values())))
        return found and self.step < self.schedule.num_steps

    def _check(self, watch: Watch) -> Raised | None:
        """Looks for a collapse of the weights as they are: their averages lag behind and hide it."""
        with self.processes.unsharded(self.model):
            return watch.check(self.step, self.recorder, self.processes, self._seconds)

    def _log(self) -> None:
        now = time.monotonic()
        since, from_step = self._last_log
        samples = (self.step - from_step) * self.updates.batches_per_step * self.updates.batch_size
        clock = {
            "seconds": self._seconds(),
            "samples_per_second": samples / max(now - since, 1e-9),
            "peak_memory_bytes": float(peak_memory_bytes(self.processes.device)),
        }
        shown: dict[str, float] = {}
        rates = {player.name: player.optimizer.param_groups[0]["lr"] for player in self.players}
        for player, sums in self._sums.items():
            counts = self._counts[player]
            means = {name: total / counts[name] for name, total in sums.items()}
            means["learning_rate"] = rates[player]
            self.recorder.record(self.step, "train", means, player=player, clock=clock)
            shown[player if len(self._sums) > 1 else "loss"] = means["loss"]
        self._sums, self._counts = {}, {}
        self._last_log = (now, self.step)
        self.recorder.progress.advance(self.step, shown)

    def _stop_reason(
        self, signal_number: int | None, timed_out: bool
    ) -> tuple[StopReason | None, int | None]:
        """Whether to stop before the next step, and the signal that asks for it, on any process."""
        if self._patience.exhausted():
            return "early_stop", None
        # signals and clocks differ between processes: they stop together
        number, timed_out_anywhere = self.processes.largest(
            0 if signal_number is None else signal_number, int(timed_out)
        )
        if number:
            return "signal", number
        return ("max_time" if timed_out_anywhere else None), None

    def _as_used(self, work: Callable[[], T]) -> T:
        """`work` with the weights that the trained model is used with: the averages where there are some."""
        with (
            nullcontext() if self.ema is None else self.ema.applied(),
            self.processes.unsharded(self.model),
        ):
            return work()

    def _require_finite(self, values: Mapping[str, float]) -> None:
        if not all(math.isfinite(value) for value in values.values()):
            raise NumericalError(
                "NaN or infinity in the validation loss",
                where=f"step {self.step}, validation",
                got=", ".join(f"{name} {value:.6g}" for name, value in values.items()),
                expected="finite numbers",
                next_step=self._advice(),
            )

    def _advice(self) -> str:
        kept = "no checkpoint was made yet" if self._checkpointed is None else self._checkpointed
        return f"last good checkpoint: {kept}; lower training.learning_rate, or set training.clip_norm"

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._begin

    def _checkpoint(self, *, best: bool, scheduled: bool) -> None:
        """Saves; a scheduled checkpoint has its own journal line, the one of a stop has the stop's."""
        checkpoint = self.checkpoint(scheduled=scheduled)
        self._checkpointed = self.processes.share_result(lambda: self._save(checkpoint, best))
        if scheduled:
            self.recorder.record(self.step, "checkpoint", {}, clock={"seconds": self._seconds()})

    def checkpoint(self, *, scheduled: bool = True) -> Checkpoint:
        """Everything needed to go on from here; every process must call it.

        Its tensors may be those of the model itself: save it before the next step.

        Args:
            scheduled: Whether it has a journal line of its own (not so when made for a stop).

        Raises:
            NumericalError: A weight is NaN or infinite: the last update ruined it.
        """
        parts = self._tensors.gathered(self.step, self._advice())
        return Checkpoint(
            step=self.step,
            family=self.family,
            weights=parts["weights"],
            optimizer=parts["optimizer"],
            state=parts["state"],
            facts={
                "seed": self.training.seed,
                "batches_drawn": self.step * self.updates.batches_per_step,
                "scheduled": scheduled,
                "journal_bytes": self.recorder.sync(),
                "seconds": self._seconds(),
                "best_validation_loss": self._patience.best,
                "validations_waited": self._patience.waited,
                "sums": {player: dict(sums) for player, sums in self._sums.items()},
                "counts": {player: dict(counts) for player, counts in self._counts.items()},
                **({} if self._watch is None else self._watch.facts()),
                **({} if self.stuck is None else {"steps_of_guessing": self.stuck.waited}),
            },
        )

    def restore(self, checkpoint: Checkpoint, where: Path) -> None:
        """Goes on from `checkpoint`.

        Raises:
            CheckpointError: It is of another model, seed or batch size.
        """
        facts: Mapping[str, Any] = checkpoint.facts
        made_with = {
            "seed": self.training.seed,
            "batches_drawn": checkpoint.step * self.updates.batches_per_step,
        }
        check_is_of(checkpoint, self.model, self.family, made_with, where)
        self._tensors.put_back(checkpoint)
        self.step = checkpoint.step
        self._patience.best = facts["best_validation_loss"]
        self._patience.waited = facts["validations_waited"]
        self._seconds_before = facts["seconds"]
        self._sums = {player: dict(sums) for player, sums in facts["sums"].items()}
        # an earlier creuset counted the steps of all values together
        self._counts = {
            player: facts["counts"][player]
            if "counts" in facts
            else dict.fromkeys(sums, facts["summed_steps"])
            for player, sums in self._sums.items()
        }
        self._checkpointed = checkpoint.name
        if self.stuck is not None:
            self.stuck.waited = facts.get("steps_of_guessing", 0)
        if self._watch is not None and "collapse" in facts:  # a checkpoint of an older creuset knows nothing
            self._watch.restore(facts)

    def count_from(self, seconds: float, seconds_of_checks: float) -> None:
        """So many seconds went before: more than the checkpoint says, where a part was abandoned."""
        self._seconds_before = seconds
        if self._watch is not None:
            self._watch.count_from(seconds_of_checks)

    def forget_best(self) -> None:
        """No validation so far counts as the best: its checkpoint is gone."""
        self._patience.best = None
