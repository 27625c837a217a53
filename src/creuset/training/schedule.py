"""When the events of a training come: journal lines, validations, samples, checkpoints."""

from dataclasses import dataclass

from creuset.recipe.sections import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Steps between the events of a training; a default is a share of its steps."""

    num_steps: int
    log_every: int
    validate_every: int
    checkpoint_every: int
    sample_every: int

    @classmethod
    def of(cls, training: TrainingConfig) -> "Schedule":
        tenth, fifth = max(1, training.num_steps // 10), max(1, training.num_steps // 5)
        return cls(
            num_steps=training.num_steps,
            log_every=training.log_every,
            validate_every=training.validate_every or tenth,
            checkpoint_every=training.checkpoint_every or tenth,
            sample_every=training.sample_every or fifth,
        )

    def due(self, step: int, every: int) -> bool:
        """Whether an event that comes every so many steps comes after step `step` (counted from 1)."""
        return step % every == 0 or step == self.num_steps
