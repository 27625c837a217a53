"""Learning from rewards of answers that the model writes itself: what the loop is given as the loss.

In each training step the model answers the prompts of the batch, several times each; the answers are
rewarded, and the updates of the step raise the probability of those that were better than expected. Answers
follow from seed and step, so that a run that is resumed writes the same ones.

    grpo   better than the other answers to the same prompt; no values
    ppo    better than the value head expected, token by token; leaving the base costs reward

Source: objectives/policy_gradient.py.

Legend of shapes: B prompts, G answers to each, N = B G answers, T tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from creuset.data.dataset import Dataset
from creuset.data.token_stream import IGNORED
from creuset.data.trained_rows import TrainedRows
from creuset.device import BatchGenerator
from creuset.generation.answers import asking_rows, end_ids
from creuset.models.base import Batch
from creuset.models.tuned import Tuned
from creuset.models.tuned_config import PolicySettings
from creuset.objectives.policy_gradient import (
    clipped_policy_loss,
    clipped_value_loss,
    divergence_k1,
    divergence_k3,
    generalized_advantages,
    group_advantages,
    mean_of_tokens,
    whitened,
)
from creuset.training.rollouts import Reward, Rollout, require_varied, rewards_of, roll_out

_VALIDATED = 32
"""Held-out prompts that are answered for a validation."""
_SEEN_BEFORE_REFUSING = 5
"""Batches of answers that must not all be worth the same."""


@dataclass(frozen=True, kw_only=True)
class _Experience:
    """Answers as they were written, and what they are worth.

    Args:
        batch: Prompts with answers, behind each other, N texts.
        old: log p of each token of the answers when they were written, (N, T).
        reference: log q of the base, (N, T).
        mask: bool (N, T), True for tokens of the answers.
        advantages: (N, T).
        returns, old_values: Of ppo, (N, T); None of grpo.
        told: What the journal says of them.
    """

    batch: dict[str, Tensor]
    old: Tensor
    reference: Tensor
    mask: Tensor
    advantages: Tensor
    returns: Tensor | None
    old_values: Tensor | None
    told: dict[str, float]


@dataclass(kw_only=True)
class PolicyLoss:
    """The loss of a model that learns from rewards.

    Args:
        model: A tuned model whose objective is grpo or ppo.
        dataset: Conversations whose prompts are answered.
        reward: What an answer is worth.
        settings: How answers are drawn and learned from.
        seed: Of the run.
    """

    model: Tuned
    dataset: Dataset
    reward: Reward
    settings: PolicySettings
    seed: int
    _step: int = field(default=0, init=False)
    _experiences: dict[int, _Experience] = field(default_factory=dict, init=False)
    _seen: list[Tensor] = field(default_factory=list, init=False)
    _asked: dict[tuple[int, ...], str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        tuning = self.dataset.split("train").tuning
        assert tuning is not None
        self._asked = {row.prompt: row.asked for row in tuning.rows}

    def begin_step(self, step: int) -> None:
        """Told before each training step: its first update answers prompts, the others learn from these."""
        self._step = step
        self._experiences = {}

    def __call__(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """As `Model.loss`, of the answers to the prompts of a batch."""
        assert player in self.model.players
        part = generator.start
        if part not in self._experiences:
            self._experiences[part] = self._experience(batch, part)
        return self._loss(self._experiences[part])

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

    def _experience(self, batch: Batch, part: int) -> _Experience:
        tokenizer = self.dataset.tokenizer
        assert tokenizer is not None
        prompts = prompts_of(batch)
        settings, count = self.settings, self.settings.num_answers
        rollouts = drawn(
            self.model,
            tokenizer,
            prompts,
            num_each=count,
            max_tokens=settings.max_answer_tokens,
            temperature=settings.temperature,
            eos_ids=sorted(end_ids(self.dataset, tokenizer)),
            seed=self.seed,
            labels=("rollouts", self._step, part),
        )
        rewards = rewards_of(self.reward, [self._asked[tuple(prompt)] for prompt in prompts], rollouts)
        self._require_varied(rewards)
        answers = [rollout for each in rollouts for rollout in each]
        packed = _packed(answers, next(self.model.parameters()).device)
        with torch.no_grad():
            old, values = self.model.answer_values(packed)
            reference = self.model.reference_token_log_probs(packed)
        wide = _Wide.of(packed)
        mask = wide.mask
        told = _told(rewards, rollouts) | {
            "kl_nats": float(mean_of_tokens(divergence_k1(wide(old), wide(reference)), mask))
        }
        if self.model.objective.name == "grpo":
            advantages = group_advantages(rewards).flatten()[:, None].to(mask.device) * mask
            returns = old_values = None
        else:
            assert values is not None
            old_values = wide(values)
            of_tokens = -settings.kl * divergence_k1(wide(old), wide(reference)) * mask
            last = mask.shape[1] - 1 - mask.flip(1).int().argmax(1)
            of_tokens[torch.arange(len(last)), last] += rewards.flatten().to(mask.device)
            raw = generalized_advantages(
                of_tokens, old_values, mask, discount=settings.discount, decay=settings.decay
            )
            returns, advantages = raw + old_values, whitened(raw, mask)
        return _Experience(
            batch=packed,
            old=wide(old),
            reference=wide(reference),
            mask=mask,
            advantages=advantages,
            returns=returns,
            old_values=old_values,
            told=told,
        )

    def _loss(self, experience: _Experience) -> dict[str, Tensor]:
        settings, mask = self.settings, experience.mask
        log_probs, values = self.model.answer_values(experience.batch)
        wide = _Wide.of(experience.batch)
        now = wide(log_probs)
        gains = clipped_policy_loss(now - experience.old, experience.advantages, clip=settings.clip)
        loss = mean_of_tokens(gains, mask)
        parts = {"policy_loss": loss.detach()}
        if experience.returns is None:
            divergence = mean_of_tokens(divergence_k3(now, experience.reference), mask)
            loss = loss + settings.kl * divergence
        else:
            assert values is not None
            assert experience.old_values is not None
            errors = clipped_value_loss(
                wide(values), experience.old_values, experience.returns, clip=settings.clip
            )
            value_loss = mean_of_tokens(errors, mask)
            loss = loss + settings.value_weight * value_loss
            parts["value_loss"] = value_loss.detach()
        told = {name: loss.new_tensor(value) for name, value in experience.told.items()}
        return {"loss": loss, **parts, **told}

    def _require_varied(self, rewards: Tensor) -> None:
        """Refuses a reward that was the same for all answers of the first batches."""
        if len(self._seen) < _SEEN_BEFORE_REFUSING:
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
    """What answers to the first prompts of a split are worth, float32 (B, num_each); the draws are fixed.

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
    tokenizer = dataset.tokenizer
    assert tokenizer is not None
    rows = asking_rows(dataset, split, number)
    rollouts = drawn(
        model,
        tokenizer,
        [row.prompt for row in rows],
        num_each=num_each,
        max_tokens=settings.max_answer_tokens,
        temperature=settings.temperature,
        eos_ids=sorted(end_ids(dataset, tokenizer)),
        seed=seed,
        labels=("held out", split),
    )
    return rewards_of(reward, [row.asked for row in rows], rollouts)


