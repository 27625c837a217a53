"""The shared network: what it takes, what its recipe refuses, and its times."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.denoiser import Denoiser, DenoiserConfig, spread_times


def denoiser(shape: tuple[int, ...], **settings: Any) -> Denoiser:
    spec = DataSpec(kind="images" if len(shape) == 3 else "table", shape=shape, num_levels=0)
    return Denoiser(DenoiserConfig(family="flow", size="tiny", **settings), spec)


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((1, 8, 8), {}),
        ((3, 9, 13), {"channels": (8, 8, 16)}),
        ((1, 28, 28), {"patch_size": 2, "channels": (8, 16, 16)}),
        ((3, 64, 64), {"patch_size": 4, "attention": False, "num_blocks": 2}),
        ((1, 7, 7), {"channels": (8,)}),
        ((2,), {}),
        ((11,), {"num_layers": 1}),
    ],
)
def test_predictions_have_the_samples_form(shape: tuple[int, ...], settings: dict[str, Any]) -> None:
    model = denoiser(shape, **settings)
    x, times = torch.randn(3, *shape), torch.rand(3)
    out = model(x, times, None)
    assert out.shape == x.shape
    torch.testing.assert_close(model(x[1:2], times[1:2], None), out[1:2], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(model(x, times.flip(0), None), out)


def test_pixels_far_apart_reach_each_other() -> None:
    model = denoiser((1, 16, 16), channels=(8, 8, 8, 8))
    x = torch.randn(1, 1, 16, 16, requires_grad=True)
    model(x, torch.rand(1), None)[0, 0, 0, 0].backward()
    assert x.grad is not None
    assert (x.grad != 0).all()


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        (
            (1, 9, 9),
            {"patch_size": 2},
            r"model.patch_size: pictures that patches do not fill\n  got: pictures of 9 x 9, patches of 2 x 2"
            r"\n  expected: a side that divides both\n  next: set model.patch_size to 1",
        ),
        (
            (1, 8, 12),
            {"channels": (4, 4, 4, 4, 4)},
            r"model.channels: pictures too small for 4 halvings\n  got: pictures of 8 x 12\n"
            r"  expected: at least 16 x 16\n  next: give model.channels at most 4 numbers",
        ),
        (
            (1, 8, 8),
            {"channels": (4, 4, 4), "patch_size": 4},
            r"got: 2 x 2 patches\n  expected: at least 4 x 4\n  next: give model.channels at most 2 numbers",
        ),
        ((1, 8, 8), {"condition": "class"}, "flow with model.condition: class learns classes"),
        ((1, 8, 8), {"condition": "text"}, "flow with model.condition: text learns classes"),
    ],
)
def test_what_does_not_fit_is_refused(shape: tuple[int, ...], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        denoiser(shape, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"guidance": 2.0},
            "guidance must be 1 where nothing can be asked for; set condition: class or text",
        ),
        ({"unasked_share": 0.3}, "unasked_share has no effect while condition is none"),
        (
            {"condition": "class", "captions": {"1": ("one",)}},
            "captions have no effect without condition: text",
        ),
        ({"prompt_length": 10}, "prompt_length has no effect without condition: text"),
        ({"condition": "class", "unasked_share": 0.0}, "greater than 0"),
    ],
)
def test_settings_without_effect_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DenoiserConfig(family="flow", **settings)


def test_prompts_to_a_model_that_takes_none_are_refused() -> None:
    with pytest.raises(UsageError, match="this model takes no prompts"):
        denoiser((1, 8, 8)).prompts(["a seven"])


@pytest.mark.parametrize("size", [1, 7, 128])
def test_each_part_of_the_range_has_one_time(size: int) -> None:
    times = spread_times(BatchGenerator(0, size=size))
    assert ((times * size).long().sort().values == torch.arange(size)).all()


def test_times_are_uniform_and_rows_of_a_part_have_theirs() -> None:
    draws = [BatchGenerator(seed, size=100) for seed in range(100)]
    times = torch.stack([spread_times(one) for one in draws])
    assert abs(float((times * 100 % 1).mean()) - 0.5) < 0.02
    assert torch.equal(spread_times(draws[3].slice(4, 7)), times[3, 4:7])
    # samples that follow each other, as of one class, have times far apart
    assert float((times[:, 1:] - times[:, :-1]).abs().min()) > 0.3
