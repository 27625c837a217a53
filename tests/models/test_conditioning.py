"""What is asked for reaches the network, and guidance goes beyond it."""

import pytest
import torch
from torch import Tensor

from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.conditioning import ClassConditioner, Conditioner, PromptConditioner, guided

LABELS = torch.arange(3).repeat(100)


def conditioners() -> list[Conditioner]:
    torch.manual_seed(0)
    phrases = [[b"one", b"un"], [b"two"], [b"three", b"trois", b"a three"]]
    return [ClassConditioner(3, 8), PromptConditioner(phrases, 12, 8)]


@pytest.mark.parametrize("conditioner", conditioners(), ids=["class", "text"])
def test_a_share_of_the_samples_is_not_told_what_it_is(conditioner: Conditioner) -> None:
    told = conditioner.trained({"labels": LABELS}, BatchGenerator(0, size=300), 0.2)
    nothing = (told == conditioner.unasked(300)).all(1)
    assert 0.12 < float(nothing.float().mean()) < 0.28
    vectors = [told[(label == LABELS) & ~nothing].unique(dim=0) for label in range(3)]
    expected = [1, 1, 1] if isinstance(conditioner, ClassConditioner) else [2, 1, 3]
    assert [len(found) for found in vectors] == expected


def test_prompts_are_the_phrases_of_the_training() -> None:
    conditioner = conditioners()[1]
    assert isinstance(conditioner, PromptConditioner)
    prompts = conditioner.prompts(["Two", "three"])
    assert prompts.shape == (2, 12)
    asked = conditioner.asked({"prompts": prompts}, 2, BatchGenerator(0, size=2))
    learned = conditioner.of_labels(torch.tensor([1]), BatchGenerator(0, size=1))
    torch.testing.assert_close(asked[:1], learned)
    assert torch.equal(conditioner.asked(None, 2, BatchGenerator(0, size=2)), conditioner.unasked(2))


def test_a_longer_padding_does_not_change_a_prompt() -> None:
    torch.manual_seed(0)
    long = PromptConditioner([[b"one"]], 12, 8)
    torch.manual_seed(0)
    encoder = PromptConditioner([[b"one"]], 12, 8).encoder
    tokens = long.prompts(["one", "one and more"])
    torch.testing.assert_close(encoder(tokens)[0], encoder(tokens[:1])[0])


def test_without_a_label_each_class_is_as_likely() -> None:
    conditioner = conditioners()[0]
    drawn = conditioner.asked(None, 300, BatchGenerator(0, size=300))
    _, counts = drawn.unique(dim=0, return_counts=True)
    assert len(counts) == 3
    assert counts.min() > 70
    asked = conditioner.asked({"labels": LABELS}, 300, BatchGenerator(0, size=300))
    torch.testing.assert_close(asked[:3].detach(), conditioner.classes.weight.detach())  # type: ignore[union-attr]


def test_as_many_conditions_as_samples() -> None:
    with pytest.raises(UsageError, match=r"got: 300 conditions\n  expected: 4, as many as samples"):
        conditioners()[0].asked({"labels": LABELS}, 4, BatchGenerator(0, size=4))


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_guidance_goes_from_what_is_not_asked_to_what_is(weight: float) -> None:
    asked, unasked = torch.randn(2, 3), torch.randn(2, 3)

    def predict(x: Tensor, times: Tensor, vectors: Tensor) -> Tensor:
        return x * times[:, None] + vectors

    x, times = torch.randn(2, 3), torch.rand(2)
    found = guided(predict, x, times, asked, unasked, weight)
    expected = x * times[:, None] + unasked + weight * (asked - unasked)
    torch.testing.assert_close(found, expected)
