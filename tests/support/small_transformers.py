"""Forms of small Transformers, for tests that change what they are about, and of the texts that they read."""

from creuset.data.spec import DataSpec
from creuset.models.transformer_config import TransformerConfig

PLAIN = TransformerConfig(
    architecture="decoder",
    vocab_size=31,
    embed_dim=12,
    num_layers=2,
    num_heads=3,
    num_kv_heads=3,
    head_dim=4,
    feedforward_dim=20,
    context_length=10,
    norm="layer",
    norm_eps=1e-5,
    norm_bias=True,
    positions="learned",
    activation="gelu",
    init_std=0.3,
)
"""LayerNorm, learned positions, GELU."""
MODERN = TransformerConfig(
    architecture="decoder",
    vocab_size=37,
    embed_dim=16,
    num_layers=3,
    num_heads=4,
    num_kv_heads=2,
    head_dim=6,
    feedforward_dim=20,
    context_length=32,
    norm="rms",
    norm_eps=1e-5,
    positions="rotary",
    rope_theta=100.0,
    activation="silu",
    gated=True,
    tied_head=True,
    init_std=0.3,
)
"""RMSNorm, rotations, SwiGLU, fewer key-value heads, a tied head."""
OF_BYTES = TransformerConfig(
    architecture="decoder",
    vocab_size=330,
    embed_dim=64,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    head_dim=16,
    feedforward_dim=96,
    context_length=128,
    norm="rms",
    norm_eps=1e-5,
    positions="rotary",
    rope_theta=10_000.0,
    activation="silu",
    gated=True,
    tied_head=True,
    init_std=0.06,
)
"""Of Llama's form, for the tokens of small_tokenizers.byte_level; rows are whole blocks of 32."""


def corpus_spec(
    vocab_size: int, context: int, *, tokenizer: str = "made up", bytes_per_token: float = 1.0
) -> DataSpec:
    """The form of a corpus of so many tokens."""
    return DataSpec(
        kind="corpus",
        shape=(),
        num_levels=0,
        context=context,
        tokenizer=tokenizer,
        tokenizer_size=vocab_size,
        bytes_per_token=bytes_per_token,
    )
