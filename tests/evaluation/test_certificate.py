"""Good exports are certified, broken ones are not: both through llama.cpp, from small random models."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from creuset.adapters.adapter import taken
from creuset.adapters.lora import LoraForm, attach
from creuset.adapters.switch import merge, merged_state
from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import SpecialTokens
from creuset.engines.llamacpp import LlamaCpp
from creuset.engines.native import Native
from creuset.engines.native_loading import NativeModel
from creuset.engines.token_engine import TokenEngine
from creuset.errors import GateError
from creuset.evaluation.certificate import Certificate, Kind, LiveModel, certify
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.gguf.writing import Stored, write_gguf
from small_tokenizers import byte_level
from small_transformers import OF_BYTES

PROMPTS = ("a fox", "def f(x):", "été 12")
SPECIAL = SpecialTokens(bos=0, eos=(2,))
TEMPLATE = ChatTemplate(
    "{% for message in messages %}<|im_start|>{{ message.content }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>{% endif %}"
)
CONFIG = OF_BYTES
WILD = replace(CONFIG, init_std=0.1)
"""Whose answers differ the more, the more is wrong; also by rounding, so that few bits say nothing of it."""


def tuned(seed: int = 0, config: TransformerConfig = CONFIG) -> Transformer:
    """A random model with a random adapter in use."""
    torch.manual_seed(seed)
    body = Transformer(config).eval()
    layers = [f"decoder.blocks.{layer}.attention.{part}" for layer in range(2) for part in ("query", "key")]
    attach(body, dict.fromkeys(layers, LoraForm(rank=4, alpha=8)), "one")
    with torch.no_grad():
        for tensor in taken(body, "one").updates.values():
            tensor += 2.5 * config.init_std * torch.randn(tensor.shape)
    return body


def tokenizer() -> Tokenizer:
    return Tokenizer(byte_level(), special=SPECIAL)


def live(body: Transformer) -> LiveModel:
    return LiveModel(body=body, tokenizer=tokenizer(), template=TEMPLATE, eos_ids=(2,))


def merged(seed: int = 0, config: TransformerConfig = CONFIG) -> dict[str, Tensor]:
    body = tuned(seed, config)
    merge(body)
    return body.state_dict()


def certified(
    path: Path,
    state: dict[str, Tensor],
    kind: Stored,
    *,
    seed: int = 0,
    config: TransformerConfig = CONFIG,
    template: ChatTemplate = TEMPLATE,
) -> Certificate:
    write_gguf(path, config, state, tokenizer(), chat_template=template, stored=kind, name="small")
    with LlamaCpp(path, context_length=128, num_threads=1) as engine:
        source = tuned(seed, WILD if config.init_std == WILD.init_std else CONFIG)
        return certify(live(source), engine, kind=kind, sha256="0" * 64, prompts=PROMPTS)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", ["f32", "f16", "q8_0", "q4_0", "q4_1"])
def test_a_good_export_is_certified(kind: Stored, seed: int, tmp_path: Path) -> None:
    found = certified(tmp_path / "model.gguf", merged(seed), kind, seed=seed)
    assert found.passed, found.reasons
    found.require()
    assert found.same_tokens
    assert found.num_places >= len(PROMPTS)
    document = found.to_json()
    assert (document["format"], document["kind"], document["passed"]) == (1, kind, True)
    assert found.num_same_ends == found.num_ends


def test_an_export_that_never_ends_is_refused(tmp_path: Path) -> None:
    body = tuned()
    path = tmp_path / "model.gguf"
    ending = LiveModel(body=body, tokenizer=tokenizer(), template=TEMPLATE, eos_ids=(7,))
    with torch.no_grad():  # the end token is what it says first; llama.cpp knows <|im_end|> by its name
        body.token_embedding.weight[7] = 0
        states = body.hidden(torch.tensor([ending.ids_of(PROMPTS[0])]))[0, -1]
        body.token_embedding.weight[7] = 40 * states / states.square().sum()
    state = merged_state(body)
    for ends, passed in (((7,), True), ((5,), False)):
        write_gguf(
            path, CONFIG, state, tokenizer(), chat_template=TEMPLATE, stored="f32", name="a", eos_ids=ends
        )
        with LlamaCpp(path, context_length=128, num_threads=1) as engine:
            found = certify(ending, engine, kind="f32", sha256="0", prompts=PROMPTS[:1])
        assert found.num_ends == 1
        assert found.passed == passed, found.reasons
    assert "1 of 1 answers go on where the live model ends" in found.reasons


def without_the_adapter(state: dict[str, Tensor]) -> dict[str, Tensor]:
    body = tuned(0, WILD)
    plain = {name.replace(".frozen", ""): value for name, value in body.state_dict().items()}
    return {name: plain[name] for name in state}


def with_swapped_gates(state: dict[str, Tensor]) -> dict[str, Tensor]:
    names = {"gate": "up", "up": "gate"}
    return {name: state[".".join(names.get(part, part) for part in name.split("."))] for name in state}


def with_a_block_twice(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: state[name.replace("blocks.1.", "blocks.0.")] for name in state}


def with_permuted_queries(state: dict[str, Tensor]) -> dict[str, Tensor]:
    from creuset.pretrained.gguf.writing import permuted

    return {name: permuted(each, 4) if ".query." in name else each for name, each in state.items()}


@pytest.mark.parametrize(
    "broken", [without_the_adapter, with_swapped_gates, with_a_block_twice, with_permuted_queries]
)
@pytest.mark.parametrize("kind", ["f16", "q8_0", "q4_0"])
def test_a_broken_export_is_refused(
    broken: Callable[[dict[str, Tensor]], dict[str, Tensor]], kind: Kind, tmp_path: Path
) -> None:
    assert kind != "safetensors"
    found = certified(tmp_path / "model.gguf", broken(merged(0, WILD)), kind, config=WILD)
    assert not found.passed
    with pytest.raises(GateError, match="does not answer as the live one"):
        found.require()


def test_other_rotations_and_other_tokens_are_refused(tmp_path: Path) -> None:
    other = replace(CONFIG, rope_theta=500.0)
    assert not certified(tmp_path / "a.gguf", merged(), "f16", config=other).passed
    template = ChatTemplate(TEMPLATE.source.replace("<|im_end|>", "\n"))
    found = certified(tmp_path / "b.gguf", merged(), "f16", template=template)
    assert not found.same_tokens
    assert found.largest_difference is None
    assert 'other tokens for "a fox"' in found.reasons


def reader_of(state: dict[str, Tensor], config: TransformerConfig = CONFIG) -> TokenEngine:
    model = NativeModel(
        config=config, weights=state, tokenizer=tokenizer(), eos_ids=(2,), chat_template=TEMPLATE
    )
    return Native(model, name="read", precision="float32", context_length=config.context_length)


def test_what_is_no_number_is_refused_wherever_it_stands() -> None:
    """Only the last prompt meets the letter whose vector is no number: the others are as they were."""
    config = replace(CONFIG, tied_head=False)
    state, source = merged(config=config), live(tuned(config=config))
    first, second, last = (set(source.ids_of(prompt)) for prompt in PROMPTS)
    state["token_embedding.weight"] = state["token_embedding.weight"].clone()
    state["token_embedding.weight"][min(last - first - second)] = float("nan")
    with reader_of(state, config) as engine:
        found = certify(source, engine, kind="safetensors", sha256="0", prompts=PROMPTS)
    assert not found.passed
    assert "log-probabilities differ by nan nats" in found.reasons[0]


def test_prompts_that_are_longer_than_the_context_are_cut() -> None:
    short = replace(CONFIG, context_length=8)
    with reader_of(merged(config=short), short) as engine:
        found = certify(
            live(tuned(config=short)), engine, kind="safetensors", sha256="0", prompts=("a fox " * 9, "a")
        )
    assert found.passed, found.reasons
    assert found.num_places >= 2
    assert found.same_tokens
