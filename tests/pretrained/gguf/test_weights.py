"""Models of GGUF files against transformers' models that the files were made from, and their wrong forms."""

import re
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from creuset.assets import resolve
from creuset.errors import DataError
from creuset.layers.positions import RotaryScaling
from creuset.models.transformer import Transformer
from creuset.pretrained.gguf.config import passed_over, read_config
from creuset.pretrained.gguf.file import GgufFile
from creuset.pretrained.gguf.metadata import Metadata
from creuset.pretrained.gguf.tokenizer import read_tokenizer
from creuset.pretrained.gguf.weights import read_model_weights

transformers = pytest.importorskip(
    "transformers", reason="compares with transformers, which is not installed"
)

SIZES: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 8200,
}
LLAMA_3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "post_attention_layernorm": "ffn_norm",
}
GEMMA_NAMES = {
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("llama", "Llama", {"tie_word_embeddings": False}),
    "llama, tied, one key head": ("llama", "Llama", {"tie_word_embeddings": True, "num_key_value_heads": 1}),
    "llama with biases": ("llama", "Llama", {"attention_bias": True}),
    "llama 3.1": ("llama", "Llama", {"rope_parameters": LLAMA_3}),
    "qwen2": ("qwen2", "Qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("qwen3", "Qwen3", {"head_dim": 12, "tie_word_embeddings": False}),
    "gemma3": (
        "gemma3",
        "Gemma3",
        {"head_dim": 12, "query_pre_attn_scalar": 12, "sliding_window": 5, "num_hidden_layers": 7},
    ),
}


def theirs(name: str) -> tuple[str, Any]:
    """llama.cpp's name of the architecture, and a random model of transformers."""
    architecture, prefix, more = MODELS[name]
    suffix = "TextConfig" if prefix == "Gemma3" else "Config"
    config = getattr(transformers, prefix + suffix)(**(SIZES | more))
    config._attn_implementation = "eager"
    torch.manual_seed(0)
    model = getattr(transformers, f"{prefix}ForCausalLM")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.25)
    return architecture, model


