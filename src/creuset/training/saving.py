"""The tensors of a training as a checkpoint holds them, whole, and how each process takes its shards back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from creuset.errors import CheckpointError, NumericalError
from creuset.models.base import Model
from creuset.runs.checkpoint import Checkpoint, check_family, check_fit
from creuset.training.distributed import shard_like, whole
from creuset.training.ema import ExponentialMovingAverage
from creuset.training.optimizer import Player


@dataclass(frozen=True, kw_only=True)
class Tensors:
    """The tensors of a training.

    Args:
        model: What it stores of its parameters and buffers.
        players: Their optimizers.
        ema: The averages, where there are some.
    """

    model: Model
    players: Sequence[Player]
    ema: ExponentialMovingAverage | None

    def gathered(self, step: int, advice: str) -> dict[str, dict[str, Tensor]]:
        """The parts of a checkpoint, on the CPU; every process must call it.

        They may be the tensors of the model itself: save them before the next step.

        Args:
            step: Training steps done.
            advice: What to do where a weight is ruined.

        Raises:
            NumericalError: A weight is NaN or infinite: the last update ruined it.
        """
        weights = {name: whole(value) for name, value in self.model.stored_state().items()}
        for name, value in weights.items():
            if not bool(torch.isfinite(value).all()):
                raise NumericalError(
                    f"NaN or infinity in parameter {name}",
                    where=f"step {step}",
                    expected="finite numbers",
                    next_step=advice,
                )
        averages = {} if self.ema is None else self.ema.averages
        return {
            "weights": weights,
            "optimizer": {key: whole(value) for player in self.players for key, value in player.state()},
            "state": {f"ema/{name}": whole(value) for name, value in averages.items()},
        }

    def put_back(self, checkpoint: Checkpoint) -> None:
        """Takes over a checkpoint's tensors, each process its shards of them."""
        with torch.no_grad():
            for name, value in self.model.stored_state().items():
                value.copy_(shard_like(checkpoint.weights[name], value))
        for player in self.players:
            player.load_state(_optimizer_shards(player, checkpoint.optimizer))
        if self.ema is not None:
            averages = self.ema.averages
            self.ema.load(
                {name: shard_like(checkpoint.state[f"ema/{name}"], averages[name]) for name in averages}
            )


def check_is_of(
    checkpoint: Checkpoint, model: Model, family: str, facts: Mapping[str, int], where: Path
) -> None:
    """Refuses the checkpoint of another model or training.

    Args:
        checkpoint: What was read.
        model: The model that goes on.
        family: Its family.
        facts: What the checkpoint must have been made with, such as the seed.
        where: The checkpoint's folder.

    Raises:
        CheckpointError: It is of another family, model, seed or batch size.
    """
    check_family(checkpoint, family, where)
    check_fit(checkpoint.weights, model.stored_state(), where)
    for name, value in facts.items():
        if checkpoint.facts[name] != value:
            raise CheckpointError(
                f"this checkpoint was made with another {name}",
                where=where,
                got=checkpoint.facts[name],
                expected=value,
                next_step="use the recipe.yaml that lies beside the checkpoint",
            )


def _optimizer_shards(player: Player, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    shards = {}
    for key, tensor in tensors.items():
        owner, name, _slot = key.split("/")
        if owner == player.name:
            parameter = player.parameters[name]
            shards[key] = shard_like(tensor, parameter) if tensor.shape == parameter.shape else tensor
    return shards
