"""The Transformer agrees with itself, however it is asked, and with torch's own."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from creuset.device import BatchGenerator
from creuset.errors import CheckpointError, UsageError
from creuset.layers.positions import sinusoidal_embedding
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from small_transformers import MODERN

DECODER = MODERN
ENCODER = replace(
    DECODER,
    architecture="encoder",
    norm="layer",
    norm_bias=True,
    norm_placement="post",
    final_norm=False,
    embedding_norm=True,
    positions="learned",
    position_offset=2,
    rope_theta=None,
    gated=False,
    num_segments=2,
    head="transformed",
    head_bias=True,
    pooler=True,
)
BOTH = replace(DECODER, architecture="encoder_decoder", num_decoder_layers=2)
RELATIVE: dict[str, Any] = {
    "positions": "relative",
    "rope_theta": None,
    "num_buckets": 8,
    "max_distance": 12,
    "context_length": None,
    "query_scale": 1.0,
}
DECODERS = {
    "rotary": DECODER,
    "windows": replace(DECODER, sliding_window=3, sliding_layers=(0, 2), sliding_rope_theta=10.0),
    "sandwich": replace(
        DECODER, norm_placement="sandwich", norm_plus_one=True, qk_norm=True, logit_softcap=3.0
    ),
    "learned": replace(DECODER, positions="learned", rope_theta=None, tied_head=False, norm="layer"),
    "sinusoidal": replace(DECODER, positions="sinusoidal", rope_theta=None, norm_placement="post"),
    "relative": replace(DECODER, **RELATIVE),
    "no positions": replace(DECODER, positions="none", rope_theta=None, head_scale=0.5, head_bias=True),
}
every_decoder = pytest.mark.parametrize("name", DECODERS)
LENGTHS = (9, 5, 1)


def built(config: TransformerConfig) -> Transformer:
    torch.manual_seed(3)
    model = Transformer(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def tokens(*shape: int) -> Tensor:
    return torch.randint(0, 37, shape, generator=torch.Generator().manual_seed(5))


def assert_same(found: Tensor, expected: Tensor) -> None:
    """To 1e-5 of the largest logit."""
    largest = expected.abs().max().item()
    assert largest > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * largest)


@every_decoder
@torch.no_grad()
def test_cached_is_uncached_in_batches_of_unequal_rows(name: str) -> None:
    model, ids = built(DECODERS[name]), tokens(3, 14)
    whole = model(ids)
    padding = torch.arange(9) < torch.tensor(LENGTHS)[:, None]
    cache = model.new_cache(3, 20)
    last = model(ids[:, :9], padding=padding, cache=cache, at=torch.tensor(LENGTHS) - 1)
    assert cache.lengths == list(LENGTHS)
    assert_same(last, torch.stack([whole[row, length - 1] for row, length in enumerate(LENGTHS)]))
    for step in range(3):
        places = torch.tensor(LENGTHS) + step
        new = model(ids[torch.arange(3), places][:, None], cache=cache)[:, 0]
        assert_same(new, whole[torch.arange(3), places])


@every_decoder
@torch.no_grad()
def test_cached_is_uncached_for_several_tokens_after_a_cut_and_in_another_order(name: str) -> None:
    model, ids = built(DECODERS[name]), tokens(2, 14)
    whole = model(ids)
    cache = model.new_cache(2, 14)
    assert_same(model(ids[:, :6], cache=cache), whole[:, :6])
    assert_same(model(ids[:, 6:10], cache=cache), whole[:, 6:10])
    cache.cut([8, 7])
    both = torch.stack([ids[0, 8:11], ids[1, 7:10]])
    assert_same(model(both, cache=cache), torch.stack([whole[0, 8:11], whole[1, 7:10]]))
    cache.select([1, 0, 1])
    assert cache.lengths == [10, 11, 10]
    new = model(torch.stack([ids[1, 10:11], ids[0, 11:12], ids[1, 10:11]]), cache=cache)[:, 0]
    assert_same(new, torch.stack([whole[1, 10], whole[0, 11], whole[1, 10]]))


@torch.no_grad()
def test_a_finished_row_can_wait() -> None:
    model, ids = built(DECODER), tokens(2, 8)
    whole, cache = model(ids), model.new_cache(2, 10)
    model(ids[:, :4], cache=cache)
    model(ids[:, 4:5], padding=torch.tensor([[True], [False]]), cache=cache)
    assert cache.lengths == [5, 4]
    new = model(torch.stack([ids[0, 5:6], ids[1, 4:5]]), cache=cache)[:, 0]
    assert_same(new, torch.stack([whole[0, 5], whole[1, 4]]))


@pytest.mark.parametrize("name", [*DECODERS, "encoder"])
@torch.no_grad()
def test_packed_is_separate_and_batched_is_single(name: str) -> None:
    model, ids = built(DECODERS.get(name, ENCODER)), tokens(2, 12)
    documents = torch.tensor([[0] * 5 + [1] * 1 + [2] * 6, [7] * 9 + [7] * 3])
    packed = model(ids, documents=documents)
    for row, start, stop in ((0, 0, 5), (0, 5, 6), (0, 6, 12), (1, 0, 12)):
        assert_same(packed[row, start:stop], model(ids[row : row + 1, start:stop])[0])
    padding = torch.arange(12) < torch.tensor([12, 10])[:, None]
    with_padding = model(ids, documents=documents, padding=padding)
    assert_same(with_padding[1, :10], model(ids[1:, :10])[0])


@pytest.mark.parametrize("name", [*DECODERS, "encoder"])
def test_a_packed_row_is_filled_up_to_lengths_that_come_again(name: str) -> None:
    """The states and gradients are those of the documents by themselves, and the shapes are few."""
    model = built(DECODERS.get(name, ENCODER))
    widths = set()

    def see(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        widths.add(inputs[0].shape[1])

    stack = model.encoder if model.decoder is None else model.decoder
    assert stack is not None
    stack.blocks[0].register_forward_pre_hook(see)
    for num_tokens in range(129, 177):
        documents = torch.arange(num_tokens)[None] // 10
        ids = tokens(1, num_tokens)
        assert model.hidden(ids, documents=documents).shape[1] == num_tokens
    assert widths == {136, 144, 152, 160, 168, 176}
    packed = model(ids, documents=documents)[0]
    slopes = torch.autograd.grad(packed.square().sum(), list(model.parameters()), allow_unused=True)
    alone = torch.cat([model(part)[0] for part in ids.split(10, dim=1)])
    assert_same(packed, alone)
    own = torch.autograd.grad(alone.square().sum(), list(model.parameters()), allow_unused=True)
    for one, other in zip(slopes, own, strict=True):
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", [*DECODERS, "encoder"])
@pytest.mark.parametrize("left", [False, True])
@torch.no_grad()
def test_padding_changes_no_token(name: str, left: bool) -> None:
    model, ids = built(DECODERS.get(name, ENCODER)), tokens(3, 9)
    lengths = torch.tensor(LENGTHS)[:, None]
    padding = torch.arange(9) >= 9 - lengths if left else torch.arange(9) < lengths
    padded = model(ids, padding=padding)
    assert padded.isfinite().all()
    for row in range(3):
        assert_same(padded[row, padding[row]], model(ids[row : row + 1, padding[row]])[0])


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_padding_counts_for_nothing_in_the_context(positions: str) -> None:
    """Of packed documents, and behind the tokens of a cache."""
    form: dict[str, Any] = {"positions": positions, "rope_theta": 10_000.0 if positions == "rotary" else None}
    model, ids = built(replace(DECODER, **form, context_length=8)), tokens(1, 20)
    padding = torch.arange(20)[None] < 5
    documents = torch.zeros(1, 20, dtype=torch.long)
    alone = model(ids[:, :5])
    assert_same(model(ids, documents=documents, padding=padding)[:, :5], alone)
    with pytest.raises(UsageError, match="got: 9 tokens\n  expected: at most 8"):
        model(ids, documents=documents, padding=torch.arange(20)[None] < 9)


def test_logits_are_made_where_they_are_asked_for() -> None:
    model, ids = built(DECODER), tokens(2, 5)
    whole = model(ids)
    at = torch.tensor([[False, True, False, False, True], [True, False, False, False, False]])
    assert_same(model(ids, at=at), whole[at])
    assert_same(model(ids, at=torch.tensor([4, 0])), torch.stack([whole[0, 4], whole[1, 0]]))
    assert_same(model.logits(model.hidden(ids)), whole)


def test_no_token_is_influenced_by_a_later_one() -> None:
    for config in DECODERS.values():
        model, ids = built(config), tokens(1, 8)
        changed = ids.clone()
        changed[:, 5:] = (changed[:, 5:] + 1) % 37
        assert_same(model(changed)[:, :5], model(ids)[:, :5])
        assert not torch.allclose(model(changed)[:, 5:], model(ids)[:, 5:])


def test_attention_weights_are_made_on_demand() -> None:
    model, ids = built(DECODERS["windows"]), tokens(2, 7)
    record = model.attention_weights(ids)
    assert len(record.own) == 3
    assert record.cross == []
    for weights, allowed in zip(record.own, (3, 7, 3), strict=True):
        assert weights.shape == (2, 4, 7, 7)
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 7))
        assert (weights.tril(-allowed) == 0).all()
        assert (weights.triu(1) == 0).all()
    both = built(BOTH)
    record = both.attention_weights(ids, memory=both.encode(tokens(2, 4)))
    assert [weights.shape for weights in record.cross] == [(2, 4, 7, 4)] * 2


@torch.no_grad()
def test_a_decoder_reads_the_encoder_s_output_with_and_without_a_cache() -> None:
    for config in (BOTH, replace(BOTH, **RELATIVE)):
        model, ids, source = built(config), tokens(2, 7), tokens(2, 5).flip(0)
        padding = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
        memory = model.encode(source, padding=padding)
        whole = model(ids, memory=memory, memory_padding=padding)
        alone = model(ids[1:], memory=model.encode(source[1:, :3]))
        assert_same(whole[1:], alone)
        assert not torch.allclose(whole, model(ids, memory=memory.flip(0)))
        cache = model.new_cache(2, 10)
        assert_same(model(ids[:, :1], memory=memory, memory_padding=padding, cache=cache), whole[:, :1])
        assert_same(model(ids[:, 1:4], cache=cache), whole[:, 1:4])
        cache.select([1, 0])
        assert_same(model(ids.flip(0)[:, 4:5], cache=cache), whole.flip(0)[:, 4:5])


def _copied(ours: Any, theirs: Any) -> None:
    """Give our block or attention the weights of torch's."""
    with torch.no_grad():
        for part, one in zip((ours.query, ours.key, ours.value), range(3), strict=True):
            part.weight.copy_(theirs.in_proj_weight.chunk(3)[one])
            part.bias.copy_(theirs.in_proj_bias.chunk(3)[one])
        ours.output.load_state_dict(theirs.out_proj.state_dict())


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize("placement", ["pre", "post"])
@torch.no_grad()
def test_the_original_transformer_is_torch_s(placement: Any) -> None:
    config = replace(
        replace(BOTH, norm="layer", norm_bias=True, norm_placement=placement, gated=False, activation="relu"),
        **{"num_kv_heads": 4, "head_dim": 4, "qkv_bias": True, "output_bias": True, "feedforward_bias": True},
        **{"positions": "sinusoidal", "rope_theta": None},
    )
    ours = built(config)
    theirs = nn.Transformer(16, 4, 3, 2, 20, 0.0, "relu", norm_first=placement == "pre", batch_first=True)
    theirs.eval()
    for parameter in theirs.parameters():
        parameter.normal_(std=0.4)
    for stack, other in ((ours.encoder, theirs.encoder), (ours.decoder, theirs.decoder)):
        assert stack is not None
        stack.norm.load_state_dict(other.norm.state_dict())  # type: ignore[union-attr]
        for block, layer in zip(stack.blocks, other.layers, strict=True):
            _copied(block.attention, layer.self_attn)
            norms = [block.attention_norm, block.feedforward_norm]
            if block.cross_attention is not None:
                _copied(block.cross_attention, layer.multihead_attn)
                norms.insert(1, block.cross_attention_norm)
            for number, norm in enumerate(norms, start=1):
                norm.load_state_dict(getattr(layer, f"norm{number}").state_dict())  # type: ignore[union-attr]
            block.feedforward.up.load_state_dict(layer.linear1.state_dict())
            block.feedforward.down.load_state_dict(layer.linear2.state_dict())
    source, target = tokens(2, 6), tokens(2, 5)
    embedded = [_embedded(ours, ids) for ids in (source, target)]
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    expected = theirs(*embedded, tgt_mask=mask, tgt_is_causal=True)
    torch.testing.assert_close(
        ours.hidden(target, memory=ours.encode(source)), expected, rtol=1e-4, atol=1e-4
    )


