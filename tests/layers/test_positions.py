"""Positions: vectors, rotations and biases, each against its formula."""

import math

import pytest
import torch

from creuset.layers.positions import (
    RelativeBias,
    Rotary,
    RotaryScaling,
    document_positions,
    padded_positions,
    relative_bucket,
    rotary_frequencies,
    rotate,
    sinusoidal_embedding,
)


def test_positions_count_tokens_and_begin_anew_in_each_document() -> None:
    padding = torch.tensor([[False, False, True, True], [True, True, True, False]])
    assert padded_positions(padding).tolist() == [[0, 0, 0, 1], [0, 1, 2, 2]]
    documents = torch.tensor([[7, 7, 7, 2, 2], [1, 3, 3, 1, 1]])
    assert document_positions(documents).tolist() == [[0, 1, 2, 0, 1], [0, 0, 1, 0, 1]]


def test_sinusoidal_vectors_are_the_paper_s() -> None:
    vectors = sinusoidal_embedding(torch.tensor([[0, 3, 50]]), 6)
    assert vectors.shape == (1, 3, 6)
    for row, place in enumerate((0, 3, 50)):
        for feature in range(6):
            angle = place / 10_000 ** (2 * (feature // 2) / 6)
            expected = math.cos(angle) if feature % 2 else math.sin(angle)
            assert vectors[0, row, feature].item() == pytest.approx(expected, abs=1e-5)


def test_a_rotation_is_a_complex_product() -> None:
    x = torch.randn(2, 3, 5, 8)
    positions = torch.tensor([[0, 1, 2, 7, 30], [4, 3, 2, 1, 0]])
    angles = positions[..., None] * 100.0 ** -(torch.arange(0, 8, 2) / 8)
    turned = torch.complex(x[..., :4], x[..., 4:]) * torch.exp(1j * angles)[:, None]
    expected = torch.cat([turned.real, turned.imag], dim=-1)
    torch.testing.assert_close(rotate(x, Rotary(8, 100.0)(positions)), expected)


def test_scores_depend_on_distance_alone() -> None:
    query, key = torch.randn(2, 1, 1, 1, 16).unbind(0)
    rotary = Rotary(16, 10_000.0)

    def score(query_place: int, key_place: int) -> torch.Tensor:
        places = (torch.tensor([[place]]) for place in (query_place, key_place))
        one, two = (rotate(x, rotary(place)) for x, place in zip((query, key), places, strict=True))
        return (one * two).sum()

    torch.testing.assert_close(score(9, 4), score(105, 100))
    assert not torch.isclose(score(9, 4), score(9, 5))


def test_scaling_stretches_long_waves_alone() -> None:
    plain = rotary_frequencies(32, 10_000.0)
    linear = rotary_frequencies(32, 10_000.0, RotaryScaling(kind="linear", factor=4.0))
    torch.testing.assert_close(linear, plain / 4)
    for kind in ("llama3", "yarn"):
        scaling = RotaryScaling(kind=kind, factor=4.0, original_context_length=256)  # type: ignore[arg-type]
        share = rotary_frequencies(32, 10_000.0, scaling) / plain
        assert share[0] == 1
        assert share[-1] == pytest.approx(0.25)
        assert (share.diff() <= 0).all()
        assert ((share > 0.25) & (share < 1)).any()


def test_yarn_s_magnitude() -> None:
    assert RotaryScaling(kind="linear", factor=8.0).magnitude == 1
    assert RotaryScaling(kind="yarn", original_context_length=16, factor=8.0).magnitude == pytest.approx(
        0.1 * math.log(8) + 1
    )
    assert (
        RotaryScaling(kind="yarn", original_context_length=16, factor=8.0, attention_factor=1.5).magnitude
        == 1.5
    )


@pytest.mark.parametrize("bidirectional", [False, True])
def test_buckets_are_those_of_transformers(bidirectional: bool) -> None:
    t5 = pytest.importorskip("transformers.models.t5.modeling_t5", reason="transformers is not installed")
    distance = torch.arange(-300, 301)
    for num_buckets, max_distance in ((32, 128), (8, 20)):
        sizes = {"num_buckets": num_buckets, "max_distance": max_distance}
        expected = t5.T5Attention._relative_position_bucket(distance, bidirectional, **sizes)
        found = relative_bucket(distance, bidirectional=bidirectional, **sizes)
        assert torch.equal(found, expected)


def test_biases_are_looked_up_by_distance() -> None:
    bias = RelativeBias(8, 20, 2, bidirectional=False)
    whole = bias(torch.arange(6)[None], 6)  # (1, 2, 6, 6)
    assert whole.shape == (1, 2, 6, 6)
    assert torch.equal(whole[0, :, 3, 1], bias.embedding.weight[2])
    assert torch.equal(whole[0, :, 1, 3], bias.embedding.weight[0])
    later = bias(torch.tensor([[4], [2]]), 6)
    assert torch.equal(later[:, :, 0], whole[0, :, [4, 2]].transpose(0, 1))
