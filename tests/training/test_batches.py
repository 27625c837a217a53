import pytest
import torch

from creuset.recipe.sections import DataConfig
from creuset.training.batches import TrainingBatches, split_batches
from players import digits

CPU = torch.device("cpu")
AUGMENTED = {"shift": 1, "rotate": 20.0, "erase": 0.4, "flip": True}


def batches(augmented: bool = False, seed: int = 0) -> TrainingBatches:
    config = DataConfig.model_validate(
        {"source": "digits", "batch_size": 50, "augmentation": AUGMENTED if augmented else {}}
    )
    return TrainingBatches(digits(), config, seed=seed, device=CPU, dtype=torch.float32)


@pytest.mark.parametrize("augmented", [False, True])
def test_parts_make_up_the_whole(augmented: bool) -> None:
    whole = batches(augmented).part(7, 0, 50)
    source = batches(augmented)
    parts = [source.part(7, start, stop) for start, stop in ((0, 13), (13, 25), (25, 50))]
    for name, tensor in whole.items():
        assert torch.equal(tensor, torch.cat([part[name] for part in parts]))


def test_a_batch_follows_from_its_position_alone() -> None:
    used, fresh = batches(augmented=True), batches(augmented=True)
    for position in range(40):
        used.part(position, 0, 50)
    assert torch.equal(used.part(33, 0, 50)["images"], fresh.part(33, 0, 50)["images"])
    other = batches(augmented=True, seed=1).part(33, 0, 50)["images"]
    assert not torch.equal(other, fresh.part(33, 0, 50)["images"])


def test_augmentation_changes_pictures_and_no_labels() -> None:
    plain, changed = batches().part(0, 0, 50), batches(augmented=True).part(0, 0, 50)
    assert torch.equal(plain["labels"], changed["labels"])
    assert not torch.equal(plain["images"], changed["images"])


def test_a_split_comes_once_in_its_order() -> None:
    dataset = digits()
    for number in (dataset.splits["validation"].num_samples, 70):
        parts = list(
            split_batches(dataset, "validation", 64, num_samples=number, device=CPU, dtype=torch.float64)
        )
        images = torch.cat([part["images"] for part in parts])
        assert torch.equal(images, dataset.batch("validation", torch.arange(number))["images"].double())
    assert parts[0]["labels"].dtype == torch.int64
