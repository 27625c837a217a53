"""`creuset finetune`: what the command says, and which exit codes it has."""

import json
from pathlib import Path

import pytest

from command_line import run_command
from creuset.assets.places import workspace
from small_bases import anchored, conversations, preferences, write_base, write_rows

QUICK = ("--set", "training.num_steps=4", "--set", "training.precision=float32", "--set")
FEW = (*QUICK, "evaluation.num_generated=2")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_base(tmp_path / "base")
    write_rows(tmp_path / "chats.jsonl", conversations())


def test_a_tuning_says_what_it_found_and_what_comes_next() -> None:
    done = run_command(["finetune", "base", "--data", "chats.jsonl", *FEW])
    assert done.exit_code == 0, done.stderr
    assert "nats_per_token_change" in done.stdout
    assert "gate: 32 rows" in done.stderr
    assert "packed in rows of up to 6" in done.stderr
    assert " tokens, no padding; context 256" in done.stderr
    assert "⟦" in done.stderr
    assert "next: open" in done.stderr
    assert "report.html" in done.stderr


def test_a_run_is_shown_with_its_base_and_answers_prompts() -> None:
    run_command(["finetune", "base", "--data", "chats.jsonl", *FEW, "--no-eval", "--name", "mine"])
    shown = json.loads(run_command(["runs", "show", "mine", "--json"]).stdout)
    assert shown["manifest"]["base"]["name"] == str(Path("base").resolve())
    written = run_command(["generate", "mine", "--prompt", "red 3?", "--max-tokens", "4"])
    assert written.exit_code == 0, written.stderr
    exported = run_command(["export", "mine", "--to", "peft", "--out", "adapter"])
    assert exported.exit_code == 0, exported.stderr
    assert Path("adapter/adapter_config.json").exists()


def test_a_dry_run_writes_nothing() -> None:
    done = run_command(["finetune", "base", "--data", "chats.jsonl", *FEW, "--dry-run"])
    assert done.exit_code == 0, done.stderr
    assert "reloaded" in done.stdout
    assert "train alike" in done.stderr
    assert not (workspace() / "runs").exists()


@pytest.mark.parametrize(
    ("rows", "words", "code", "message"),
    [
        ([{"messages": [{"role": "user", "content": "a"}]}] * 9, (), 4, "no turn of the assistant"),
        ([*conversations()[:12], {"prompt": "a <|im_end|>", "completion": "b"}], (), 4, "form"),
        (preferences(), ("--method", "sft"), 2, "does not learn from"),
        (conversations(), ("--weights", "some"), 2, "no such weights"),
        (conversations(), ("--set", "adapter.targets=[nothing]"), 2, "nothing"),
        (conversations(), ("--set", "model.context=20"), 4, "too long"),
        (conversations(), ("--method", "grpo"), 2, "reward is missing"),
        (conversations(), ("--reward", "rewards.py:many"), 2, "--reward: an option without effect"),
        (anchored(), ("--reward", "rewards.py:many"), 2, "--reward: an option without effect"),
        (anchored(), ("--template", "own.jinja"), 2, "--template: an option without effect"),
    ],
)
def test_what_cannot_be_tuned_has_its_exit_code(
    rows: list[dict[str, object]], words: tuple[str, ...], code: int, message: str
) -> None:
    write_rows(Path("rows.jsonl"), rows)
    done = run_command(["finetune", "base", "--data", "rows.jsonl", *FEW, *words])
    assert done.exit_code == code, done.stderr
    assert message in done.stderr
    assert not (workspace() / "runs").exists()


@pytest.mark.parametrize("epochs", ["inf", "nan", "0"])
def test_what_is_no_number_of_epochs_is_refused(epochs: str) -> None:
    write_rows(Path("rows.jsonl"), conversations())
    done = run_command(["finetune", "base", "--data", "rows.jsonl", "--epochs", epochs])
    assert done.exit_code == 2, done.stderr
    assert "--epochs" in done.stderr


def test_judgements_are_tuned_on() -> None:
    none = run_command(["finetune", "base", "--from-feedback", *FEW])
    assert none.exit_code == 3
    assert "nothing was judged here yet" in none.stderr
    for number in range(20):
        prompt = f"red {number}?"
        words = [
            "--prompt",
            prompt,
            "--a",
            f"yes {number}",
            "--b",
            f"no {number}",
            "--verdict",
            "ab"[number % 2],
        ]
        added = run_command(["feedback", "add", *words, "--judge", "me"])
        assert added.exit_code == 0, added.stderr
    done = run_command(["finetune", "base", "--from-feedback", *FEW, "--no-eval", "--name", "judged"])
    assert done.exit_code == 0, done.stderr
    (file,) = (workspace() / "feedback").iterdir()
    assert len(file.read_text().splitlines()) == 20
    manifest = json.loads(run_command(["runs", "show", "judged", "--json"]).stdout)["manifest"]
    assert manifest["data_source"] == str(file.resolve())
    recipe = (workspace() / "runs/judged/recipe.yaml").read_text()
    assert "name: dpo" in recipe
    refused = run_command(["finetune", "base", "--from-feedback", "--method", "classify"])
    assert refused.exit_code == 2
    assert "does not learn from judgements" in refused.stderr
    for words in ([], ["--data", "chats.jsonl", "--from-feedback"]):
        assert run_command(["finetune", "base", *words]).exit_code == 2


def test_a_tuned_run_is_tuned_further_and_shows_where_it_comes_from() -> None:
    run_command(["finetune", "base", "--data", "chats.jsonl", *FEW, "--no-eval", "--name", "first"])
    write_rows(Path("pairs.jsonl"), preferences())
    second = run_command(
        ["finetune", "first", "--data", "pairs.jsonl", *FEW, "--no-eval", "--name", "second"]
    )
    assert second.exit_code == 0, second.stderr
    assert "first: merging step-00000004" in second.stderr
    assert Path(workspace() / "runs/first/merged/step-00000004/certificate.json").exists()
    shown = json.loads(run_command(["runs", "show", "second", "--json"]).stdout)
    assert shown["manifest"]["parent"] == "first"
    assert shown["lineage"] == [str(Path("base").resolve()), "first", "second"]
    again = run_command(["finetune", "run:first", "--data", "pairs.jsonl", *FEW, "--no-eval"])
    assert again.exit_code == 0, again.stderr
    assert "merging" not in again.stderr
    removed = run_command(["runs", "rm", "first", "--yes"])
    assert removed.exit_code == 0, removed.stderr
    lines = run_command(["runs", "show", "second"]).stdout
    assert "first (gone) -> second" in lines
