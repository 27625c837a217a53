"""BERT, RoBERTa and DistilBERT in Hugging Face folders; MiniLM and most sentence embedders are BERT.

Source: Devlin et al. 2019, "BERT"; Liu et al. 2019, "RoBERTa", whose table of places has unused rows up to
that of the padding token; Sanh et al. 2019, "DistilBERT", without segments and pooler.
Departure: BERT's weights for "is this the next sentence" are not read; no other part of a model uses them.

A config.json does not say whether the weights hold a pooler and a head for masked tokens: their names do.
"""

from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.hub_format import ACTIVATION_WORDS, ACTIVATIONS, HubFormat
from creuset.pretrained.settings import Settings
from creuset.pretrained.tensor_links import Link, linked_layer

_OLDER_ENDINGS = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
_DISTILBERT_EPS = 1e-12


def _with_head(config: TransformerConfig, *, head: bool, pooler: bool) -> TransformerConfig:
    """The form with or without what stands behind the last block."""
    if head:
        return replace(config, head="transformed", head_bias=True, pooler=pooler)
    return replace(config, head="none", head_bias=False, tied_head=False, pooler=pooler)


def _adapted(config: TransformerConfig, names: AbstractSet[str]) -> TransformerConfig:
    transforms = ("predictions.transform.dense.weight", "lm_head.dense.weight", "vocab_transform.weight")
    return _with_head(
        config,
        head=any(name.endswith(transforms) for name in names),
        pooler=any(name.endswith("pooler.dense.weight") for name in names),
    )


def _architectures(config: TransformerConfig, stem: str) -> list[str]:
    return [f"{stem}Model" if config.head == "none" else f"{stem}ForMaskedLM"]


def _read_sizes(settings: Settings, *, position_offset: int) -> dict[str, Any]:
    embed_dim, num_heads = settings.whole("hidden_size"), settings.whole("num_attention_heads")
    num_segments = settings.whole("type_vocab_size", 2)
    if num_segments < 1:
        raise settings.refusal("type_vocab_size", "1 or more")
    settings.only("position_embedding_type", "absolute", None)
    settings.unused("classifier_dropout", "pooler_fc_size", "pooler_num_attention_heads", "directionality")
    settings.unused("pooler_num_fc_layers", "pooler_size_per_head", "pooler_type")
    return {
        "architecture": "encoder",
        "vocab_size": settings.whole("vocab_size"),
        "embed_dim": embed_dim,
        "num_layers": settings.whole("num_hidden_layers"),
        "num_heads": num_heads,
        "num_kv_heads": num_heads,
        "head_dim": embed_dim // max(num_heads, 1),
        "feedforward_dim": settings.whole("intermediate_size"),
        "context_length": settings.whole("max_position_embeddings", 512) - position_offset,
        "norm_eps": settings.number("layer_norm_eps", 1e-12),
        "position_offset": position_offset,
        "num_segments": num_segments,
        "dropout": settings.number("hidden_dropout_prob", 0.1),
        "attention_dropout": settings.number("attention_probs_dropout_prob", 0.1),
        **_COMMON,
    }


_COMMON: dict[str, Any] = {
    "norm": "layer",
    "norm_bias": True,
    "norm_placement": "post",
    "final_norm": False,
    "embedding_norm": True,
    "positions": "learned",
    "qkv_bias": True,
    "output_bias": True,
    "feedforward_bias": True,
    "head": "transformed",
    "head_bias": True,
}
"""What all three have in common."""


def _write_sizes(config: TransformerConfig) -> dict[str, Any]:
    rows = None if config.context_length is None else config.context_length + config.position_offset
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.embed_dim,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "intermediate_size": config.feedforward_dim,
        "max_position_embeddings": rows,
        "layer_norm_eps": config.norm_eps,
        "hidden_act": ACTIVATION_WORDS[config.activation],
        "type_vocab_size": config.num_segments,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "initializer_range": config.init_std,
        "tie_word_embeddings": config.tied_head or config.head == "none",
    }


