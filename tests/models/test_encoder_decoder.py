"""The encoder with its decoder: first loss, padding in parts, denoising as pairs, its marks, bad settings."""

import math

import pytest
import torch
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig


def spec(kind: str = "corpus", context: int = 40, size: int = 30) -> DataSpec:
    return DataSpec(
        kind="corpus" if kind == "corpus" else "pairs",
        shape=(),
        num_levels=0,
        context=context,
        tokenizer="made up",
        tokenizer_size=size,
        target_tokens=0.0 if kind == "corpus" else 5.0,
    )


def model(kind: str = "corpus", context: int = 40, **settings: object) -> EncoderDecoder:
    torch.manual_seed(0)
    return EncoderDecoder(
        EncoderDecoderConfig.model_validate({"family": "encoder_decoder", "size": "tiny", **settings}),
        spec(kind, context),
    ).eval()


def blocks(number: int, context: int = 40, last: int | None = None) -> dict[str, Tensor]:
    """Blocks of a corpus; of the last one so many tokens are there."""
    rows = torch.randint(30, (number, context + 1), generator=torch.Generator().manual_seed(0))
    targets = rows[:, 1:].clone()
    if last is not None:
        targets[-1, last - 1 :] = -1
    return {"tokens": rows[:, :-1], "targets": targets}


def draws(size: int, seed: int = 0) -> BatchGenerator:
    return BatchGenerator(seed, "x", size=size)


def test_rows_of_the_embedding_are_tokens_marks_and_sentinels() -> None:
    of_pairs = model("pairs")
    assert (of_pairs.start, of_pairs.end, of_pairs.vocab_size) == (30, 31, 32)
    of_text = model()
    assert of_text.corruption is not None
    assert of_text.corruption.num_hidden(40) == (6, 2)
    assert of_text.vocab_size == 34
    assert of_text.transformer.token_embedding.weight.shape[0] == 34
    assert model(noise_share=0.5, mean_span=1.0).vocab_size == 32 + 20


@pytest.mark.parametrize("positions", ["relative", "sinusoidal", "learned"])
def test_an_untrained_model_knows_nothing(positions: str) -> None:
    untrained = model(positions=positions)
    loss = float(untrained.validation_loss(blocks(20), draws(20))["loss"].detach())
    assert loss == pytest.approx(math.log(34), abs=0.15)


def test_the_loss_is_of_what_was_taken_out() -> None:
    """By hand: each block alone, from its own source, token by token."""
    of_text, batch = model(), blocks(5, last=11)
    pairs = of_text.as_pairs(batch, draws(5))
    nats, count = 0.0, 0
    for row in range(5):
        source = pairs["source"][row : row + 1, : int(pairs["source_lengths"][row])]
        target = [token for token in pairs["targets"][row].tolist() if token != -1]
        read = torch.tensor([[of_text.start, *target[:-1]]])
        with torch.no_grad():
            memory = of_text.transformer.encode(source)
            log_probs = of_text.transformer(read, memory=memory)[0].log_softmax(-1)
        nats -= sum(float(log_probs[place, token]) for place, token in enumerate(target))
        count += len(target)
    found = of_text.validation_loss(batch, draws(5))["loss"]
    assert float(found.detach()) == pytest.approx(nats / count, rel=1e-5)
    assert of_text.corruption is not None
    assert int(pairs["source_lengths"][-1]) == 11 - sum(of_text.corruption.num_hidden(11)) + 2
    full = {name: rows[:4] for name, rows in batch.items()}
    loss, validation = of_text.loss(full, "model", draws(4)), of_text.validation_loss(full, draws(4))
    torch.testing.assert_close(loss["loss"], validation["loss"])


def test_validation_counts_the_tokens_that_are_taken_out() -> None:
    of_text, batch, generator = model().double(), blocks(5, last=3), draws(5)
    pairs = of_text.as_pairs(batch, generator)
    assert of_text.weight_of(batch) == int((pairs["targets"] != -1).sum())
    whole = float(of_text.validation_loss(batch, generator.slice(0, 5))["loss"].detach())
    total = 0.0
    for start, stop in ((0, 4), (4, 5)):
        part = {name: rows[start:stop] for name, rows in batch.items()}
        loss = of_text.validation_loss(part, generator.slice(start, stop))["loss"]
        total += of_text.weight_of(part) * float(loss.detach())
    assert total / of_text.weight_of(batch) == pytest.approx(whole, rel=1e-10)


def test_blocks_are_corrupted_anew_by_the_generator_alone() -> None:
    of_text, batch = model(), blocks(3)
    first, again, other = (of_text.as_pairs(batch, draws(3, seed)) for seed in (0, 0, 1))
    assert torch.equal(first["source"], again["source"])
    assert not torch.equal(first["source"], other["source"])
    pairs = {name: rows[:1] for name, rows in first.items()}
    assert model("pairs").as_pairs(pairs, draws(1)) is pairs


def test_cross_attention_is_over_the_source_alone() -> None:
    of_text, batch = model(), blocks(3, last=9)
    pairs = of_text.as_pairs(batch, draws(3))
    layers = of_text.cross_attention(pairs)
    assert len(layers) == 2
    for weights in layers:
        assert weights.shape == (3, 2, pairs["tokens"].shape[1], pairs["source"].shape[1])
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
        assert not weights[-1, :, :, int(pairs["source_lengths"][-1]) :].any()


def test_settings_and_data_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="num_heads must divide embed_dim"):
        model(num_heads=5)
    with pytest.raises(ValueError, match="embed_dim must be even where positions are sinusoidal"):
        model(embed_dim=9, num_heads=3, positions="sinusoidal")
    with pytest.raises(UsageError, match=r"data.context: a block of one token has nothing .*\n  got: 1"):
        model(context=1)
