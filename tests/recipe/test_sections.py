"""The dial of a family, and what a section checks by itself."""

from typing import ClassVar

import pytest
from pydantic import ValidationError

from creuset.recipe.section import Section
from creuset.recipe.sections import DataConfig, FamilyConfig, TrainingConfig


def test_the_dial_turns_without_a_recipe_too() -> None:
    class Config(FamilyConfig):
        sizes: ClassVar[dict[str, dict[str, object]]] = {"tiny": {"width": 2}, "small": {"width": 4}}
        width: int = 1
        depth: int = 1

    assert Config(family="x").width == 4
    assert Config(family="x", size="tiny").width == 2
    assert Config(family="x", size="tiny", width=3).width == 3
    assert Config(family="x").depth == 1


@pytest.mark.parametrize(
    "dial",
    [
        {"tiny": {"width": 2}},
        {"tiny": {"width": 2}, "small": {}},
        {"tiny": {"width": 2}, "small": {"depth": 2}},
        {"small": {"widht": 2}},
        {"small": {"size": "tiny"}},
    ],
)
def test_a_dial_that_leaves_a_field_with_two_meanings_is_refused(dial: dict[str, dict[str, object]]) -> None:
    with pytest.raises(
        TypeError, match=r"Config\.sizes: each size, the default one too, sets the same fields"
    ):

        class Config(FamilyConfig):
            sizes: ClassVar[dict[str, dict[str, object]]] = dial
            width: int = 1
            depth: int = 1


def test_every_field_is_described_or_a_section() -> None:
    def described(section: type[Section]) -> None:
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name}"

    for section in (DataConfig, TrainingConfig, FamilyConfig):
        described(section)


def test_sections_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TrainingConfig().seed = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"final_learning_rate": 0.1}, "final_learning_rate has no effect while schedule is constant"),
        ({"optimizer": "sgd", "betas": (0.5, 0.9)}, "betas have no effect on sgd"),
    ],
)
def test_a_setting_without_effect_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainingConfig.model_validate(values)
    assert TrainingConfig.model_validate({"schedule": "cosine", "final_learning_rate": 0.1})


def test_a_share_is_left_for_training() -> None:
    with pytest.raises(ValidationError, match="validation_share and test_share together must be less than 1"):
        DataConfig(source="digits", validation_share=0.6, test_share=0.4)
