import numpy as np
import pytest
import torch
from torch import Tensor, nn

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import DataError
from creuset.generation import pictures
from creuset.generation.pictures import to_images, to_pictures
from creuset.models.base import Model

CPU = torch.device("cpu")
GREY = DataSpec(kind="images", shape=(1, 4, 5), num_levels=256)
COLOUR = DataSpec(kind="images", shape=(3, 4, 5), num_levels=256)


class Repeats(Model):
    """Pictures of draws; a code is the mean of a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def loss(self, batch: object, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        raise NotImplementedError

    def sample(self, num_samples: int, generator: BatchGenerator, conditions: object = None) -> Tensor:
        assert not self.training
        assert not torch.is_grad_enabled()
        return generator.uniform(1, 4, 5) * 2 - 1

    def encode(self, images: Tensor) -> Tensor:
        return images.flatten(1).mean(1, keepdim=True)

    def decode(self, codes: Tensor) -> Tensor:
        return codes[:, :, None, None].expand(-1, 1, 4, 5)

    def observe(self, images: Tensor, generator: BatchGenerator) -> Tensor:
        return images + generator.uniform(1, 1, 1)

    def log_likelihood(
        self, images: Tensor, generator: BatchGenerator, num_importance_samples: int
    ) -> Tensor:
        return images.flatten(1).sum(1) + generator.normal() + num_importance_samples


def test_each_of_the_256_levels_survives_the_way_there_and_back() -> None:
    levels = np.arange(260, dtype=np.int64).clip(0, 255).astype(np.uint8).reshape(13, 4, 5, 1)
    images = to_images(levels, GREY)
    assert images.shape == (13, 1, 4, 5)
    assert (float(images.min()), float(images.max())) == (-1.0, 1.0)
    assert np.array_equal(to_pictures(images), levels)


def test_axes_are_where_they_belong() -> None:
    picture = np.zeros((1, 4, 5, 3), dtype=np.uint8)
    picture[0, 2, 4, 1] = 255
    images = to_images(picture, COLOUR)
    assert images[0, 1, 2, 4] == 1
    assert np.array_equal(to_pictures(images), picture)


def test_values_beyond_the_range_are_clipped() -> None:
    assert to_pictures(torch.tensor([-3.0, 3.0, 0.0]).reshape(3, 1, 1, 1)).ravel().tolist() == [0, 255, 128]


def test_grey_pictures_need_no_axis_of_channels() -> None:
    assert to_images(np.zeros((2, 4, 5), dtype=np.uint8), GREY).shape == (2, 1, 4, 5)
    assert to_images(torch.zeros(2, 1, 4, 5), GREY).shape == (2, 1, 4, 5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((2, 5, 4), dtype=np.uint8), "not of the form that the model was trained on"),
        (np.zeros((2, 4, 5, 3), dtype=np.uint8), "not of the form that the model was trained on"),
        (np.zeros((4, 5), dtype=np.uint8), "not of the form that the model was trained on"),
        (np.full((1, 1, 4, 5), 255.0), r"floats lie in \[-1, 1\]"),
        (np.full((1, 1, 4, 5), np.nan), r"floats lie in \[-1, 1\]"),
        (np.zeros((1, 4, 5), dtype=np.int64), "of an unknown type"),
        (np.zeros((0, 4, 5), dtype=np.uint8), "no pictures"),
    ],
)
def test_other_pictures_are_refused(given: object, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        to_images(given, GREY)
    assert caught.value.got is not None
    assert caught.value.expected is not None


def test_the_seed_decides_samples_whatever_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Repeats()
    whole = pictures.sample(model, 30, seed=1, device=CPU)
    assert model.training  # as it was before
    monkeypatch.setattr(pictures, "CHUNK", 7)
    assert torch.equal(whole, pictures.sample(model, 30, seed=1, device=CPU))
    assert not torch.equal(whole, pictures.sample(model, 30, seed=2, device=CPU))
    with pytest.raises(DataError, match="nothing to draw"):
        pictures.sample(model, 0, seed=1, device=CPU)


def test_all_pictures_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "CHUNK", 4)
    images = torch.linspace(-1, 1, 10)[:, None, None, None].expand(10, 1, 4, 5)
    codes = pictures.encode(Repeats(), images, CPU)
    assert torch.allclose(codes[:, 0], torch.linspace(-1, 1, 10))
    assert torch.allclose(pictures.decode(Repeats(), codes, CPU), images)
    assert torch.allclose(pictures.reconstruct(Repeats(), images, CPU), images)


def test_a_likelihood_is_drawn_anew_for_each_chunk_by_its_seed() -> None:
    images = torch.zeros(600, 1, 4, 5)
    first = pictures.log_likelihood(Repeats(), images, num_importance_samples=3, seed=0, device=CPU)
    again = pictures.log_likelihood(Repeats(), images[:250], num_importance_samples=3, seed=0, device=CPU)
    assert torch.equal(first[:250], again)  # the same pictures at the same places: the same draws
    assert not torch.equal(first[:250], first[250:500])
    assert first.shape == (600,)