def permuted(weight: torch.Tensor, num_heads: int) -> torch.Tensor:
    """As llama.cpp's conversion writes rows of queries and keys."""
    half = weight.shape[0] // num_heads // 2
    return weight.reshape(num_heads, 2, half, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def tensors_of(architecture: str, model: Any) -> dict[str, np.ndarray]:
    """The model's tensors as llama.cpp's conversion names and changes them."""
    config, names = model.config, NAMES | (GEMMA_NAMES if architecture == "gemma3" else {})
    found = {}
    for name, parameter in model.state_dict().items():
        parts = name.removeprefix("model.").split(".")
        kind = parts[-1]
        tensor = parameter.float()
        if parts[0] == "layers":
            part = names[".".join(parts[2:-1])]
            if architecture == "llama" and part in ("attn_q", "attn_k"):
                heads = config.num_attention_heads if part == "attn_q" else config.num_key_value_heads
                tensor = permuted(tensor, heads)
            target = f"blk.{parts[1]}.{part}.{kind}"
        else:
            target = {"embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output"}[
                parts[0]
            ] + ".weight"
        if architecture == "gemma3" and "norm" in target:
            tensor = tensor + 1
        if target != "output.weight" or not config.tie_word_embeddings:
            found[target] = tensor.numpy()
    return found


def settings_of(architecture: str, model: Any) -> dict[str, Any]:
    config = model.config
    found: dict[str, Any] = {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "rope.freq_base": 1_000_000.0 if architecture == "gemma3" else 10_000.0,
    }
    if architecture in ("qwen3", "gemma3"):
        found |= {"attention.key_length": config.head_dim, "attention.value_length": config.head_dim}
    if architecture == "gemma3":
        found["attention.sliding_window"] = config.sliding_window
    return found


def written(
    folder: Path, architecture: str, settings: dict[str, Any], tensors: dict[str, np.ndarray]
) -> GgufFile:
    path = folder / "model.gguf"
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in settings.items():
        add = {
            int: writer.add_uint32,
            float: writer.add_float32,
            str: writer.add_string,
            list: writer.add_array,
        }
        add[type(value)](f"{architecture}.{key}", value)
    for name, tensor in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return GgufFile(path)


@pytest.mark.parametrize("name", list(MODELS))
def test_logits_equal_those_of_the_model_that_the_file_was_made_from(tmp_path: Path, name: str) -> None:
    architecture, model = theirs(name)
    settings, tensors = settings_of(architecture, model), tensors_of(architecture, model)
    if name == "llama 3.1":
        plain = 500_000.0 ** -(np.arange(0, 8, 2) / 8)
        tensors["rope_freqs.weight"] = (plain / model.model.rotary_emb.inv_freq.numpy()).astype(np.float32)
        settings["rope.freq_base"] = 500_000.0
    file = written(tmp_path, architecture, settings, tensors)
    ours = Transformer.from_weights(read_config(file), read_model_weights(file))
    token_ids = torch.randint(0, 40, (2, 17), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = model(token_ids).logits
        found = ours(token_ids)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def test_forms_that_only_the_metadata_say(tmp_path: Path) -> None:
    architecture, model = theirs("llama")
    settings, tensors = settings_of(architecture, model), tensors_of(architecture, model)
    stretched = settings | {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}
    file = written(tmp_path, architecture, stretched, tensors)
    assert read_config(file).rope_scaling == RotaryScaling(kind="linear", factor=4.0)
    assert read_config(file).norm_eps == 1e-6
    gemma = theirs("gemma3")[1]
    pattern = settings_of("gemma3", gemma) | {"attention.sliding_window_pattern": [True, False] * 3 + [True]}
    file = written(tmp_path, "gemma3", pattern, tensors_of("gemma3", gemma))
    assert read_config(file).sliding_layers == (0, 2, 4, 6)


def test_weights_come_in_the_number_format_that_is_asked_for(tmp_path: Path) -> None:
    architecture, model = theirs("qwen2")
    file = written(tmp_path, architecture, settings_of(architecture, model), tensors_of(architecture, model))
    weights = read_model_weights(file, dtype=torch.bfloat16)
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("attention.scale", 0.5),
        ("attention.max_alibi_bias", 8.0),
        ("attn_logit_softcapping", 50.0),
        ("expert_shared_count", 1),
        ("logit_scale", 0.25),
        ("residual_scale", 0.5),
        ("rope.scaling.factor", 2.0),
        ("rope.scaling.attn_factor", 1.2),
        ("some_new_setting", 1),
    ],
)
def test_a_setting_that_is_not_known_is_refused_by_name(tmp_path: Path, key: str, value: float) -> None:
    architecture, model = theirs("llama")
    settings, tensors = settings_of(architecture, model), tensors_of(architecture, model)
    file = written(tmp_path, architecture, settings | {key: value}, tensors)
    with pytest.raises(
        DataError, match=rf"llama\.{re.escape(key)}: a setting that is not known\n  got: {value}"
    ):
        read_config(file)


def test_settings_without_effect_are_passed_over_and_listed(tmp_path: Path) -> None:
    architecture, model = theirs("llama")
    settings, tensors = settings_of(architecture, model), tensors_of(architecture, model)
    plain = read_config(written(tmp_path, architecture, settings, tensors))
    more = {"vocab_size": 40, "rope.scaling.type": "none", "rope.scaling.factor": 2.0, "expert_used_count": 0}
    file = written(tmp_path, architecture, settings | more, tensors)
    assert read_config(file) == plain
    values = dict(file.metadata) | {"general.name": "x", "quantize.imatrix.file": "y"}
    monkeyed = Metadata(values | {"general.sampling.temp": 0.5, "tokenizer.ggml.model": "gpt2"}, file.path)
    file.metadata = monkeyed
    assert passed_over(file) == ("general.name", "quantize.imatrix.file")


