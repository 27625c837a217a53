"""BART in Hugging Face folders.

Source: Lewis et al. 2020, "BART". Its tables of places begin with two unused rows. Where nothing is tied, the
embedding stands in the file three times; three that differ are refused.
"""

from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.hub_format import ACTIVATION_WORDS, ACTIVATIONS, HubFormat
from creuset.pretrained.settings import Settings
from creuset.pretrained.tensor_links import Link, linked_layer

_OFFSET = 2
_EPS = 1e-5
_HEAD_BIAS = "final_logits_bias"


def _read(settings: Settings) -> TransformerConfig:
    embed_dim, num_heads = settings.whole("d_model"), settings.whole("encoder_attention_heads")
    feedforward_dim = settings.whole("encoder_ffn_dim")
    settings.only("decoder_attention_heads", num_heads)
    settings.only("decoder_ffn_dim", feedforward_dim)
    settings.only("is_encoder_decoder", True)
    settings.only("normalize_before", False)
    settings.only("normalize_embedding", True)
    settings.only("add_final_layer_norm", False)
    settings.only("static_position_embeddings", False)
    settings.only("extra_pos_embeddings", _OFFSET)
    # training, and what newer versions do not read
    settings.unused("encoder_layerdrop", "decoder_layerdrop", "activation_dropout", "add_bias_logits")
    settings.unused("classifier_dropout", "classif_dropout", "num_hidden_layers")
    return TransformerConfig(
        architecture="encoder_decoder",
        vocab_size=settings.whole("vocab_size"),
        embed_dim=embed_dim,
        num_layers=settings.whole("encoder_layers"),
        num_decoder_layers=settings.whole("decoder_layers"),
        num_heads=num_heads,
        num_kv_heads=num_heads,
        head_dim=embed_dim // max(num_heads, 1),
        feedforward_dim=feedforward_dim,
        context_length=settings.whole("max_position_embeddings"),
        norm="layer",
        norm_eps=_EPS,
        norm_bias=True,
        norm_placement="post",
        final_norm=False,
        embedding_norm=True,
        embedding_scale=embed_dim**0.5 if settings.flag("scale_embedding", False) else 1.0,
        positions="learned",
        position_offset=_OFFSET,
        qkv_bias=True,
        output_bias=True,
        activation=settings.choice("activation_function", ACTIVATIONS, "gelu"),
        feedforward_bias=True,
        head_bias=True,
        tied_head=settings.flag("tie_word_embeddings", True),
        dropout=settings.number("dropout", 0.1),
        attention_dropout=settings.number("attention_dropout", 0.0),
        init_std=settings.number("init_std", 0.02),
    )


def _adapted(config: TransformerConfig, names: AbstractSet[str]) -> TransformerConfig:
    """A file of the body alone lacks the head's bias; a tied head needs nothing else."""
    return replace(config, head_bias=_HEAD_BIAS in names)


def _write(config: TransformerConfig) -> dict[str, Any]:
    return {
        "architectures": ["BartForConditionalGeneration"],
        "is_encoder_decoder": True,
        "vocab_size": config.vocab_size,
        "d_model": config.embed_dim,
        "encoder_layers": config.num_layers,
        "decoder_layers": config.decoder_layers,
        "encoder_attention_heads": config.num_heads,
        "decoder_attention_heads": config.num_heads,
        "encoder_ffn_dim": config.feedforward_dim,
        "decoder_ffn_dim": config.feedforward_dim,
        "max_position_embeddings": config.context_length,
        "activation_function": ACTIVATION_WORDS[config.activation],
        "scale_embedding": config.embedding_scale != 1,
        "tie_word_embeddings": config.tied_head,
        "dropout": config.dropout,
        "attention_dropout": config.attention_dropout,
        "init_std": config.init_std,
    }


def _links(config: TransformerConfig) -> list[Link]:
    links = [*linked_layer("token_embedding", "model.shared", bias=False)]
    stacks = {"encoder": config.encoder_layers, "decoder": config.decoder_layers}
    for stack, num_layers in stacks.items():
        theirs = f"model.{stack}"
        if not config.tied_head:
            links += linked_layer("token_embedding", f"{theirs}.embed_tokens", bias=False)
        links += linked_layer(f"{stack}.position_embedding", f"{theirs}.embed_positions", bias=False)
        links += linked_layer(f"{stack}.embedding_norm", f"{theirs}.layernorm_embedding", bias=True)
        for layer in range(num_layers):
            links += _block_links(f"{stack}.blocks.{layer}", f"{theirs}.layers.{layer}", stack)
    if config.head_bias:
        links.append(Link(ours="head.bias", theirs=_HEAD_BIAS, as_row=True))
    if not config.tied_head:
        links += linked_layer("head", "lm_head", bias=False)
    return links


def _block_links(ours: str, theirs: str, stack: str) -> list[Link]:
    """One block: self attention, in the decoder attention to the encoder, and feed-forward."""
    parts = {"attention": "self_attn"}
    if stack == "decoder":
        parts["cross_attention"] = "encoder_attn"
    links: list[Link] = []
    for name, their_name in parts.items():
        links += linked_layer(f"{ours}.{name}_norm", f"{theirs}.{their_name}_layer_norm", bias=True)
        for one, two in (("query", "q"), ("key", "k"), ("value", "v"), ("output", "out")):
            links += linked_layer(f"{ours}.{name}.{one}", f"{theirs}.{their_name}.{two}_proj", bias=True)
    last = {"feedforward.up": "fc1", "feedforward.down": "fc2", "feedforward_norm": "final_layer_norm"}
    for one, two in last.items():
        links += linked_layer(f"{ours}.{one}", f"{theirs}.{two}", bias=True)
    return links


BART = HubFormat(
    model_type="bart",
    read=_read,
    write=_write,
    links=_links,
    prefix="model.",
    copies={
        "model.encoder.embed_tokens.weight": "model.shared.weight",
        "model.decoder.embed_tokens.weight": "model.shared.weight",
        "lm_head.weight": "model.shared.weight",
    },
    adapt=_adapted,
)
