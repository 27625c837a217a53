"""Learning from which of two answers a person preferred.

    bradley_terry   -log sigmoid(r_chosen - r_rejected - margin)
    dpo             -log sigmoid(beta ((log p_c - log q_c) - (log p_r - log q_r)))
    orpo            -log sigmoid(log odds(p_c) - log odds(p_r)),   log odds(p) = log p - log(1 - p)

with p the model's probability of a whole answer (dpo) or the geometric mean of that of its tokens (orpo), q
that of the reference, the model as it was before; c the chosen answer and r the rejected one.

Source: bradley_terry: Bradley & Terry 1952, "Rank Analysis of Incomplete Block Designs", as in Ouyang et al.
2022, "Training language models to follow instructions with human feedback", eq. 1; the margin: Touvron et al.
2023, "Llama 2", eq. 2; dpo: Rafailov et al. 2023, "Direct Preference Optimization", eq. 7; its label
smoothing: Mitchell 2023, "A note on DPO with noisy preferences & relationship to IPO", eq. 3; orpo: Hong, Lee
& Thorne 2024, "ORPO", eqs. 4 and 7, whose total loss is the cross entropy of chosen answers and a multiple of
this.
Not to be confused with metrics/preference.py, which fits Bradley-Terry strengths to judgements.

Legend of shapes: B pairs.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from creuset.errors import UsageError

UNTRAINED_DPO = math.log(2)
"""The loss of a model that is its own reference: nothing was learned while it stays there."""


def bradley_terry_nats(chosen: Tensor, rejected: Tensor, *, margin: Tensor | float = 0.0) -> Tensor:
    """-log of the probability that the chosen answer wins, by the answers' rewards.

    Args:
        chosen: The reward of each chosen answer, (B,), any real numbers.
        rejected: That of each rejected one, (B,).
        margin: By how much the chosen one is to be ahead, (B,) or one number, at least 0.

    Returns:
        (B,), in nats.
    """
    return -logsigmoid(chosen - rejected - margin)


def implied_rewards(policy: Tensor, reference: Tensor, *, beta: float) -> Tensor:
    """beta (log p - log q): the reward under which the model would be the best one near its reference.

    Args:
        policy: The model's log-probability of each whole answer, (B,), in nats.
        reference: That of the reference, (B,).
        beta: How strongly the reference holds, above 0.

    Returns:
        (B,).
    """
    return beta * (policy - reference)


def dpo_nats(chosen: Tensor, rejected: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """The loss of each pair, by its implied rewards.

    Args:
        chosen: `implied_rewards` of the chosen answers, (B,).
        rejected: Those of the rejected ones, (B,).
        label_smoothing: The probability that a judgement is wrong, in [0, 0.5).

    Returns:
        (B,), in nats; log 2 where the model is its reference.

    Raises:
        UsageError: A label smoothing outside of its range.
    """
    if not 0 <= label_smoothing < 0.5:
        raise UsageError(
            "a judgement that is as often wrong as right says nothing",
            where="label_smoothing",
            got=label_smoothing,
            expected="at least 0 and below 0.5",
        )
    ahead = chosen - rejected
    return -(1 - label_smoothing) * logsigmoid(ahead) - label_smoothing * logsigmoid(-ahead)


def orpo_nats(chosen: Tensor, rejected: Tensor) -> Tensor:
    """The loss of each pair's odds.

    Args:
        chosen: The mean log-probability of the tokens of each chosen answer, (B,), at most 0.
        rejected: That of each rejected one, (B,).

    Returns:
        (B,), in nats; log 2 where both are as likely.
    """
    return -logsigmoid(_log_odds(chosen) - _log_odds(rejected))


def _log_odds(log_prob: Tensor) -> Tensor:
    """log p - log(1 - p); the log of 1 - p by the one of two forms that loses no digits (Maechler 2012).

    A p that was rounded to 1 counts as the next number below, whose odds are finite.
    """
    log_prob = log_prob.clamp(max=-torch.finfo(log_prob.dtype).eps)
    near_one = torch.log(-torch.expm1(log_prob.clamp(min=-math.log(2))))
    far = torch.log1p(-torch.exp(log_prob.clamp(max=-math.log(2))))
    return log_prob - torch.where(log_prob > -math.log(2), near_one, far)