WITHOUT = object()
"""A value that is taken out."""


@pytest.mark.parametrize(
    ("settings", "tensors", "text"),
    [
        ({"block_count": 2}, {}, "not of this model: blk.2"),
        ({"block_count": 4}, {}, "missing: blk.3"),
        ({"block_count": 2**31}, {}, "llama.block_count: a number that cannot be\n  got: 2147483648"),
        ({"attention.head_count": 5}, {}, "blk.0.attn_q.weight: the queries contradict the metadata"),
        (
            {"attention.head_count_kv": 8},
            {},
            "head_count_kv: a number that cannot be\n  got: 8\n  expected: from 1 to 4",
        ),
        ({"attention.head_count_kv": 1}, {}, "tensor blk.0.attn_k.weight has a shape that contradicts"),
        ({"embedding_length": 33}, {}, "token_embd.weight: no table of token embeddings"),
        ({"feed_forward_length": 2**31}, {}, "tensor blk.0.ffn_gate.weight has a shape"),
        ({"rope.dimension_count": 4}, {}, "rope.dimension_count: a form of heads that is not read\n  got: 4"),
        ({"rope.scaling.type": "yarn"}, {}, "stretched in a way that is not read\n  got: yarn"),
        ({"rope.freq_base": 0.0}, {}, "llama.rope.freq_base: a number that cannot be"),
        (
            {"attention.layer_norm_rms_epsilon": float("nan")},
            {},
            "layer_norm_rms_epsilon.*\n.*\n  expected: a finite",
        ),
        ({"expert_count": 8}, {}, "llama.expert_count: a mixture of experts is not read"),
        ({"attention.sliding_window": 8}, {}, "attention.sliding_window: no window is known"),
        ({"context_length": WITHOUT}, {}, 'the metadata lacks "llama.context_length"'),
        (
            {},
            {"rope_freqs.weight": np.ones(3, np.float32)},
            "rope_freqs.weight: rotations stretched in a way",
        ),
        ({}, {"rope_freqs.weight": np.full(4, np.nan, np.float32)}, "rope_freqs.weight: rotations stretched"),
        ({}, {"blk.0.attn_v.weight": WITHOUT}, "got: missing: blk.0.attn_v.weight"),
        ({}, {"blk.0.ffn_gate_inp.weight": np.ones(3, np.float32)}, "not of this model: blk.0.ffn_gate_inp"),
    ],
)
def test_what_contradicts_itself_is_refused(
    tmp_path: Path, settings: dict[str, Any], tensors: dict[str, Any], text: str
) -> None:
    architecture, model = theirs("llama")
    keys = settings_of(architecture, model) | settings
    all_tensors = tensors_of(architecture, model) | tensors
    file = written(
        tmp_path,
        architecture,
        {key: value for key, value in keys.items() if value is not WITHOUT},
        {name: tensor for name, tensor in all_tensors.items() if tensor is not WITHOUT},
    )
    with pytest.raises(DataError, match=text):
        read_model_weights(file)


def test_another_architecture_is_refused_by_name(tmp_path: Path) -> None:
    file = written(tmp_path, "falcon", {}, {"t": np.ones(3, np.float32)})
    with pytest.raises(DataError, match="not read\n  got: falcon\n  expected: llama, qwen2, qwen3, gemma3"):
        read_config(file)


def test_the_real_smollm2_continues_a_text(starter: Path) -> None:
    path = resolve("smollm2-135m").file
    assert path is not None
    file = GgufFile(path)
    tokenizer = read_tokenizer(file.metadata)
    model = Transformer.from_weights(read_config(file), read_model_weights(file))
    ids = torch.tensor([tokenizer.encode("The capital of France is")])
    with torch.inference_mode():
        for _ in range(2):
            ids = torch.cat([ids, model(ids)[:, -1:].argmax(-1)], dim=1)
    assert tokenizer.decode(ids[0].tolist()) == "The capital of France is Paris."
