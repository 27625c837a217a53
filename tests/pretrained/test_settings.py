"""Numbers of a config.json that cannot be are refused where they are read."""

from typing import Any

import pytest

from creuset.errors import UsageError
from creuset.layers.positions import RotaryScaling
from creuset.pretrained.folder import FORMATS
from creuset.pretrained.hub_format import read_config

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 32,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
}
QWEN = {**LLAMA, "model_type": "qwen2", "use_sliding_window": True, "sliding_window": 4}
GEMMA = {**LLAMA, "model_type": "gemma3_text", "head_dim": 8}
ROBERTA = {**LLAMA, "model_type": "roberta"}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
T5 = {
    "model_type": "t5",
    "vocab_size": 32,
    "d_kv": 8,
    "d_ff": 32,
    "num_layers": 1,
    "num_heads": 2,
    "is_encoder_decoder": True,
}


@pytest.mark.parametrize("number", [10**400, -(10**400), float("inf"), float("nan")])
def test_numbers_beyond_all_models_are_refused(number: float) -> None:
    with pytest.raises(UsageError, match='"rms_norm_eps" is not supported with this value'):
        read_config({**LLAMA, "rms_norm_eps": number}, FORMATS)


def test_layers_before_the_first_are_refused() -> None:
    with pytest.raises(UsageError, match='"max_window_layers" is not supported'):
        read_config({**QWEN, "max_window_layers": -(2**40)}, FORMATS)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({**GEMMA, "sliding_window_pattern": 0}, "sliding_window_pattern"),
        ({**GEMMA, "query_pre_attn_scalar": 0}, "query_pre_attn_scalar"),
        ({**GEMMA, "query_pre_attn_scalar": -1}, "query_pre_attn_scalar"),
        ({**GEMMA, "query_pre_attn_scalar": 1e-300}, "query_pre_attn_scalar"),
        ({**T5, "d_model": 0}, "d_model"),
        ({**ROBERTA, "pad_token_id": -5}, "position_offset"),
        ({**LLAMA, "rope_theta": 1.0, "rope_scaling": YARN}, "rope_theta"),
        ({**LLAMA, "rope_scaling": {**YARN, "original_max_position_embeddings": 0}}, "RotaryScaling"),
        ({**LLAMA, "rope_scaling": {**YARN, "attention_factor": 0}}, "RotaryScaling"),
        ({**LLAMA, "rope_scaling": {**YARN, "attention_factor": -1.0}}, "RotaryScaling"),
    ],
)
def test_numbers_that_no_model_can_have_are_refused(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(UsageError, match=name):
        read_config(settings, FORMATS)


def test_a_rotation_is_not_stretched_without_an_end() -> None:
    with pytest.raises(UsageError, match="rotations cannot be stretched so"):
        RotaryScaling(kind="yarn", factor=2.0, original_context_length=8, attention_factor=float("inf"))
