"""The driver for folders of ONNX answers as the native one, and its certificate tells good from broken."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from chat_templates import CHATML
from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import SpecialTokens
from creuset.engines.native import Native
from creuset.engines.native_loading import NativeModel
from creuset.engines.onnx_runtime import OnnxRuntime
from creuset.engines.request import Message, Request
from creuset.errors import DataError, GateError, NotFoundError, UsageError
from creuset.evaluation.certificate import Certificate, LiveModel, certify
from creuset.generation.sampling import Sampling
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.onnx_writing import write_onnx_folder
from small_tokenizers import byte_level
from small_transformers import OF_BYTES

State = dict[str, Tensor]
CONFIG = replace(OF_BYTES, init_std=0.1)
TOKENIZER = Tokenizer(byte_level(), special=SpecialTokens(bos=0, eos=(2,)))
TEMPLATE = ChatTemplate(CHATML)


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(0)
    return Transformer(CONFIG).state_dict()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, state: State) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "small"
    write_onnx_folder(path, CONFIG, state, tokenizer=TOKENIZER, chat_template=TEMPLATE, eos_ids=(2, 9))
    return path


def test_it_answers_as_the_native_driver(folder: Path, state: State) -> None:
    model = NativeModel(
        config=CONFIG, weights=state, tokenizer=TOKENIZER, eos_ids=(2, 9), chat_template=TEMPLATE
    )
    chat = (Message(role="user", content="a fox"),)
    asked = (
        Request(messages=chat, max_tokens=12, sampling=Sampling(temperature=0.0), num_logprobs=3),
        Request(prompt="été 12", max_tokens=9, sampling=Sampling(temperature=0.9, seed=4)),
    )
    with (
        OnnxRuntime(folder) as engine,
        Native(model, name="small", precision="float32") as native,
    ):
        for request in asked:
            found, expected = engine.complete(request), native.complete(request)
            assert found.token_ids == expected.token_ids
            assert found.text == expected.text
            assert found.finish_reason == expected.finish_reason
            for one, other in zip(found.log_probs, expected.log_probs, strict=True):
                assert one.log_prob == pytest.approx(other.log_prob, abs=1e-4)
        ids = list(range(20, 60))
        told, wanted = (each.log_probs(ids, start=3, num_top=4) for each in (engine, native))
        assert np.allclose(told.log_probs, wanted.log_probs, atol=1e-4)
        assert np.array_equal(told.top_ids, wanted.top_ids)
        assert engine.log_probs([7]).log_probs.shape == (0,)
        assert engine.describe().context_length == 128


def test_it_says_what_it_cannot_do(folder: Path) -> None:
    with OnnxRuntime(folder, context_length=64) as engine:
        with pytest.raises(UsageError, match="gives no vectors"):
            engine.embed(["a"])
        with pytest.raises(UsageError, match="context"):
            engine.log_probs(list(range(65)))
    with pytest.raises(UsageError, match="this engine is closed"):
        engine.logits(np.zeros((1, 1), np.int64))


def test_an_answer_can_be_stopped(folder: Path) -> None:
    with OnnxRuntime(folder) as engine:
        answer = engine.stream(Request(prompt="a fox", max_tokens=50, sampling=Sampling(temperature=0.0)))
        next(answer)
        engine.cancel()
        assert [piece.finish_reason for piece in answer] == ["cancelled"]


def test_damaged_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no model\.onnx in this folder"):
        OnnxRuntime(tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    content = (folder / "model.onnx").read_bytes()
    (broken / "model.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="onnxruntime cannot open this file"):
        OnnxRuntime(broken)
    (broken / "model.onnx").write_bytes(content)
    config = (broken / "config.json").read_text()
    (broken / "config.json").write_text(config.replace('"vocab_size": 330', '"vocab_size": 340'))
    with pytest.raises(DataError, match="something else than token ids and logits") as found:
        OnnxRuntime(broken)
    assert "330" in str(found.value.got)


def certified(folder: Path, state: State, config: TransformerConfig = CONFIG) -> Certificate:
    """Of a folder and a model that it may have been written from."""
    live = LiveModel(
        body=Transformer.from_weights(config, state),
        tokenizer=TOKENIZER,
        template=TEMPLATE,
        eos_ids=(2, 9),
    )
    with OnnxRuntime(folder) as engine:
        return certify(live, engine, kind="onnx", sha256="0" * 64, prompts=("a fox", "def f(x):", "été"))


def test_a_good_export_is_certified(folder: Path, state: State) -> None:
    found = certified(folder, state)
    assert found.passed, found.reasons
    assert found.same_tokens
    assert found.num_places >= 3
    assert found.largest_difference is not None
    assert found.largest_difference < 1e-4
    assert found.to_json()["kind"] == "onnx"


def with_swapped_gates(state: State) -> State:
    names = {"gate": "up", "up": "gate"}
    return {name: state[".".join(names.get(part, part) for part in name.split("."))] for name in state}


def with_a_block_twice(state: State) -> State:
    return {name: state[name.replace("blocks.1.", "blocks.0.")] for name in state}


def in_half_precision(state: State) -> State:
    return {name: each.half().float() for name, each in state.items()}


@pytest.mark.parametrize("broken", [with_swapped_gates, with_a_block_twice, in_half_precision])
def test_another_model_is_refused(broken: Callable[[State], State], folder: Path, state: State) -> None:
    found = certified(folder, broken(state))
    assert not found.passed
    with pytest.raises(GateError, match="does not answer as the live one"):
        found.require()


def test_other_rotations_and_norms_are_refused(folder: Path, state: State) -> None:
    assert not certified(folder, state, replace(CONFIG, rope_theta=9_900.0)).passed
    assert not certified(folder, state, replace(CONFIG, norm_eps=1e-4)).passed
