"""Learning from rewards of answers that the model wrote itself.

    ratio            w_t = p(a_t) / p_old(a_t)
    policy loss      -min(w_t A_t, clip(w_t, 1 - e, 1 + e) A_t)
    value loss       max((V_t - R_t)^2, (clip(V_t, V_old - e, V_old + e) - R_t)^2) / 2
    advantages, PPO  A_t = sum_k (discount decay)^k (r_t+k + discount V_t+k+1 - V_t+k),   R_t = A_t + V_t
    GRPO             A = (r - mean of the group) / (sd of the group + 1e-4), alike for all tokens of an answer
    divergence       k1 = log p - log q,   k3 = q / p - 1 - log(q / p), both KL(p || q) in the mean over p

with p the model, p_old the model that wrote the answer, q the reference that is to be kept near, A
advantages, V values and R returns.

Source: Schulman et al. 2017, "Proximal Policy Optimization Algorithms", eqs. 7 and 11; the clipped value loss
and whitened advantages: Huang et al. 2024, "The N+ Implementation Details of RLHF with PPO"; advantages:
Schulman et al. 2016, "High-Dimensional Continuous Control Using Generalized Advantage Estimation", eq. 16;
GRPO: Shao et al. 2024, "DeepSeekMath", eqs. 3 and 4; k1, k3: Schulman 2020, "Approximating KL Divergence".
Departure of GRPO: its mean is over the tokens of all answers, not over each answer's first, so that a long
answer's tokens count as much as a short one's: Yu et al. 2025, "DAPO", eq. 8.

Legend of shapes: B answers, T tokens, G answers of one prompt.
"""

import math

import torch
from torch import Tensor

_LEAST_DEVIATION = 1e-4
_LEAST_VARIANCE = 1e-8


def clipped_policy_loss(log_ratio: Tensor, advantages: Tensor, *, clip: float) -> Tensor:
    """What the policy minimizes for each token.

    Args:
        log_ratio: log p - log p_old of each token, (B, T).
        advantages: (B, T), or (B, 1) where all tokens of an answer have the same.
        clip: e, above 0: beyond it a token's probability gains nothing by moving further.

    Returns:
        (B, T).
    """
    ratio = log_ratio.exp()
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)


def clipped_value_loss(values: Tensor, old_values: Tensor, returns: Tensor, *, clip: float) -> Tensor:
    """What the value head minimizes for each token: half of the larger of two squared errors.

    Args:
        values: V, (B, T).
        old_values: V when the answer was written, (B, T).
        returns: R, (B, T).
        clip: e, above 0, in units of reward.

    Returns:
        (B, T).
    """
    near = torch.clamp(values, old_values - clip, old_values + clip)
    return torch.maximum((values - returns).square(), (near - returns).square()) / 2


def generalized_advantages(
    rewards: Tensor, values: Tensor, mask: Tensor, *, discount: float, decay: float
) -> Tensor:
    """The advantage of each token over what was expected there.

    Args:
        rewards: r, (B, T).
        values: V, (B, T).
        mask: bool (B, T), True for tokens of the answer, which follow each other; nothing is expected behind
            them.
        discount: gamma, in (0, 1].
        decay: lambda, in [0, 1]: 0 trusts the values, 1 the rewards.

    Returns:
        (B, T), 0 outside of the mask; returns are these and the values.
    """
    rewards, values = rewards * mask, values * mask
    following = torch.zeros_like(values[:, 0])
    advantage = torch.zeros_like(following)
    found = []
    for place in reversed(range(values.shape[1])):
        surprise = rewards[:, place] + discount * following - values[:, place]
        advantage = (surprise + discount * decay * advantage) * mask[:, place]
        following = values[:, place]
        found.append(advantage)
    return torch.stack(found[::-1], dim=1)


def whitened(advantages: Tensor, mask: Tensor, *, moments: tuple[float, float] | None = None) -> Tensor:
    """Advantages with mean 0 and standard deviation 1 over the tokens of the mask, 0 elsewhere.

    Args:
        advantages: (B, T).
        mask: bool (B, T), at least two tokens.
        moments: Mean and variance of the advantages of a whole batch, of which these are a part; None: those
            of these.
    """
    if moments is None:
        inside = advantages[mask]
        moments = float(inside.mean()), float(inside.var())
    mean, variance = moments
    return (advantages - mean) / math.sqrt(variance + _LEAST_VARIANCE) * mask


def group_advantages(rewards: Tensor) -> Tensor:
    """How much better each answer is than the others to its prompt.

    Args:
        rewards: (B, G), G at least 2.

    Returns:
        (B, G); 0 in a group whose answers are all worth the same.
    """
    mean, deviation = rewards.mean(1, keepdim=True), rewards.std(1, keepdim=True)
    return (rewards - mean) / (deviation + _LEAST_DEVIATION)


def divergence_k1(log_probs: Tensor, reference: Tensor) -> Tensor:
    """log p - log q of tokens that p wrote: its mean is KL(p || q), in nats, and single ones may be below 0.

    Args:
        log_probs: log p, (B, T).
        reference: log q, (B, T).
    """
    return log_probs - reference


def divergence_k3(log_probs: Tensor, reference: Tensor) -> Tensor:
    """q / p - 1 - log(q / p) of tokens that p wrote: the same mean as k1, never below 0, and less scatter.

    Args:
        log_probs: log p, (B, T).
        reference: log q, (B, T).
    """
    log_ratio = reference - log_probs
    return torch.expm1(log_ratio) - log_ratio


def mean_of_tokens(values: Tensor, mask: Tensor, *, over: float | None = None) -> Tensor:
    """The mean over all tokens of the mask, ().

    Args:
        values: (B, T).
        mask: bool (B, T), at least one token.
        over: What their sum is divided by where they are a part of a batch; None: the number of tokens.
    """
    inside = values[mask]
    return inside.mean() if over is None else inside.sum() / over
