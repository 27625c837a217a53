"""The comparison with nanoGPT compares like with like: its twin computes what creuset's decoder does."""

import json
import math
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark_programs import program
from creuset.data.spec import DataSpec
from creuset.models.decoder import Decoder, DecoderConfig
from creuset.recipe.sections import TrainingConfig
from creuset.training.optimizer import learning_rate_factor

driver = program("shakespeare_against_nanogpt")
twin = program("peers/shakespeare_nanogpt")


def row(**values: Any) -> dict[str, Any]:
    return {"num_steps": 1, "num_targets": 9, "torch": "2", "num_parameters": 1000, **values}


def test_the_twin_computes_what_creuset_s_decoder_does() -> None:
    torch.manual_seed(0)
    gpt = twin.GPT(65)
    spec = DataSpec(
        kind="corpus",
        shape=(),
        num_levels=0,
        context=64,
        tokenizer="t",
        tokenizer_size=65,
        bytes_per_token=1.0,
    )
    decoder = Decoder(DecoderConfig(family="decoder"), spec)
    assert sum(p.numel() for p in gpt.parameters()) == sum(p.numel() for p in decoder.parameters())
    theirs, ours = gpt.state_dict(), {}
    ours["token_embedding.weight"] = theirs["tokens.weight"]
    ours["decoder.position_embedding.weight"] = theirs["places.weight"]
    ours["decoder.norm.weight"] = theirs["norm.weight"]
    for number in range(4):
        block, own = f"blocks.{number}", f"decoder.blocks.{number}"
        parts = theirs[f"{block}.attention.inputs.weight"].chunk(3)
        for name, part in zip(("query", "key", "value"), parts, strict=True):
            ours[f"{own}.attention.{name}.weight"] = part
        ours[f"{own}.attention.output.weight"] = theirs[f"{block}.attention.output.weight"]
        ours[f"{own}.attention_norm.weight"] = theirs[f"{block}.first.weight"]
        ours[f"{own}.feedforward_norm.weight"] = theirs[f"{block}.second.weight"]
        ours[f"{own}.feedforward.up.weight"] = theirs[f"{block}.feedforward.up.weight"]
        ours[f"{own}.feedforward.down.weight"] = theirs[f"{block}.feedforward.output.weight"]
    decoder.transformer.load_state_dict(ours)
    ids = torch.randint(65, (3, 65), generator=torch.Generator().manual_seed(0))
    expected = decoder.token_nats(ids[:, :-1], ids[:, 1:]).mean()
    torch.testing.assert_close(gpt(ids[:, :-1], ids[:, 1:].contiguous()).detach(), expected)


def test_first_weights_are_of_one_size_on_both_sides() -> None:
    torch.manual_seed(0)
    down = twin.GPT(65).state_dict()["blocks.0.feedforward.output.weight"]
    assert float(down.std()) == pytest.approx(0.02 / math.sqrt(8), rel=0.02)


def test_the_whole_part_is_measured_once() -> None:
    ids = np.arange(200, dtype=np.uint16) % 65
    torch.manual_seed(0)
    loss, num_targets = twin.whole_loss(twin.GPT(65).eval(), ids)
    assert num_targets == 199
    assert loss == pytest.approx(math.log(65), abs=0.1)


def test_models_of_unequal_size_are_refused() -> None:
    with pytest.raises(SystemExit, match="not the same work: num_parameters differs"):
        driver.require_one_size({"nanoGPT": [row()], "decoder": [row(num_parameters=1030)]})
    driver.require_one_size({"nanoGPT": [row()], "decoder": [row(num_parameters=1010)]})


def test_the_schedule_is_creuset_s_but_for_the_warm_up() -> None:
    training = TrainingConfig.model_validate(
        {"num_steps": 2000, "warmup_steps": 100, "schedule": "cosine", "final_learning_rate": 0.1}
    )
    for step in (100, 700, 1999):
        expected = 3e-3 * learning_rate_factor(step, training)
        assert twin.learning_rate(step, 2000, 3e-3) == pytest.approx(expected)
    assert twin.learning_rate(99, 2000, 3e-3) == pytest.approx(3e-3 * 100 / 101)


def test_both_sides_train_on_the_same_text(tmp_path: Path) -> None:
    corpus = tmp_path / "text.txt"
    corpus.write_text("".join(f"line {number} of {number * 7 % 100} lines\n" for number in range(200)))
    rows = {}
    for name, command in driver.commands(corpus, 4, 1).items():
        done = subprocess.run([*command, "0"], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        rows[name] = [json.loads(done.stdout.splitlines()[-1])]
        assert rows[name][0]["validation_nats_per_token"] < 4.2
    text = corpus.read_text()
    assert {of[0]["num_targets"] for of in rows.values()} == {len(text) - int(len(text) * 0.9) - 1}
    driver.require_equal(rows, driver.EQUAL)
    decoders = {name: of for name, of in rows.items() if not name.startswith("LSTM")}
    driver.require_one_size(decoders)  # with so few characters the LSTM's head and embedding are smaller
