"""`creuset.finetune`: a base tuned in every way, taken up again, measured beside its base, exported."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

import creuset
from command_line import run_command
from creuset.data.conversations import read_tuning_file
from creuset.data.dataset import Dataset
from creuset.data.text_side import TextSide
from creuset.data.tuning_split import split_tuning
from creuset.device import BatchGenerator
from creuset.engines.request import Request
from creuset.errors import CheckpointError, CreusetError, GateError, UsageError
from creuset.models.transformer import Transformer
from creuset.models.tuned import Tuned
from creuset.models.tuned_config import AdapterConfig, TunedConfig, TuningObjectiveConfig
from creuset.pretrained.text_side import open_text_side
from creuset.pretrained.whole_base import load_whole_base
from creuset.recipe.sections import DataConfig
from creuset.runs.folder import RunFolder
from creuset.workflows.export import export, exportable_run
from creuset.workflows.finetune import Method, Tuning, finetune, tuning_recipe
from creuset.workflows.load import load
from creuset.workflows.rehearse import dry_run
from creuset.workflows.train import Run, resume
from creuset.workflows.tuned_model import open_chat_engine
from small_bases import conversations, preferences, write_adapter, write_base, write_rows

QUICK = {"training.num_steps": 6, "training.precision": "float32", "evaluation.num_generated": 4}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREUSET_WORKSPACE", str(tmp_path))
    write_base(tmp_path / "base")
    write_rows(tmp_path / "chats.jsonl", conversations())
    write_rows(tmp_path / "pairs.jsonl", preferences())


def weights_of(run: Run) -> Path:
    manifest = run.folder.manifest()
    assert manifest.last is not None
    return run.folder.checkpoints / manifest.last / "weights.safetensors"


def scores_of(run: Run) -> dict[str, creuset.metrics.Score]:
    return {score.metric: score for score in run.scores}


@pytest.mark.parametrize("weights", ["lora", "full", "last:1"])
def test_a_tuning_lowers_the_cost_of_held_out_answers(weights: str) -> None:
    long = {**QUICK, "training.num_steps": 60, "training.learning_rate": 3e-3}
    run = finetune("base", data="chats.jsonl", method="sft", weights=weights, settings=long)
    change = scores_of(run)["nats_per_token_change"]
    assert change.interval is not None
    assert change.interval[1] < 0
    evaluation = json.loads((run.path / "evaluation" / "tuning.json").read_text())
    before = {score["metric"]: score["value"] for score in evaluation["floors"]}
    after = scores_of(run)["nats_per_token"].value
    assert change.value == pytest.approx(after - before["nats_per_token_of_base"], rel=1e-6)
    assert any("better than the base" in finding for finding in evaluation["details"]["findings"])
    report = (run.path / "report.html").read_text()
    assert "what is learned" in report
    assert "stands there" in report


def test_checkpoints_hold_what_is_trained_alone() -> None:
    run = finetune("base", data="chats.jsonl", settings=QUICK, measure=False)
    names = safetensors.torch.load_file(weights_of(run)).keys()
    assert names
    assert all(".updates.tuned." in name for name in names)
    assert {name.split(".updates")[0].rpartition(".")[2] for name in names} == {"query", "value"}
    manifest = run.folder.manifest()
    assert manifest.base is not None
    assert manifest.base["name"] == str(Path("base").resolve())


@pytest.mark.parametrize(("method", "data"), [("sft", "chats.jsonl"), ("dpo", "pairs.jsonl")])
def test_a_tuning_that_was_stopped_goes_on_to_the_same_bytes(method: Method, data: str) -> None:
    settings = {**QUICK, "adapter.dropout": 0.1}
    whole = finetune("base", data=data, method=method, name="whole", settings=settings, measure=False)
    stopped = finetune(
        "base", data=data, method=method, name="stopped", settings=settings, max_seconds=1e-6, measure=False
    )
    assert stopped.outcome.step == 1
    again = resume("stopped", measure=False)
    assert again.outcome.step == whole.outcome.step
    assert weights_of(again).read_bytes() == weights_of(whole).read_bytes()


@pytest.mark.parametrize(
    ("method", "weights"),
    [("dpo", "lora"), ("dpo", "full"), ("orpo", "lora"), ("orpo", "full"), ("reward", "lora")],
)
def test_preferences_are_learned(method: Method, weights: str) -> None:
    long = {**QUICK, "training.num_steps": 40, "training.learning_rate": 2e-3}
    run = finetune("base", data="pairs.jsonl", method=method, weights=weights, settings=long)
    accuracy = scores_of(run)["preference_accuracy"]
    assert accuracy.value == 1.0  # the shorter answer wins
    journal = [json.loads(line) for line in (run.path / "journal.jsonl").read_text().splitlines()]
    told = [line["values"] for line in journal if line["event"] == "train"]
    assert {"loss", "margin", "preference_accuracy"} <= told[-1].keys()


def test_a_fresh_model_of_preferences_is_its_own_reference() -> None:
    for weights in ("lora", "full"):
        model, batch = preference_model(weights)
        report = model.loss(batch, "model", BatchGenerator(0, "test", size=4))
        assert float(report["loss"].detach()) == pytest.approx(0.6931472, abs=1e-6)
        assert float(report["margin"]) == 0


def base_text() -> TextSide:
    return open_text_side(Path("base"))


def split_file(name: str) -> Dataset:
    return split_tuning(read_tuning_file(Path(name)), DataConfig(source=name), base_text(), seed=0)


def preference_model(weights: str) -> tuple[Tuned, dict[str, torch.Tensor]]:
    dataset = split_file("pairs.jsonl")
    config = TunedConfig(
        family="tuned",
        base="base",
        adapter=AdapterConfig.model_validate({"kind": weights}),
        objective=TuningObjectiveConfig(name="dpo"),
    )
    return fresh(config, dataset.spec), dataset.batch("train", torch.arange(4))


def fresh(config: TunedConfig, spec: object) -> Tuned:
    found = load_whole_base(Path("base"))
    torch.manual_seed(0)
    return Tuned(config, spec, Transformer.from_weights(found.config, found.weights), found.theirs)  # type: ignore[arg-type]


def test_batches_and_their_parts_give_the_same_gradient() -> None:
    dataset = split_file("chats.jsonl")
    config = TunedConfig(family="tuned", base="base")

    def gradients(parts: list[list[int]]) -> dict[str, torch.Tensor]:
        model = fresh(config, dataset.spec).double()
        with torch.no_grad():
            for name, value in model.player_parameters("model"):
                value.normal_(generator=torch.Generator().manual_seed(len(name)), std=0.1)
        total = sum(map(len, parts))
        for part in parts:
            batch = dataset.batch("train", torch.tensor(part))
            loss = model.loss(batch, "model", BatchGenerator(0, "test", size=len(part)))["loss"]
            (loss * len(part) / total).backward()
        return {
            name: value.grad for name, value in model.player_parameters("model") if value.grad is not None
        }

    whole = gradients([list(range(8))])
    for parts in ([[place] for place in range(8)], [[0, 1, 2], [3, 4, 5, 6, 7]]):
        for name, found in gradients(parts).items():
            torch.testing.assert_close(found, whole[name], rtol=1e-9, atol=1e-12)


def test_the_heaviest_batch_comes_first() -> None:
    rows = conversations()
    rows[17]["messages"][1]["content"] = "it is " + "very " * 30 + "red"  # type: ignore[index]
    write_rows(Path("uneven.jsonl"), rows)
    recipe = tuning_recipe(Tuning(base="base", data="uneven.jsonl"), QUICK)
    from creuset.training.batches import TrainingBatches

    dataset = split_file("uneven.jsonl")
    batches = TrainingBatches(
        dataset, recipe.data, seed=0, device=torch.device("cpu"), dtype=torch.float32, num_batches=20
    )
    sizes = [batches.part(place, 0, 8)["tokens"].shape[1] for place in range(20)]
    assert sizes[0] == max(sizes)


def test_a_dry_run_proves_that_it_can_be_saved() -> None:
    recipe = tuning_recipe(Tuning(base="base", data="chats.jsonl"), QUICK)
    assert dry_run(recipe).checkpoint_bytes > 0


def test_rows_that_would_fail_silently_are_refused_before_anything_is_written() -> None:
    rows = conversations()
    rows[3]["messages"][1]["content"] = "so <|im_end|>\n<|im_start|>user"  # type: ignore[index]
    write_rows(Path("marked.jsonl"), rows)
    with pytest.raises(GateError, match=r"marked\.jsonl:4"):
        finetune("base", data="marked.jsonl", settings=QUICK)
    write_rows(Path("test.jsonl"), conversations()[:10])
    with pytest.raises(GateError, match="leak"):
        finetune("base", data="chats.jsonl", test_data="test.jsonl", settings=QUICK)
    with pytest.raises(GateError, match="too long"):
        finetune("base", data="chats.jsonl", settings={**QUICK, "model.context": 20})
    assert not Path("runs").exists()


def test_rows_of_its_own_are_measured() -> None:
    write_rows(Path("other.jsonl"), [{"prompt": f"what {n}?", "completion": "it is red"} for n in range(6)])
    run = finetune("base", data="chats.jsonl", test_data="other.jsonl", settings=QUICK)
    assert scores_of(run)["nats_per_token"].n == 6
    assert run.folder.manifest().data_report["own_splits"] == ["test"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": "pairs.jsonl", "method": "sft"}, "does not learn from records of the form preference"),
        ({"data": "chats.jsonl", "method": "dpo"}, "does not learn from records of the form messages"),
        ({"data": "chats.jsonl", "weights": "last"}, "no such weights"),
        ({"data": "chats.jsonl", "method": "full", "weights": "lora"}, "names other weights"),
        ({"data": "chats.jsonl", "weights": "head"}, "no head of its own"),
        ({"data": "chats.jsonl", "settings": {"adapter.targets": ["nothing"]}}, "nothing"),
        ({"data": "none.jsonl"}, "no such file"),
    ],
)
def test_what_cannot_be_tuned_is_refused_by_name(arguments: dict[str, object], message: str) -> None:
    settings = {**QUICK, **arguments.pop("settings", {})}  # type: ignore[dict-item]
    with pytest.raises(CreusetError, match=message):
        finetune("base", settings=settings, **arguments)  # type: ignore[arg-type]
    assert not Path("runs").exists()


def test_another_base_is_refused() -> None:
    run = finetune("base", data="chats.jsonl", settings=QUICK, measure=False)
    for file in Path("base").iterdir():
        file.unlink()
    Path("base").rmdir()
    write_base(Path("base"), seed=1)
    with pytest.raises(CheckpointError, match="not the one that this run was tuned from"):
        load(run.folder)


def test_a_tuned_run_answers_as_its_model_in_memory() -> None:
    long = {**QUICK, "training.num_steps": 60, "training.learning_rate": 3e-3}
    run = finetune("base", data="chats.jsonl", name="mine", settings=long, measure=False)
    with open_chat_engine("mine", precision="float32") as engine:
        answer = engine.complete(Request(prompt="red 3?", max_tokens=8))
        assert engine.describe().name == "mine"
    with open_chat_engine("base", precision="float32") as engine:
        assert engine.complete(Request(prompt="red 3?", max_tokens=8)).text != answer.text
    with pytest.raises(UsageError, match="GGUF files alone"):
        open_chat_engine("mine", driver="llamacpp")
    loaded = load(run.folder)
    assert isinstance(loaded.model, Tuned)


@pytest.mark.parametrize(("weights", "to"), [("lora", "peft"), ("lora", "safetensors"), ("full", "gguf")])
def test_a_tuned_run_is_exported_with_its_certificate(weights: str, to: str) -> None:
    long = {**QUICK, "training.num_steps": 20, "training.learning_rate": 3e-3}
    run = finetune("base", data="chats.jsonl", weights=weights, settings=long, measure=False)
    done = export(exportable_run(run.folder), to, Path("out"), stored="f16")  # type: ignore[arg-type]
    assert done.certificate.passed
    assert done.certificate_path.exists()
    if weights == "full":
        with pytest.raises(UsageError, match="no adapter to export"):
            export(exportable_run(run.folder), "peft", Path("other"))


def test_a_certificate_asks_for_the_ends_of_a_run_s_own_answers() -> None:
    long = {**QUICK, "training.num_steps": 150, "training.learning_rate": 1e-2}
    run = finetune("base", data="chats.jsonl", weights="full", settings=long, measure=False)
    found = export(exportable_run(run.folder), "safetensors", Path("out")).certificate
    assert (found.num_prompts, found.num_own_prompts) == (12, 4)
    assert found.num_ends >= 1
    assert found.num_same_ends == found.num_ends
    Path("chats.jsonl").unlink()
    gone = export(exportable_run(run.folder), "safetensors", Path("other")).certificate
    assert (gone.num_prompts, gone.num_own_prompts) == (8, 0)


def test_a_certificate_says_where_no_end_was_asked_for() -> None:
    answer = run_command(["export", "base", "--to", "safetensors"])
    assert answer.exit_code == 0, answer.stderr
    assert "endings      none was asked for: the model surely ends none of its 8 answers" in answer.stdout
    assert "0 of 0" not in answer.stdout


def test_a_base_with_somebody_s_adapter_is_tuned_further() -> None:
    write_adapter(Path("theirs"), Path("base"))
    run = finetune(
        "base", adapter="theirs", data="chats.jsonl", settings=QUICK, name="further", measure=False
    )
    merged = Path(str(run.folder.manifest().base["name"]))  # type: ignore[index]
    assert merged.parent == Path("merged").resolve()
    first, second = creuset.load(str(merged)), creuset.load("base", adapter="theirs")
    assert abs(first.logits([[1, 5, 9]]) - second.logits([[1, 5, 9]])).max() < 1e-4
    shown = json.loads(run_command(["runs", "show", "further", "--json"]).stdout)
    assert shown["lineage"] == ["base", "adapter theirs", str(merged), "further"]
    finetune("base", adapter="theirs", data="chats.jsonl", settings=QUICK, name="again", measure=False)
    assert len(list(merged.parent.iterdir())) == 1
    write_base(Path("other"), seed=3)
    with pytest.raises(CheckpointError, match="of another base"):
        finetune("other", adapter="theirs", data="chats.jsonl", settings=QUICK, measure=False)


REWARDS = """
def many(prompt, answer):
    return sum(map(str.isalpha, answer)) / (1 + len(answer))


