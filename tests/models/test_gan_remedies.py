"""Which remedy follows from which cause and recipe; each resolves, and is not proposed twice."""

from typing import Any

import pytest

from creuset.models import family_configs
from creuset.recipe.remedy import Cause
from creuset.recipe.resolve import Recipe, parse_recipe
from creuset.workflows.rollback import find_remedy, with_settings

BASE = "model: {family: gan}\ndata: {source: digits}\n"
PLAIN = {"objective.name": "non_saturating"}
FASTER = {"players.generator.learning_rate": 0.1}


def recipe(settings: dict[str, Any]) -> Recipe:
    return parse_recipe(BASE, "gan.yaml", settings=settings, families=family_configs())


@pytest.mark.parametrize(
    ("cause", "settings", "expected"),
    [
        (
            "diversity loss",
            PLAIN | {"players.generator.learning_rate": 0.1},
            "players.generator.learning_rate",
        ),
        ("diversity loss", PLAIN, "objective.r1"),
        ("diversity loss", PLAIN | {"objective.r1": 1.0}, "objective.name"),
        ("diversity loss", {}, "model.pack"),
        ("diversity loss", {"model.pack": 2}, None),
        ("critic wins", {"players.critic.num_steps": 5}, "players.critic.num_steps"),
        ("critic wins", {"objective.name": "minimax"}, "objective.name"),
        ("critic wins", {"players.critic.learning_rate": 0.1}, "players.critic.learning_rate"),
        ("critic wins", {}, "objective.instance_noise"),
        ("critic vanishes", {"objective.name": "wgan"}, "objective.name"),
        ("critic vanishes", {"objective.r1": 10.0}, "objective.r1"),
        ("critic wins", {"objective.name": "minimax", **FASTER}, "objective.name"),
        ("critic vanishes", PLAIN | FASTER, "players.critic.learning_rate"),
        ("critic vanishes", PLAIN, "players.critic.num_steps"),
        ("critic vanishes", PLAIN | {"players.critic.num_steps": 5}, None),
        ("memorising", {}, "objective.augment"),
        ("memorising", {"objective.augment": ["cutout"]}, "objective.r1"),
        ("diversity loss", PLAIN | {"model.critic_norm": "batch"}, "objective.r1"),
        ("diversity loss", {"objective.name": "lsgan", "objective.label_smoothing": 0.1}, "objective.r1"),
    ],
)
def test_the_remedy_follows_from_cause_and_recipe(
    cause: Cause, settings: dict[str, Any], expected: str | None
) -> None:
    found = find_remedy(recipe(settings), cause, "images")
    assert (None if found is None else next(iter(found.settings))) == expected


@pytest.mark.parametrize("cause", ["diversity loss", "critic wins", "critic vanishes", "memorising"])
@pytest.mark.parametrize("name", ["minimax", "wgan", "wgan_gp", "hinge", "relativistic"])
def test_one_remedy_after_another_resolves_and_differs(cause: Cause, name: str) -> None:
    now = recipe({"objective.name": name, **FASTER})
    passed = [now]
    while len(passed) < 5 and (found := find_remedy(now, cause, "images")) is not None:
        now = with_settings(now, dict(found.settings))
        assert now not in passed
        passed.append(now)
    assert len(passed) > 1


def test_a_table_is_not_augmented() -> None:
    found = find_remedy(recipe({}), "memorising", "table")
    assert found is not None
    assert "objective.augment" not in found.settings
