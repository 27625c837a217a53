"""Files that end llama.cpp's process are refused by this one."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from tokenizers.pre_tokenizers import ByteLevel

from creuset.engines.llamacpp import LlamaCpp
from creuset.engines.llamacpp_trial import LoadingTrial
from creuset.engines.request import Request
from creuset.errors import CreusetError

WIDTH = 64


def small_model(folder: Path, *, tokens: list[str] | None = None, **numbers: int | str) -> Path:
    """A llama of one layer with random weights; `numbers` are keys of its metadata, __ for a dot."""
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(f"<|t{number}|>" for number in range(43)), "he"] if tokens is None else tokens
    path = folder / "small.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * len(tokens))
    writer.add_token_merges(["h e"])
    writer.add_eos_token_id(256)
    for key, value in numbers.items():
        add: Any = writer.add_uint32 if isinstance(value, int) else writer.add_string
        add(f"llama.{key.replace('__', '.')}", value)
    generator = np.random.default_rng(0)
    square = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    shapes: dict[str, tuple[int, ...]] = {f"blk.0.{name}.weight": (WIDTH, WIDTH) for name in square}
    shapes |= {f"blk.0.{name}.weight": (WIDTH,) for name in ("attn_norm", "ffn_norm")}
    shapes |= {"token_embd.weight": (len(tokens), WIDTH), "output_norm.weight": (WIDTH,)}
    for name, shape in shapes.items():
        writer.add_tensor(name, generator.standard_normal(shape).astype(np.float32) * 0.05)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_small_model_is_loaded(tmp_path: Path) -> None:
    with LlamaCpp(small_model(tmp_path)) as engine:
        assert engine.complete(Request(prompt="hello", max_tokens=3)).usage.num_completion_tokens == 3


@pytest.mark.parametrize(
    "changed",
    [
        {"expert_count": 100_000},
        {"expert_used_count": 7},
        {"expert_group_count": 3},
        {"rope__scaling__type": "bogus"},
        {"tokens": ["a"] * 300},
    ],
)
def test_what_ends_llama_cpp_s_process_does_not_end_this_one(tmp_path: Path, changed: dict[str, Any]) -> None:
    path = small_model(tmp_path, **changed)
    code = f"from creuset.engines.llamacpp import LlamaCpp; LlamaCpp({str(path)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "GGML_NO_BACKTRACE": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert "cannot load this model\n  got: it ended its process by SIGABRT: " in done.stderr
    assert "GGML_ASSERT(" in done.stderr


def test_a_trial_that_is_left_early_leaves_nothing(tmp_path: Path) -> None:
    with LoadingTrial(small_model(tmp_path)) as trial:
        process, folder = trial._process, Path(trial._folder.name)
    assert process.poll() is not None
    assert not folder.exists()


def test_a_trial_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("creuset.engines.llamacpp_trial._SECONDS", 0.01)
    monkeypatch.setattr("creuset.engines.llamacpp_trial._LOAD", "import signal; signal.pause()")
    with (
        LoadingTrial(tmp_path / "a.gguf") as trial,
        pytest.raises(CreusetError, match="no end of it within"),
    ):
        trial.require_success()
