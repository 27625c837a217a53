"""Llama, SmolLM2 and Mistral in Hugging Face folders, and the names of tensors that Qwen and Gemma share.

Source: Touvron et al. 2023, "LLaMA"; Jiang et al. 2023, "Mistral 7B" (a sliding window in all layers).
"""

from collections.abc import Callable
from typing import Any

from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.hub_format import ACTIVATION_WORDS, ACTIVATIONS, HubFormat
from creuset.pretrained.rotary_settings import read_rotary, write_scaling
from creuset.pretrained.settings import Settings
from creuset.pretrained.tensor_links import Link, linked_layer


def read_sizes(settings: Settings, *, activation: str = "hidden_act") -> dict[str, Any]:
    """The fields that all families with these words share: sizes, norm, feed-forward, head."""
    embed_dim, num_heads = settings.whole("hidden_size"), settings.whole("num_attention_heads")
    return {
        "architecture": "decoder",
        "vocab_size": settings.whole("vocab_size"),
        "embed_dim": embed_dim,
        "num_layers": settings.whole("num_hidden_layers"),
        "num_heads": num_heads,
        "num_kv_heads": settings.whole("num_key_value_heads", num_heads),
        "head_dim": settings.whole("head_dim", embed_dim // max(num_heads, 1)),
        "feedforward_dim": settings.whole("intermediate_size"),
        "context_length": settings.whole("max_position_embeddings"),
        "norm": "rms",
        "norm_eps": settings.number("rms_norm_eps", 1e-6),
        "positions": "rotary",
        "activation": settings.choice(activation, ACTIVATIONS, "silu"),
        "gated": True,
        "attention_dropout": settings.number("attention_dropout", 0.0),
        "init_std": settings.number("initializer_range", 0.02),
    }


def read_decoder(settings: Settings) -> dict[str, Any]:
    """`read_sizes` with one rotation for all layers, and whether the head is tied."""
    sizes = read_sizes(settings)
    theta, scaling = read_rotary(settings, sizes["context_length"])
    tied = settings.flag("tie_word_embeddings", False)
    return {**sizes, "rope_theta": theta, "rope_scaling": scaling, "tied_head": tied}


def read_attention_bias(settings: Settings) -> dict[str, Any]:
    """One setting for the biases of queries, keys and values, and of the output."""
    bias = settings.flag("attention_bias", False)
    return {"qkv_bias": bias, "output_bias": bias}


def write_sizes(config: TransformerConfig) -> dict[str, Any]:
    """The settings that all families with these words share."""
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.embed_dim,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.feedforward_dim,
        "max_position_embeddings": config.context_length,
        "rms_norm_eps": config.norm_eps,
        "hidden_act": ACTIVATION_WORDS[config.activation],
        "attention_dropout": config.attention_dropout,
        "initializer_range": config.init_std,
        "rope_theta": config.rope_theta,
        "rope_scaling": write_scaling(config.rope_scaling),
        "tie_word_embeddings": config.tied_head,
    }


def decoder_format(
    model_type: str,
    read: Callable[[Settings], TransformerConfig],
    write: Callable[[TransformerConfig], dict[str, Any]],
) -> HubFormat:
    """A family whose tensors have these names."""
    return HubFormat(
        model_type=model_type,
        read=read,
        write=write,
        links=decoder_links,
        prefix="model.",
        copies={"lm_head.weight": "model.embed_tokens.weight"},
        without_weights=("rotary_emb.inv_freq",),  # which older files hold beside the weights
    )


def decoder_links(config: TransformerConfig) -> list[Link]:
    """Our tensors and theirs, for any form of a decoder with these names."""
    links = [
        *linked_layer("token_embedding", "model.embed_tokens", bias=False),
        *linked_layer("decoder.norm", "model.norm", bias=False),
    ]
    if not config.tied_head:
        links += linked_layer("head", "lm_head", bias=False)
    for layer in range(config.num_layers):
        links += _block_links(config, f"decoder.blocks.{layer}", f"model.layers.{layer}")
    return links


def _block_links(config: TransformerConfig, ours: str, theirs: str) -> list[Link]:
    norms = {"attention_norm": "input_layernorm", "feedforward_norm": "post_attention_layernorm"}
    if config.norm_placement == "sandwich":
        norms = {
            "attention_norm": "input_layernorm",
            "attention_post_norm": "post_attention_layernorm",
            "feedforward_norm": "pre_feedforward_layernorm",
            "feedforward_post_norm": "post_feedforward_layernorm",
        }
    if config.qk_norm:
        norms |= {"attention.query_norm": "self_attn.q_norm", "attention.key_norm": "self_attn.k_norm"}
    links = [Link(ours=f"{ours}.{one}.weight", theirs=f"{theirs}.{two}.weight") for one, two in norms.items()]
    for one, two in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj")):
        links += linked_layer(f"{ours}.attention.{one}", f"{theirs}.self_attn.{two}", bias=config.qkv_bias)
    links += linked_layer(f"{ours}.attention.output", f"{theirs}.self_attn.o_proj", bias=config.output_bias)
    for one, two in (("gate", "gate_proj"), ("up", "up_proj"), ("down", "down_proj")):
        bias = config.feedforward_bias
        links += linked_layer(f"{ours}.feedforward.{one}", f"{theirs}.mlp.{two}", bias=bias)
    return links


def _read_llama(settings: Settings) -> TransformerConfig:
    return TransformerConfig(
        **read_decoder(settings),
        **read_attention_bias(settings),
        feedforward_bias=settings.flag("mlp_bias", False),
    )


def _write_llama(config: TransformerConfig) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        **write_sizes(config),
        "attention_bias": config.output_bias,
        "mlp_bias": config.feedforward_bias,
    }


def _read_mistral(settings: Settings) -> TransformerConfig:
    sizes = read_decoder(settings)
    window = settings.whole("sliding_window") if settings.has("sliding_window") else None
    settings.unused("sliding_window")
    return TransformerConfig(
        **sizes,
        sliding_window=window,
        sliding_layers=() if window is None else tuple(range(sizes["num_layers"])),
    )


def _write_mistral(config: TransformerConfig) -> dict[str, Any]:
    return {
        "architectures": ["MistralForCausalLM"],
        **write_sizes(config),
        "sliding_window": config.sliding_window,
    }


LLAMA = decoder_format("llama", _read_llama, _write_llama)
MISTRAL = decoder_format("mistral", _read_mistral, _write_mistral)
