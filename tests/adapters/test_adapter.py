"""Adapters taken from a model, attached to another one, switched and merged."""

import pytest
import torch
from torch import Tensor, nn

from creuset.adapters.adapter import Adapter, given, taken
from creuset.adapters.lora import LoraForm, attach
from creuset.adapters.switch import merge, merged_state, switched, switched_layers
from creuset.adapters.whole import WholeLayer, train_whole
from creuset.errors import CheckpointError, UsageError

LORA = LoraForm(rank=2, alpha=4)
DORA = LoraForm(rank=3, alpha=4, decomposed=True)


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 5), nn.LayerNorm(5))


def trained() -> nn.Sequential:
    """A model with an adapter of all kinds, every number of it changed."""
    changed = model()
    attach(changed, {"0": LORA, "2": DORA}, "one")
    train_whole(changed, ["3"], "one")
    generator = torch.Generator().manual_seed(1)
    adapter = taken(changed, "one")
    for tensor in (*adapter.updates.values(), *adapter.whole.values()):
        tensor += 0.3 * torch.randn(tensor.shape, generator=generator)
    return changed


def inputs() -> Tensor:
    return torch.randn(4, 7, generator=torch.Generator().manual_seed(2))


def test_an_adapter_travels_to_another_copy_of_the_model() -> None:
    first, second = trained(), model()
    adapter = taken(first, "one")
    given(second, adapter, "two")
    assert torch.equal(second(inputs()), first(inputs()))
    assert adapter.num_parameters == sum(
        parameter.numel() for parameter in first.parameters() if parameter.requires_grad
    )
    with torch.no_grad():
        adapter.updates["0.up"].zero_()  # copied, not shared
    assert not torch.equal(second(inputs()), first(inputs()))


def test_switched_off_the_model_is_what_it_was() -> None:
    changed = trained()
    with switched(changed, ()):
        assert torch.equal(changed(inputs()), model()(inputs()))
    assert not torch.allclose(changed(inputs()), model()(inputs()))


def test_merged_it_computes_the_same() -> None:
    changed = trained()
    before = changed(inputs())
    merge(changed)
    assert not switched_layers(changed)
    assert not any(parameter.requires_grad for parameter in changed[0].parameters())
    assert torch.allclose(changed(inputs()), before, atol=1e-5)


def test_the_merged_state_is_that_of_the_merged_model() -> None:
    changed = trained()
    found = merged_state(changed)
    assert switched_layers(changed)
    merge(changed)
    state = changed.state_dict()
    assert found.keys() == state.keys() == model().state_dict().keys()
    assert all(torch.equal(found[key], value) for key, value in state.items())


def test_a_layer_trained_whole_stands_beside_the_frozen_one() -> None:
    changed = trained()
    layer = changed[3]
    assert isinstance(layer, WholeLayer)
    assert not torch.equal(layer.weight, layer.frozen.weight)
    with switched(changed, ()):
        assert torch.equal(layer.weight, layer.frozen.weight)
    train_whole(changed, ["3"], "two")
    assert torch.equal(layer.weight, layer.frozen.weight)  # the last one is in use
    with pytest.raises(UsageError, match="attached already"):
        train_whole(changed, ["3"], "two")
    with pytest.raises(UsageError, match="no name of an adapter"):
        train_whole(changed, ["3"], "a.b")


def test_an_adapter_of_another_model_is_refused() -> None:
    adapter = taken(trained(), "one")
    with pytest.raises(CheckpointError, match="another model") as found:
        given(nn.Sequential(nn.Linear(7, 6), nn.ReLU()), adapter, "one")
    assert "it changes 2, 3" in str(found.value)
    with pytest.raises(CheckpointError, match="not those that its form asks for") as found:
        given(nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 5), nn.LayerNorm(5)), adapter, "one")
    assert "0.down (2, 7), not (2, 8)" in str(found.value)
    less = {key: value for key, value in adapter.updates.items() if key != "2.magnitude"}
    with pytest.raises(CheckpointError, match=r"missing: 2\.magnitude"):
        given(model(), Adapter(forms=adapter.forms, updates=less, whole=adapter.whole), "one")
    more = {**adapter.updates, "0.magnitude": torch.ones(6)}
    untouched = model()
    with pytest.raises(CheckpointError, match=r"left over: 0\.magnitude"):
        given(untouched, Adapter(forms=adapter.forms, updates=more, whole=adapter.whole), "one")
    assert not switched_layers(untouched)
    assert all(parameter.requires_grad for parameter in untouched.parameters())
