"""SmolLM2 against itself: cached and uncached, batched and single, packed and separate are the same.

To 1e-4 of the largest logit.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from creuset.engines.native_loading import load_native
from creuset.generation.fast_decoder import FastDecoder
from creuset.models.transformer import Transformer

pytestmark = pytest.mark.starter

TEXTS = (
    "The library opens at nine, and on Sundays it stays closed.",
    "Water boils at",
    "def area(width, height):\n    return width * height\n\n\nprint(area(3, 4)) # l'été",
)


@pytest.fixture(scope="module")
def texts(model_file: Path) -> Iterator[tuple[Transformer, list[Tensor]]]:
    found = load_native(model_file, dtype=torch.float32)
    ids = [torch.tensor(found.tokenizer.encode(text)) for text in TEXTS]
    assert len({len(each) for each in ids}) == len(ids)
    with torch.no_grad():
        yield Transformer.from_weights(found.config, found.weights), ids


def assert_same(found: Tensor, expected: Tensor) -> None:
    largest = float(expected.abs().max())
    assert largest > 1
    assert float((found - expected).abs().max()) <= 1e-4 * largest


def test_cached_is_uncached(texts: tuple[Transformer, list[Tensor]]) -> None:
    model, ids = texts
    text = max(ids, key=len)
    whole = model(text[None])[0]
    cache = model.new_cache(1, len(text))
    assert_same(model(text[None, :7], cache=cache)[0], whole[:7])
    for place in range(7, len(text)):
        assert_same(model(text[None, place : place + 1], cache=cache)[0, 0], whole[place])


def test_what_generates_is_the_model(model_file: Path, texts: tuple[Transformer, list[Tensor]]) -> None:
    model, ids = texts
    found = load_native(model_file, dtype=torch.float32)
    decoder = FastDecoder(found.config, found.weights, precision="float32")
    lengths = torch.tensor([len(text) for text in ids])
    rows = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
    before = torch.arange(rows.shape[1]) < lengths[:, None] - 1
    cache = decoder.new_cache(len(ids), rows.shape[1] + 1)
    next_to_last = decoder(rows, padding=before, cache=cache, at=lengths - 2)
    last = decoder(torch.stack([text[-1:] for text in ids]), cache=cache)[:, 0]
    for row, text in enumerate(ids):
        whole = model(text[None])[0]
        assert_same(next_to_last[row], whole[-2])
        assert_same(last[row], whole[-1])


def test_a_batch_of_unequal_texts_is_each_by_itself(texts: tuple[Transformer, list[Tensor]]) -> None:
    model, ids = texts
    lengths = torch.tensor([len(text) for text in ids])
    rows = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
    padding = torch.arange(rows.shape[1]) < lengths[:, None]
    batched = model(rows, padding=padding)
    cache = model.new_cache(len(ids), rows.shape[1] + 1)
    before = padding & (torch.arange(rows.shape[1]) < lengths[:, None] - 1)
    model(rows, padding=before, cache=cache)
    last = model(torch.stack([text[-1:] for text in ids]), cache=cache)
    for row, text in enumerate(ids):
        single = model(text[None])[0]
        assert_same(batched[row, : len(text)], single)
        assert_same(last[row, 0], single[-1])


def test_packed_texts_are_separate(texts: tuple[Transformer, list[Tensor]]) -> None:
    model, ids = texts
    documents = torch.cat([torch.full((len(text),), number) for number, text in enumerate(ids)])[None]
    packed = model(torch.cat(ids)[None], documents=documents)[0]
    for found, text in zip(packed.split([len(text) for text in ids]), ids, strict=True):
        assert_same(found, model(text[None])[0])
