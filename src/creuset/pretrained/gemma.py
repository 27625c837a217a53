"""Gemma 3, the text model, in Hugging Face folders.

Source: Gemma Team 2025, "Gemma 3 Technical Report": norms before and behind each part with gains 1 + weight,
normalised queries and keys, embeddings times the root of their width, five layers with a sliding window and a
rotation of their own to each one without.
"""

from typing import Any

from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.hub_format import ACTIVATION_WORDS
from creuset.pretrained.llama import decoder_format, read_attention_bias, read_sizes, write_sizes
from creuset.pretrained.qwen import FULL, SLIDING, layer_types, sliding_layers_of
from creuset.pretrained.rotary_settings import read_rotary, read_section
from creuset.pretrained.settings import Settings

_THETA, _SLIDING_THETA = 1_000_000.0, 10_000.0
"""Bases where settings give none."""
_HEAD_DIM, _WINDOW, _PERIOD = 256, 4096, 6
_SMALLEST_SCALAR = 1e-6
"""Of query_pre_attn_scalar, whose root divides scores; released models have the length of a head."""


def _read_rotations(settings: Settings, context_length: int, sliding: bool) -> dict[str, Any]:
    """The rotation of layers with and without a window, in the older words or the newer."""
    own_theta = settings.number("rope_local_base_freq", _SLIDING_THETA)
    both = settings.section("rope_parameters")
    if both is None:
        theta, scaling = read_rotary(settings, context_length, default_theta=_THETA)
    else:
        settings.only("rope_scaling", None)
        full, own = both.section(FULL), both.section(SLIDING)
        both.finish()
        theta, scaling = settings.number("rope_theta", _THETA), None
        if full is not None:
            theta, scaling = read_section(full, context_length, theta)
        if own is not None:
            own.only("rope_type", None, "default")
            own_theta, _ = read_section(own, context_length, own_theta)
    return {
        "rope_theta": theta,
        "rope_scaling": scaling,
        "sliding_rope_theta": own_theta if sliding else None,
    }


def _read_gemma3(settings: Settings) -> TransformerConfig:
    sizes = read_sizes(settings, activation="hidden_activation")
    sizes["head_dim"] = settings.whole("head_dim", _HEAD_DIM)
    if not settings.has("hidden_activation"):
        sizes["activation"] = "gelu_tanh"
    num_layers = sizes["num_layers"]
    period = settings.whole("sliding_window_pattern", settings.whole("_sliding_window_pattern", _PERIOD))
    if period < 1:
        raise settings.refusal("sliding_window_pattern", "a whole number from 1")
    kinds = settings.words("layer_types") or [
        SLIDING if (layer + 1) % period else FULL for layer in range(num_layers)
    ]
    layers = sliding_layers_of(settings, kinds, num_layers)
    window = settings.whole("sliding_window", _WINDOW)
    scalar = settings.number("query_pre_attn_scalar", _HEAD_DIM)
    if scalar < _SMALLEST_SCALAR:
        raise settings.refusal("query_pre_attn_scalar", f"a number from {_SMALLEST_SCALAR:g}")
    settings.only("attn_logit_softcapping", None)
    settings.only("use_bidirectional_attention", None, False)
    softcap = settings.number("final_logit_softcapping", 0.0)
    return TransformerConfig(
        **sizes,
        **_read_rotations(settings, sizes["context_length"], bool(layers)),
        **read_attention_bias(settings),
        sliding_window=window if layers else None,
        sliding_layers=layers,
        norm_plus_one=True,
        norm_placement="sandwich",
        embedding_scale=sizes["embed_dim"] ** 0.5,
        query_scale=None if scalar == sizes["head_dim"] else scalar**-0.5,
        qk_norm=True,
        logit_softcap=softcap or None,
        tied_head=settings.flag("tie_word_embeddings", True),
    )


def _write_gemma3(config: TransformerConfig) -> dict[str, Any]:
    values = write_sizes(config)
    values["hidden_activation"] = values.pop("hidden_act")
    scale = config.query_scale
    return {
        "architectures": ["Gemma3ForCausalLM"],
        **values,
        "hidden_activation": ACTIVATION_WORDS[config.activation],
        "rope_local_base_freq": config.sliding_rope_theta,
        "sliding_window": config.sliding_window,
        "layer_types": layer_types(config),
        "query_pre_attn_scalar": config.head_dim if scale is None else round(scale**-2),
        "attention_bias": config.output_bias,
        "final_logit_softcapping": config.logit_softcap,
    }


GEMMA3 = decoder_format("gemma3_text", _read_gemma3, _write_gemma3)