def _read_bert(settings: Settings) -> TransformerConfig:
    config = TransformerConfig(
        **_read_sizes(settings, position_offset=0),
        activation=settings.choice("hidden_act", ACTIVATIONS, "gelu"),
        tied_head=settings.flag("tie_word_embeddings", True),
        init_std=settings.number("initializer_range", 0.02),
    )
    named = settings.words("architectures") or []
    head = any(name in ("BertForMaskedLM", "BertForPreTraining") for name in named)
    return _with_head(config, head=head, pooler="BertForMaskedLM" not in named)


def _write_bert(config: TransformerConfig) -> dict[str, Any]:
    return {"architectures": _architectures(config, "Bert"), **_write_sizes(config)}


def _read_roberta(settings: Settings) -> TransformerConfig:
    config = TransformerConfig(
        **_read_sizes(settings, position_offset=settings.whole("pad_token_id", 1) + 1),
        activation=settings.choice("hidden_act", {"gelu": ACTIVATIONS["gelu"]}, "gelu"),
        tied_head=settings.flag("tie_word_embeddings", True),
        init_std=settings.number("initializer_range", 0.02),
    )
    named = settings.words("architectures") or []
    return _with_head(config, head="RobertaForMaskedLM" in named, pooler="RobertaForMaskedLM" not in named)


def _write_roberta(config: TransformerConfig) -> dict[str, Any]:
    return {
        "architectures": _architectures(config, "Roberta"),
        **_write_sizes(config),
        "pad_token_id": config.position_offset - 1,
    }


def _read_distilbert(settings: Settings) -> TransformerConfig:
    embed_dim, num_heads = settings.whole("dim"), settings.whole("n_heads")
    # sinusoids are a table among the weights like all others
    settings.unused("sinusoidal_pos_embds", "qa_dropout", "seq_classif_dropout", "tie_weights_")
    config = TransformerConfig(
        architecture="encoder",
        vocab_size=settings.whole("vocab_size"),
        embed_dim=embed_dim,
        num_layers=settings.whole("n_layers"),
        num_heads=num_heads,
        num_kv_heads=num_heads,
        head_dim=embed_dim // max(num_heads, 1),
        feedforward_dim=settings.whole("hidden_dim"),
        context_length=settings.whole("max_position_embeddings", 512),
        norm_eps=_DISTILBERT_EPS,
        activation=settings.choice("activation", ACTIVATIONS, "gelu"),
        tied_head=settings.flag("tie_word_embeddings", True),
        dropout=settings.number("dropout", 0.1),
        attention_dropout=settings.number("attention_dropout", 0.1),
        init_std=settings.number("initializer_range", 0.02),
        **_COMMON,
    )
    named = settings.words("architectures") or []
    return _with_head(config, head="DistilBertForMaskedLM" in named, pooler=False)


def _write_distilbert(config: TransformerConfig) -> dict[str, Any]:
    return {
        "architectures": _architectures(config, "DistilBert"),
        "vocab_size": config.vocab_size,
        "dim": config.embed_dim,
        "n_layers": config.num_layers,
        "n_heads": config.num_heads,
        "hidden_dim": config.feedforward_dim,
        "max_position_embeddings": config.context_length,
        "activation": ACTIVATION_WORDS[config.activation],
        "dropout": config.dropout,
        "attention_dropout": config.attention_dropout,
        "initializer_range": config.init_std,
        "tie_word_embeddings": config.tied_head or config.head == "none",
    }


