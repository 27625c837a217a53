"""Blocks that are made once more for the gradient give the same one, and keep less until then."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from creuset.adapters.lora import LoraForm, adapted_layers, drawing
from creuset.device import BatchGenerator
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.models.transformer_stack import recompute_blocks
from creuset.models.tuning import TuningForm, prepare
from small_transformers import MODERN, PLAIN

TOKENS = torch.randint(0, 31, (4, 9), generator=torch.Generator().manual_seed(0))
RELATIVE = replace(PLAIN, positions="relative", context_length=None, num_buckets=8, max_distance=20)
BOTH = replace(PLAIN, architecture="encoder_decoder", num_decoder_layers=2)
DROPPED = 0.3


def made(config: TransformerConfig) -> Transformer:
    torch.manual_seed(0)
    return Transformer(config).double()


def gradients(body: Transformer, of: Callable[[BatchGenerator], Tensor]) -> dict[str, Tensor]:
    """Of two parts of a batch, whose draws are those of the whole."""
    body.zero_grad(set_to_none=True)
    draws = BatchGenerator(0, "test", size=4)
    for start, stop in ((0, 1), (1, 4)):
        of(draws.slice(start, stop)).square().sum().backward()
    return {name: value.grad.clone() for name, value in body.named_parameters() if value.grad is not None}


def require_same_gradients(body: Transformer, of: Callable[[BatchGenerator], Tensor]) -> None:
    kept = gradients(body, of)
    assert kept
    assert any(bool(value.any()) for value in kept.values())
    recompute_blocks(body)
    again = gradients(body, of)
    assert again.keys() == kept.keys()
    for name, value in kept.items():
        assert torch.equal(again[name], value), name
    recompute_blocks(body, False)


@pytest.mark.parametrize(
    "config",
    [PLAIN, MODERN, RELATIVE, replace(PLAIN, architecture="encoder")],
    ids=["plain", "modern", "relative", "encoder"],
)
def test_gradients_are_the_same_with_dropout(config: TransformerConfig) -> None:
    body = made(replace(config, dropout=DROPPED, attention_dropout=DROPPED))
    require_same_gradients(body, lambda draws: body.hidden(TOKENS[draws.start : draws.stop], generator=draws))


def test_gradients_are_the_same_of_an_encoder_with_its_decoder() -> None:
    body = made(replace(BOTH, dropout=DROPPED))

    def states(draws: BatchGenerator) -> Tensor:
        rows = TOKENS[draws.start : draws.stop]
        memory = body.encode(rows, generator=draws)
        return body.hidden(rows, memory=memory, generator=draws)

    require_same_gradients(body, states)


def test_gradients_are_the_same_of_updates_with_dropout() -> None:
    body = made(MODERN)
    prepare(body, TuningForm(weights="lora", lora=LoraForm(rank=2, alpha=4, dropout=DROPPED)))
    body.double()
    with torch.no_grad():
        for layer in adapted_layers(body).values():
            layer.update("tuned").up.normal_(generator=torch.Generator().manual_seed(1))

    def states(draws: BatchGenerator) -> Tensor:
        packed = draws.packed()
        with drawing(body, packed):
            return body.hidden(TOKENS[draws.start : draws.start + 1], generator=packed)

    require_same_gradients(body, states)


def test_less_is_kept() -> None:
    body = made(MODERN)
    sizes = []
    for on in (False, True):
        recompute_blocks(body, on)
        kept: dict[int, int] = {}

        def keep(value: Tensor, kept: dict[int, int] = kept) -> Tensor:
            kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
            return value

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
            states = body.hidden(TOKENS)
        sizes.append(sum(kept.values()))
        states.sum().backward()
    assert sizes[1] < sizes[0] / 3
