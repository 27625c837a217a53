"""Scores hold only what can be reported, and survive their JSON."""

import json
from typing import Any

import pytest

from creuset.errors import DataError
from creuset.metrics.score import Score


def make_score(**changes: Any) -> Score:
    fields: dict[str, Any] = {
        "metric": "accuracy",
        "value": 0.98,
        "unit": "fraction",
        "better": "higher",
        "interval": (0.9637, 0.989),
        "n": 500,
        "signature": "accuracy|v:1|data:3f2a9c01|split:test|n:500|interval:wilson95",
    }
    return Score(**{**fields, **changes})


@pytest.mark.parametrize("interval", [None, (0.9637, 0.989)])
def test_json_and_back(interval: tuple[float, float] | None) -> None:
    score = make_score(interval=interval)
    assert Score.from_json(json.loads(json.dumps(score.to_json()))) == score


def test_text_shows_value_interval_and_signature() -> None:
    assert str(make_score()) == (
        "accuracy 0.98 fraction [0.9637, 0.989] "
        "(n=500, accuracy|v:1|data:3f2a9c01|split:test|n:500|interval:wilson95)"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value": float("nan")}, "accuracy has no finite value"),
        ({"value": float("inf")}, "accuracy has no finite value"),
        ({"interval": (0.9, 0.8)}, "impossible interval"),
        ({"interval": (0.9, float("inf"))}, "impossible interval"),
        ({"n": 0}, "computed from no sample"),
        ({"better": "bigger"}, "no direction"),
    ],
)
def test_what_cannot_be_reported_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_score(**changes)


@pytest.mark.parametrize(
    "damage",
    [{"extra": 1}, {"interval": [0.1]}, {"interval": 3}, {"value": "high"}, {"n": None}],
)
def test_json_of_something_else_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="not a score"):
        Score.from_json({**make_score().to_json(), **damage})
