"""What a tuning takes: the heaviest part first, blocks made once more, and the forecast of both."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from creuset.data.conversations import read_tuning_file
from creuset.data.tuning_split import split_tuning
from creuset.errors import RecipeError
from creuset.models.transformer_stack import TransformerStack
from creuset.pretrained.text_side import open_text_side
from creuset.progress import Silent
from creuset.training.batches import TrainingBatches
from creuset.training.forecast import Forecast, forecast
from creuset.training.session import Session
from creuset.workflows.execute import make_session
from creuset.workflows.finetune import Method, Tuning, finetune, tuning_recipe
from creuset.workflows.plan import Plan
from creuset.workflows.train import Run
from small_bases import CONFIG, conversations, preferences, write_base, write_rows

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


def test_the_batch_with_the_heaviest_part_comes_first() -> None:
    rows = conversations()
    rows[17]["messages"][1]["content"] = "it is " + "very " * 20 + "red"  # type: ignore[index]
    write_rows(Path("uneven.jsonl"), rows)
    recipe = tuning_recipe(Tuning(base="base", data="uneven.jsonl"), QUICK)
    text = open_text_side(Path("base"))
    dataset = split_tuning(read_tuning_file(Path("uneven.jsonl")), recipe.data, text, seed=0)
    for num_parts in (1, 2, 4):
        batches = TrainingBatches(
            dataset,
            recipe.data,
            seed=0,
            device=torch.device("cpu"),
            dtype=torch.float32,
            num_batches=8,
            num_parts=num_parts,
        )
        size = 8 // num_parts
        parts = [
            [batches.part(place, at, at + size)["tokens"].shape[1] for at in range(0, 8, size)]
            for place in range(8)
        ]
        heaviest = max(max(part) for part in parts)
        assert max(parts[0]) == heaviest == batches.most_tokens
        seen = sorted(index for place in range(8) for index in batches.indices(place).tolist())
        assert seen == sorted([*range(32), *range(32)])


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_blocks_that_are_made_again_train_to_the_same_numbers(method: Method) -> None:
    data = "chats.jsonl" if method == "sft" else "pairs.jsonl"
    settings = {**QUICK, "adapter.dropout": 0.1}
    kept = finetune("base", data=data, method=method, settings=settings, measure=False)
    again = finetune(
        "base",
        data=data,
        method=method,
        settings={**settings, "training.checkpoint_blocks": True},
        measure=False,
    )
    assert weights_of(kept).read_bytes() == weights_of(again).read_bytes()


def test_blocks_that_no_gradient_goes_through_are_not_made_again() -> None:
    settings = {**QUICK, "training.checkpoint_blocks": True}
    write_base(Path("headed"), config=replace(CONFIG, tied_head=False))
    with pytest.raises(RecipeError, match=r"training\.checkpoint_blocks has no effect: no gradient"):
        finetune("headed", data="chats.jsonl", weights="head", settings=settings)


def test_the_forecast_is_of_the_heaviest_part() -> None:
    def expected(**settings: object) -> tuple[Session, Forecast]:
        asked = {**QUICK, **{f"training.{name}": value for name, value in settings.items()}}
        recipe = tuning_recipe(Tuning(base="base", data="chats.jsonl"), asked)
        session = make_session(Plan.make(recipe, Silent()))
        assert isinstance(session, Session)
        found = forecast(session)
        assert found is not None
        return session, found

    whole, found = expected()
    first = whole.batches.part(0, 0, 8)["tokens"].shape[1]
    assert found.heaviest_tokens == first == max(whole.batches.num_tokens)
    halves, found = expected(accumulate=2)
    parts = [halves.batches.part(0, at, at + 4)["tokens"].shape[1] for at in (0, 4)]
    assert found.heaviest_tokens == max(parts) < first
    assert found.num_tokens == sum(halves.batches.num_tokens)
    again, found = expected(checkpoint_blocks=True)
    assert again.model.state_dict().keys() == whole.model.state_dict().keys()
    stacks = [part for part in again.model.modules() if isinstance(part, TransformerStack)]
    assert stacks
    assert all(stack.recomputes_blocks for stack in stacks)


@pytest.mark.parametrize(
    ("method", "weights"), [("sft", "head"), ("sft", "last:1"), ("dpo", "last:1"), ("grpo", "last:1")]
)
def test_whole_layers_are_trained_in_bfloat16_beside_frozen_ones(method: Method, weights: str) -> None:
    write_base(Path("headed"), config=replace(CONFIG, tied_head=False))
    Path("rewards.py").write_text("def many(prompt, answer):\n    return answer.count('e')\n")
    settings = {**QUICK, "training.precision": "bfloat16", "training.num_steps": 2}
    run = finetune(
        "headed",
        data="pairs.jsonl" if method == "dpo" else "chats.jsonl",
        method=method,
        weights=weights,
        reward="rewards.py:many" if method == "grpo" else None,
        settings={**settings, **({"objective.max_answer_tokens": 4} if method == "grpo" else {})},
    )
    assert run.scores
    assert {value.dtype for value in load_file(weights_of(run)).values()} == {torch.float32}


@pytest.mark.parametrize("weights", ["lora", "full", "last:1"])
def test_the_reference_is_the_base_to_the_last_digit_in_bfloat16(weights: str) -> None:
    settings = {**QUICK, "training.precision": "bfloat16", "training.log_every": 1, "training.num_steps": 2}
    run = finetune(
        "base", data="pairs.jsonl", method="dpo", weights=weights, settings=settings, measure=False
    )
    first, *_ = (json.loads(line)["values"] for line in run.folder.journal_path.read_text().splitlines())
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-7)
    assert first["kl_nats"] == 0
