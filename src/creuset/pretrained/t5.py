"""T5 and T5 v1.1 (Flan-T5, mT5's form) in Hugging Face folders, and its encoder alone.

Source: Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
Transformer"; gated: Shazeer 2020, "GLU Variants Improve Transformer".

Whether the head is tied, a config.json says or not, by the version of transformers that wrote it; what it
always says is whether the last states are scaled, which goes with a tied head. A head among the weights then
decides: beside scaled states it is a copy of the embedding, else it is one of its own.
"""

from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from creuset.layers.gated_feedforward import FeedForwardActivation
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.hub_format import HubFormat
from creuset.pretrained.settings import Settings
from creuset.pretrained.tensor_links import Link, linked_layer

_HEAD = "lm_head.weight"
_FEEDFORWARD: dict[str, tuple[bool, FeedForwardActivation]] = {
    "relu": (False, "relu"),
    "gelu": (False, "gelu"),
    "silu": (False, "silu"),
    "gelu_new": (False, "gelu_tanh"),
    "gated-gelu": (True, "gelu_tanh"),
    "gated-relu": (True, "relu"),
    "gated-silu": (True, "silu"),
}
"""`feed_forward_proj` and what it stands for; the gated GELU is the one by tanh."""


def _read(settings: Settings) -> TransformerConfig:
    embed_dim = settings.whole("d_model")
    if embed_dim < 1:
        raise settings.refusal("d_model", "a whole number from 1")
    gated, activation = settings.choice("feed_forward_proj", _FEEDFORWARD, "relu")
    tied = settings.flag("tie_word_embeddings", True)
    scaled = settings.flag("scale_decoder_outputs", tied)
    settings.only("is_encoder_decoder", True, False)
    # repeated from feed_forward_proj; sizes of a table that T5 does not have; training
    settings.unused("dense_act_fn", "is_gated_act", "n_positions", "initializer_factor", "classifier_dropout")
    config = TransformerConfig(
        architecture="encoder_decoder",
        vocab_size=settings.whole("vocab_size"),
        embed_dim=embed_dim,
        num_layers=settings.whole("num_layers"),
        num_decoder_layers=settings.whole("num_decoder_layers", 0) or None,
        num_heads=settings.whole("num_heads"),
        num_kv_heads=settings.whole("num_heads"),
        head_dim=settings.whole("d_kv"),
        feedforward_dim=settings.whole("d_ff"),
        context_length=None,
        norm="rms",
        norm_eps=settings.number("layer_norm_epsilon", 1e-6),
        positions="relative",
        num_buckets=settings.whole("relative_attention_num_buckets", 32),
        max_distance=settings.whole("relative_attention_max_distance", 128),
        query_scale=1.0,
        activation=activation,
        gated=gated,
        tied_head=tied,
        head_scale=embed_dim**-0.5 if scaled else 1.0,
        dropout=settings.number("dropout_rate", 0.1),
    )
    alone = (settings.words("architectures") or []) == ["T5EncoderModel"]
    return _encoder_alone(config) if alone else config


def _encoder_alone(config: TransformerConfig) -> TransformerConfig:
    return replace(
        config, architecture="encoder", num_decoder_layers=None, head="none", head_scale=1.0, tied_head=False
    )


def _adapted(config: TransformerConfig, names: AbstractSet[str]) -> TransformerConfig:
    if config.architecture == "encoder" or not any(name.startswith("decoder.") for name in names):
        return _encoder_alone(config)
    if _HEAD not in names:
        return replace(config, tied_head=True)
    return replace(config, tied_head=config.tied_head and config.head_scale != 1)


def _write(config: TransformerConfig) -> dict[str, Any]:
    words = {form: word for word, form in reversed(_FEEDFORWARD.items())}
    alone = config.architecture == "encoder"
    return {
        "architectures": ["T5EncoderModel" if alone else "T5ForConditionalGeneration"],
        "is_encoder_decoder": not alone,
        "vocab_size": config.vocab_size,
        "d_model": config.embed_dim,
        "num_layers": config.num_layers,
        "num_decoder_layers": config.num_decoder_layers,
        "num_heads": config.num_heads,
        "d_kv": config.head_dim,
        "d_ff": config.feedforward_dim,
        "layer_norm_epsilon": config.norm_eps,
        "relative_attention_num_buckets": config.num_buckets,
        "relative_attention_max_distance": config.max_distance,
        "feed_forward_proj": words.get((config.gated, config.activation)),
        "scale_decoder_outputs": config.head_scale != 1 or alone,
        "tie_word_embeddings": config.tied_head or alone,
        "dropout_rate": config.dropout,
    }


def _links(config: TransformerConfig) -> list[Link]:
    links = linked_layer("token_embedding", "shared", bias=False)
    stacks = {"encoder": config.encoder_layers, "decoder": config.decoder_layers}
    for stack, num_layers in stacks.items():
        if not num_layers:
            continue
        first = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias"
        links += linked_layer(f"{stack}.relative_bias.embedding", first, bias=False)
        links += linked_layer(f"{stack}.norm", f"{stack}.final_layer_norm", bias=False)
        for layer in range(num_layers):
            links += _block_links(f"{stack}.blocks.{layer}", f"{stack}.block.{layer}.layer", stack, config)
    if config.head != "none" and not config.tied_head:
        links += linked_layer("head", "lm_head", bias=False)
    return list(links)


def _block_links(ours: str, theirs: str, stack: str, config: TransformerConfig) -> tuple[Link, ...]:
    """One block: self attention, in the decoder attention to the encoder, and feed-forward."""
    parts = [("attention", "SelfAttention")]
    if stack == "decoder":
        parts.append(("cross_attention", "EncDecAttention"))
    links: tuple[Link, ...] = ()
    for index, (name, their_name) in enumerate(parts):
        links += linked_layer(f"{ours}.{name}_norm", f"{theirs}.{index}.layer_norm", bias=False)
        for one, two in (("query", "q"), ("key", "k"), ("value", "v"), ("output", "o")):
            links += linked_layer(f"{ours}.{name}.{one}", f"{theirs}.{index}.{their_name}.{two}", bias=False)
    last = f"{theirs}.{len(parts)}"
    links += linked_layer(f"{ours}.feedforward_norm", f"{last}.layer_norm", bias=False)
    plain, gated = {"up": "wi", "down": "wo"}, {"gate": "wi_0", "up": "wi_1", "down": "wo"}
    for one, two in (gated if config.gated else plain).items():
        links += linked_layer(f"{ours}.feedforward.{one}", f"{last}.DenseReluDense.{two}", bias=False)
    return links


T5 = HubFormat(
    model_type="t5",
    read=_read,
    write=_write,
    links=_links,
    prefix="",
    copies={
        "encoder.embed_tokens.weight": "shared.weight",
        "decoder.embed_tokens.weight": "shared.weight",
        _HEAD: "shared.weight",
    },
    without_weights=("EncDecAttention.relative_attention_bias.weight",),
    adapt=_adapted,
)
