"""Vectors of texts: pooling leaves padding out, and packing changes nothing."""

from dataclasses import replace

import pytest
import torch

from creuset.errors import UsageError
from creuset.models.embedder import Embedder, Pooling, pool
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import Architecture
from small_transformers import PLAIN

LENGTHS = [9, 1, 4, 6]
every_pooling = pytest.mark.parametrize("pooling", ["mean", "cls", "last"])


def body(architecture: Architecture) -> Transformer:
    torch.manual_seed(0)
    return Transformer(replace(PLAIN, architecture=architecture, head="none"))


def texts() -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(0, 31, (length,), generator=generator).tolist() for length in LENGTHS]


def test_pooling_by_hand() -> None:
    states = torch.tensor([[[1.0], [2.0], [6.0], [100.0]], [[100.0], [3.0], [5.0], [4.0]]])
    padding = torch.tensor([[True, True, True, False], [False, True, True, True]])
    expected: dict[Pooling, list[float]] = {"mean": [3.0, 4.0], "cls": [1.0, 3.0], "last": [6.0, 4.0]}
    for pooling, values in expected.items():
        assert pool(states, pooling, padding)[:, 0].tolist() == values
    whole: dict[Pooling, list[float]] = {"mean": [27.25, 28.0], "cls": [1.0, 100.0], "last": [100.0, 4.0]}
    for pooling, values in whole.items():
        assert pool(states, pooling)[:, 0].tolist() == values


def test_padding_that_is_no_number_does_not_spread() -> None:
    states = torch.tensor([[[1.0], [float("nan")]]])
    assert pool(states, "mean", torch.tensor([[True, False]])).item() == 1.0


def test_means_of_bfloat16_are_taken_in_float32() -> None:
    states = torch.full((1, 1000, 1), 1.0078125, dtype=torch.bfloat16)
    pooled = pool(states, "mean")
    assert pooled.dtype == torch.float32
    assert pooled.item() == pytest.approx(1.0078125, abs=1e-6)


@every_pooling
@pytest.mark.parametrize("architecture", ["encoder", "decoder"])
@torch.no_grad()
def test_packed_padded_and_single_are_the_same(pooling: Pooling, architecture: Architecture) -> None:
    embedder = Embedder(body(architecture), pooling=pooling, normalise=True)
    single = torch.cat([embedder(torch.tensor([text])) for text in texts()])
    rows = torch.zeros(len(LENGTHS), max(LENGTHS), dtype=torch.long)
    padding = torch.zeros_like(rows, dtype=torch.bool)
    for row, text in enumerate(texts()):
        rows[row, : len(text)] = torch.tensor(text)
        padding[row, : len(text)] = True
    torch.testing.assert_close(embedder(rows, padding=padding), single, rtol=0, atol=1e-5)
    torch.testing.assert_close(embedder.embed_packed(texts()), single, rtol=0, atol=1e-5)
    torch.testing.assert_close(single.norm(dim=1), torch.ones(len(LENGTHS)))


@torch.no_grad()
def test_vectors_may_keep_their_length() -> None:
    plain = Embedder(body("encoder"), pooling="mean", normalise=False).embed_packed(texts())
    assert (plain.norm(dim=1) - 1).abs().min() > 1e-3


def test_gradients_reach_every_parameter() -> None:
    embedder = Embedder(body("encoder"), pooling="mean", normalise=True)
    embedder(torch.tensor(texts()[:1]))[:, 0].sum().backward()
    assert all(parameter.grad is not None for parameter in embedder.parameters())


def test_what_has_no_vector_is_refused() -> None:
    embedder = Embedder(body("encoder"), pooling="mean", normalise=True)
    with pytest.raises(UsageError, match="without tokens"):
        embedder.embed_packed([[1], []])
    with pytest.raises(UsageError, match="without tokens"):
        embedder(torch.tensor([[1], [2]]), padding=torch.tensor([[True], [False]]))
    with pytest.raises(UsageError, match=r"longer than the model's context[^$]*11 tokens"):
        embedder.embed_packed([[1] * 11])
    with pytest.raises(UsageError, match="encoder-decoder gives no vector"):
        Embedder(body("encoder_decoder"), pooling="mean", normalise=True)
