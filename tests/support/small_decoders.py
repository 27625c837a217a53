"""Small random decoders of transformers, one for each form that ours must compute alike."""

from collections.abc import Callable
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from creuset.models.transformer import Transformer
from creuset.pretrained.decoders import config_from, to_ours

SIZES: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 44,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
}


def _llama(**settings: Any) -> nn.Module:
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**{**SIZES, **settings}))


def _mistral(**settings: Any) -> nn.Module:
    return transformers.MistralForCausalLM(transformers.MistralConfig(**{**SIZES, **settings}))


def _qwen2(**settings: Any) -> nn.Module:
    return transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**{**SIZES, **settings}))


def _qwen3(**settings: Any) -> nn.Module:
    return transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**{**SIZES, "head_dim": 12, **settings}))


def _gemma3(**settings: Any) -> nn.Module:
    sizes = {**SIZES, "num_hidden_layers": 7, "head_dim": 10, "num_key_value_heads": 2, "pad_token_id": 0}
    sizes |= {"sliding_window": 4, "query_pre_attn_scalar": 24}
    return transformers.Gemma3ForCausalLM(transformers.Gemma3TextConfig(**{**sizes, **settings}))


def _gpt2(**settings: Any) -> nn.Module:
    sizes = {"vocab_size": 61, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
    tokens = {"bos_token_id": None, "eos_token_id": None}
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**{**sizes, **tokens, **settings}))


LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}

DECODERS: dict[str, Callable[[], nn.Module]] = {
    "gpt2": _gpt2,
    "gpt2, untied, relu, inner width, unscaled": lambda: _gpt2(
        tie_word_embeddings=False, activation_function="relu", n_inner=50, scale_attn_weights=False
    ),
    "llama, all key-value heads": lambda: _llama(num_key_value_heads=4),
    "llama, one key-value head, tied": lambda: _llama(num_key_value_heads=1, tie_word_embeddings=True),
    "llama, biases, wide heads, exact gelu": lambda: _llama(
        num_key_value_heads=2, head_dim=20, attention_bias=True, mlp_bias=True, hidden_act="gelu"
    ),
    "llama, linear scaling": lambda: _llama(rope_scaling={"rope_type": "linear", "factor": 3.0}),
    "llama, llama3 scaling": lambda: _llama(
        rope_scaling={**LLAMA3, "original_max_position_embeddings": 24}, rope_theta=500.0
    ),
    "llama, yarn scaling": lambda: _llama(rope_scaling=YARN),
    "llama, yarn scaling, all settings": lambda: _llama(
        rope_scaling={**YARN, "beta_fast": 8.0, "beta_slow": 2.0, "mscale": 0.7, "mscale_all_dim": 1.2}
    ),
    "llama, yarn scaling, whole attention factor": lambda: _llama(
        rope_scaling={**YARN, "attention_factor": 1.5, "truncate": False}
    ),
    "mistral, window": lambda: _mistral(num_key_value_heads=2, sliding_window=4),
    "mistral, no window": lambda: _mistral(num_key_value_heads=2, sliding_window=None, head_dim=6),
    "qwen2": lambda: _qwen2(num_key_value_heads=2, tie_word_embeddings=True),
    "qwen2, window in the last layers": lambda: _qwen2(
        num_key_value_heads=1, use_sliding_window=True, sliding_window=3, max_window_layers=1
    ),
    "qwen3": lambda: _qwen3(num_key_value_heads=2),
    "qwen3, biases, tied": lambda: _qwen3(
        num_key_value_heads=4, attention_bias=True, tie_word_embeddings=True
    ),
    "gemma3": _gemma3,
    "gemma3, untied, soft cap, scaled, pattern": lambda: _gemma3(
        tie_word_embeddings=False,
        final_logit_softcapping=2.0,
        sliding_window_pattern=2,
        rope_scaling={"rope_type": "linear", "factor": 8.0},
        query_pre_attn_scalar=10,
        attention_bias=True,
    ),
}


def random_decoder(name: str) -> nn.Module:
    """The model of transformers, in evaluation mode, with every weight random and none small."""
    torch.manual_seed(0)
    theirs = DECODERS[name]().eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            spread = 0.3 if parameter.ndim == 1 else 0.2
            parameter.add_(torch.randn_like(parameter) * spread)
    return theirs


def ours_of(theirs: nn.Module) -> Transformer:
    """Our model with the same weights, by way of config.json and tensors."""
    config = config_from(theirs.config.to_dict())  # type: ignore[union-attr]
    tensors = {name: tensor.clone() for name, tensor in theirs.state_dict().items()}
    return Transformer.from_weights(config, to_ours(tensors, config))


def token_ids(*shape: int, seed: int = 0) -> Tensor:
    """Random ids that all of these models know; 0 is left out, which some take for padding."""
    return torch.randint(1, 61, shape, generator=torch.Generator().manual_seed(seed))
