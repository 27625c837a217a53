"""Answers that a model wrote, ready to be learned from: their log-probabilities then, and their advantages.

A batch may come in parts, and what is taken over tokens is taken over those of the whole batch: a sum over a
part is divided by the tokens that as many prompts have on average, so that the mean of the parts, by their
prompts, is that of the batch; advantages of ppo are whitened by the moments of all.

Source: objectives/policy_gradient.py.

Legend of shapes: P prompts, G answers to each, N = P G answers, T tokens, M tokens of all answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from creuset.data.token_stream import IGNORED
from creuset.data.trained_rows import TrainedRows
from creuset.models.base import Batch
from creuset.models.tuned import Tuned
from creuset.models.tuned_config import PolicySettings
from creuset.objectives.policy_gradient import (
    divergence_k1,
    generalized_advantages,
    group_advantages,
    mean_of_tokens,
    whitened,
)
from creuset.training.distributed import Processes
from creuset.training.rollouts import Rollout


@dataclass(frozen=True, kw_only=True)
class Table:
    """Where the tokens of packed answers stand in a table of one answer a row.

    Args:
        mask: bool (N, T), True for tokens of the answers, which begin each row.
    """

    mask: Tensor

    @classmethod
    def of(cls, batch: Batch) -> "Table":
        """That of a packed batch."""
        asked = batch["targets"] != IGNORED
        texts = batch["documents"][asked]
        counts = torch.bincount(texts, minlength=int(batch["documents"][0, -1]) + 1)
        return cls(mask=torch.arange(int(counts.max()), device=counts.device) < counts[:, None])

    def __call__(self, values: Tensor) -> Tensor:
        """Values of each token, (M,), as a table (N, T), 0 elsewhere."""
        table = values.new_zeros(self.mask.shape)
        return table.masked_scatter(self.mask, values)


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A part's answers as they were written.

    Args:
        batch: Prompts with answers, behind each other, N texts.
        rewards: float64 (P, G).
        rollouts: P lists of G.
        old: log p of each token of the answers when they were written, (N, T).
        reference: log q of the base, (N, T).
        values: Of ppo, what was expected at each token, (N, T); None of grpo.
    """

    batch: dict[str, Tensor]
    rewards: Tensor
    rollouts: Sequence[Sequence[Rollout]]
    old: Tensor
    reference: Tensor
    values: Tensor | None

    @classmethod
    @torch.no_grad()
    def by(cls, model: Tuned, rollouts: Sequence[Sequence[Rollout]], rewards: Tensor) -> "Answered":
        """Answers with what the model that wrote them finds of each token."""
        texts = TrainedRows.of([rollout.text for answers in rollouts for rollout in answers])
        device = next(model.parameters()).device
        packed = texts.batch(torch.arange(len(texts.rows.lengths)))
        batch = {name: value.to(device) for name, value in packed.items()}
        table = Table.of(batch)
        old, values = model.answer_values(batch)
        return cls(
            batch=batch,
            rewards=rewards,
            rollouts=rollouts,
            old=table(old),
            reference=table(model.reference_token_log_probs(batch)),
            values=None if values is None else table(values),
        )

    @property
    def mask(self) -> Tensor:
        """bool (N, T), True for tokens of the answers."""
        return Table.of(self.batch).mask


@dataclass(frozen=True, kw_only=True)
class Experience:
    """A part's answers, and how much better each token was than expected.

    Args:
        answered: The answers.
        mask: bool (N, T), True for tokens of the answers.
        advantages: (N, T).
        returns: Of ppo, (N, T); None of grpo.
        mean_tokens: What sums over the part's tokens are divided by: the tokens that as many prompts have on
            average over the whole batch.
        told: What the journal says of them.
    """

    answered: Answered
    mask: Tensor
    advantages: Tensor
    returns: Tensor | None
    mean_tokens: float
    told: dict[str, float]


def experiences(
    parts: Sequence[Answered], shares: Sequence[float], settings: PolicySettings, processes: Processes
) -> list[Experience]:
    """What is learned from a batch of answers, part by part.

    Args:
        parts: The parts that this process has of the batch.
        shares: Which share of the batch's prompts each of them has; over all processes they add up to 1.
        settings: How answers are learned from.
        processes: Who else has parts of it.
    """
    masks = [part.mask for part in parts]
    num_tokens = float(processes.sum_tensor(_total([mask.double() for mask in masks])))
    raw = [
        _raw_advantages(part, mask, settings) if part.values is not None else None
        for part, mask in zip(parts, masks, strict=True)
    ]
    moments = _moments(raw, masks, num_tokens, processes)
    found = []
    for part, share, mask, own in zip(parts, shares, masks, raw, strict=True):
        divided = num_tokens * share
        told = _told(part) | {
            "kl_nats": float(mean_of_tokens(divergence_k1(part.old, part.reference), mask, over=divided))
        }
        if own is None:
            advantages = group_advantages(part.rewards).flatten()[:, None].to(part.old) * mask
            returns = None
        else:
            assert part.values is not None
            advantages, returns = whitened(own, mask, moments=moments), own + part.values
        found.append(
            Experience(
                answered=part,
                mask=mask,
                advantages=advantages,
                returns=returns,
                mean_tokens=divided,
                told=told,
            )
        )
    return found


def _raw_advantages(part: Answered, mask: Tensor, settings: PolicySettings) -> Tensor:
    """Of ppo, (N, T): each token pays for leaving the base, and the last one is given the reward."""
    assert part.values is not None
    of_tokens = -settings.kl * divergence_k1(part.old, part.reference) * mask
    last = mask.shape[1] - 1 - mask.flip(1).int().argmax(1)
    of_tokens[torch.arange(len(last)), last] += part.rewards.flatten().to(of_tokens)
    return generalized_advantages(
        of_tokens, part.values, mask, discount=settings.discount, decay=settings.decay
    )


def _moments(
    raw: Sequence[Tensor | None], masks: Sequence[Tensor], num_tokens: float, processes: Processes
) -> tuple[float, float]:
    """Mean and variance of the advantages of all tokens of the batch."""
    inside = [own[mask].double() for own, mask in zip(raw, masks, strict=True) if own is not None]
    if not inside:
        return 0.0, 1.0
    mean = float(processes.sum_tensor(_total(inside))) / num_tokens
    squares = processes.sum_tensor(_total([(own - mean).square() for own in inside]))
    return mean, float(squares) / max(1.0, num_tokens - 1)


def _total(tensors: Sequence[Tensor]) -> Tensor:
    """The sum of all numbers of all tensors, ()."""
    return torch.stack([tensor.sum() for tensor in tensors]).sum()


def _told(part: Answered) -> dict[str, float]:
    answers = [rollout for each in part.rollouts for rollout in each]
    lengths = [sum(answer.text.trained) for answer in answers]
    return {
        "reward": float(part.rewards.double().mean()),
        "answer_tokens": sum(lengths) / len(lengths),
        "ended": sum(answer.ended for answer in answers) / len(answers),
    }