def _embedded(model: Transformer, ids: Tensor) -> Tensor:
    return model.token_embedding(ids) + sinusoidal_embedding(torch.arange(ids.shape[1])[None], 16)


def test_segments_and_the_pooler() -> None:
    model, ids = built(ENCODER), tokens(2, 6)
    zero = torch.zeros_like(ids)
    assert torch.equal(model(ids), model(ids, segments=zero))
    assert not torch.allclose(model(ids), model(ids, segments=zero + 1))
    states = model.hidden(ids)
    assert model.pooler is not None
    assert torch.equal(model.pool(states), torch.tanh(model.pooler(states[:, 0])))


@pytest.mark.parametrize("config", [*DECODERS.values(), ENCODER, BOTH])
def test_every_parameter_learns(config: TransformerConfig) -> None:
    model, ids = built(config), tokens(2, 6)
    inputs: dict[str, Any] = {"memory": model.encode(ids)} if config is BOTH else {}
    loss = model(ids, **inputs).square().mean()
    if config.pooler:
        loss = loss + model.pool(model.hidden(ids, segments=torch.ones_like(ids))).square().mean()
    loss.backward()
    assert [name for name, each in model.named_parameters() if each.grad is None] == []


@pytest.mark.parametrize("config", [DECODER, ENCODER])
def test_gradients_are_finite_differences(config: TransformerConfig) -> None:
    model, ids = built(config).double(), tokens(2, 4)
    names, weights = zip(*model.named_parameters(), strict=True)

    def run(*weights: Tensor) -> Tensor:
        return torch.func.functional_call(model, dict(zip(names, weights, strict=True)), (ids,))

    assert torch.autograd.gradcheck(run, weights, fast_mode=True, atol=1e-4)


