"""Qwen2 and Qwen3 in Hugging Face folders.

Source: Yang et al. 2024, "Qwen2 Technical Report" (biases on queries, keys and values); Yang et al. 2025,
"Qwen3 Technical Report" (normalised queries and keys in their stead).
"""

from collections.abc import Sequence
from typing import Any

from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.llama import decoder_format, read_attention_bias, read_decoder, write_sizes
from creuset.pretrained.settings import Settings

FULL, SLIDING = "full_attention", "sliding_attention"


def sliding_layers_of(settings: Settings, kinds: Sequence[str], num_layers: int) -> tuple[int, ...]:
    """The layers with a sliding window, of `layer_types`.

    Raises:
        UsageError: There is not one kind a layer, or a kind that is not known.
    """
    if len(kinds) != num_layers or not set(kinds) <= {FULL, SLIDING}:
        raise settings.refusal("layer_types", f"{FULL} or {SLIDING} for each of {num_layers} layers")
    return tuple(layer for layer, kind in enumerate(kinds) if kind == SLIDING)


def layer_types(config: TransformerConfig) -> list[str]:
    """The setting `layer_types` of a form."""
    return [SLIDING if layer in config.sliding_layers else FULL for layer in range(config.num_layers)]


def _read_windows(settings: Settings, num_layers: int) -> dict[str, Any]:
    used = settings.flag("use_sliding_window", False) and settings.has("sliding_window")
    window = settings.whole("sliding_window") if used else None
    settings.unused("sliding_window")
    first = settings.whole("max_window_layers", 28)
    if first < 0:
        raise settings.refusal("max_window_layers", "a whole number from 0")
    kinds = settings.words("layer_types")
    if kinds is None:
        layers = tuple(range(first, num_layers)) if used else ()
    else:
        layers = sliding_layers_of(settings, kinds, num_layers)
    if layers and window is None:
        raise settings.refusal("layer_types", f"{FULL} alone, without a sliding window")
    return {"sliding_window": window if layers else None, "sliding_layers": layers}


def _write_windows(config: TransformerConfig) -> dict[str, Any]:
    return {
        "use_sliding_window": config.sliding_window is not None,
        "sliding_window": config.sliding_window,
        "max_window_layers": min(config.sliding_layers, default=config.num_layers),
        "layer_types": layer_types(config),
    }


def _read_qwen2(settings: Settings) -> TransformerConfig:
    sizes = read_decoder(settings)
    return TransformerConfig(**sizes, **_read_windows(settings, sizes["num_layers"]), qkv_bias=True)


def _write_qwen2(config: TransformerConfig) -> dict[str, Any]:
    return {"architectures": ["Qwen2ForCausalLM"], **write_sizes(config), **_write_windows(config)}


def _read_qwen3(settings: Settings) -> TransformerConfig:
    if not settings.has("head_dim"):
        raise settings.refusal("head_dim", "a whole number, which this family always gives")
    sizes = read_decoder(settings)
    return TransformerConfig(
        **sizes,
        **_read_windows(settings, sizes["num_layers"]),
        **read_attention_bias(settings),
        qk_norm=True,
    )


def _write_qwen3(config: TransformerConfig) -> dict[str, Any]:
    return {
        "architectures": ["Qwen3ForCausalLM"],
        **write_sizes(config),
        **_write_windows(config),
        "attention_bias": config.output_bias,
    }


QWEN2 = decoder_format("qwen2", _read_qwen2, _write_qwen2)
QWEN3 = decoder_format("qwen3", _read_qwen3, _write_qwen3)