_EMBEDDINGS = {
    "token_embedding": "word_embeddings",
    "encoder.position_embedding": "position_embeddings",
    "encoder.segment_embedding": "token_type_embeddings",
}
_BERT_BLOCK = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "feedforward.up": "intermediate.dense",
    "feedforward.down": "output.dense",
    "feedforward_norm": "output.LayerNorm",
}
_DISTILBERT_BLOCK = {
    "attention.query": "attention.q_lin",
    "attention.key": "attention.k_lin",
    "attention.value": "attention.v_lin",
    "attention.output": "attention.out_lin",
    "attention_norm": "sa_layer_norm",
    "feedforward.up": "ffn.lin1",
    "feedforward.down": "ffn.lin2",
    "feedforward_norm": "output_layer_norm",
}


def _body_links(config: TransformerConfig, prefix: str, layers: str, block: dict[str, str]) -> list[Link]:
    links: list[Link] = []
    for ours, theirs in _EMBEDDINGS.items():
        if config.num_segments or "segment" not in ours:
            links += linked_layer(ours, f"{prefix}embeddings.{theirs}", bias=False)
    links += linked_layer("encoder.embedding_norm", f"{prefix}embeddings.LayerNorm", bias=True)
    for layer in range(config.num_layers):
        for ours, theirs in block.items():
            links += linked_layer(
                f"encoder.blocks.{layer}.{ours}", f"{prefix}{layers}.{layer}.{theirs}", bias=True
            )
    if config.pooler:
        links += linked_layer("pooler", f"{prefix}pooler.dense", bias=True)
    return links


def _head_links(config: TransformerConfig, transform: str, norm: str, scores: str, bias: str) -> list[Link]:
    """The links of the head for masked tokens; untied, BERT and RoBERTa hold its bias under two names."""
    if config.head == "none":
        return []
    links = [
        *linked_layer("head.transform", transform, bias=True),
        *linked_layer("head.norm", norm, bias=True),
        Link(ours="head.bias", theirs=bias),
    ]
    if config.tied_head:
        return links
    links += [Link(ours="head.weight", theirs=f"{scores}.weight")]
    return links if bias == f"{scores}.bias" else [*links, Link(ours="head.bias", theirs=f"{scores}.bias")]


def _bert_links(config: TransformerConfig) -> list[Link]:
    head = "cls.predictions"
    return _body_links(config, "bert.", "encoder.layer", _BERT_BLOCK) + _head_links(
        config,
        f"{head}.transform.dense",
        f"{head}.transform.LayerNorm",
        f"{head}.decoder",
        f"{head}.bias",
    )


def _roberta_links(config: TransformerConfig) -> list[Link]:
    return _body_links(config, "roberta.", "encoder.layer", _BERT_BLOCK) + _head_links(
        config, "lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias"
    )


def _distilbert_links(config: TransformerConfig) -> list[Link]:
    return _body_links(config, "distilbert.", "transformer.layer", _DISTILBERT_BLOCK) + _head_links(
        config, "vocab_transform", "vocab_layer_norm", "vocab_projector", "vocab_projector.bias"
    )


BERT = HubFormat(
    model_type="bert",
    read=_read_bert,
    write=_write_bert,
    links=_bert_links,
    prefix="bert.",
    copies={
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
    without_weights=("embeddings.position_ids", "cls.seq_relationship.weight", "cls.seq_relationship.bias"),
    older_endings=_OLDER_ENDINGS,
    adapt=_adapted,
)
ROBERTA = HubFormat(
    model_type="roberta",
    read=_read_roberta,
    write=_write_roberta,
    links=_roberta_links,
    prefix="roberta.",
    copies={
        "lm_head.decoder.weight": "roberta.embeddings.word_embeddings.weight",
        "lm_head.decoder.bias": "lm_head.bias",
    },
    without_weights=("embeddings.position_ids",),
    older_endings=_OLDER_ENDINGS,
    adapt=_adapted,
)
DISTILBERT = HubFormat(
    model_type="distilbert",
    read=_read_distilbert,
    write=_write_distilbert,
    links=_distilbert_links,
    prefix="distilbert.",
    copies={"vocab_projector.weight": "distilbert.embeddings.word_embeddings.weight"},
    adapt=_adapted,
)
