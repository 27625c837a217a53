"""The comparison with nanoGPT compares like with like: its twin computes what creuset's decoder does."""

import importlib.util
import json
import math
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from creuset.data.spec import DataSpec
from creuset.models.decoder import Decoder, DecoderConfig
from source_tree import ROOT

BENCHMARKS = ROOT / "benchmarks"


def script(path: Path, monkeypatch: pytest.MonkeyPatch | None = None) -> ModuleType:
    """The program as a module, without running it."""
    if monkeypatch is not None:
        monkeypatch.syspath_prepend(str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


driver = script(BENCHMARKS / "shakespeare_against_nanogpt.py")


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return script(BENCHMARKS / "peers" / "shakespeare_nanogpt.py", monkeypatch)


def row(**values: Any) -> dict[str, Any]:
    return {"num_steps": 1, "num_targets": 9, "torch": "2", "num_parameters": 1000, **values}


def test_the_twin_computes_what_creuset_s_decoder_does(twin: ModuleType) -> None:
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


def test_first_weights_are_of_one_size_on_both_sides(twin: ModuleType) -> None:
    torch.manual_seed(0)
    down = twin.GPT(65).state_dict()["blocks.0.feedforward.output.weight"]
    assert float(down.std()) == pytest.approx(0.02 / math.sqrt(8), rel=0.02)


def test_the_whole_part_is_measured_once(twin: ModuleType) -> None:
    ids = np.arange(200, dtype=np.uint16) % 65
    torch.manual_seed(0)
    loss, num_targets = twin.whole_loss(twin.GPT(65).eval(), ids)
    assert num_targets == 199
    assert loss == pytest.approx(math.log(65), abs=0.1)


@pytest.mark.parametrize("name", [*driver.EQUAL, "num_parameters"])
def test_unequal_work_is_refused(name: str) -> None:
    rows = {"nanoGPT": [row(), row()], "decoder": [row(**{name: 2000}), row()]}
    with pytest.raises(SystemExit, match=f"not the same work: {name} differs"):
        driver.require_equal(rows)
    driver.require_equal({"nanoGPT": [row()], "decoder": [row(num_parameters=1010)]})


def test_ratios_are_paired_within_a_round() -> None:
    rows = {
        "nanoGPT": [row(tokens_per_second=speed) for speed in (1.0, 2.0, 3.0)],
        "decoder": [row(tokens_per_second=speed) for speed in (2.0, 8.0, 3.0)],
    }
    assert driver.ratios(rows) == {"decoder": {"median": 2.0, "least": 1.0, "most": 4.0}}


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
    del rows["LSTM float32"]  # with so few characters its head and embedding are smaller
    driver.require_equal(rows)
