"""Adapters travel: PEFT's load here, ours load in PEFT, and what does not fit is named."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

pytest.importorskip("peft", reason="compares with peft, which is not installed")

import peft

from creuset.adapters.adapter import given, taken
from creuset.adapters.lora import LoraForm, attach
from creuset.adapters.switch import merge, switched
from creuset.adapters.whole import train_whole
from creuset.errors import BlockedError, CheckpointError, NotFoundError, UsageError
from creuset.models.transformer import Transformer
from creuset.pretrained.folder import load_folder
from creuset.pretrained.peft_folder import (
    ADAPTER_WEIGHTS,
    load_adapter,
    save_adapter,
    with_own_head,
)
from creuset.pretrained.peft_settings import ADAPTER_CONFIG
from small_decoders import random_decoder, token_ids
from small_encoders import ENCODER_DECODERS, random_model

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Model has .*tie_word_embeddings=True:UserWarning"),
]

LLAMA = "llama, biases, wide heads, exact gelu"
TIED = "llama, one key-value head, tied"
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "lora on llama": (LLAMA, {"r": 4, "lora_alpha": 9, "target_modules": ["q_proj", "v_proj"]}),
    "rslora on llama": (
        LLAMA,
        {"r": 4, "lora_alpha": 9, "use_rslora": True, "target_modules": "all-linear"},
    ),
    "dora on llama": (LLAMA, {"r": 3, "use_dora": True, "target_modules": ["o_proj", "down_proj"]}),
    "patterns on llama": (
        LLAMA,
        {
            "r": 4,
            "target_modules": r".*layers\.[01]\..*(q_proj|up_proj)",
            "rank_pattern": {r"layers\.1\.self_attn\.q_proj": 2},
            "alpha_pattern": {"up_proj": 3},
        },
    ),
    "a head trained whole": (
        LLAMA,
        {"r": 2, "target_modules": ["gate_proj"], "modules_to_save": ["lm_head", "embed_tokens"]},
    ),
    "layers by number": (LLAMA, {"r": 2, "target_modules": ["q_proj"], "layers_to_transform": [0, 2]}),
    "layers by number and pattern": (
        LLAMA,
        {"r": 2, "target_modules": ["q_proj"], "layers_to_transform": 1, "layers_pattern": "layers"},
    ),
    "names that end alike trained whole": (
        LLAMA,
        {"r": 2, "target_modules": ["q_proj"], "modules_to_save": ["norm"]},
    ),
    "a whole part of each block": (
        LLAMA,
        {"r": 2, "target_modules": ["q_proj", "up_proj"], "modules_to_save": ["mlp"]},
    ),
    "a whole block": (LLAMA, {"r": 2, "target_modules": ["q_proj"], "modules_to_save": ["layers.1"]}),
    "the pooler of bert": ("bert", {"r": 2, "target_modules": ["query"], "modules_to_save": ["pooler"]}),
    "lora on gpt2": ("gpt2", {"r": 4, "fan_in_fan_out": True, "target_modules": ["c_attn"]}),
    "dora on gpt2": (
        "gpt2",
        {"r": 4, "use_dora": True, "fan_in_fan_out": True, "target_modules": ["c_attn", "mlp.c_proj"]},
    ),
    "rslora on gpt2": (
        "gpt2",
        {"r": 4, "use_rslora": True, "fan_in_fan_out": True, "target_modules": "all-linear"},
    ),
    "lora on bert": ("bert", {"r": 4, "target_modules": ["query", "dense"]}),
    "dora on bert": ("bert masked", {"r": 4, "use_dora": True, "target_modules": ["key", "value"]}),
    "norms of bert trained whole": (
        "bert masked",
        {"r": 4, "target_modules": ["key"], "modules_to_save": ["output.LayerNorm"]},
    ),
    "lora on t5": ("t5", {"r": 4, "target_modules": ["q", "v", "wo"]}),
    "dora on t5": ("t5 gated, untied", {"r": 4, "use_dora": True, "target_modules": ["k", "wi_0"]}),
    "rslora on t5": ("t5", {"r": 4, "use_rslora": True, "target_modules": "all-linear"}),
}


def base(name: str, folder: Path) -> nn.Module:
    """A model of transformers with random weights, saved in a folder."""
    known = name in ENCODER_DECODERS or name.startswith("bert")
    model = random_model(name) if known else random_decoder(name)
    model.save_pretrained(folder)
    return model


def theirs_outputs(model: nn.Module, name: str) -> Tensor:
    inputs = {"input_ids": token_ids(2, 9)}
    if name in ENCODER_DECODERS:
        inputs["decoder_input_ids"] = token_ids(2, 5, seed=1)
    with torch.no_grad():
        found = model.eval()(**inputs)
    result: Tensor = found.logits if "logits" in found else found.last_hidden_state
    return result


def ours_outputs(model: Transformer, name: str) -> Tensor:
    with torch.no_grad():
        if name not in ENCODER_DECODERS:
            states = model.hidden(token_ids(2, 9))
            return states if model.head is None else model.logits(states)
        memory = model.encode(token_ids(2, 9))
        return model(token_ids(2, 5, seed=1), memory=memory)


def stirred(tensors: Mapping[str, Tensor]) -> None:
    """Changes every number, so that nothing is zero or as the base has it."""
    generator = torch.Generator().manual_seed(3)
    for tensor in tensors.values():
        with torch.no_grad():
            tensor += 0.2 * torch.randn(tensor.shape, generator=generator)


def trained_by_peft(model: nn.Module, settings: dict[str, Any], folder: Path) -> nn.Module:
    torch.manual_seed(0)
    adapted = peft.get_peft_model(model, peft.LoraConfig(**settings))
    stirred({name: each.data for name, each in adapted.named_parameters() if each.requires_grad})
    adapted.save_pretrained(folder)
    return adapted


@pytest.mark.parametrize("case", CASES)
def test_what_peft_trained_loads_here_and_goes_back(case: str, tmp_path: Path) -> None:
    name, settings = CASES[case]
    adapted = trained_by_peft(base(name, tmp_path / "base"), settings, tmp_path / "theirs")
    wanted = theirs_outputs(adapted, name)
    found = load_folder(tmp_path / "base")
    loaded = load_adapter(tmp_path / "theirs", found.config, found.model_type)
    model = found.model()
    plain = ours_outputs(model, name)
    given(model, loaded.adapter, "one")
    assert torch.allclose(ours_outputs(model, name), wanted, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(plain, wanted, atol=1e-2)
    save_adapter(tmp_path / "ours", taken(model, "one"), found.config, found.model_type)
    first, second = (load_file(tmp_path / each / ADAPTER_WEIGHTS) for each in ("theirs", "ours"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    with switched(model, ()):
        assert torch.equal(ours_outputs(model, name), plain)
    merge(model)
    assert torch.allclose(ours_outputs(model, name), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("variant", ["lora", "rslora", "dora"])
@pytest.mark.parametrize("name", [LLAMA, "gpt2", "bert masked", "t5"])
def test_what_is_trained_here_loads_in_peft(name: str, variant: str, tmp_path: Path) -> None:
    import transformers

    base(name, tmp_path / "base")
    found = load_folder(tmp_path / "base")
    model = found.model()
    form = LoraForm(rank=3, alpha=5, rank_stabilised=variant == "rslora", decomposed=variant == "dora")
    parts = ("query", "key", "value", "down") if variant == "dora" else ("query", "value", "down")
    forms = {
        path: replace(form, rank=2, alpha=7.0) if "blocks.1" in path else form
        for path, child in model.named_modules()
        if isinstance(child, nn.Linear) and path.rpartition(".")[2] in parts
    }
    torch.manual_seed(0)
    attach(model, forms, "one")
    if name == "gpt2":
        train_whole(model, ["decoder.norm", "decoder.blocks.0.attention_norm"], "one")
    adapter = taken(model, "one")
    stirred({**adapter.updates, **adapter.whole})
    save_adapter(tmp_path / "ours", adapter, found.config, found.model_type, base="somewhere")
    classes = json.loads((tmp_path / "base" / "config.json").read_text())["architectures"]
    theirs = getattr(transformers, classes[0]).from_pretrained(tmp_path / "base")
    adapted = peft.PeftModel.from_pretrained(theirs, tmp_path / "ours")
    wanted = ours_outputs(model, name)
    assert torch.allclose(theirs_outputs(adapted, name), wanted, atol=1e-5, rtol=1e-5)
    again = load_adapter(tmp_path / "ours", found.config, found.model_type)
    assert again.settings.base == "somewhere"
    second = found.model()
    given(second, again.adapter, "one")
    assert torch.allclose(ours_outputs(second, name), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("whole", [["lm_head"], ["embed_tokens"], ["embed_tokens", "lm_head"]])
def test_what_shares_its_weights_and_is_trained_whole(whole: list[str], tmp_path: Path) -> None:
    settings = {"r": 2, "target_modules": ["q_proj"], "modules_to_save": whole}
    adapted = trained_by_peft(base(TIED, tmp_path / "base"), settings, tmp_path / "theirs")
    wanted = theirs_outputs(adapted, TIED)
    found = load_folder(tmp_path / "base")
    loaded = load_adapter(tmp_path / "theirs", found.config, found.model_type)
    config, weights = with_own_head(loaded, found.config, found.state)
    assert not config.tied_head
    model = Transformer.from_weights(config, weights)
    given(model, loaded.adapter, "one")
    assert torch.allclose(ours_outputs(model, TIED), wanted, atol=1e-5, rtol=1e-5)
    save_adapter(tmp_path / "ours", taken(model, "one"), found.config, found.model_type, head_apart=True)
    first, second = (load_file(tmp_path / each / ADAPTER_WEIGHTS) for each in ("theirs", "ours"))
    assert first.keys() == second.keys()


@pytest.mark.parametrize("whole", [["lm_head"], ["embed_tokens"], ["embed_tokens", "lm_head"]])
def test_a_head_that_peft_ties_to_the_embedding_follows_it(whole: list[str], tmp_path: Path) -> None:
    settings = {"r": 2, "target_modules": ["q_proj"], "modules_to_save": whole, "ensure_weight_tying": True}
    adapted = trained_by_peft(base(TIED, tmp_path / "base"), settings, tmp_path / "theirs")
    found = load_folder(tmp_path / "base")
    loaded = load_adapter(tmp_path / "theirs", found.config, found.model_type)
    config, weights = with_own_head(loaded, found.config, found.state)
    assert config.tied_head
    model = Transformer.from_weights(config, weights)
    given(model, loaded.adapter, "one")
    assert torch.allclose(ours_outputs(model, TIED), theirs_outputs(adapted, TIED), atol=1e-5, rtol=1e-5)
    path = tmp_path / "theirs" / ADAPTER_WEIGHTS
    tensors = load_file(path)
    save_file({**tensors, "base_model.model.lm_head.weight": torch.zeros(61, 32)}, path)
    with pytest.raises(CheckpointError, match="differs from it"):
        load_adapter(tmp_path / "theirs", found.config, found.model_type)


def test_all_linear_layers_may_be_named_by_that_word(tmp_path: Path) -> None:
    settings = CASES["rslora on llama"][1]
    adapted = trained_by_peft(base(LLAMA, tmp_path / "base"), settings, tmp_path / "theirs")
    changed_settings(tmp_path / "theirs", target_modules="all-linear")
    found = load_folder(tmp_path / "base")
    model = found.model()
    given(model, load_adapter(tmp_path / "theirs", found.config, found.model_type).adapter, "one")
    assert torch.allclose(ours_outputs(model, LLAMA), theirs_outputs(adapted, LLAMA), atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`:UserWarning")
@pytest.mark.parametrize("whole", [None, ["embed_tokens", "lm_head"]])
def test_an_adapter_for_more_tokens_is_told_what_to_do(whole: list[str] | None, tmp_path: Path) -> None:
    import transformers

    base(TIED, tmp_path / "base")
    theirs = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "base")
    theirs.resize_token_embeddings(65)
    settings = {"r": 2, "target_modules": ["q_proj"], "modules_to_save": whole}
    trained_by_peft(theirs, settings, tmp_path / "theirs")
    found = load_folder(tmp_path / "base")
    with pytest.raises(CheckpointError, match=r"vocabulary was changed(.|\n)*resize_token_embeddings\(65\)"):
        load_adapter(tmp_path / "theirs", found.config, found.model_type)


def test_pieces_of_a_joined_layer_must_be_equal(tmp_path: Path) -> None:
    whole = {"r": 2, "fan_in_fan_out": True, "target_modules": ["c_fc"], "modules_to_save": ["c_attn"]}
    for settings, ending in (
        (CASES["dora on gpt2"][1], "c_attn.lora_magnitude_vector"),
        (whole, "c_attn.bias"),
    ):
        folder = tmp_path / ending
        trained_by_peft(base("gpt2", folder / "base"), settings, folder / "theirs")
        found, path = load_folder(folder / "base"), folder / "theirs" / ADAPTER_WEIGHTS
        tensors = load_file(path)
        for cut in (1, 4):
            save_file(
                {key: each[:cut] if key.endswith(ending) else each for key, each in tensors.items()}, path
            )
            with pytest.raises(CheckpointError, match="c_attn"):
                load_adapter(folder / "theirs", found.config, found.model_type)


def test_an_embedding_that_the_head_follows_is_written_as_both(tmp_path: Path) -> None:
    import transformers

    base(TIED, tmp_path / "base")
    found = load_folder(tmp_path / "base")
    model = found.model()
    torch.manual_seed(0)
    attach(model, {"decoder.blocks.0.attention.query": LoraForm(rank=2, alpha=4)}, "one")
    train_whole(model, ["token_embedding"], "one")
    adapter = taken(model, "one")
    stirred({**adapter.updates, **adapter.whole})
    save_adapter(tmp_path / "ours", adapter, found.config, found.model_type)
    theirs = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "base")
    adapted = peft.PeftModel.from_pretrained(theirs, tmp_path / "ours")
    wanted = ours_outputs(model, TIED)
    assert torch.allclose(theirs_outputs(adapted, TIED), wanted, atol=1e-5, rtol=1e-5)


def test_an_older_or_a_resized_adapter_is_named(tmp_path: Path) -> None:
    trained_by_peft(base(LLAMA, tmp_path / "base"), CASES["lora on llama"][1], tmp_path / "theirs")
    found = load_folder(tmp_path / "base")
    path = tmp_path / "theirs" / ADAPTER_WEIGHTS
    resized = {**load_file(path), "base_model.model.model.embed_tokens.weight": torch.zeros(63, 32)}
    save_file(resized, path)
    with pytest.raises(CheckpointError, match="vocabulary was changed"):
        load_adapter(tmp_path / "theirs", found.config, found.model_type)
    path.rename(tmp_path / "theirs" / "adapter_model.bin")
    with pytest.raises(BlockedError, match="pickle"):
        load_adapter(tmp_path / "theirs", found.config, found.model_type)


def changed_settings(folder: Path, **values: Any) -> None:
    path = folder / ADAPTER_CONFIG
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"peft_type": "LOHA"}, '"peft_type" is not supported'),
        ({"bias": "all"}, '"bias" is not supported'),
        ({"init_lora_weights": "pissa"}, '"init_lora_weights" is not supported'),
        ({"layers_to_transform": [0]}, "not of this model: .*layers.1.*lora_A"),
        ({"r": 0}, '"r" is not supported'),
        ({"use_moon_phases": True}, 'not known here: "use_moon_phases"'),
        ({"target_modules": ["qqq"]}, "no layer of this base"),
        ({"target_modules": "(q_proj"}, "regular expression"),
        ({"r": 5}, "another form than adapter_config.json says"),
        ({"target_modules": ["q_proj"]}, "not those of this model"),
        ({"target_modules": ["q_proj", "v_proj", "o_proj"]}, "missing: .*o_proj.lora_A"),
        ({"use_dora": True}, "missing: .*lora_magnitude_vector"),
        ({"rank_pattern": {"q_proj": 0}}, "a number above 0"),
        ({"rank_pattern": {"q_proj": 2.0}}, "a whole number"),
        ({"rank_pattern": {"(": 2}}, "regular expressions"),
        ({"alpha_pattern": {"q_proj": float("nan")}}, "a finite number"),
        ({"alpha_pattern": {"q_proj": 10**400}}, "a finite number"),
        ({"lora_dropout": 5}, "from 0, below 1"),
        ({"layers_to_transform": ["0"]}, "numbers of layers"),
        ({"layers_to_transform": [0], "target_modules": "all-linear"}, "where target_modules is one text"),
        ({"layers_to_transform": [0], "layers_pattern": "("}, "regular expressions"),
        ({"modules_to_save": ["norm"]}, "missing: model.layers.0.input_layernorm.weight"),
        ({"modules_to_save": ["lm_head"]}, "missing: lm_head.weight"),
        ({"trainable_token_indices": [1]}, "merge_and_unload"),
    ],
)
def test_settings_that_do_not_fit_are_named(values: dict[str, Any], match: str, tmp_path: Path) -> None:
    trained_by_peft(base(LLAMA, tmp_path / "base"), CASES["lora on llama"][1], tmp_path / "theirs")
    found = load_folder(tmp_path / "base")
    changed_settings(tmp_path / "theirs", **values)
    with pytest.raises((UsageError, CheckpointError), match=match):
        load_adapter(tmp_path / "theirs", found.config, found.model_type)


def test_tensors_that_do_not_fit_are_named(tmp_path: Path) -> None:
    trained_by_peft(base(LLAMA, tmp_path / "base"), CASES["lora on llama"][1], tmp_path / "theirs")
    found = load_folder(tmp_path / "base")
    path = tmp_path / "theirs" / ADAPTER_WEIGHTS
    tensors = load_file(path)
    key = next(iter(tensors))
    for changed, match in (
        ({"strange": tensors[key].clone()}, "no names of an adapter's tensors"),
        ({"base_model.model.model.norm.weight": tensors[key].clone()}, "settings do not ask for"),
        (
            {"base_model.model.model.embed_tokens.lora_embedding_A": tensors[key].clone()},
            "updates of embeddings",
        ),
        ({"base_model.model.lm_head.lora_A.weight": tensors[key].clone()}, "updates of the head"),
        ({key: tensors[key] * float("nan")}, "finite numbers"),
        ({key: tensors[key].long()}, "torch.int64"),
    ):
        save_file({**tensors, **changed}, path)
        with pytest.raises((UsageError, CheckpointError), match=match):
            load_adapter(tmp_path / "theirs", found.config, found.model_type)
    path.unlink()
    with pytest.raises(NotFoundError, match=ADAPTER_WEIGHTS):
        load_adapter(tmp_path / "theirs", found.config, found.model_type)
