"""The one training loop: steps, journal, validation, samples, checkpoints, and stopping well.

It knows players, a loss callable and batches; it knows no model family. After step s it does, in this order:
a journal line with the means since the last one, a validation, a sheet of samples, a checkpoint. All of it
follows from (recipe, seed, step), so a run that was killed and resumed writes the same journal and weights.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from creuset.device import peak_memory_bytes
from creuset.errors import CheckpointError, NumericalError
from creuset.recipe.sections import TrainingConfig
from creuset.runs.checkpoint import Checkpoint, check_fit
from creuset.training.distributed import Processes, shard_like, whole
from creuset.training.ema import ExponentialMovingAverage
from creuset.training.optimizer import Player, learning_rate_factor
from creuset.training.recorder import Recorder
from creuset.training.stopping import Patience, StopRequest, TimeLimit
from creuset.training.update import Updates

StopReason = Literal["finished", "early_stop", "max_time", "signal"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a training ended."""

    step: int
    reason: StopReason
    signal_number: int | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Steps between the events of a training; a default is a share of its steps."""

    num_steps: int
    log_every: int
    validate_every: int
    checkpoint_every: int
    sample_every: int

    @classmethod
    def of(cls, training: TrainingConfig) -> "Schedule":
        tenth, fifth = max(1, training.num_steps // 10), max(1, training.num_steps // 5)
        return cls(
            num_steps=training.num_steps,
            log_every=training.log_every,
            validate_every=training.validate_every or tenth,
            checkpoint_every=training.checkpoint_every or tenth,
            sample_every=training.sample_every or fifth,
        )

    def due(self, step: int, every: int) -> bool:
        """Whether an event that comes every so many steps comes after step `step` (counted from 1)."""
        return step % every == 0 or step == self.num_steps


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
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        family: str,
        updates: Updates,
        players: Sequence[Player],
        training: TrainingConfig,
        processes: Processes,
        recorder: Recorder,
        validate: Callable[[], dict[str, float]] | None,
        sample: Callable[[int], None] | None,
        save: Callable[[Checkpoint, bool], str],
    ) -> None:
        self.model, self.family, self.updates, self.players = model, family, updates, players
        self.training, self.processes, self.recorder = training, processes, recorder
        self.validate, self._sample, self._save = validate, sample, save
        self.schedule = Schedule.of(training)
        self.step = 0
        self.ema = ExponentialMovingAverage(model, training.ema_decay) if training.ema_decay > 0 else None
        self._patience = Patience(training.patience)
        self._sums: dict[str, dict[str, float]] = {}
        self._summed_steps = 0
        self._seconds_before = 0.0
        self._begin = time.monotonic()
        self._last_log = (self._begin, 0)
        self._checkpointed: str | None = None

    def run(self, max_seconds: float | None = None) -> Outcome:
        """Trains until the last step, early stop, the time limit or a signal; ends with a checkpoint.

        Raises:
            NumericalError: NaN or infinity; the last good checkpoint is named.
        """
        limit = TimeLimit(max_seconds)
        reason: StopReason = "finished"
        progress = self.recorder.progress
        self._begin = time.monotonic()
        self._last_log = (self._begin, self.step)
        progress.start("training", self.schedule.num_steps, "steps")
        with StopRequest().listening() as request:
            while self.step < self.schedule.num_steps:
                self.take_step()
                saved = self._after_step()
                stop = self._stop_reason(request, limit)
                if stop is not None:
                    reason = stop
                    if not saved:
                        self._checkpoint(best=False, recorded=False)
                    break
        progress.finish()
        seconds = self._seconds()
        if self.step < self.schedule.num_steps:
            self.recorder.record(self.step, "stop", {"reason": reason}, clock={"seconds": seconds})
        self.recorder.sync()
        return Outcome(step=self.step, reason=reason, signal_number=request.signal_number, seconds=seconds)

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
            kept = "no checkpoint was made yet" if self._checkpointed is None else self._checkpointed
            error.next_step = (
                f"last good checkpoint: {kept}; lower training.learning_rate, or set training.clip_norm"
            )
            raise
        if self.ema is not None:
            self.ema.update(self.step)
        self.step += 1
        self._summed_steps += 1
        for name_of_player, values in reports.items():
            sums = self._sums.setdefault(name_of_player, {})
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + value
        return reports

    def _after_step(self) -> bool:
        """The events that are due; True when a checkpoint was made."""
        due, schedule = self.schedule.due, self.schedule
        if due(self.step, schedule.log_every):
            self._log()
        best = False
        if self.validate is not None and due(self.step, schedule.validate_every):
            values = self._with_average(self.validate)
            self.recorder.record(self.step, "validation", values, clock={"seconds": self._seconds()})
            best = self._patience.see(values["loss"])
        if self._sample is not None and due(self.step, schedule.sample_every):
            sample = self._sample
            self._with_average(lambda: sample(self.step))
            self.recorder.record(self.step, "sample", {}, clock={"seconds": self._seconds()})
        if best or due(self.step, schedule.checkpoint_every):
            self._checkpoint(best=best, recorded=True)
            return True
        return False

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
        for player, sums in self._sums.items():
            means = {name: total / self._summed_steps for name, total in sums.items()}
            means["learning_rate"] = self._player(player).optimizer.param_groups[0]["lr"]
            self.recorder.record(self.step, "train", means, player=player, clock=clock)
            shown[player if len(self._sums) > 1 else "loss"] = means["loss"]
        self._sums, self._summed_steps = {}, 0
        self._last_log = (now, self.step)
        self.recorder.progress.advance(self.step, shown)

    def _player(self, name: str) -> Player:
        return next(player for player in self.players if player.name == name)

    def _stop_reason(self, request: StopRequest, limit: TimeLimit) -> StopReason | None:
        if self.step >= self.schedule.num_steps:
            return None
        if self._patience.exhausted():
            return "early_stop"
        # signals and clocks differ between processes: they stop together
        if self.processes.any(request.signal_number is not None):
            return "signal"
        if self.processes.any(limit.reached()):
            return "max_time"
        return None

    def _with_average(self, work: Callable[[], Any]) -> Any:
        if self.ema is None:
            return work()
        with self.ema.applied():
            return work()

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._begin

    def _checkpoint(self, *, best: bool, recorded: bool) -> None:
        """Saves; a scheduled checkpoint has its own journal line, the one of a stop has the stop's."""
        checkpoint = self.checkpoint(scheduled=recorded)
        if self.processes.first:
            self._checkpointed = self._save(checkpoint, best)
        self.processes.wait()
        if recorded:
            self.recorder.record(self.step, "checkpoint", {}, clock={"seconds": self._seconds()})

    def checkpoint(self, *, scheduled: bool = True) -> Checkpoint:
        """Everything needed to go on from here; every process must call it.

        Args:
            scheduled: Whether it has a journal line of its own (not so when made for a stop).
        """
        state = {}
        if self.ema is not None:
            state = {f"ema/{name}": whole(value) for name, value in self.ema.averages.items()}
        return Checkpoint(
            step=self.step,
            family=self.family,
            weights={name: whole(value) for name, value in self.model.state_dict().items()},
            optimizer={key: whole(value) for player in self.players for key, value in player.state()},
            state=state,
            facts={
                "seed": self.training.seed,
                "batches_drawn": self.step * self.updates.batches_per_step,
                "scheduled": scheduled,
                "journal_bytes": self.recorder.sync(),
                "seconds": self._seconds(),
                "best_validation_loss": self._patience.best,
                "validations_waited": self._patience.waited,
                "summed_steps": self._summed_steps,
                "sums": self._sums,
            },
        )

    def restore(self, checkpoint: Checkpoint, where: Path) -> None:
        """Goes on from `checkpoint`.

        Raises:
            CheckpointError: It is of another model, seed or batch size.
        """
        facts: Mapping[str, Any] = checkpoint.facts
        state = self.model.state_dict()
        check_fit(checkpoint.weights, state, where)
        expected = {
            "seed": self.training.seed,
            "batches_drawn": checkpoint.step * self.updates.batches_per_step,
        }
        for name, value in expected.items():
            if facts[name] != value:
                raise CheckpointError(
                    f"this checkpoint was made with another {name}",
                    where=where,
                    got=facts[name],
                    expected=value,
                )
        with torch.no_grad():
            for name, value in state.items():
                value.copy_(shard_like(checkpoint.weights[name], value))
        for player in self.players:
            player.load_state(self._optimizer_shards(player, checkpoint.optimizer))
        if self.ema is not None:
            averages = self.ema.averages
            self.ema.load(
                {name: shard_like(checkpoint.state[f"ema/{name}"], averages[name]) for name in averages}
            )
        self.step = checkpoint.step
        self._patience.best = facts["best_validation_loss"]
        self._patience.waited = facts["validations_waited"]
        self._seconds_before = facts["seconds"]
        self._summed_steps = facts["summed_steps"]
        self._sums = {player: dict(sums) for player, sums in facts["sums"].items()}
        self._checkpointed = checkpoint.name

    def _optimizer_shards(self, player: Player, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        shards = {}
        for key, tensor in tensors.items():
            owner, name, _slot = key.split("/")
            if owner == player.name:
                parameter = player.parameters[name]
                shards[key] = shard_like(tensor, parameter) if tensor.shape == parameter.shape else tensor
        return shards
