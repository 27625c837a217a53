"""The optimizer of each player and the schedule of its learning rate.

The schedule is a pure function of the step, so that nothing of it has to be saved. Weight decay acts on what
has two axes or more, embeddings among them; gains of norms and biases are left alone (as in Radford et al.
2018, "Improving Language Understanding by Generative Pre-Training", section 4.1).
"""

import math
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn

from creuset.errors import CheckpointError
from creuset.recipe.sections import PlayerConfig, TrainingConfig


class Player:
    """One side of a training: its parameters, its optimizer and how often it moves in a step.

    Args:
        name: The player's name, as the model calls it.
        parameters: What it updates, by name.
        training: The recipe's training section.
        config: What this player does otherwise.
    """

    def __init__(
        self,
        name: str,
        parameters: Iterable[tuple[str, nn.Parameter]],
        training: TrainingConfig,
        config: PlayerConfig,
    ) -> None:
        self.name = name
        self.parameters = {key: value for key, value in parameters if value.requires_grad}
        self.num_updates = config.num_steps
        self.learning_rate = training.learning_rate if config.learning_rate is None else config.learning_rate
        betas = training.betas if config.betas is None else config.betas
        self.optimizer = _make_optimizer(list(self.parameters.values()), self.learning_rate, betas, training)

    def set_learning_rate(self, factor: float) -> None:
        """The peak learning rate times `factor`, from the schedule."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * factor

    def state(self) -> Iterator[tuple[str, Tensor]]:
        """The optimizer's tensors by "player/parameter/name"."""
        for name, parameter in self.parameters.items():
            for key, value in self.optimizer.state[parameter].items():
                if isinstance(value, Tensor):
                    yield f"{self.name}/{name}/{key}", value

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over what `state` yielded.

        Raises:
            CheckpointError: A parameter of this player has no tensors there.
        """
        known: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            player, name, slot = key.split("/")
            if player == self.name:
                known.setdefault(name, {})[slot] = tensor
        missing = sorted(self.parameters.keys() - known.keys())
        if missing and known:
            raise CheckpointError(
                f"the optimizer of player {self.name} has no state for this parameter",
                got=missing[0],
                expected=f"state for {len(self.parameters)} parameters",
                next_step="use the recipe.yaml that lies beside the checkpoint",
            )
        for name, slots in known.items():
            parameter = self.parameters[name]
            self.optimizer.state[parameter] = {
                slot: value.to(parameter.device) for slot, value in slots.items()
            }


def _make_optimizer(
    parameters: list[nn.Parameter], learning_rate: float, betas: tuple[float, float], training: TrainingConfig
) -> torch.optim.Optimizer:
    decaying = [parameter for parameter in parameters if parameter.ndim >= 2]
    others = [parameter for parameter in parameters if parameter.ndim < 2]
    groups = [
        {"params": members, "weight_decay": decay}
        for members, decay in ((decaying, training.weight_decay), (others, 0.0))
        if members
    ]
    if training.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=learning_rate, momentum=training.momentum, foreach=True)
    kind = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
    # fused: one pass over each parameter instead of a dozen; the largest part of a small model's step
    return kind(groups, lr=learning_rate, betas=betas, fused=True)


def learning_rate_factor(step: int, training: TrainingConfig) -> float:
    """The share of the peak learning rate in step `step` (from 0).

    It rises as (step + 1) / warmup_steps, then falls to `final_learning_rate`, which the step after the last
    one would have: along a straight line, or half a cosine (Loshchilov & Hutter 2017, equation 5, without
    restarts).
    """
    if step < training.warmup_steps:
        return (step + 1) / training.warmup_steps
    if training.schedule == "constant":
        return 1.0
    span = max(1, training.num_steps - training.warmup_steps)
    done = min(1.0, (step - training.warmup_steps) / span)
    falling = 1.0 - done if training.schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
    return training.final_learning_rate + (1.0 - training.final_learning_rate) * falling
