"""Learning from rewards of answers that the model writes itself: what the loop is given as the loss.

Before each training step the model answers the prompts of the step's batch, several times each; the answers
are rewarded, and all updates of the step raise the probability of those that were better than expected.
Answers follow from the seed, the step and the place of the prompt in the batch: a run that is resumed writes
the same ones, and into how many parts a batch is cut changes nothing but memory and time.

    grpo   better than the other answers to the same prompt; no values
    ppo    better than the value head expected, token by token; leaving the base costs reward

The probabilities of all of it, the base's too, are those at the temperature at which answers are drawn.

Source: objectives/policy_gradient.py.

Legend of shapes: B prompts, G answers to each, N = B G answers, T tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from creuset.data.dataset import Dataset
from creuset.data.tuning_rows import Asked, TunedRow
from creuset.device import BatchGenerator, Precision, autocast
from creuset.generation.answers import asking_rows, end_ids
from creuset.models.base import Batch
from creuset.models.tuned import Tuned
from creuset.models.tuned_config import PolicySettings
from creuset.objectives.policy_gradient import (
    clipped_policy_loss,
    clipped_value_loss,
    divergence_k3,
    mean_of_tokens,
)
from creuset.training.batches import TrainingBatches
from creuset.training.distributed import Processes
from creuset.training.experience import Answered, Experience, Table, experiences
from creuset.training.rewards import Reward, require_varied, rewards_of
from creuset.training.rollouts import Rollout, roll_out

_VALIDATED = 32
"""Held-out prompts that are answered for a validation."""
_SEEN_BEFORE_REFUSING = 5
"""Batches of answers that must not all be worth the same."""


@dataclass(kw_only=True)
class PolicyLoss:
    """The loss of a model that learns from rewards.

    Args:
        model: A tuned model whose objective is grpo or ppo.
        dataset: Conversations whose prompts are answered.
        reward: What an answer is worth.
        settings: How answers are drawn and learned from.
        seed: Of the run.
        batches: Says which prompts are asked in which step.
        parts: The parts [start, stop) that this process has of each batch.
        precision: "bfloat16" finds log-probabilities under autocast, as the updates do.
        processes: Who else trains.
    """

    model: Tuned
    dataset: Dataset
    reward: Reward
    settings: PolicySettings
    seed: int
    batches: TrainingBatches
    parts: Sequence[tuple[int, int]]
    precision: Precision
    processes: Processes
    _experiences: dict[int, Experience] = field(default_factory=dict, init=False)
    _seen: list[Tensor] = field(default_factory=list, init=False)

    def begin_step(self, step: int) -> None:
        """Answers the prompts of a step's batch; all updates of the step learn from these answers."""
        answered = [self._answered(step, start, stop) for start, stop in self.parts]
        self._require_varied(step, torch.cat([part.rewards for part in answered]))
        shares = [(stop - start) / self.batches.batch_size for start, stop in self.parts]
        found = experiences(answered, shares, self.settings, self.processes)
        self._experiences = {start: one for (start, _), one in zip(self.parts, found, strict=True)}

    def __call__(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """As `Model.loss`, of the answers to the prompts of a batch."""
        assert player in self.model.players
        del batch
        return self._loss(self._experiences[generator.start])

    def validate(self) -> dict[str, float]:
        """The mean reward of answers to the first held-out prompts, and its negative as the loss."""
        rewards = held_out_rewards(
            self.model,
            self.dataset,
            "validation",
            self.reward,
            self.settings,
            number=_VALIDATED,
            seed=self.seed,
        )
        mean = float(rewards.mean())
        return {"loss": -mean, "reward": mean}

    def _answered(self, step: int, start: int, stop: int) -> Answered:
        tuning = self.dataset.split("train").tuning
        assert tuning is not None
        rows = [tuning.rows[index] for index in self.batches.indices(step)[start:stop].tolist()]
        rollouts = drawn(
            self.model,
            self.dataset,
            rows,
            self.settings,
            num_each=self.settings.num_answers,
            seed=self.seed,
            labels=("rollouts", step),
            first=start,
        )
        rewards = rewards_of(self.reward, asked_by(rows), rollouts)
        with autocast(self.precision, self.processes.device):
            return Answered.by(self.model, rollouts, rewards)

    def _loss(self, experience: Experience) -> dict[str, Tensor]:
        settings, mask, over = self.settings, experience.mask, experience.mean_tokens
        answered = experience.answered
        log_probs, values = self.model.answer_values(answered.batch)
        table = Table(mask=mask)
        now = table(log_probs)
        gains = clipped_policy_loss(now - answered.old, experience.advantages, clip=settings.clip)
        loss = mean_of_tokens(gains, mask, over=over)
        parts = {"policy_loss": loss.detach()}
        if experience.returns is None:
            divergence = mean_of_tokens(divergence_k3(now, answered.reference), mask, over=over)
            loss = loss + settings.kl * divergence
        else:
            assert values is not None
            assert answered.values is not None
            errors = clipped_value_loss(
                table(values), answered.values, experience.returns, clip=settings.clip
            )
            value_loss = mean_of_tokens(errors, mask, over=over)
            loss = loss + settings.value_weight * value_loss
            parts["value_loss"] = value_loss.detach()
        told = {name: loss.new_tensor(value) for name, value in experience.told.items()}
        return {"loss": loss, **parts, **told}

    def _require_varied(self, step: int, rewards: Tensor) -> None:
        """Refuses a reward that was the same for all answers of the first batches.

        Of the training, not of a part of it: a run that is resumed may have learned what is always rewarded.
        """
        if step < _SEEN_BEFORE_REFUSING:
            self._seen.append(rewards)
            if len(self._seen) == _SEEN_BEFORE_REFUSING:
                require_varied(self._seen, where="objective.reward")


def held_out_rewards(
    model: Tuned,
    dataset: Dataset,
    split: str,
    reward: Reward,
    settings: PolicySettings,
    *,
    number: int,
    seed: int,
    num_each: int = 1,
) -> Tensor:
    """What answers to the first prompts of a split are worth, float64 (B, num_each); the draws are fixed.

    Args:
        model: What answers.
        dataset: Conversations.
        split: Of them.
        reward: What an answer is worth.
        settings: How answers are drawn.
        number: Prompts at most.
        seed: Decides the draws.
        num_each: Answers to each prompt.
    """
    rows = asking_rows(dataset, split, number)
    rollouts = drawn(model, dataset, rows, settings, num_each=num_each, seed=seed, labels=("held out", split))
    return rewards_of(reward, asked_by(rows), rollouts)


def drawn(
    model: Tuned,
    dataset: Dataset,
    rows: Sequence[TunedRow],
    settings: PolicySettings,
    **options: Any,
) -> list[list[Rollout]]:
    """Answers to what rows ask, in the number format that the model is kept in.

    Args:
        model: What answers.
        dataset: Whose tokenizer reads the rows, and whose training rows show what ends an answer.
        rows: With a prompt each.
        settings: How answers are drawn.
        options: "num_each", "seed", "labels" and "first" of `roll_out`.
    """
    tokenizer = dataset.tokenizer
    assert tokenizer is not None
    device = next(model.parameters()).device
    with torch.autocast(device.type, enabled=False):
        return roll_out(
            model.body,
            tokenizer,
            [row.prompt for row in rows],
            max_tokens=settings.max_answer_tokens,
            temperature=settings.temperature,
            eos_ids=sorted(end_ids(dataset, tokenizer)),
            **options,
        )


def asked_by(rows: Sequence[TunedRow]) -> list[Asked]:
    """What rows of conversations ask."""
    asked = [row.asked for row in rows]
    assert all(asked)
    return [one for one in asked if one is not None]
