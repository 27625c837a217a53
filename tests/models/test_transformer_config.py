"""Forms of a Transformer that contradict themselves are refused by the field's name."""

from typing import Any

import pytest

from creuset.errors import UsageError
from creuset.layers.positions import RotaryScaling
from creuset.models.transformer_config import TransformerConfig

PLAIN: dict[str, Any] = {
    "architecture": "decoder",
    "vocab_size": 10,
    "embed_dim": 8,
    "num_layers": 2,
    "num_heads": 4,
    "num_kv_heads": 2,
    "head_dim": 4,
    "feedforward_dim": 16,
    "context_length": 32,
    "norm": "rms",
    "norm_eps": 1e-5,
    "positions": "rotary",
    "rope_theta": 10_000.0,
    "activation": "silu",
}
LEARNED = {"positions": "learned", "rope_theta": None}


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("vocab_size", {"vocab_size": 0}),
        ("head_dim", {"head_dim": -1}),
        ("norm_eps", {"norm_eps": 0.0}),
        ("rope_theta", {"rope_theta": 0.0}),
        ("query_scale", {"query_scale": 0.0}),
        ("dropout", {"dropout": 1.0}),
        ("attention_dropout", {"attention_dropout": -0.1}),
        ("num_kv_heads", {"num_kv_heads": 3}),
        ("num_decoder_layers", {"num_decoder_layers": 2}),
        ("norm_bias", {"norm_bias": True}),
        ("norm_plus_one", {"norm": "layer", "norm_plus_one": True}),
        ("context_length", {**LEARNED, "context_length": None}),
        ("position_offset", {"position_offset": 2}),
        ("rope_theta", {"rope_theta": None}),
        ("rope_theta", {"positions": "learned"}),
        ("rope_scaling", {**LEARNED, "rope_scaling": RotaryScaling(kind="linear", factor=2.0)}),
        ("sliding_rope_theta", {"sliding_rope_theta": 10.0}),
        ("head_dim", {"head_dim": 5}),
        ("embed_dim", {"positions": "sinusoidal", "rope_theta": None, "embed_dim": 7}),
        ("num_buckets", {"positions": "relative", "rope_theta": None}),
        ("max_distance", {"positions": "relative", "rope_theta": None, "num_buckets": 8, "max_distance": 4}),
        ("num_buckets", {"num_buckets": 8}),
        ("sliding_window", {"sliding_window": 4}),
        ("sliding_window", {"sliding_layers": (0,)}),
        ("sliding_layers", {"sliding_layers": (2,), "sliding_window": 4}),
        ("sliding_layers", {"sliding_layers": (1, 0), "sliding_window": 4}),
        ("sliding_layers", {"sliding_layers": (0,), "sliding_window": 4, "architecture": "encoder"}),
        ("head", {"head": "none", "tied_head": True}),
        ("architecture", {"num_segments": 2}),
        ("architecture", {"pooler": True}),
    ],
)
def test_the_field_that_cannot_be_is_named(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"TransformerConfig\.{field}: a Transformer cannot have this form"):
        TransformerConfig(**{**PLAIN, **changes})


def test_layers_of_each_architecture() -> None:
    assert (TransformerConfig(**PLAIN).encoder_layers, TransformerConfig(**PLAIN).decoder_layers) == (0, 2)
    encoder = TransformerConfig(**{**PLAIN, "architecture": "encoder"})
    assert (encoder.encoder_layers, encoder.decoder_layers) == (2, 0)
    both = TransformerConfig(**{**PLAIN, "architecture": "encoder_decoder", "num_decoder_layers": 5})
    assert (both.encoder_layers, both.decoder_layers) == (2, 5)