def constant(prompt, answer):
    return 1.0


def wrong(prompt, answer):
    return "good"
"""
DRAWN = {**QUICK, "objective.max_answer_tokens": 8, "data.batch_size": 4, "training.learning_rate": 3e-3}


@pytest.mark.parametrize("method", ["grpo", "ppo"])
def test_rewards_rise(method: Method) -> None:
    Path("rewards.py").write_text(REWARDS)
    long = {**DRAWN, "training.num_steps": 40, "training.log_every": 5, "evaluation.num_generated": 4}
    run = finetune(
        "base", data="chats.jsonl", method=method, weights="full", reward="rewards.py:many", settings=long
    )
    journal = [json.loads(line) for line in (run.path / "journal.jsonl").read_text().splitlines()]
    told = [line["values"] for line in journal if line["event"] == "train"]
    assert {"reward", "kl_nats", "answer_tokens", "policy_loss"} <= told[0].keys()
    assert ("value_loss" in told[0]) == (method == "ppo")
    assert told[-1]["reward"] > told[0]["reward"] + 0.05
    change = scores_of(run)["reward_change"]
    assert change.interval is not None
    assert change.interval[0] > 0


def test_answers_that_were_drawn_are_drawn_again_after_a_stop() -> None:
    Path("rewards.py").write_text(REWARDS)
    asked = {"data": "chats.jsonl", "method": "grpo", "reward": "rewards.py:many", "settings": DRAWN}
    whole = finetune("base", name="whole", measure=False, **asked)  # type: ignore[arg-type]
    finetune("base", name="stopped", max_seconds=1e-6, measure=False, **asked)  # type: ignore[arg-type]
    assert weights_of(resume("stopped", measure=False)).read_bytes() == weights_of(whole).read_bytes()


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ("rewards.py:constant", "the same for every answer"),
        ("rewards.py:wrong", "gives no number"),
        ("rewards.py:none", "no function"),
        ("none.py:many", "no such file"),
        ("many", "names no function"),
        (None, "reward is missing"),
    ],
)
def test_rewards_that_teach_nothing_are_refused(reward: str | None, message: str) -> None:
    Path("rewards.py").write_text(REWARDS)
    with pytest.raises(CreusetError, match=message):
        finetune("base", data="chats.jsonl", method="grpo", reward=reward, settings=DRAWN)


def test_a_reward_model_rewards() -> None:
    finetune("base", data="pairs.jsonl", method="reward", name="judge", settings=QUICK, measure=False)
    run = finetune(
        "base", data="chats.jsonl", method="grpo", reward="run:judge", settings=DRAWN, measure=False
    )
    assert run.outcome.step == 6
    with pytest.raises(UsageError, match="no reward model"):
        finetune("base", data="chats.jsonl", method="grpo", reward=f"run:{run.folder.id}", settings=DRAWN)


@pytest.mark.parametrize("method", ["dpo", "reward"])
def test_a_loss_that_stays_at_log_2_is_stopped_and_explained(method: Method) -> None:
    still = {**QUICK, "training.num_steps": 120, "training.learning_rate": 1e-9}
    with pytest.raises(GateError, match="stays at what guessing costs, log 2") as raised:
        finetune("base", data="pairs.jsonl", method=method, settings=still, name="still")
    assert "raise training.learning_rate, 1e-09" in str(raised.value)
    folder = RunFolder.open(Path("runs/still"))
    manifest = folder.manifest()
    assert (manifest.status, manifest.stop_reason, manifest.step) == ("stopped", "stuck", 30)
    with pytest.raises(GateError, match="log 2"):
        resume("still")
    assert folder.manifest().step == 31
    moving = {**still, "training.learning_rate": 1e-2}
    assert finetune("base", data="pairs.jsonl", method=method, settings=moving, measure=False).path.exists()
