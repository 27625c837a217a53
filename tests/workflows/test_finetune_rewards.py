"""Learning from rewards: the temperature of the draws, one batch a step, parts that change nothing."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor

from creuset.data.tuning_rows import Asked, TunedRow
from creuset.device import BatchGenerator
from creuset.errors import GateError, RecipeError, UsageError
from creuset.models.tuned import Tuned
from creuset.progress import Silent
from creuset.training.policy import PolicyLoss
from creuset.training.recorder import Recorder
from creuset.training.rewards import load_reward
from creuset.training.session import Session
from creuset.training.update import Updates
from creuset.workflows.execute import make_session
from creuset.workflows.export import exportable_run
from creuset.workflows.finetune import Method, Tuning, finetune, tuning_recipe
from creuset.workflows.plan import Plan
from creuset.workflows.rewards import reward_of
from creuset.workflows.train import resume
from small_bases import conversations, preferences, write_base, write_rows
from source_tree import ROOT

REWARDS = """
def many(prompt, answer):
    return sum(map(str.isalpha, answer)) / (1 + len(answer))


def exact(answer, reference, record):
    return record.get("weight", 1.0) * (answer.strip() == reference) + len(answer) / 1000
"""
QUICK = {
    "training.num_steps": 6,
    "training.precision": "float32",
    "evaluation.num_generated": 4,
    "data.batch_size": 4,
    "training.learning_rate": 3e-3,
}
DRAWN = {**QUICK, "objective.max_answer_tokens": 8}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREUSET_WORKSPACE", str(tmp_path))
    write_base(tmp_path / "base")
    write_rows(tmp_path / "chats.jsonl", conversations())
    Path("rewards.py").write_text(REWARDS)


def session(method: Method, **settings: object) -> Session:
    asked = Tuning(base="base", data="chats.jsonl", method=method, reward="rewards.py:many")
    recipe = tuning_recipe(asked, {**DRAWN, **{key.replace("__", "."): v for key, v in settings.items()}})
    found = make_session(Plan.make(recipe, Silent()))
    assert isinstance(found, Session)
    return found


def moved(found: Session) -> None:
    """Takes the model away from its base, so that nothing is equal by accident."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _, value in found.model.player_parameters("model"):
            value += 0.05 * torch.randn(value.shape, generator=generator)


def updates_of(found: Session) -> Updates:
    recorder = Recorder(None, None, step=0, progress=Silent())
    return found.loop(recorder, sample=None, save=lambda *_: "").updates


def policy_of(found: Session) -> tuple[Tuned, PolicyLoss]:
    assert isinstance(found.model, Tuned)
    assert isinstance(found.policy, PolicyLoss)
    return found.model, found.policy


