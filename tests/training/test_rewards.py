"""Rewards of answers: numbers, by functions that are given what they ask for by name."""

import math
from pathlib import Path

import pytest
import torch

from creuset.data.trained_rows import TrainedText
from creuset.data.tuning_rows import Asked
from creuset.errors import DataError, NotFoundError, NumericalError, UsageError
from creuset.training.rewards import OwnReward, load_reward, require_varied, reward_place, rewards_of
from creuset.training.rollouts import Rollout

ASKED = [Asked(prompt="ab"), Asked(prompt="c")]
TEXT = TrainedText(ids=(1, 2), trained=(False, True))
ANSWERS = ("it is", "", "red")


def groups() -> list[list[Rollout]]:
    return [[Rollout(text=TEXT, answer=answer, ended=True) for answer in ANSWERS] for _ in ASKED]


def own(function: object) -> OwnReward:
    assert callable(function)
    return OwnReward.of(function)


def test_rewards_are_numbers() -> None:
    found = rewards_of(own(lambda prompt, answer: len(prompt) + (answer == "")), ASKED, groups())
    assert found.dtype == torch.float64
    assert found.tolist() == [[2.0, 3.0, 2.0], [1.0, 2.0, 1.0]]
    assert rewards_of(own(lambda _prompt, _answer: True), ASKED, groups()).tolist() == [[1.0] * 3] * 2
    half = own(lambda _prompt, _answer: torch.tensor(0.5))
    assert rewards_of(half, ASKED, groups()).tolist() == [[0.5] * 3] * 2
    with pytest.raises(DataError, match="gives no number"):
        rewards_of(own(lambda _prompt, _answer: "good"), ASKED, groups())
    with pytest.raises(DataError, match="ZeroDivisionError"):
        rewards_of(own(lambda _prompt, _answer: 1 / 0), ASKED, groups())
    with pytest.raises(NumericalError, match="not finite"):
        rewards_of(own(lambda _prompt, _answer: math.nan), ASKED, groups())
    with pytest.raises(NumericalError, match="too large"):
        rewards_of(own(lambda _prompt, _answer: 1e39), ASKED, groups())
    large = rewards_of(
        own(lambda prompt, answer: 1_000_000_000 + len(answer) + 0 * len(prompt)), ASKED, groups()
    )
    assert (large[0] - large[0, 1]).tolist() == [5.0, 0.0, 3.0]


def test_a_reward_that_leaves_ends_no_training_silently(tmp_path: Path) -> None:
    def leaves(prompt: str, answer: str) -> float:
        raise SystemExit(0)

    with pytest.raises(DataError, match=r"test_rewards\.py:\d+: the reward gives no number") as raised:
        rewards_of(own(leaves), ASKED, groups())
    assert "SystemExit(0) for 'it is', the answer to 'ab'" in str(raised.value)
    assert "train --resume" in str(raised.value)
    file = tmp_path / "leaving.py"
    file.write_text("import sys\nsys.exit(0)\n")
    with pytest.raises(UsageError, match="cannot be run"):
        load_reward(f"{file}:good")


FULL = Asked(
    prompt="and twice that?",
    messages=(
        {"role": "system", "content": "count"},
        {"role": "user", "content": "two and two?"},
        {"role": "assistant", "content": "4"},
        {"role": "user", "content": "and twice that?"},
    ),
    reference="8",
    record={"level": 2},
)


def test_a_function_is_given_what_its_parameters_ask_for() -> None:
    def exact(prompt, answer, *, reference):
        return (prompt, answer == reference)

    def of_all(completion, text, **others):
        return (completion, text, sorted(others))

    def by_name(record, answer, messages):
        return (record["level"], answer, [turn["role"] for turn in messages])

    assert own(exact)(FULL, "8") == ("and twice that?", True)
    assert own(of_all)(FULL, "8") == ("and twice that?", "8", ["messages", "record", "reference"])
    assert own(by_name)(FULL, "8") == (2, "8", ["system", "user", "assistant", "user"])
    assert own(lambda answer, reference: answer == reference)(FULL, "8") is True
    assert own(lambda p, a, weight=2.0: (p, a, weight))(FULL, "8") == ("and twice that?", "8", 2.0)
    assert own(max)(FULL, "8") == "and twice that?"


def test_what_a_function_changes_is_its_own() -> None:
    def careless(answer, messages, record):
        messages.pop()["content"] = ""
        record.clear()
        return len(messages)

    assert [own(careless)(FULL, "8") for _ in range(2)] == [3, 3]


@pytest.mark.parametrize(
    "function",
    [lambda: 1, lambda prompt: 1, lambda a, b, c: 1, lambda text, reference: 1, lambda answer, other: 1],
)
def test_a_function_that_asks_for_something_else_is_refused(function: object) -> None:
    with pytest.raises(UsageError, match="cannot be given what it asks for"):
        own(function)


def test_a_reward_that_is_constant_is_refused() -> None:
    with pytest.raises(DataError, match="the same for every answer"):
        require_varied([torch.full((2, 3), 0.5), torch.full((1, 3), 0.5)])
    require_varied([torch.full((2, 3), 0.5), torch.tensor([[0.5, 0.6]])])


def test_a_reward_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    (tmp_path / "beside.py").write_text("SIGN = -1\n")
    path.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom beside import SIGN\n"
        "@dataclass\nclass Weights:\n    length: float = 1.0\n"
        "def short(prompt, answer):\n    return SIGN * Weights().length * len(answer)\n\nnothing = 3\n"
    )
    reward = load_reward(f"{path}:short")
    assert reward(ASKED[0], "bcd") == -3
    assert reward_place(reward) == f"{path}:7"
    for place, kind, message in (
        (str(path), UsageError, "names no function"),
        (f"{path}:long", NotFoundError, 'no function "long"'),
        (f"{path}:nothing", NotFoundError, 'no function "nothing"'),
        (f"{tmp_path}/other.py:short", NotFoundError, "no such file"),
    ):
        with pytest.raises(kind, match=message):
            load_reward(place)
    path.write_text("import nowhere_at_all\n")
    with pytest.raises(UsageError, match="cannot be run"):
        load_reward(f"{path}:short")