@dataclass(frozen=True, kw_only=True)
class _Wide:
    """Where the tokens of packed answers stand in a table of one answer a row.

    Args:
        mask: bool (N, T), True for tokens of the answers, which begin each row.
    """

    mask: Tensor

    @classmethod
    def of(cls, batch: Batch) -> "_Wide":
        asked = batch["targets"] != IGNORED
        texts = batch["documents"][asked]
        counts = torch.bincount(texts, minlength=int(batch["documents"][0, -1]) + 1)
        return cls(mask=torch.arange(int(counts.max()), device=counts.device) < counts[:, None])

    def __call__(self, values: Tensor) -> Tensor:
        """Values of each token, (M,), as a table (N, T), 0 elsewhere."""
        table = values.new_zeros(self.mask.shape)
        return table.masked_scatter(self.mask, values)


def drawn(model: Tuned, *arguments: Any, **options: Any) -> list[list[Rollout]]:
    """As `roll_out`, in the number format that the model is kept in, whatever the training computes in."""
    device = next(model.parameters()).device
    with torch.autocast(device.type, enabled=False):
        return roll_out(model.body, *arguments, **options)


def prompts_of(batch: Batch) -> list[list[int]]:
    """The tokens of each text of a packed batch up to the first that is learned."""
    documents, targets = batch["documents"][0], batch["targets"][0]
    found: list[list[int]] = []
    for number in range(int(documents[-1]) + 1):
        places = (documents == number).nonzero()[:, 0]
        asked = (targets[places] != IGNORED).nonzero()[:, 0]
        length = len(places) if not len(asked) else int(asked[0]) + 1
        found.append(batch["tokens"][0][places[:length]].tolist())
    return found


def _packed(answers: Sequence[Rollout], device: torch.device) -> dict[str, Tensor]:
    rows = TrainedRows.of([answer.text for answer in answers])
    return {name: value.to(device) for name, value in rows.batch(torch.arange(len(answers))).items()}


def _told(rewards: Tensor, rollouts: Sequence[Sequence[Rollout]]) -> dict[str, float]:
    answers = [rollout for each in rollouts for rollout in each]
    lengths = [sum(answer.text.trained) for answer in answers]
    return {
        "reward": float(rewards.mean()),
        "answer_tokens": sum(lengths) / len(lengths),
        "ended": sum(answer.ended for answer in answers) / len(answers),
    }