@pytest.mark.parametrize("weights", ["lora", "full"])
def test_log_probabilities_are_those_of_the_temperature_of_the_draws(weights: str) -> None:
    found = session("ppo", objective__temperature=0.6, adapter__kind=weights)
    moved(found)
    model, policy = policy_of(found)
    policy.begin_step(0)
    (experience,) = policy._experiences.values()
    answered = experience.answered
    now, _ = model.answer_values(answered.batch)
    slow: list[list[float]] = []
    for answers in answered.rollouts:
        for answer in answers:
            ids = torch.tensor([answer.text.ids])
            with torch.no_grad():
                log_probs = (model.body(ids)[0] / 0.6).log_softmax(-1)
            first = answer.text.trained.index(True)
            slow.append([float(log_probs[at - 1, ids[0, at]]) for at in range(first, ids.shape[1])])
    flat = torch.tensor([value for row in slow for value in row])
    torch.testing.assert_close(answered.old[experience.mask], flat, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(now.detach(), flat, rtol=1e-4, atol=1e-4)
    fresh, _ = policy_of(session("ppo", objective__temperature=0.6, adapter__kind=weights))
    reference, _ = fresh.answer_values(answered.batch)
    of_base = answered.reference[experience.mask]
    torch.testing.assert_close(of_base, reference.detach(), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(of_base, flat, atol=1e-2)


def test_each_row_is_asked_once_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    from creuset.training import policy as module

    asked: list[tuple[str, ...]] = []
    draw = module.drawn

    def seen(model: Tuned, dataset: object, rows: list[TunedRow], *rest: object, **options: object) -> object:
        asked.append(tuple(row.place for row in rows))
        return draw(model, dataset, rows, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "drawn", seen)
    found = session("grpo", players__model__num_steps=3, training__num_steps=16)
    updates = updates_of(found)
    assert found.dataset.splits["train"].num_samples == 32
    for step in range(16):
        updates.step(step)
    assert len(asked) == 16
    for epoch in (asked[:8], asked[8:]):
        times = Counter(place for batch in epoch for place in batch)
        assert len(times) == 32
        assert set(times.values()) == {1}


def gradients_of(method: Method, accumulate: int) -> tuple[list[str], dict[str, float], dict[str, Tensor]]:
    found = session(method, training__accumulate=accumulate, training__precision="float64")
    moved(found)
    _, policy = policy_of(found)
    policy.begin_step(3)
    answers = [
        answer.answer
        for start, _ in policy.parts
        for group in policy._experiences[start].answered.rollouts
        for answer in group
    ]
    with torch.no_grad():
        for _, value in found.model.player_parameters("model"):
            value += 0.01
    draws, told = BatchGenerator(0, "test", size=4), dict[str, float]()
    for start, stop in policy.parts:
        report = policy({}, "model", draws.slice(start, stop))
        share = (stop - start) / 4
        (report["loss"] * share).backward()  # type: ignore[no-untyped-call]
        for name, value in report.items():
            told[name] = told.get(name, 0.0) + float(value.detach()) * share
    gradients = {name: value.grad for name, value in found.model.player_parameters("model")}
    return answers, told, {name: value for name, value in gradients.items() if value is not None}


@pytest.mark.parametrize("method", ["grpo", "ppo"])
def test_accumulation_changes_neither_answers_nor_gradients(
    method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("creuset.training.policy.end_ids", lambda *_: frozenset(range(0, 600, 7)))
    answers, told, gradients = gradients_of(method, 1)
    assert len(set(map(len, answers))) > 2
    assert any(float(value.abs().max()) > 0 for value in gradients.values())
    for accumulate in (2, 3):
        others, values, found = gradients_of(method, accumulate)
        assert others == answers
        assert values == pytest.approx(told, rel=1e-9)
        for name, value in gradients.items():
            torch.testing.assert_close(found[name], value, rtol=1e-7, atol=1e-10)


def test_a_reward_is_given_the_whole_question_and_the_reference() -> None:
    turns = [
        {"role": "system", "content": "be short"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "one", "weight": 0},
        {"role": "user", "content": "red?"},
        {"role": "assistant", "content": "it is red"},
    ]
    rows = [{"messages": turns, "level": 2}, *conversations()]
    write_rows(Path("chats.jsonl"), rows)
    found = session("grpo")
    tuning = [split.tuning for split in found.dataset.splits.values()]
    every = [row.asked for part in tuning if part is not None for row in part.rows]
    (asked,) = [one for one in every if one is not None and one.record]
    assert (asked.prompt, asked.reference, asked.record) == ("red?", "it is red", {"level": 2})
    assert [turn["role"] for turn in asked.messages] == ["system", "user", "assistant", "user"]
    rewarded = finetune(
        "base", data="chats.jsonl", method="grpo", reward="rewards.py:exact", settings=DRAWN, measure=False
    )
    assert rewarded.outcome.step == 6


def test_the_reward_of_the_page_checks_the_answer() -> None:
    page = (ROOT / "docs" / "finetuning.md").read_text()
    Path("page.py").write_text(page.split("```python\n")[1].split("```")[0])
    right = load_reward("page.py:right")
    asked = Asked(prompt="two and two?", reference="it is 4")
    values = [right(asked, answer) for answer in ("2 + 2 = 4", "5", "four", "")]
    assert values == pytest.approx([1.1, 0.1, 0, 0])
    assert load_reward("page.py:short")(asked, "it is 4") == -3


def test_equal_prompts_keep_their_own_references() -> None:
    rows = conversations() + [{"prompt": "same?", "completion": answer} for answer in ("one", "two", "three")]
    rows = [
        row
        if "prompt" in row
        else {"prompt": row["messages"][0]["content"], "completion": row["messages"][1]["content"]}  # type: ignore[index]
        for row in rows
    ]
    write_rows(Path("chats.jsonl"), rows)
    found = session("grpo")
    tuning = [split.tuning for split in found.dataset.splits.values()]
    asked = [row.asked for part in tuning if part is not None for row in part.rows]
    same = {one.reference for one in asked if one is not None and one.prompt == "same?"}
    assert same == {"one", "two", "three"}


def test_a_reward_model_scores_the_whole_conversation() -> None:
    write_rows(Path("pairs.jsonl"), preferences())
    long = {**QUICK, "training.num_steps": 20, "data.batch_size": 8}
    judge = finetune("base", data="pairs.jsonl", method="reward", name="judge", settings=long, measure=False)
    recipe = tuning_recipe(Tuning(base="base", data="chats.jsonl", method="grpo", reward="run:judge"), DRAWN)
    reward = reward_of(recipe.model)
    assert reward is not None
    tuning = session("grpo").dataset.split("train").tuning
    assert tuning is not None
    asked = tuning.rows[0].asked
    assert asked is not None
    before = ({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"})
    whole = type(asked)(prompt=asked.prompt, messages=(*before, *asked.messages))
    assert reward(asked, "red") != reward(whole, "red")
    with pytest.raises(UsageError, match="reward model") as refused:
        exportable_run(judge.folder)
    assert refused.value.next_step is not None
    assert "--reward run:judge" in refused.value.next_step


def test_a_run_that_earns_the_most_always_is_resumed() -> None:
    Path("learned.py").write_text(
        "from pathlib import Path\n\n\n"
        "def right(prompt, answer):\n"
        "    return 1.0 if Path('learned').exists() else len(answer)\n"
    )
    settings = {**DRAWN, "training.num_steps": 8}
    begun = finetune(
        "base",
        data="chats.jsonl",
        method="grpo",
        reward="learned.py:right",
        settings=settings,
        max_seconds=1e-6,
        measure=False,
    )
    assert begun.outcome.step == 1
    Path("learned").touch()
    assert resume(begun.path, measure=False).outcome.step == 8


def test_a_reward_s_file_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"data": "chats.jsonl", "method": "grpo", "reward": "rewards.py:many", "settings": DRAWN}
    begun = finetune("base", max_seconds=1e-6, measure=False, **asked)  # type: ignore[arg-type]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert resume(begun.path, measure=False).outcome.step == 6


def test_prompts_without_room_for_an_answer_are_refused_by_their_line() -> None:
    rows = conversations()
    rows[6]["messages"][0]["content"] = "red " * 30  # type: ignore[index]
    write_rows(Path("chats.jsonl"), rows)
    asked = {"data": "chats.jsonl", "method": "grpo", "reward": "rewards.py:many", "settings": DRAWN}
    longest = {**DRAWN, "objective.max_answer_tokens": 120}
    with pytest.raises(GateError, match=r"no room: 1 row .* 120 tokens .* within 256 \(chats\.jsonl:7\)"):
        finetune("base", **{**asked, "settings": longest})  # type: ignore[arg-type]
    assert not Path("runs").exists()
    assert finetune("base", measure=False, **asked).outcome.step == 6  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["dpo", "orpo"])
def test_the_journal_of_preferences_tells_divergence_and_lengths(method: Method) -> None:
    write_rows(Path("pairs.jsonl"), preferences())
    settings = {**QUICK, "training.log_every": 1, "training.validate_every": 2}
    run = finetune("base", data="pairs.jsonl", method=method, settings=settings, measure=False)
    journal = [json.loads(line) for line in (run.path / "journal.jsonl").read_text().splitlines()]
    told = [line["values"] for line in journal if line["event"] == "train"]
    held_out = [line["values"] for line in journal if line["event"] == "validation"]
    for values in (*told, *held_out):
        assert values["rejected_tokens"] > values["chosen_tokens"] > 1
    assert all("kl_nats" in values for values in held_out)
    assert ("kl_nats" in told[0]) == (method == "dpo")
    if method == "dpo":
        assert told[0]["kl_nats"] == 0
        for values in (*told[1:], *held_out):
            assert values["kl_nats"] == pytest.approx(values["chosen_reward"] / 0.1, rel=1e-4)


@pytest.mark.parametrize("method", ["grpo", "ppo"])
def test_dropout_that_nothing_draws_is_refused(method: Method) -> None:
    Path("rewards.py").write_text("def short(prompt, answer):\n    return -len(answer)\n")
    asked = Tuning(base="base", data="chats.jsonl", method=method, reward="rewards.py:short")
    with pytest.raises(RecipeError, match=r"adapter\.dropout has no effect with grpo and ppo"):
        tuning_recipe(asked, {"adapter.dropout": 0.1})
    assert tuning_recipe(asked, {"adapter.dropout": 0.0}).model.family == "tuned"
