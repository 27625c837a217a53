"""GGUF files that are written: read again they are the same model, and what cannot be said is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
from tokenizers import AddedToken

pytest.importorskip("transformers", reason="makes models by transformers, which is not installed")

from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import SpecialTokens
from creuset.errors import CheckpointError, UsageError
from creuset.layers.positions import RotaryScaling
from creuset.models.transformer import Transformer
from creuset.pretrained.gguf.config import read_config
from creuset.pretrained.gguf.file import GgufFile
from creuset.pretrained.gguf.tokenizer import read_chat_template, read_tokenizer
from creuset.pretrained.gguf.tokenizer_writing import tokenizer_keys
from creuset.pretrained.gguf.weights import read_model_weights
from creuset.pretrained.gguf.writing import STORED, Stored, permuted, write_gguf
from small_decoders import ours_of, random_decoder, token_ids
from small_tokenizers import TEXTS, byte_level, small

WRITTEN = (
    "llama, all key-value heads",
    "llama, one key-value head, tied",
    "llama, linear scaling",
    "mistral, no window",
    "qwen2",
    "qwen3",
    "gemma3",
)
TEMPLATE = ChatTemplate("{% for message in messages %}{{ message.content }}{% endfor %}")


def tokenizer() -> Tokenizer:
    """Of 59 tokens, with special ones: the models have rows for 61."""
    backend = tokenizers.Tokenizer.from_str(byte_level().to_str())
    content = json.loads(backend.to_str())
    letters = sorted(content["model"]["vocab"], key=content["model"]["vocab"].get)[3:57]
    content["model"]["vocab"] = {letter: number for number, letter in enumerate([*letters[:-1], "AB"])}
    content["model"]["merges"] = [["A", "B"]]
    content["added_tokens"] = []
    backend = tokenizers.Tokenizer.from_str(json.dumps(content))
    backend.add_special_tokens(["<s>", "</s>", "<end>"])
    backend.add_tokens([AddedToken("mine", normalized=False)])
    return Tokenizer(backend, special=SpecialTokens(bos=54, eos=(55, 56)))


def model(name: str) -> Transformer:
    found = ours_of(random_decoder(name))
    if name != "gemma3":
        return found
    usual = replace(found.config, query_scale=None)  # files do not say it
    return Transformer.from_weights(usual, found.state_dict())


def written(path: Path, source: Transformer, stored: Stored = "f32") -> GgufFile:
    write_gguf(
        path,
        source.config,
        source.state_dict(),
        tokenizer(),
        chat_template=TEMPLATE,
        stored=stored,
        name="a model",
    )
    return GgufFile(path)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_model_is_the_same_when_it_is_read_again(name: str, tmp_path: Path) -> None:
    source = model(name)
    file = written(tmp_path / "model.gguf", source)
    again = Transformer.from_weights(read_config(file), read_model_weights(file))
    state = source.state_dict()
    assert all(torch.allclose(state[key], value, atol=1e-6) for key, value in again.state_dict().items())
    with torch.no_grad():
        assert torch.allclose(again(token_ids(2, 9)), source(token_ids(2, 9)), atol=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["model.gguf"]


@pytest.mark.parametrize(
    ("stored", "error"), [("f16", 2**-11), ("q8_0", 1 / 254), ("q4_0", 1 / 8), ("q4_1", 1 / 15)]
)
def test_numbers_are_stored_as_asked(stored: Stored, error: float, tmp_path: Path) -> None:
    source = model("llama, all key-value heads")
    file = written(tmp_path / "model.gguf", source, stored)
    assert file.metadata.whole("general.file_type") == STORED[stored][1]
    kinds = {info.kind.name.lower() for name, info in file.tensors.items() if name.endswith("attn_q.weight")}
    assert kinds == {stored}
    assert file.tensors["blk.0.attn_norm.weight"].kind.name.lower() == "f32"
    assert file.tensors["blk.0.ffn_down.weight"].kind.name.lower() == "f16"  # rows of 44: no whole blocks
    state, again = source.state_dict(), read_model_weights(file)
    for key in ("decoder.blocks.1.attention.query.weight", "token_embedding.weight"):
        blocks, found = (each[key].reshape(-1, 32) for each in (state, again))
        reach = blocks.abs().amax(1) if stored in ("f16", "q8_0", "q4_0") else blocks.amax(1) - blocks.amin(1)
        assert bool(((blocks - found).abs().amax(1) <= 1.02 * error * reach + 1e-4).all()), key


def test_the_tokenizer_and_the_template_travel(tmp_path: Path) -> None:
    file = written(tmp_path / "model.gguf", model("llama, all key-value heads"))
    first, second = tokenizer(), read_tokenizer(file.metadata)
    for text in (*TEXTS, "<s>a mine b</s><end>", "  spaces\n\n"):
        assert second.encode(text) == first.encode(text)
    assert second.special == first.special
    assert second.readable(58) == "[UNUSED58]"
    template = read_chat_template(file.metadata)
    assert template is not None
    assert template.source == TEMPLATE.source


def test_heads_are_permuted_as_reading_turns_back() -> None:
    weight = torch.arange(2 * 6 * 3.0).reshape(12, 3)
    rows = permuted(weight, 2)[:, 0] / 3
    assert rows.tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]


def test_llama_3_rotations_travel(tmp_path: Path) -> None:
    plain = model("llama, all key-value heads")
    scaling = RotaryScaling(kind="llama3", factor=8.0, original_context_length=8192)
    config = replace(plain.config, rope_scaling=scaling, rope_theta=500_000.0)
    source = Transformer.from_weights(config, plain.state_dict())
    file = written(tmp_path / "model.gguf", source)
    assert "rope_freqs.weight" in file.tensors
    assert read_config(file).rope_scaling == scaling


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpt2", "only decoders with RMSNorm"),
        ("llama, yarn scaling", "cannot say what this model computes"),
        ("llama, biases, wide heads, exact gelu", "cannot say what this model computes"),
        ("mistral, window", "cannot say what this model computes"),
    ],
)
def test_forms_that_cannot_be_said_are_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises((UsageError, CheckpointError), match=message):
        written(tmp_path / "model.gguf", model(name))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("wordpiece", "only byte-level BPE"),
        ("sentencepiece", "only byte-level BPE"),
        ("metaspace", "only byte"),
    ],
)
def test_tokenizers_that_cannot_be_said_are_refused(kind: str, message: str, tmp_path: Path) -> None:
    source = model("llama, all key-value heads")
    with pytest.raises(UsageError, match=message):
        write_gguf(
            tmp_path / "model.gguf",
            source.config,
            source.state_dict(),
            Tokenizer(small(kind)),
            chat_template=None,
            stored="f32",
            name="a model",
        )


def test_a_way_to_cut_words_without_a_name_is_refused(tmp_path: Path) -> None:
    backend = byte_level()
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=True)
    source = model("llama, all key-value heads")
    with pytest.raises(UsageError, match="no name for how this tokenizer cuts"):
        write_gguf(
            tmp_path / "model.gguf",
            source.config,
            source.state_dict(),
            Tokenizer(backend),
            chat_template=None,
            stored="f32",
            name="a model",
        )


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
AFTER_WORDS = {**BYTE_LEVEL, "trim_offsets": False, "use_regex": False}
WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s" + (
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def split(digits: str) -> dict[str, Any]:
    pattern = {"Regex": WORDS % digits}
    return {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False},
            AFTER_WORDS,
        ],
    }


@pytest.mark.parametrize(
    ("name", "cutting", "normalizer", "ignores_merges"),
    [
        (
            "smollm",
            {
                "type": "Sequence",
                "pretokenizers": [{"type": "Digits", "individual_digits": True}, BYTE_LEVEL],
            },
            None,
            False,
        ),
        ("gpt-2", BYTE_LEVEL, None, False),
        ("llama-bpe", split(r"\p{N}{1,3}"), None, True),
        ("qwen2", split(r"\p{N}"), {"type": "NFC"}, False),
    ],
)
def test_ways_to_cut_words_as_released_tokenizers_write_them(
    name: str, cutting: dict[str, Any], normalizer: dict[str, Any] | None, ignores_merges: bool
) -> None:
    content = json.loads(tokenizer().to_json())
    content |= {"pre_tokenizer": cutting, "normalizer": normalizer}
    content["model"]["ignore_merges"] = ignores_merges
    backend = tokenizers.Tokenizer.from_str(json.dumps(content))
    keys = tokenizer_keys(Tokenizer(backend), 61, None, ())
    assert keys["tokenizer.ggml.pre"] == name


def test_ends_that_only_the_model_knows_are_written(tmp_path: Path) -> None:
    source = model("llama, all key-value heads")
    write_gguf(
        tmp_path / "model.gguf",
        source.config,
        source.state_dict(),
        Tokenizer(tokenizers.Tokenizer.from_str(tokenizer().to_json())),
        chat_template=None,
        stored="f32",
        name="a model",
        eos_ids=(56, 55),
    )
    assert read_tokenizer(GgufFile(tmp_path / "model.gguf").metadata).special.eos == (56, 55)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    source = model("llama, all key-value heads")
    state = {key: value for key, value in source.state_dict().items() if "blocks.2" not in key}
    with pytest.raises(CheckpointError, match=r"decoder\.blocks\.2"):
        write_gguf(
            tmp_path / "model.gguf",
            source.config,
            state,
            tokenizer(),
            chat_template=None,
            stored="f32",
            name="a model",
        )
    assert list(tmp_path.iterdir()) == []
