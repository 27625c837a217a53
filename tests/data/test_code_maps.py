"""Code maps as data: the splits, labels and hashes of their pictures, and what tells them from pictures."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from creuset.data.code_maps import as_codes, code_dataset
from creuset.data.dataset import Dataset, conform, without
from creuset.data.load import load_data
from creuset.data.pixels import to_floats
from creuset.data.spec import CodeForm
from creuset.errors import DataError
from creuset.recipe.sections import DataConfig

FORM = CodeForm(run="first", checkpoint="ab" * 32)


def drawn(codes: Tensor) -> Tensor:
    """Pictures whose every pixel is the upper left code."""
    return (codes[:, :1, :1].float() / 299 * 2 - 1).expand(-1, 8, 8)[:, None]


def coded(digits: Dataset, form: CodeForm = FORM) -> tuple[Dataset, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    maps = {
        name: torch.randint(300, (split.num_samples, 2, 3), generator=generator)
        for name, split in digits.splits.items()
    }
    return code_dataset(digits, maps, form, num_codes=300, decode=drawn), maps


@pytest.fixture(scope="module")
def digits() -> Dataset:
    def resolve(name: str) -> None:
        raise AssertionError(name)

    return load_data(DataConfig(source="digits"), seed=0, resolve=resolve)  # type: ignore[arg-type]


def test_codes_stay_where_their_pictures_are(digits: Dataset) -> None:
    made, maps = coded(digits)
    assert (made.spec.shape, made.spec.num_levels, made.spec.codes) == ((1, 2, 3), 300, FORM)
    assert made.spec.class_names == digits.spec.class_names
    for name, split in digits.splits.items():
        own = made.splits[name]
        assert torch.equal(own.inputs[:, 0].long(), maps[name])
        assert own.labels is not None
        assert split.labels is not None
        assert torch.equal(own.labels, split.labels)
        assert np.array_equal(own.hashes, split.hashes)
        assert own.pictures is not None
        assert torch.equal(own.pictures, split.inputs)


def test_batches_hold_levels_that_come_back_as_codes(digits: Dataset) -> None:
    made, maps = coded(digits)
    batch = made.batch("test", torch.arange(40))
    assert batch["images"].dtype == torch.float32
    assert batch["images"].abs().max() <= 1
    assert torch.equal(as_codes(batch["images"], 300), maps["test"][:40])
    for num_codes in (2, 17, 4096):
        everything = torch.arange(num_codes).reshape(-1, 1, 1, 1)
        back = as_codes(to_floats(everything, num_codes), num_codes)
        assert torch.equal(back.flatten(), everything.flatten())


def test_what_is_shown_are_the_pictures(digits: Dataset) -> None:
    made, maps = coded(digits)
    shown = made.shown
    assert shown.spec == digits.spec
    assert shown.content_hash == digits.content_hash
    assert torch.equal(shown.splits["test"].inputs, digits.splits["test"].inputs)
    assert digits.shown is digits
    batch = made.batch("test", torch.arange(3))["images"]
    torch.testing.assert_close(made.as_shown(batch), drawn(maps["test"][:3]))
    assert digits.as_shown(batch) is batch


def test_the_hash_names_the_weights_that_made_the_codes(digits: Dataset) -> None:
    made, _ = coded(digits)
    again, _ = coded(digits, replace(FORM, run="elsewhere"))
    other, _ = coded(digits, replace(FORM, checkpoint="cd" * 32))
    assert made.content_hash == again.content_hash
    assert len({made.content_hash, other.content_hash, digits.content_hash}) == 3


def test_a_part_keeps_its_pictures(digits: Dataset) -> None:
    made, _ = coded(digits)
    part = without(made.splits["test"].select(np.arange(20)), made.splits["test"].select(np.arange(5, 9)))
    assert part.num_samples == 16
    assert part.pictures is not None
    assert digits.splits["test"].inputs.dtype == torch.uint8
    kept = [*range(5), *range(9, 20)]
    assert torch.equal(part.pictures, digits.splits["test"].inputs[kept])


def test_codes_of_another_codebook_are_refused(digits: Dataset) -> None:
    made, _ = coded(digits)
    other, _ = coded(digits, replace(FORM, checkpoint="cd" * 32))
    assert conform(made, made.spec).code_maps is made.code_maps
    with pytest.raises(DataError, match="made for data of another codebook"):
        conform(other, made.spec)
    with pytest.raises(DataError, match="made for data of another"):
        conform(digits, made.spec)


def test_equal_maps_of_unlike_pictures_are_counted_and_kept(digits: Dataset) -> None:
    maps = {name: torch.zeros(split.num_samples, 2, 2).long() for name, split in digits.splits.items()}
    made = code_dataset(digits, maps, FORM, num_codes=4, decode=drawn)
    remarks = made.report.remarks()
    assert remarks[0] == "of the 4 codes of first the training pictures use 1"
    test = digits.splits["test"].num_samples
    assert f"{test} code maps of test equal to one of train, made from another picture" in remarks
    assert made.splits["test"].num_samples == test
