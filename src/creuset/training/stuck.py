"""A training whose loss stays what guessing costs: log 2 where one of two answers is to be told apart.

Of preferences the loss is log 2 before the first step, as nothing is preferred yet. Where it never leaves
that value, the weights do not move what the answers are worth: a learning rate that is far too low, layers
that no answer depends on, or chosen and rejected that read alike. Such a run would go to its end, and save a
model that is its base.
"""

from collections.abc import Mapping

from creuset.errors import GateError

_TOLERANCE = 5e-3
"""Nats: with the usual beta of dpo the two answers' likelihoods then differ by .1 nats from the base's."""
_FEWEST_STEPS = 20
_SHARE = 0.25
"""Of a training's steps that its loss may stay there."""


class StuckLoss:
    """Counts the steps behind each other whose loss is what guessing costs.

    Args:
        guessing: The loss where nothing was learned.
        num_steps: Of the training.
        warmup_steps: That do not count, as the learning rate rises in them.
    """

    def __init__(self, guessing: float, *, num_steps: int, warmup_steps: int) -> None:
        self.guessing, self._warmup = guessing, warmup_steps
        self.limit = max(_FEWEST_STEPS, int(_SHARE * num_steps))
        self.waited = 0
        self._gradient_norm = 0.0

    def see(self, step: int, report: Mapping[str, float]) -> bool:
        """Takes in what a step reported; True where the training is stuck.

        Args:
            step: Steps done with it.
            report: "loss" and "gradient_norm" of the player.
        """
        if step <= self._warmup:
            return False
        self.waited = self.waited + 1 if abs(report["loss"] - self.guessing) <= _TOLERANCE else 0
        self._gradient_norm = report["gradient_norm"]
        return self.waited >= self.limit

    def error(self, *, step: int, run: str, learning_rate: float) -> GateError:
        """What to say of a training that is stuck.

        Args:
            step: Of the checkpoint that was made.
            run: How to name the run on the command line.
            learning_rate: The recipe's.
        """
        norm = self._gradient_norm
        if norm == 0:
            why = "no gradient reaches what is trained"
            next_step = "train other weights: adapter.targets, or adapter.kind"
        else:
            why = "the weights move too little to change what answers are worth"
            next_step = (
                f"raise training.learning_rate, {learning_rate:g}; or see that chosen and rejected differ"
            )
        return GateError(
            f"the loss stays at what guessing costs, log 2: {why}",
            where=f"{run}, step {step}",
            got=f"{self.guessing:.4f} within {_TOLERANCE:g} for {self.waited} steps; gradient {norm:.3g}",
            expected="a loss that falls",
            next_step=next_step,
        )
