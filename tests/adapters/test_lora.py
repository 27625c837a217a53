"""Low-rank updates: against plain matrices, switched, merged, and with dropout."""

import math

import pytest
import torch
from torch import Tensor, nn

from creuset.adapters.lora import (
    AdaptedLinear,
    LoraForm,
    LowRankUpdate,
    adapted_layers,
    attach,
    drawing,
)
from creuset.adapters.switch import merge, switched
from creuset.device import BatchGenerator
from creuset.errors import UsageError

FORMS = {
    "lora": LoraForm(rank=3, alpha=6),
    "rslora": LoraForm(rank=4, alpha=6, rank_stabilised=True),
    "dora": LoraForm(rank=2, alpha=5, decomposed=True),
}


def adapted(form: LoraForm, *, bias: bool = True) -> AdaptedLinear:
    torch.manual_seed(0)
    holder = nn.Sequential(nn.Linear(7, 5, bias=bias))
    attach(holder, {"0": form}, "one")
    layer = holder[0]
    assert isinstance(layer, AdaptedLinear)
    return layer


def stirred(layer: AdaptedLinear, name: str = "one") -> LowRankUpdate:
    update = layer.update(name)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in update.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return update


def inputs(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", FORMS)
def test_an_update_changes_nothing_at_first_and_then_is_its_formula(name: str, bias: bool) -> None:
    layer, x = adapted(FORMS[name], bias=bias), inputs(2, 4, 7)
    assert torch.allclose(layer(x), layer.frozen(x), atol=1e-6)
    update = stirred(layer)
    weight = layer.frozen.weight.double() + FORMS[name].scale * (update.up @ update.down).double()
    if update.magnitude is not None:
        weight = update.magnitude.double()[:, None] * weight / weight.norm(dim=1, keepdim=True)
    expected = x.double() @ weight.T + (layer.frozen.bias.double() if bias else 0)
    assert torch.allclose(layer(x).double(), expected, atol=1e-5)
    assert torch.allclose(layer.weight.double(), weight, atol=1e-6)


def test_scales() -> None:
    assert [form.scale for form in FORMS.values()] == [2.0, 6 / math.sqrt(4), 2.5]


@pytest.mark.parametrize("name", FORMS)
def test_only_the_update_learns(name: str) -> None:
    layer = adapted(FORMS[name])
    stirred(layer)
    layer(inputs(3, 7)).square().sum().backward()
    learned = {key for key, parameter in layer.named_parameters() if parameter.grad is not None}
    assert learned == {key for key in dict(layer.named_parameters()) if key.startswith("updates.")}
    assert all(parameter.grad.abs().sum() > 0 for parameter in layer.update("one").parameters())


def test_the_norm_of_dora_is_a_constant_to_the_gradient() -> None:
    layer, x = adapted(FORMS["dora"]), inputs(3, 7)
    update = stirred(layer)
    assert update.magnitude is not None
    layer(x).square().sum().backward()
    down, up = (each.detach().clone().requires_grad_() for each in (update.down, update.up))
    changed = layer.frozen.weight + update.scale * (up @ down)
    fixed = changed.detach().norm(dim=1, keepdim=True)
    out = x @ (update.magnitude.detach()[:, None] * changed / fixed).T + layer.frozen.bias
    out.square().sum().backward()
    assert torch.allclose(update.down.grad, down.grad, rtol=1e-4, atol=1e-5)
    assert torch.allclose(update.up.grad, up.grad, rtol=1e-4, atol=1e-5)


def test_updates_beside_each_other_are_added_switched_and_merged() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 5))
    plain = model(inputs(3, 7))
    attach(model, {"0": FORMS["lora"], "2": FORMS["lora"]}, "one")
    attach(model, {"2": FORMS["dora"]}, "two")
    for layer in adapted_layers(model).values():
        for name in layer.updates:
            stirred(layer, name)
    both = model(inputs(3, 7))
    with switched(model, ()):
        assert torch.equal(model(inputs(3, 7)), plain)
        with switched(model, ("two",)):
            second = model(inputs(3, 7))
    assert torch.equal(model(inputs(3, 7)), both)
    assert not torch.allclose(second, both)
    with switched(model, ("two",)):
        merge(model)
    assert not adapted_layers(model)
    assert torch.allclose(model(inputs(3, 7)), second, atol=1e-5)


def test_a_name_that_is_taken_is_refused() -> None:
    model = nn.Sequential(nn.Linear(7, 6))
    attach(model, {"0": FORMS["lora"]}, "one")
    with pytest.raises(UsageError, match="attached already"):
        attach(model, {"0": FORMS["lora"]}, "one")


def test_dropout_falls_on_the_low_rank_path_alone() -> None:
    layer = adapted(LoraForm(rank=3, alpha=3, dropout=0.5))
    x = inputs(64, 7)
    assert torch.allclose(layer(x), layer.frozen(x), atol=1e-6)
    stirred(layer)
    with drawing(layer, BatchGenerator(0, "test", size=64)):
        first = layer(x)
    with drawing(layer, BatchGenerator(0, "test", size=64)):
        assert torch.equal(layer(x), first)
    assert torch.equal(layer(x), layer(x))  # nothing is dropped without
    kept = (layer.update("one").dropout(x, BatchGenerator(0, "test", size=64)) - 0) / x
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    expected = layer.frozen(x) + (kept * x) @ layer.update("one").matrix().T
    assert torch.allclose(first, expected, atol=1e-5)


def test_bfloat16_weights_keep_updates_in_float32() -> None:
    torch.manual_seed(0)
    holder = nn.Sequential(nn.Linear(16, 8).bfloat16())
    attach(holder, {"0": FORMS["dora"]}, "one")
    layer = holder[0]
    assert isinstance(layer, AdaptedLinear)
    update = stirred(layer)
    assert {parameter.dtype for parameter in update.parameters()} == {torch.float32}
    x = inputs(5, 16)
    rough, exact = layer(x.bfloat16()).float(), x @ update.changed(layer.frozen.weight).T
    assert torch.allclose(rough, exact + layer.frozen.bias.float(), rtol=0.05, atol=0.1)
