"""The `collapse` section of a recipe: how a training is watched for collapse, and what is done about one."""

from typing import Literal, Self

from pydantic import Field, model_validator

from creuset.recipe.section import Section


class CollapseConfig(Section):
    """How a training is watched for collapse, and what is done about one."""

    on_collapse: Literal["off", "warn", "stop", "rollback"] = Field(
        "warn",
        description="off: nothing is watched; warn: say what collapses, since when, and what to set; stop: "
        "checkpoint and stop as well (exit code 4); rollback: go back to the last healthy checkpoint, and on "
        "with the remedy set.",
    )
    check_every: int | None = Field(
        None,
        ge=1,
        description="Training steps between checks; default: a hundredth of training.num_steps, and at least "
        "100.",
    )
    patience: int = Field(
        5,
        ge=1,
        description="Checks in a row that a signal must be healthy to be armed (it is armed at 20% of the "
        "steps in any case), and bad to raise the alarm.",
    )
    num_samples: int = Field(
        256,
        ge=16,
        le=1024,
        description="Samples drawn for a check, and real ones that they are held against; at most a third "
        "of the training split.",
    )
    max_rollbacks: int = Field(
        3, ge=1, description="Of rollback: a collapse after so many of them stops the training."
    )

    @model_validator(mode="after")
    def _every_setting_has_an_effect(self) -> Self:
        fields = type(self).model_fields
        if self.on_collapse != "rollback" and self.max_rollbacks != fields["max_rollbacks"].default:
            raise ValueError("max_rollbacks has no effect without on_collapse: rollback; leave the key out")
        if self.on_collapse == "off":
            for name in ("check_every", "patience", "num_samples"):
                if getattr(self, name) != fields[name].default:
                    raise ValueError(f"{name} has no effect while on_collapse is off; leave the key out")
        return self
