"""The real SmolLM2: transformers' logits and texts, in short, and the same however it is read."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers", reason="compares with transformers, which is not installed")

from benchmark_programs import program
from creuset.models.transformer import Transformer

smollm2 = program("smollm2_against_transformers")

pytestmark = [pytest.mark.slow, pytest.mark.starter]


@pytest.fixture
def sides(starter: Path, tmp_path: Path) -> Any:
    if not (starter / "models" / "smollm2-135m" / "asset.json").is_file():
        pytest.skip("needs the starter asset smollm2-135m (creuset models pull smollm2-135m)")
    return smollm2.Sides(smollm2.starter(), tmp_path / "model")


@torch.no_grad()
def test_logits_and_texts_are_those_of_transformers(sides: Any) -> None:
    for prompt in (smollm2.PROMPTS[0], smollm2.PROMPTS[2]):
        row = sides.compare(prompt, 12)
        assert row["largest_logit"] > 20
        assert smollm2.holds(row), row
    weight = sides.ours.get_parameter("decoder.blocks.29.feedforward.down.weight")
    weight *= 1.001  # a difference is seen where there is one
    assert not smollm2.holds(sides.compare(smollm2.PROMPTS[0], 1))
    assert_reading_does_not_matter(sides.ours, sides.native.tokenizer.encode(smollm2.PROMPTS[0] * 3))


def assert_reading_does_not_matter(model: Transformer, ids: list[int]) -> None:
    """Cached is uncached, batched is single, and packed is separate."""
    whole = torch.tensor([ids, ids[::-1]])
    expected = model(whole)
    cache = model.new_cache(2, len(ids))
    parts = whole.split([20, 1, 1, len(ids) - 22], dim=1)
    assert_same(torch.cat([model(part, cache=cache) for part in parts], dim=1), expected)
    assert_same(expected[1:], model(whole[1:]))
    lengths = torch.tensor([len(ids), 17])
    padded = model(whole, padding=torch.arange(len(ids)) < lengths[:, None])
    assert_same(padded[1, :17], expected[1, :17])
    documents = torch.tensor([[0] * 9 + [1] + [2] * (len(ids) - 10)])
    packed = model(whole[:1], documents=documents)[0]
    separate = [model(part)[0] for part in whole[:1].split([9, 1, len(ids) - 10], dim=1)]
    assert_same(packed, torch.cat(separate))


def assert_same(found: Tensor, expected: Tensor) -> None:
    """To 1e-4 of the largest logit."""
    largest = float(expected.abs().max())
    assert largest > 20
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * largest)


def test_where_texts_part() -> None:
    assert smollm2.first_difference([1, 2, 3], [1, 2, 3]) == 3
    assert smollm2.first_difference([1, 2, 3], [1, 5, 3]) == 1


def test_what_is_not_as_promised_is_told() -> None:
    row = {"gap": None, "logit_difference": 1e-5, "folder_difference": 0.0}
    assert smollm2.holds(row)
    assert smollm2.holds({**row, "gap": 5e-5})
    for change in ({"gap": 2e-4}, {"logit_difference": 2e-4}, {"folder_difference": 2e-4}):
        assert not smollm2.holds({**row, **change})
