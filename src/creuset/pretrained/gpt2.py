"""GPT-2 in Hugging Face folders, whose linear layers are stored as (in, out), and q, k and v in one.

Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners".
"""

from typing import Any

from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.hub_format import ACTIVATIONS, HubFormat
from creuset.pretrained.settings import Settings
from creuset.pretrained.tensor_links import Link, linked_layer


def _read(settings: Settings) -> TransformerConfig:
    embed_dim, num_heads = settings.whole("n_embd"), settings.whole("n_head")
    dropout = settings.number("resid_pdrop", 0.1)
    settings.only("embd_pdrop", dropout)
    settings.only("scale_attn_by_inverse_layer_idx", False)
    settings.only("add_cross_attention", False)
    # computed in float32 instead of the weights' format: the same in float32
    settings.only("reorder_and_upcast_attn", False)
    settings.unused("n_ctx", "summary_type", "summary_use_proj", "summary_activation")
    settings.unused("summary_proj_to_labels", "summary_first_dropout")
    scaled = settings.flag("scale_attn_weights", True)
    return TransformerConfig(
        architecture="decoder",
        vocab_size=settings.whole("vocab_size"),
        embed_dim=embed_dim,
        num_layers=settings.whole("n_layer"),
        num_heads=num_heads,
        num_kv_heads=num_heads,
        head_dim=embed_dim // max(num_heads, 1),
        feedforward_dim=settings.whole("n_inner", 4 * embed_dim),
        context_length=settings.whole("n_positions"),
        norm="layer",
        norm_eps=settings.number("layer_norm_epsilon", 1e-5),
        norm_bias=True,
        positions="learned",
        query_scale=None if scaled else 1.0,
        qkv_bias=True,
        output_bias=True,
        activation=settings.choice("activation_function", ACTIVATIONS, "gelu_new"),
        feedforward_bias=True,
        tied_head=settings.flag("tie_word_embeddings", True),
        dropout=dropout,
        attention_dropout=settings.number("attn_pdrop", 0.1),
        init_std=settings.number("initializer_range", 0.02),
    )


def _write(config: TransformerConfig) -> dict[str, Any]:
    words = {"gelu_tanh": "gelu_new", "gelu": "gelu", "relu": "relu", "silu": "silu"}
    return {
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": config.vocab_size,
        "n_embd": config.embed_dim,
        "n_layer": config.num_layers,
        "n_head": config.num_heads,
        "n_inner": config.feedforward_dim,
        "n_positions": config.context_length,
        "layer_norm_epsilon": config.norm_eps,
        "scale_attn_weights": config.query_scale is None,
        "activation_function": words[config.activation],
        "tie_word_embeddings": config.tied_head,
        "resid_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "attn_pdrop": config.attention_dropout,
        "initializer_range": config.init_std,
    }


def _links(config: TransformerConfig) -> list[Link]:
    links = [
        *linked_layer("token_embedding", "transformer.wte", bias=False),
        *linked_layer("decoder.position_embedding", "transformer.wpe", bias=False),
        *linked_layer("decoder.norm", "transformer.ln_f", bias=True),
    ]
    if not config.tied_head:
        links += linked_layer("head", "lm_head", bias=False)
    for layer in range(config.num_layers):
        ours, theirs = f"decoder.blocks.{layer}", f"transformer.h.{layer}"
        links += linked_layer(f"{ours}.attention_norm", f"{theirs}.ln_1", bias=True)
        links += linked_layer(f"{ours}.feedforward_norm", f"{theirs}.ln_2", bias=True)
        for index, part in enumerate(("query", "key", "value")):
            name = f"{ours}.attention.{part}"
            links += linked_layer(name, f"{theirs}.attn.c_attn", bias=True, transposed=True, piece=(index, 3))
        for one, two in (
            ("attention.output", "attn.c_proj"),
            ("feedforward.up", "mlp.c_fc"),
            ("feedforward.down", "mlp.c_proj"),
        ):
            links += linked_layer(f"{ours}.{one}", f"{theirs}.{two}", bias=True, transposed=True)
    return links


GPT2 = HubFormat(
    model_type="gpt2",
    read=_read,
    write=_write,
    links=_links,
    prefix="transformer.",
    copies={"lm_head.weight": "transformer.wte.weight"},
    without_weights=(".attn.bias", ".attn.masked_bias"),
)
