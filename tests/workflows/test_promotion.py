"""A tuned run takes an alias over where it is not worse on its own held-out rows, whatever either was
measured on before."""

from pathlib import Path
from typing import Any

import pytest

from command_line import run_command
from creuset.assets.places import aliases
from creuset.errors import GateError, NotFoundError, UsageError
from creuset.workflows.aliases import promote
from creuset.workflows.finetune import finetune
from creuset.workflows.train import Run
from small_bases import conversations, preferences, write_base, write_rows

QUICK = {
    "training.num_steps": 6,
    "training.precision": "float32",
    "training.learning_rate": 1e-3,
    "evaluation.num_generated": 4,
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREUSET_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("CREUSET_HOME", str(tmp_path / "home"))
    write_base(tmp_path / "base")
    write_rows(tmp_path / "chats.jsonl", conversations())
    write_rows(tmp_path / "pairs.jsonl", preferences())


def tuned(name: str, base: str = "base", data: str = "pairs.jsonl", **options: Any) -> Run:
    settings = {**QUICK, **options.pop("settings", {})}
    return finetune(base, data=data, name=name, settings=settings, **options)


HARM = {"unseen_nats_per_token": 1.0}
"""What models of two layers forget in a few large steps."""


def metrics_of(alias: str, run: str) -> dict[str, str]:
    served = promote(run, alias, allow=HARM)
    assert served.comparison is not None
    return {one.metric: one.verdict for _, one in served.comparison.comparisons}


def test_preferences_on_top_of_answers() -> None:
    tuned("answers", data="chats.jsonl")
    write_rows(Path("pairs.jsonl"), preferences(100))
    tuned("prefers", "answers", settings={"training.num_steps": 30})
    promote("answers", "helper")
    found = metrics_of("helper", "prefers")
    assert found.keys() == {"preference_accuracy", "margin", "unseen_nats_per_token"}
    assert found["margin"] == "better"
    assert aliases() == {"helper": "run:prefers"}


def test_preferences_on_newer_preferences() -> None:
    tuned("older")
    write_rows(Path("newer.jsonl"), preferences(60))
    tuned("newer", data="newer.jsonl", settings={"training.num_steps": 40})
    promote("older", "helper")
    with pytest.raises(GateError, match="6 rows of newer, split test: newer is worse") as raised:
        promote("newer", "helper")
    assert "--allow unseen_nats_per_token=0." in str(raised.value)
    assert "no metric worse, as far as can be told, but for unseen_nats_per_token by 0.02 at most" in str(
        raised.value
    )
    served = promote("newer", "helper", allow=HARM)
    assert served.comparison is not None
    assert "rows of newer, split test" in served.comparison.measured_on
    compared = {one.metric: one for _, one in served.comparison.comparisons}
    assert compared["margin"].n <= 6
    assert compared["margin"].paired
    assert compared["unseen_nats_per_token"].n == 40
    assert served.allowed == HARM
    loss = compared["unseen_nats_per_token"].difference
    promote("older", "other")
    with pytest.raises(GateError, match="newer is worse"):
        promote("newer", "other", allow={"unseen_nats_per_token": 0.99 * loss})
    words = ["--allow", f"unseen_nats_per_token={1.01 * loss}"]
    answer = run_command(["models", "promote", "newer", "--as", "other", *words])
    assert answer.exit_code == 0, answer.stderr
    assert f"worse, allowed for up to {1.01 * loss:g} (--allow)" in answer.stdout


def test_one_that_learned_less_is_refused_with_what_was_compared() -> None:
    long = {"training.num_steps": 60, "training.learning_rate": 3e-3}
    tuned("good", data="chats.jsonl", settings=long)
    write_rows(Path("newer.jsonl"), conversations(60))
    tuned("poor", data="newer.jsonl", settings={"training.num_steps": 1, "training.learning_rate": 1e-5})
    promote("good", "helper")
    answer = run_command(["models", "promote", "poor", "--as", "helper"])
    assert answer.exit_code == 4
    assert "rows of poor, split test" in answer.stderr
    assert "nats_per_token" in answer.stderr
    assert "--force" in answer.stderr
    assert aliases() == {"helper": "run:good"}


def test_what_was_compared_is_printed() -> None:
    tuned("first", data="chats.jsonl")
    tuned("second", data="chats.jsonl", seed=1)
    promote("first", "helper")
    words = ["--allow", "unseen_nats_per_token=1", "--allow", "nats_per_token=1"]
    answer = run_command(["models", "promote", "second", "--as", "helper", *words])
    assert answer.exit_code == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert lines[0] == "compared on 4 rows of second, split test"
    told = {line.split()[0] for line in lines[1:-1]}
    assert {"nats_per_token", "rougeL_f1", "exact_match", "unseen_nats_per_token"} <= told


def test_rows_that_one_of_them_learned_from_are_left_out() -> None:
    tuned("one", data="chats.jsonl")
    write_rows(Path("later.jsonl"), conversations(60)[40:])
    write_rows(Path("held.jsonl"), conversations()[:12])
    tuned("two", data="later.jsonl", test_data="held.jsonl")
    promote("one", "helper")
    served = promote("two", "helper", allow=HARM)
    assert served.comparison is not None
    (remark,) = served.comparison.remarks
    number, said = remark.split(" ", 1)
    assert said == "held-out rows left out that one of the two learned from"
    assert 0 < int(number) < 12
    assert f"{12 - int(number)} rows of two" in served.comparison.measured_on
    Path("chats.jsonl").unlink()
    promote("one", "again")
    gone = promote("two", "again", allow=HARM)
    assert gone.comparison is not None
    assert any("cannot be read again" in remark for remark in gone.comparison.remarks)


def test_rewards_are_compared_by_the_new_one_s_reward() -> None:
    Path("rewards.py").write_text(
        "def many(prompt, answer):\n    return sum(map(str.isalpha, answer)) / (1 + len(answer))\n"
    )
    drawn = {"objective.max_answer_tokens": 8, "data.batch_size": 4}
    tuned("answers", data="chats.jsonl")
    tuned("drawn", data="chats.jsonl", method="grpo", reward="rewards.py:many", settings=drawn)
    promote("answers", "helper")
    served = promote("drawn", "helper", allow={**HARM, "reward": 1.0})
    assert served.comparison is not None
    assert [one.metric for _, one in served.comparison.comparisons] == ["reward", "unseen_nats_per_token"]


def test_what_cannot_be_compared_names_force() -> None:
    tuned("judge", method="reward")
    tuned("answers", data="chats.jsonl")
    promote("judge", "helper")
    with pytest.raises(GateError, match="one of them scores answers") as raised:
        promote("answers", "helper")
    assert "--force" in str(raised.value)
    assert promote("answers", "helper", force=True).run == "answers"


def test_judges_are_compared_by_their_scores() -> None:
    tuned("judge", method="reward")
    write_rows(Path("newer.jsonl"), preferences(60))
    tuned("newer", data="newer.jsonl", method="reward", settings={"training.num_steps": 40})
    promote("judge", "helper")
    assert metrics_of("helper", "newer").keys() == {"preference_accuracy", "margin"}


def test_what_is_not_compared_is_not_allowed_for() -> None:
    tuned("first", data="chats.jsonl")
    tuned("second", data="chats.jsonl", seed=1)
    promote("first", "helper")
    with pytest.raises(UsageError, match='nothing is compared by "nats_per_tokens"; did you mean'):
        promote("second", "helper", allow={"nats_per_tokens": 1.0})
    for value in (-0.1, float("nan")):
        with pytest.raises(UsageError, match="worse by so much"):
            promote("second", "helper", allow={"nats_per_token": value})
    assert aliases() == {"helper": "run:first"}


def test_a_run_that_is_gone_names_force() -> None:
    run = tuned("first", data="chats.jsonl")
    tuned("second", data="chats.jsonl", seed=1)
    promote("first", "helper")
    run.path.rename("elsewhere")
    with pytest.raises(NotFoundError, match="--force"):
        promote("second", "helper")


def labelled(number: int) -> list[dict[str, object]]:
    words = {"good": ("good", "nice", "fine"), "bad": ("bad", "poor", "sad")}
    return [
        {"text": f"a {words[label][place % 3]} thing {place}", "label": label}
        for place in range(number)
        for label in ("bad", "good")
    ]


def test_classifiers_of_other_rows_are_measured_on_those_of_the_new_one() -> None:
    steps = {"training.num_steps": 40, "training.learning_rate": 1e-2, "training.precision": "float32"}
    for name, number in (("older", 30), ("newer", 60)):
        write_rows(Path(f"{name}.jsonl"), labelled(number))
        finetune("base", data=f"{name}.jsonl", name=name, weights="head", settings=steps)
    promote("older", "judge")
    served = promote("newer", "judge")
    assert served.comparison is not None
    assert "rows of newer, split test" in served.comparison.measured_on
    assert "accuracy" in {one.metric for _, one in served.comparison.comparisons}
