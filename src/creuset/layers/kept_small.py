"""Steps of a Transformer that keep less for their gradient than torch's own.

What a training keeps between its passes is most of its memory. In bfloat16 torch keeps, of steps that compute
in float32, the float32 copies of their inputs; and of a gated product also what the activation gave. Here the
inputs are kept in the format they came in, and the rest is made again in the backward pass: of 1,262 tokens
SmolLM2's 30 blocks keep 480 MB in place of 785 (docs/log.md, "what a tuning holds in memory"). Values are
torch's own, bit by bit; gradients are so but for the last digits of bfloat16.

    gated_product    f(gate) * up                keeps gate and up
    rms_norm         x / rms(x) * gain           keeps x and gain
    attention        softmax(Q K^T) V            keeps queries, keys, values, the output in bfloat16, and the
                                                 logarithm of each query's sum

Source: recomputation of cheap steps: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost",
section 3; of attention the backward pass from outputs and sums: Dao et al. 2022, "FlashAttention", section
3.1 and appendix B.

Legend of shapes: ... any leading axes, E features of a token; B batch, H heads, G key-value heads, T queries,
S keys, D features of a head.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

_flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_flash_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def gated_product(gate: Tensor, up: Tensor, activate: Callable[[Tensor], Tensor]) -> Tensor:
    """activate(gate) * up, number by number.

    Args:
        gate: Any shape.
        up: As `gate`.
        activate: Differentiable, and without randomness: it is called twice.
    """
    if not (torch.is_grad_enabled() and gate.requires_grad and up.requires_grad):
        return activate(gate) * up
    product: Tensor = _GatedProduct.apply(gate, up, activate)  # type: ignore[no-untyped-call]
    return product


class _GatedProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor, activate: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(gate, up)
        ctx.activate = activate
        return activate(gate) * up

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, None]:
        gate, up = ctx.saved_tensors
        with torch.enable_grad():
            inside = gate.detach().requires_grad_()
            activated = ctx.activate(inside)
        (of_gate,) = torch.autograd.grad(activated, inside, slope * up)
        return of_gate, slope * activated.detach(), None


def rms_norm(x: Tensor, gain: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * gain, computed in float32 at least.

    Args:
        x: (..., E).
        gain: (E,).
        eps: Above 0.
    """
    rounded = x.dtype in (torch.bfloat16, torch.float16)
    if not (rounded and torch.is_grad_enabled() and x.requires_grad):
        return functional.rms_norm(x, gain.shape, gain, eps)
    normed: Tensor = _RootMeanSquare.apply(x, gain, eps)  # type: ignore[no-untyped-call]
    return normed


class _RootMeanSquare(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, eps: float) -> Tensor:
        ctx.save_for_backward(x, gain)
        ctx.eps = eps
        return functional.rms_norm(x, gain.shape, gain, eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, gain = ctx.saved_tensors
        precise = x.float()
        scale = (precise.square().mean(-1, keepdim=True) + ctx.eps).rsqrt()
        normed, of_normed = precise.mul_(scale), slope.float()
        of_gain = None
        if ctx.needs_input_grad[1]:
            of_gain = (of_normed * normed).flatten(0, -2).sum(0).to(gain.dtype)
        of_normed = of_normed * gain.float()
        share = (of_normed * normed).mean(-1, keepdim=True)
        return of_normed.addcmul_(normed, share, value=-1).mul_(scale).to(x.dtype), of_gain, None


def attention_in_float32(query: Tensor, key: Tensor, value: Tensor, scale: float, *, causal: bool) -> Tensor:
    """torch's fused attention on a processor, computed in float32 for tensors in bfloat16.

    Args:
        query: bfloat16, (B, H, T, D).
        key: bfloat16, (B, G, S, D); a key-value head serves H / G heads that follow each other.
        value: As `key`.
        scale: What scores are multiplied by.
        causal: Whether a query reads no later key; T is then S.

    Returns:
        bfloat16, (B, H, T, D).
    """
    out: Tensor = _AttentionInFloat32.apply(query, key, value, scale, causal)  # type: ignore[no-untyped-call]
    return out


class _AttentionInFloat32(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scale: float, causal: bool) -> Tensor:
        precise = [tensor.float() for tensor in (query, key, value)]
        out, log_sums = _flash(*precise, 0.0, causal, scale=scale)
        out = out.to(query.dtype)
        ctx.save_for_backward(query, key, value, out, log_sums)
        ctx.scale, ctx.causal = scale, causal
        return out  # type: ignore[no-any-return]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, out, log_sums = ctx.saved_tensors
        precise = [tensor.float() for tensor in (slope, query, key, value, out)]
        found = _flash_backward(*precise, log_sums, 0.0, ctx.causal, scale=ctx.scale)
        return *(slopes.to(query.dtype) for slopes in found), None, None
