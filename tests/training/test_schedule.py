import pytest

from creuset.recipe.sections import TrainingConfig
from creuset.training.schedule import Schedule


@pytest.mark.parametrize(
    ("num_steps", "tenth", "fifth"), [(4000, 400, 800), (25, 2, 5), (3, 1, 1), (1, 1, 1)]
)
def test_defaults_are_shares_of_the_steps(num_steps: int, tenth: int, fifth: int) -> None:
    schedule = Schedule.of(TrainingConfig(num_steps=num_steps))
    assert (schedule.validate_every, schedule.checkpoint_every, schedule.sample_every) == (
        tenth,
        tenth,
        fifth,
    )


def test_events_come_every_so_many_steps_and_at_the_end() -> None:
    schedule = Schedule.of(TrainingConfig(num_steps=10, log_every=4, validate_every=3))
    assert [step for step in range(1, 11) if schedule.due(step, schedule.log_every)] == [4, 8, 10]
    assert [step for step in range(1, 11) if schedule.due(step, schedule.validate_every)] == [3, 6, 9, 10]
