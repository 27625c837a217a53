"""Forms of each family with drawn sizes against transformers: odd lengths, padding, packed documents."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers", reason="compares with transformers, which is not installed")

from creuset.pretrained.folder import load_folder
from random_forms import DECODERS, ENCODER_DECODERS, ENCODERS, VOCAB_SIZE, drawn_model, saved_model

SEEDS = range(3)
LENGTHS = (13, 7, 1)


def ids_of(rows: int, length: int) -> Tensor:
    """Ids that stand for nothing else than text in any of these models."""
    return torch.randint(4, VOCAB_SIZE, (rows, length), generator=torch.Generator().manual_seed(length))


def padding_of(length: int, *, left: bool = False) -> Tensor:
    lengths, places = torch.tensor(LENGTHS)[:, None], torch.arange(length)
    return places >= length - lengths if left else places < lengths


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    assert theirs.abs().max() > 0.3
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("family", DECODERS)
@torch.no_grad()
def test_decoders(family: str, seed: int, tmp_path: Path) -> None:
    theirs = saved_model(family, seed, tmp_path)
    ours = load_folder(tmp_path).model()
    for length in (1, 5, 13):
        assert_same(ours(ids_of(2, length)), theirs(ids_of(2, length)).logits)
    ids = ids_of(3, 13)
    for left in (False, True):
        padding = padding_of(13, left=left)
        positions = (padding.long().cumsum(1) - 1).clamp(min=0)
        expected = theirs(ids, attention_mask=padding.long(), position_ids=positions).logits
        assert_same(ours(ids, padding=padding)[padding], expected[padding])
    documents = torch.tensor([[0] * 5 + [1] + [2] * 7])
    separate = [theirs(part).logits for part in ids[:1].split([5, 1, 7], dim=1)]
    assert_same(ours(ids[:1], documents=documents), torch.cat(separate, dim=1))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("family", ENCODERS)
@torch.no_grad()
def test_encoders(family: str, seed: int, tmp_path: Path) -> None:
    theirs = saved_model(family, seed, tmp_path)
    ours = load_folder(tmp_path).model()
    padding = padding_of(13)
    ids = ids_of(3, 13).masked_fill(~padding, theirs.config.pad_token_id)  # type: ignore[arg-type, union-attr]
    expected = theirs(ids, attention_mask=padding.long()).logits
    assert_same(ours(ids, padding=padding)[padding], expected[padding])
    documents = torch.tensor([[0] * 5 + [1] + [2] * 7])
    separate = [theirs(part).logits for part in ids[:1].split([5, 1, 7], dim=1)]
    assert_same(ours(ids[:1], documents=documents), torch.cat(separate, dim=1))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("family", ENCODER_DECODERS)
@torch.no_grad()
def test_encoder_decoders(family: str, seed: int, tmp_path: Path) -> None:
    theirs = saved_model(family, seed, tmp_path)
    ours = load_folder(tmp_path).model()
    padding, targets = padding_of(13), ids_of(3, 9)
    sources = ids_of(3, 13).masked_fill(~padding, theirs.config.pad_token_id)  # type: ignore[arg-type, union-attr]
    expected = theirs(input_ids=sources, attention_mask=padding.long(), decoder_input_ids=targets).logits
    memory = ours.encode(sources, padding=padding)
    assert_same(ours(targets, memory=memory, memory_padding=padding), expected)
    documents = torch.tensor([[0] * 5 + [1] + [2] * 7])
    parts = sources[:1].split([5, 1, 7], dim=1)
    separate = [theirs.get_encoder()(part).last_hidden_state for part in parts]  # type: ignore[operator, union-attr]
    assert_same(ours.encode(sources[:1], documents=documents), torch.cat(separate, dim=1))


def test_every_kind_of_heads_is_drawn() -> None:
    configs: list[Any] = [drawn_model(family, seed).config for family in DECODERS[1:] for seed in SEEDS]
    kinds = {
        "one"
        if config.num_key_value_heads == 1 < config.num_attention_heads
        else "all"
        if config.num_key_value_heads == config.num_attention_heads
        else "some"
        for config in configs
    }
    assert kinds == {"one", "some", "all"}
    wide = [config for config in configs if getattr(config, "head_dim", None)]
    assert any(config.head_dim * config.num_attention_heads != config.hidden_size for config in wide)
    assert {config.tie_word_embeddings for config in configs} == {True, False}
