"""Steps that keep less for their gradient: torch's values and gradients, and fewer bytes."""

import weakref
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from creuset.layers.kept_small import attention_in_float32, gated_product, rms_norm


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(dtype).requires_grad_()


def gradients(function: Callable[..., Tensor], *inputs: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The output, and the gradients of a weighted sum of it."""
    out = function(*inputs)
    slope = torch.linspace(-1, 2, out.numel()).view(out.shape).to(out.dtype)
    return out, torch.autograd.grad(out, inputs, slope)


def kept_bytes(function: Callable[..., Tensor], *inputs: Tensor) -> int:
    """What is kept for the gradient, each storage once, the inputs' own among it."""
    found: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        found[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = function(*inputs)
    assert out.grad_fn is not None
    return sum(tensor.untyped_storage().nbytes() for tensor in found.values())


@pytest.mark.parametrize("activate", [functional.silu, functional.gelu, functional.relu])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_a_gated_product_is_torchs(activate: Callable[[Tensor], Tensor], dtype: torch.dtype) -> None:
    gate, up = drawn(3, 21, 64, dtype=dtype), drawn(3, 21, 64, seed=1, dtype=dtype)
    ours, ours_slopes = gradients(lambda a, b: gated_product(a, b, activate), gate, up)
    theirs, theirs_slopes = gradients(lambda a, b: activate(a) * b, gate, up)
    assert torch.equal(ours, theirs)
    for one, other in zip(ours_slopes, theirs_slopes, strict=True):
        assert torch.equal(one, other)


def test_a_gated_product_keeps_its_inputs_alone() -> None:
    gate, up = drawn(3, 21, 64), drawn(3, 21, 64, seed=1)
    assert kept_bytes(lambda a, b: gated_product(a, b, functional.silu), gate, up) == 2 * gate.nbytes
    assert kept_bytes(lambda a, b: functional.silu(a) * b, gate, up) == 3 * gate.nbytes


def test_a_norm_is_torchs() -> None:
    x, gain = drawn(3, 21, 64), drawn(64)
    ours, ours_slopes = gradients(lambda a, b: rms_norm(a, b, 1e-5), x, gain)
    theirs, theirs_slopes = gradients(lambda a, b: functional.rms_norm(a, (64,), b, 1e-5), x, gain)
    assert torch.equal(ours, theirs)
    for one, other in zip(ours_slopes, theirs_slopes, strict=True):
        torch.testing.assert_close(one, other, rtol=2**-7, atol=2**-8)


def test_a_norms_gradient_is_that_in_double_precision() -> None:
    x, gain = drawn(3, 21, 64), drawn(64)
    _, (of_x, of_gain) = gradients(lambda a, b: rms_norm(a, b, 1e-5), x, gain)
    precise = [tensor.detach().double().requires_grad_() for tensor in (x, gain)]
    _, (x_truly, gain_truly) = gradients(lambda a, b: functional.rms_norm(a, (64,), b, 1e-5), *precise)
    torch.testing.assert_close(of_x.double(), x_truly, rtol=2**-7, atol=2**-7)
    torch.testing.assert_close(of_gain.double(), gain_truly, rtol=2**-7, atol=2**-4)


def test_a_norm_keeps_its_input_in_its_own_format() -> None:
    x, gain = drawn(3, 21, 64), drawn(64).detach()
    assert kept_bytes(lambda a: rms_norm(a, gain, 1e-5), x) == x.nbytes + gain.nbytes
    assert kept_bytes(lambda a: functional.rms_norm(a, (64,), gain, 1e-5), x) > 2 * x.nbytes


def reference(query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
    return functional.scaled_dot_product_attention(
        query.float(), key.float(), value.float(), is_causal=causal, scale=0.2, enable_gqa=True
    ).to(query.dtype)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("num_groups", [6, 2, 1])
def test_attention_in_float32_is_torchs(num_groups: int, causal: bool) -> None:
    query, key, value = (
        drawn(2, 6, 33, 16),
        drawn(2, num_groups, 33, 16, seed=1),
        drawn(2, num_groups, 33, 16, seed=2),
    )
    ours, ours_slopes = gradients(
        lambda *parts: attention_in_float32(*parts, 0.2, causal=causal), query, key, value
    )
    theirs, theirs_slopes = gradients(lambda *parts: reference(*parts, causal), query, key, value)
    assert torch.equal(ours, theirs)
    for one, other in zip(ours_slopes, theirs_slopes, strict=True):
        apart = (one.double() - other.double()).norm() / other.double().norm()
        assert apart < 2**-8  # the output is rounded to bfloat16 before the backward pass reads it


def test_attention_in_float32_keeps_halves() -> None:
    query, key, value = drawn(1, 6, 33, 16), drawn(1, 2, 33, 16, seed=1), drawn(1, 2, 33, 16, seed=2)
    ours = kept_bytes(lambda *parts: attention_in_float32(*parts, 0.2, causal=True), query, key, value)
    assert ours == 2 * query.nbytes + key.nbytes + value.nbytes + 4 * 6 * 33
    assert kept_bytes(lambda *parts: reference(*parts, causal=True), query, key, value) > 1.8 * ours


@pytest.mark.parametrize("name", ["product", "norm", "attention"])
def test_under_recomputation_nothing_of_the_steps_is_kept(name: str) -> None:
    """Inside torch's checkpointing what they would keep is dropped, and made again for the same gradient."""
    steps: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "product": lambda a, b: gated_product(a, b, functional.silu),
        "norm": lambda a, b: rms_norm(a, b[0, 0, 0], 1e-5),
        "attention": lambda a, b: attention_in_float32(a, b, b, 0.2, causal=True),
    }
    inside: list[weakref.ref[Tensor]] = []

    def step(a: Tensor, b: Tensor) -> Tensor:
        doubled = a * 2, b * 2
        inside.extend(map(weakref.ref, doubled))
        return steps[name](*doubled)

    inputs = drawn(1, 6, 33, 16), drawn(1, 6, 33, 16, seed=1)
    kept = step(*inputs)
    assert any(reference() is not None for reference in inside)
    inside.clear()
    out = checkpoint(step, *inputs, use_reentrant=False)
    assert all(reference() is None for reference in inside)
    slope = torch.ones_like(out)
    again, plain = (torch.autograd.grad(found, inputs, slope) for found in (out, kept))
    for one, other in zip(again, plain, strict=True):
        assert torch.equal(one, other)
