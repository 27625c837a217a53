"""The decoder: nanoGPT's form and first weights, its context, and its numbers in bfloat16."""

import math

import pytest
import torch

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.decoder import Decoder, DecoderConfig, transformer_config
from small_transformers import corpus_spec


def spec(vocab_size: int = 65, context: int = 64) -> DataSpec:
    return corpus_spec(vocab_size, context)


def test_the_small_size_is_nanogpt_s_setting_for_a_processor() -> None:
    decoder = Decoder(DecoderConfig(family="decoder"), spec())
    assert sum(parameter.numel() for parameter in decoder.parameters()) == 804_096
    form = transformer_config(DecoderConfig(family="decoder"), spec())
    assert (form.num_layers, form.num_heads, form.embed_dim, form.feedforward_dim) == (4, 4, 128, 512)
    assert (form.norm, form.norm_placement, form.activation, form.tied_head) == ("layer", "pre", "gelu", True)


def test_an_untrained_decoder_knows_nothing() -> None:
    torch.manual_seed(0)
    decoder = Decoder(DecoderConfig(family="decoder", size="tiny"), spec())
    tokens = torch.randint(65, (20, 64), generator=torch.Generator().manual_seed(0))
    batch = {"tokens": tokens, "targets": tokens.roll(1, 1)}
    loss = float(decoder.validation_loss(batch, BatchGenerator(0, size=20))["loss"].detach())
    assert loss == pytest.approx(math.log(65), abs=0.1)


def test_a_gated_part_is_as_large_as_one_that_is_not() -> None:
    sizes = [
        sum(p.numel() for p in Decoder(DecoderConfig(family="decoder", gated=gated), spec()).parameters())
        for gated in (False, True)
    ]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.02)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embed_dim": 10, "num_heads": 4}, r"num_heads must divide embed_dim \(10\)"),
        ({"embed_dim": 15, "num_heads": 5, "positions": "rotary"}, "heads of an odd width"),
    ],
)
def test_heads_that_do_not_fit_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DecoderConfig(family="decoder", **settings)  # type: ignore[arg-type]


def test_the_context_is_the_data_s() -> None:
    decoder = Decoder(DecoderConfig(family="decoder", size="tiny"), spec(context=5)).eval()
    reader = decoder.reader(1)
    for _ in range(12):
        assert reader.read(torch.tensor([[1]])).shape == (1, 65)
    with pytest.raises(
        UsageError, match=r"longer than the model's context\n  got: 6 tokens\n  expected: at most 5"
    ):
        reader.read(torch.ones(1, 6, dtype=torch.int64))


def test_beyond_the_context_the_last_half_is_read_again() -> None:
    torch.manual_seed(0)
    decoder = Decoder(DecoderConfig(family="decoder", size="tiny"), spec(context=6)).eval()
    tokens = torch.randint(65, (2, 9), generator=torch.Generator().manual_seed(1))
    reader = decoder.reader(2)
    reader.read(tokens[:, :6])
    found = reader.read(tokens[:, 6:7])
    expected = decoder.scores(decoder.states(tokens[:, 4:7], None))[:, -1].detach()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_bfloat16_is_near_float32_with_its_gradients() -> None:
    torch.manual_seed(0)
    decoder = Decoder(DecoderConfig(family="decoder", size="tiny"), spec())
    tokens = torch.randint(65, (4, 64), generator=torch.Generator().manual_seed(0))
    batch = {"tokens": tokens, "targets": tokens.roll(1, 1)}
    found = []
    for enabled in (False, True):
        decoder.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss = decoder.loss(batch, "model", BatchGenerator(0, size=4))["loss"]
        loss.backward()  # type: ignore[no-untyped-call]
        found.append((loss.detach(), {name: p.grad.clone() for name, p in decoder.named_parameters()}))  # type: ignore[union-attr]
    torch.testing.assert_close(found[1][0], found[0][0], rtol=1e-2, atol=0)
    for name, gradient in found[0][1].items():
        assert (found[1][1][name] - gradient).norm() < 0.05 * gradient.norm(), name