def test_dropout_belongs_to_samples() -> None:
    model = built(replace(DECODER, dropout=0.2, attention_dropout=0.2))
    ids = tokens(1, 5).expand(4, 5)
    one = model(ids, generator=BatchGenerator(0, size=4))
    assert not torch.allclose(one[0], one[1])
    parts = BatchGenerator(0, size=4)
    halves = [model(ids[:2], generator=parts.slice(0, 2)), model(ids[2:], generator=parts.slice(2, 4))]
    torch.testing.assert_close(torch.cat(halves), one)
    torch.testing.assert_close(model(ids)[0], model(ids)[1])


def test_first_weights_are_small_and_smaller_where_they_add_up() -> None:
    torch.manual_seed(0)
    config = replace(DECODER, embed_dim=128, feedforward_dim=512, init_std=0.02, tied_head=False)
    state = Transformer(config).state_dict()
    assert state["token_embedding.weight"].std() == pytest.approx(0.02, rel=0.1)
    assert state["head.weight"].std() == pytest.approx(0.02, rel=0.1)
    assert state["decoder.blocks.0.feedforward.up.weight"].std() == pytest.approx(0.02, rel=0.1)
    for name in ("attention.output", "feedforward.down"):
        spread = state[f"decoder.blocks.1.{name}.weight"].std()
        assert spread == pytest.approx(0.02 / 6**0.5, rel=0.1)


