"""The fast form of a decoder computes what the Transformer computes."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers", reason="the small decoders are made by transformers")

from creuset.errors import UsageError
from creuset.generation.fast_decoder import FastDecoder, obstacle
from creuset.generation.weight_formats import Int8Linear, PlainLinear, WeightFormat, pack
from creuset.layers.key_value_cache import KeyValueCache
from creuset.layers.packed_linear import PackedLinear
from creuset.models.transformer import Transformer
from small_decoders import DECODERS, ours_of, random_decoder, token_ids
from small_transformers import MODERN, PLAIN

ORIGINAL = replace(
    PLAIN,
    vocab_size=61,
    embed_dim=24,
    head_dim=8,
    feedforward_dim=40,
    context_length=30,
    norm_placement="post",
    final_norm=False,
    embedding_norm=True,
    embedding_scale=24**0.5,
    positions="sinusoidal",
    activation="relu",
    feedforward_bias=True,
    head_bias=True,
    head_scale=0.5,
)
"""Norms behind the residuals, sinusoids, a scaled head: what no released decoder of the others has."""

PRECISIONS: tuple[WeightFormat, ...] = ("float32", "bfloat16")


def original() -> Transformer:
    torch.manual_seed(0)
    model = Transformer(ORIGINAL).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def plain(name: str) -> Transformer:
    return original() if name == "original" else ours_of(random_decoder(name))


def fast(model: Transformer) -> FastDecoder:
    return FastDecoder(model.config, model.state_dict(), precision="float32")


def assert_same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", [*DECODERS, "original"])
@torch.no_grad()
def test_logits_equal_the_transformers(name: str) -> None:
    model = plain(name)
    quick = fast(model)
    ids = token_ids(2, 12)
    expected = model(ids)
    assert_same(quick(ids, cache=quick.new_cache(2, 12)), expected)
    cache = quick.new_cache(2, 14)
    parts = [quick(part, cache=cache) for part in ids.split([5, 1, 1, 4, 1], dim=1)]
    assert_same(torch.cat(parts, dim=1), expected)


@pytest.mark.parametrize("name", [*DECODERS, "original"])
@torch.no_grad()
def test_rows_of_unequal_length(name: str) -> None:
    model = plain(name)
    quick = fast(model)
    lengths = torch.tensor([7, 3, 1])
    prompt, later = token_ids(3, 7), token_ids(3, 4, seed=1)
    padding = torch.arange(7) < lengths[:, None]
    cache = quick.new_cache(3, 11)
    found = [quick(prompt, cache=cache, padding=padding, at=lengths - 1)]
    for step in later.split([1, 2, 1], dim=1):
        found += quick(step, cache=cache).unbind(1)
    for row, length in enumerate(lengths.tolist()):
        whole = torch.cat([prompt[row, :length], later[row]])[None]
        expected = model(whole)[0, length - 1 :]
        assert_same(torch.stack([part[row] for part in found]), expected)


def test_the_cache_can_be_cut_and_chosen_from() -> None:
    model = plain("llama, llama3 scaling")
    quick = fast(model)
    ids = token_ids(2, 6)
    cache = quick.new_cache(2, 9)
    quick(ids, cache=cache)
    quick(token_ids(2, 3, seed=4), cache=cache)
    cache.cut([6, 6])
    cache.select([1])
    step = token_ids(1, 1, seed=2)
    with torch.no_grad():
        assert_same(quick(step, cache=cache)[0, 0], model(torch.cat([ids[1:], step], dim=1))[0, -1])


def test_a_full_cache_is_an_error() -> None:
    quick = fast(plain("gpt2"))
    with pytest.raises(UsageError, match="at most 3"):
        quick(token_ids(1, 4), cache=quick.new_cache(1, 3))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"architecture": "encoder"}, "architecture encoder"),
        ({"positions": "relative", "num_buckets": 8, "max_distance": 12}, "relative positions"),
        ({"head": "transformed"}, "head transformed"),
    ],
)
def test_what_is_not_covered_is_named(change: dict[str, object], reason: str) -> None:
    config = replace(ORIGINAL, **change)  # type: ignore[arg-type]
    assert obstacle(config) == reason
    with pytest.raises(UsageError, match=f"no fast form of this model\n  got: {reason}"):
        FastDecoder(config, {}, precision="float32")


@pytest.mark.parametrize("num_rows", [1, 3, 8, 40])
@pytest.mark.parametrize("sizes", [(48, 32), (61, 24), (1, 7)])
def test_linear_layers_of_each_format(sizes: tuple[int, int], num_rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(sizes, generator=generator), torch.randn(sizes[0], generator=generator)
    x = torch.randn(num_rows, sizes[1], generator=generator)
    expected = x @ weight.T + bias
    for layer in (pack(weight, bias, "float32"), PlainLinear(weight, bias)):
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-5)
    half = pack(weight, bias, "bfloat16")(x.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), expected, rtol=0, atol=0.15)
    quarter = pack(weight, bias, "int8")
    assert isinstance(quarter, Int8Linear)
    assert quarter.weight.dtype == torch.int8
    rounded = quarter.weight.float() * quarter.scale.float()[:, None]
    step = quarter.scale.float().max()
    assert (rounded - weight).abs().max() <= step
    exact = x.bfloat16().float() @ rounded.T + bias.bfloat16().float()
    torch.testing.assert_close(quarter(x.bfloat16()).float(), exact, rtol=0.02, atol=0.1)


def test_an_output_without_weights_stays_without() -> None:
    layer = Int8Linear(torch.zeros(4, 8), None)
    assert torch.equal(layer(torch.ones(1, 8, dtype=torch.bfloat16)), torch.zeros(1, 4).bfloat16())


def test_weights_are_packed_where_the_processor_can() -> None:
    if torch.backends.mkldnn.is_available():
        assert isinstance(pack(torch.ones(4, 4), None, "float32"), PackedLinear)


def test_a_cache_longer_than_the_context_is_refused() -> None:
    model = fast(original())
    assert model.new_cache(1, 30).capacity == 30
    message = r"longer than the model's context\n  got: 31 tokens\n  expected: at most 30"
    with pytest.raises(UsageError, match=message):
        model.new_cache(1, 31)
    longer = KeyValueCache(num_layers=2, num_rows=1, num_kv_heads=3, head_dim=8, capacity=31)
    with pytest.raises(UsageError, match=message):
        model(token_ids(1, 4), cache=longer)


def test_a_scale_as_it_is_stored_costs_half_a_step_at_most() -> None:
    weight = torch.randn(6, 64, generator=torch.Generator().manual_seed(1))
    layer = Int8Linear(weight, None)
    scale = layer.scale.float()[:, None]
    assert layer.scale.dtype == torch.bfloat16
    clamped = weight.clamp(-127 * scale, 127 * scale)
    assert ((clamped - layer.weight * scale).abs() <= scale / 2 * 1.0001).all()


def test_sums_of_many_blocks_keep_their_digits_in_bfloat16() -> None:
    torch.manual_seed(0)
    config = replace(MODERN, num_layers=24)
    weights = {name: value.bfloat16().float() for name, value in Transformer(config).state_dict().items()}
    states = {}
    for form in PRECISIONS:
        decoder = FastDecoder(config, weights, precision=form)
        ids = torch.arange(12)[None]
        states[form] = decoder.hidden(ids, cache=decoder.new_cache(1, 12)).float()
    error = (states["bfloat16"] - states["float32"]).std() / states["float32"].std()
    assert error < 0.035


def test_gains_near_1_are_not_rounded_to_it_in_bfloat16() -> None:
    weights = Transformer(replace(MODERN, norm_plus_one=True)).state_dict()
    weights["decoder.norm.weight"] = torch.full_like(weights["decoder.norm.weight"], 2**-9)
    decoder = FastDecoder(replace(MODERN, norm_plus_one=True), weights, precision="bfloat16")
    assert decoder.norm is not None
    x = torch.randn(50, MODERN.embed_dim, generator=torch.Generator().manual_seed(2))
    exact = x * x.square().mean(-1, keepdim=True).add(MODERN.norm_eps).rsqrt() * (1 + 2**-9)
    assert torch.equal(decoder.norm(x), exact.bfloat16())
