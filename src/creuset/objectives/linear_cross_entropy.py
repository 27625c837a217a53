"""The cross entropy of a linear head over a large vocabulary, whose gradient is made on the way forth.

    sum_i -log softmax(W s_i)_{y_i}       d/ds_i = W^T (softmax(W s_i) - onehot(y_i))

Scores of all tokens at once would be the largest tensor of a language model's training. They are made part by
part, and what the backward pass needs of a part is made while its scores are at hand: so they are made once,
and never stand in memory together. The price: it is a sum over tokens, whose gradient knows one factor only.

Source: the idea of fusing both: Hsu et al. 2024, "Liger Kernel", section 3.2 (FusedLinearCrossEntropy), and
Wijmans et al. 2025, "Cut Your Losses in Large-Vocabulary Language Models".

Legend of shapes: N tokens, E features, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor

MAX_SCORES = 2**23
"""Scores of a part: 32 MB in float32; larger parts are no faster."""


def sum_of_nats(states: Tensor, weight: Tensor, targets: Tensor, *, max_scores: int = MAX_SCORES) -> Tensor:
    """The nats of all tokens together.

    Args:
        states: What the head reads, (N, E).
        weight: The head's, (V, E), in the format of `states`.
        targets: The right token of each, int64 (N,).
        max_scores: Numbers that the scores of a part may have.

    Returns:
        (), float32 at least; 0 of no tokens.
    """
    found: Tensor = _SumOfNats.apply(states, weight, targets, max_scores)  # type: ignore[no-untyped-call]
    return found


class _SumOfNats(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, targets: Tensor, max_scores: int) -> Tensor:
        precise = torch.promote_types(states.dtype, torch.float32)
        of_states = torch.empty_like(states) if ctx.needs_input_grad[0] else None
        of_weight = torch.zeros_like(weight, dtype=precise) if ctx.needs_input_grad[1] else None
        total = torch.zeros((), dtype=precise, device=states.device)
        size = max(1, max_scores // len(weight))
        for start in range(0, len(states), size):
            part, wanted = states[start : start + size], targets[start : start + size, None]
            scores = (part @ weight.T).to(precise)  # (n, V)
            log_sums = scores.logsumexp(1, keepdim=True)
            total += (log_sums - scores.gather(1, wanted)).sum()
            if of_states is None and of_weight is None:
                continue
            slopes = scores.sub_(log_sums).exp_()
            slopes.scatter_add_(1, wanted, torch.full_like(wanted, -1, dtype=precise))
            slopes = slopes.to(states.dtype)
            if of_states is not None:
                torch.matmul(slopes, weight, out=of_states[start : start + size])
            if of_weight is not None:
                of_weight += slopes.T @ part
        ctx.save_for_backward(of_states, of_weight)
        ctx.dtypes = states.dtype, weight.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        of_states, of_weight = ctx.saved_tensors
        (slope,) = slopes
        return (
            None if of_states is None else of_states * slope.to(of_states.dtype),
            None if of_weight is None else (of_weight * slope).to(ctx.dtypes[1]),
            None,
            None,
        )
