import pytest
import torch
from torch import Tensor

from creuset.device import BatchGenerator
from creuset.models.base import Batch
from creuset.training.session import build_model
from players import Players, digits, recipe, session


def test_first_weights_follow_from_the_seed_alone() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (
        build_model(session().family, recipe().model, digits().spec, seed) for seed in (0, 0, 1)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    assert isinstance(first, Players)
    assert isinstance(again, Players)
    assert isinstance(other, Players)
    assert torch.equal(first.critic[0].weight, again.critic[0].weight)
    assert not torch.equal(first.critic[0].weight, other.critic[0].weight)


def test_validation_is_the_mean_over_the_split() -> None:
    made = session(("training.seed=3",))
    model = made.model
    values = made.validate()
    assert values == made.validate()  # the same draws each time
    assert model.training
    images = made.dataset.batch("validation", torch.arange(made.dataset.splits["validation"].num_samples))
    size = len(images["images"])
    assert size < 500  # one batch, so that the draws below are those of the validation
    draws = BatchGenerator(3, "validation", 0, size=size)
    doubles = {"images": images["images"].double()}
    with torch.no_grad():
        expected = {name: float(value) for name, value in model.loss(doubles, "critic", draws).items()}
    assert values == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("at_once", [500, 130, 10])
@pytest.mark.parametrize("group", [1, 50, 10_000])
def test_samples_that_are_told_from_each_other_are_measured_in_whole_groups(
    at_once: int, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    class Grouped(Players):
        validation_group = group

        def validation_loss(self, batch: Batch, generator: BatchGenerator) -> dict[str, Tensor]:
            sizes.append(len(batch["images"]))
            return super().validation_loss(batch, generator)

    monkeypatch.setattr("creuset.training.session._VALIDATION_BATCH", at_once)
    made = session((), Grouped)
    made.validate()
    number = made.dataset.splits["validation"].num_samples
    assert 50 < number < 10_000
    assert number % 50 != 0
    assert sum(sizes) == (number - number % 50 if group == 50 else number)
    if group == 50:
        assert {size % 50 for size in sizes} == {0}


@pytest.mark.parametrize(
    ("precision", "stored"),
    [("float32", torch.float32), ("float64", torch.float64), ("bfloat16", torch.float32)],
)
def test_parameters_are_stored_in_full(precision: str, stored: torch.dtype) -> None:
    made = session((f"training.precision={precision}",))
    assert {value.dtype for value in made.model.parameters()} == {stored}
