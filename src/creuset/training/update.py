"""One training step: each player in turn, its gradient added up over the parts of a batch."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from creuset.device import BatchGenerator, Precision, autocast
from creuset.errors import NumericalError, UsageError
from creuset.training.batches import Batches, part_bounds
from creuset.training.distributed import LossFunction, Processes
from creuset.training.optimizer import Player


class Updates:
    """Makes training steps.

    Args:
        model: What is trained.
        loss: What a player minimizes: (batch, player, generator) -> "loss" and its parts, batch means.
        players: In the order in which they move.
        batches: Where batches come from.
        accumulate: Parts of a batch on each process, their gradients added.
        clip_norm: Largest norm of a player's gradient; None is off.
        seed: Decides every random draw.
        precision: "bfloat16" runs the forward pass under autocast.
        processes: Who else trains.
        begin_step: Told the number of each step before it, from 0.
        end_update: Told the player's name after each update.
        repeats_batches: Whether all updates of a step see one batch; else each sees the next one.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        loss: LossFunction,
        players: Sequence[Player],
        batches: Batches,
        accumulate: int,
        clip_norm: float | None,
        seed: int,
        precision: Precision,
        processes: Processes,
        begin_step: Callable[[int], None] | None = None,
        end_update: Callable[[str], None] | None = None,
        repeats_batches: bool = False,
    ) -> None:
        self._model = model
        self._loss = processes.wrap(model, loss, several_players=len(players) > 1)
        self._players = players
        self._begin_step, self._end_update = begin_step, end_update
        self._others = {player.name: _parameters_of_others(model, player) for player in players}
        self._batches = batches
        self.batch_size = batches.batch_size
        self._clip_norm = clip_norm
        self._seed = seed
        self._precision = precision
        self._processes = processes
        self._parts = own_parts(batches.batch_size, accumulate, processes)
        self._updates_per_step = sum(player.num_updates for player in players)
        self._repeats_batches = repeats_batches
        self.batches_per_step = 1 if repeats_batches else self._updates_per_step

    def step(self, step: int) -> dict[str, dict[str, float]]:
        """Training step `step` (from 0): what each player reports of its last update, over the whole batch.

        Raises:
            NumericalError: A loss or gradient is NaN or infinite; no parameter was changed by it.
        """
        if self._begin_step is not None:
            self._begin_step(step)
        reports = {}
        number = step * self._updates_per_step
        for player in self._players:
            with _held(self._others[player.name]):
                for _ in range(player.num_updates):
                    position = step if self._repeats_batches else number
                    reports[player.name] = self._update(step, player, position, number)
                    number += 1
        return reports

    def _update(self, step: int, player: Player, position: int, number: int) -> dict[str, float]:
        """Update `number`, counted from 0 over the whole training, by the batch at `position`."""
        player.optimizer.zero_grad(set_to_none=True)
        size = self._batches.batch_size
        draws = BatchGenerator(
            self._seed, "train", player.name, number, size=size, device=self._processes.device
        )
        names: list[str] = []
        totals: Tensor | None = None
        for start, stop in self._parts:
            batch = self._batches.part(position, start, stop)
            last = stop == self._parts[-1][1]
            with self._loss.joined(last):
                with autocast(self._precision, self._processes.device):
                    report = self._loss(batch, player.name, draws.slice(start, stop))
                share = (stop - start) / size
                (report["loss"] * (share * self._processes.loss_factor)).backward()  # type: ignore[no-untyped-call]
            names = list(report)
            values = torch.stack([value.detach().double() for value in report.values()]) * share
            totals = values if totals is None else totals + values
        assert totals is not None
        totals = self._processes.sum_tensor(totals)
        gradients = [value.grad for value in player.parameters.values() if value.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        gradient_norm, *parts = torch.cat([norm.detach().double()[None], totals]).tolist()
        values_by_name = dict(zip(names, parts, strict=True))
        if not (math.isfinite(gradient_norm) and all(map(math.isfinite, parts))):
            raise self._not_finite(step, player, values_by_name)
        if self._clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(list(player.parameters.values()), self._clip_norm, norm)
        player.optimizer.step()
        if self._end_update is not None:
            self._end_update(player.name)
        return {**values_by_name, "gradient_norm": gradient_norm}

    def _not_finite(self, step: int, player: Player, values: dict[str, float]) -> NumericalError:
        culprit = self._culprit(player)
        numbers = ", ".join(f"{name} {value:.6g}" for name, value in values.items())
        return NumericalError(
            f"NaN or infinity in {culprit}",
            where=f"step {step + 1}, player {player.name}",
            got=numbers,
            expected="finite numbers",
        )

    def _culprit(self, player: Player) -> str:
        """What is not finite: the same answer on every process, though each sees its shards alone."""
        flags = []
        for parameter in player.parameters.values():
            gradient = parameter.grad
            flags.append(not _finite(parameter.detach()))
            flags.append(gradient is not None and not _finite(gradient))
        anywhere = self._processes.largest(*map(int, flags))
        for place, name in enumerate(player.parameters):
            if anywhere[2 * place]:
                return f"parameter {name}"
            if anywhere[2 * place + 1]:
                return f"the gradient of parameter {name}"
        return "no single parameter: the loss itself"


def _parameters_of_others(model: nn.Module, player: Player) -> list[nn.Parameter]:
    """What is trained, but not by this player."""
    own = {id(parameter) for parameter in player.parameters.values()}
    return [value for value in model.parameters() if value.requires_grad and id(value) not in own]


@contextmanager
def _held(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Within the block no gradient is computed for these, which saves a third of a pass through them."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_()


def own_parts(batch_size: int, accumulate: int, processes: Processes) -> list[tuple[int, int]]:
    """The parts [start, stop) of each batch that this process has.

    Raises:
        UsageError: A batch has fewer samples than parts.
    """
    bounds = part_bounds(batch_size, num_parts_of(batch_size, accumulate, processes))
    mine = range(processes.rank * accumulate, (processes.rank + 1) * accumulate)
    return [(bounds[part], bounds[part + 1]) for part in mine]


def num_parts_of(batch_size: int, accumulate: int, processes: Processes) -> int:
    """The parts that a batch is cut into, over all processes.

    Raises:
        UsageError: They are more than it has samples.
    """
    num_parts = processes.world_size * accumulate
    if batch_size < num_parts:
        raise UsageError(
            "the batch has fewer samples than the parts it is cut into",
            where="data.batch_size",
            got=batch_size,
            expected=f"at least {num_parts} (processes x training.accumulate)",
            next_step="raise data.batch_size, or lower training.accumulate or the number of processes",
        )
    return num_parts


def _finite(tensor: Tensor) -> bool:
    local = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return bool(torch.isfinite(local).all())