def test_weights_are_taken_as_they_are() -> None:
    model = built(BOTH)
    state = model.state_dict()
    again = Transformer.from_weights(BOTH, state)
    assert again.token_embedding.weight.data_ptr() == state["token_embedding.weight"].data_ptr()
    assert not again.training
    ids = tokens(2, 4)
    assert torch.equal(again(ids, memory=again.encode(ids)), model(ids, memory=model.encode(ids)))
    del state["decoder.norm.weight"]
    with pytest.raises(CheckpointError, match=r"do not fit[^$]*Missing key.*decoder\.norm\.weight"):
        Transformer.from_weights(BOTH, state)


def test_half_precision_stays_near() -> None:
    model, ids = built(DECODERS["sandwich"]), tokens(2, 6)
    expected = model(ids)
    found = model.bfloat16()(ids)
    assert found.dtype == torch.bfloat16
    assert (found.float() - expected).abs().max() < 0.1 * expected.abs().max()


LONG = torch.zeros(1, 33, dtype=torch.int64)
SHORT = torch.zeros(2, 3, dtype=torch.int64)


@torch.no_grad()
def test_a_text_longer_than_the_context_is_refused() -> None:
    model = built(DECODER)
    message = "longer than the model's context\n  got: 33 tokens\n  expected: at most 32"
    with pytest.raises(UsageError, match=message):
        model(LONG)
    with pytest.raises(UsageError, match=message):
        model(SHORT, positions=torch.tensor([[30, 31, 32]]))
    assert model(LONG, documents=torch.arange(33)[None] // 20).shape == (1, 33, 37)
    assert model(LONG, padding=torch.arange(33)[None] > 0).shape == (1, 33, 37)
    assert built(DECODERS["relative"])(LONG).shape == (1, 33, 37)


@pytest.mark.parametrize(
    ("config", "inputs", "message"),
    [
        (DECODER, {"segments": SHORT}, "knows no segments"),
        (DECODERS["relative"], {"positions": SHORT}, "relative positions are not told from outside"),
        (DECODERS["no positions"], {"positions": SHORT}, "none positions are not told"),
        (DECODER, {"memory": torch.zeros(2, 3, 16)}, "a decoder alone reads none"),
        (ENCODER, {"memory": torch.zeros(2, 3, 16)}, "neither memory nor cache"),
        (BOTH, {}, "reads an encoder's output"),
        (BOTH, {"memory": torch.zeros(2, 3, 16), "documents": SHORT}, "row by row"),
    ],
)
def test_what_a_form_has_no_use_for_is_refused(
    config: TransformerConfig, inputs: dict[str, Tensor], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        built(config)(SHORT, **inputs)


def test_a_cache_takes_what_it_has_room_for() -> None:
    model = built(DECODER)
    with pytest.raises(UsageError, match="2 rows of tokens for a cache of 3"):
        model(SHORT, cache=model.new_cache(3, 5))
    with pytest.raises(UsageError, match="one text a row"):
        model(SHORT, cache=model.new_cache(2, 5), padding=torch.tensor([[False, True, True]] * 2))
    with pytest.raises(UsageError, match="0 tokens in the longest row, and 3 more"):
        model(SHORT, cache=model.new_cache(2, 2))
    with pytest.raises(UsageError, match="no cache for 33 tokens"):
        model.new_cache(1, 33)
    both = built(BOTH)
    cache, memory = both.new_cache(2, 9), both.encode(SHORT)
    both(SHORT, memory=memory, cache=cache)
    with pytest.raises(UsageError, match="holds an encoder's output already"):
        both(SHORT, memory=memory, cache=cache)


def test_missing_parts_are_named() -> None:
    body = built(replace(DECODER, head="none", tied_head=False))
    with pytest.raises(UsageError, match="has no head"):
        body(SHORT)
    with pytest.raises(UsageError, match="has no pooler"):
        body.pool(body.hidden(SHORT))
    with pytest.raises(UsageError, match="has no encoder"):
        body.encode(SHORT)
