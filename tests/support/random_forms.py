"""Models of transformers whose sizes are drawn: heads, keys, widths, depth, ties, one family at a time."""

import random
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

VOCAB_SIZE = 61
CONTEXT = 40

_PREFIXES = {
    "llama": "Llama",
    "mistral": "Mistral",
    "qwen2": "Qwen2",
    "qwen3": "Qwen3",
    "gemma3_text": "Gemma3",
}
_MASKED = {"bert": "Bert", "roberta": "Roberta"}
DECODERS = ("gpt2", *_PREFIXES)
ENCODERS = (*_MASKED, "distilbert")
ENCODER_DECODERS = ("t5", "bart")


def drawn_model(family: str, seed: int) -> nn.Module:
    """A model of that family with drawn sizes and weights, in evaluation mode.

    Args:
        family: One of DECODERS, ENCODERS and ENCODER_DECODERS.
        seed: Decides all. The share of key-value heads goes round with it: one, some, all.
    """
    draw = random.Random(f"{family} {seed}")
    torch.manual_seed(seed)
    if family in _PREFIXES:
        model = _decoder(family, seed, draw)
    elif family == "gpt2":
        model = _gpt2(draw)
    elif family == "t5":
        model = _t5(draw)
    elif family == "bart":
        model = _bart(draw)
    else:
        model = _encoder(family, draw)
    for name, parameter in model.named_parameters():
        norm = "norm" in name.lower() or "ln_" in name
        nn.init.normal_(parameter, mean=1.0 if norm and "weight" in name else 0.0, std=0.25)
    copy_shared(model)
    return model.eval()


def copy_shared(model: nn.Module) -> None:
    """Makes tensors equal that untied models of transformers hold twice and creuset once."""
    state = model.state_dict()
    for key, copied in (
        ("cls.predictions.decoder.bias", "cls.predictions.bias"),
        ("lm_head.decoder.bias", "lm_head.bias"),
        ("model.encoder.embed_tokens.weight", "model.shared.weight"),
        ("model.decoder.embed_tokens.weight", "model.shared.weight"),
    ):
        if key in state and copied in state:
            state[key].copy_(state[copied])


def _decoder(family: str, seed: int, draw: random.Random) -> nn.Module:
    num_kv_heads = draw.choice((1, 2, 3))
    num_heads = {0: 3 * num_kv_heads, 1: 2 * num_kv_heads, 2: num_kv_heads}[seed % 3]
    num_kv_heads = 1 if seed % 3 == 0 else num_kv_heads
    sizes: dict[str, Any] = {
        "vocab_size": VOCAB_SIZE,
        "hidden_size": num_heads * draw.choice((6, 10)),
        "intermediate_size": draw.choice((30, 50)),
        "num_hidden_layers": draw.choice((1, 2, 3)),
        "num_attention_heads": num_heads,
        "num_key_value_heads": num_kv_heads,
        "max_position_embeddings": CONTEXT,
        "tie_word_embeddings": draw.random() < 0.5,
        "pad_token_id": None if family != "gemma3_text" else 0,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    if family != "qwen2":
        sizes["head_dim"] = draw.choice((4, 8, 14))
    if family in ("mistral", "gemma3_text"):
        sizes["sliding_window"] = draw.choice((3, 8))
    if family == "gemma3_text":
        sizes["query_pre_attn_scalar"] = draw.choice((4, 24))
        sizes["num_hidden_layers"] = 7
    suffix = "TextConfig" if family == "gemma3_text" else "Config"
    config = getattr(transformers, _PREFIXES[family] + suffix)(**sizes)
    model: nn.Module = getattr(transformers, f"{_PREFIXES[family]}ForCausalLM")(config)
    return model


def _gpt2(draw: random.Random) -> nn.Module:
    num_heads = draw.choice((1, 2, 3))
    config = transformers.GPT2Config(
        vocab_size=VOCAB_SIZE,
        n_embd=num_heads * draw.choice((5, 8)),
        n_head=num_heads,
        n_layer=draw.choice((1, 3)),
        n_positions=CONTEXT,
        tie_word_embeddings=draw.random() < 0.5,
        bos_token_id=None,
        eos_token_id=None,
    )
    return transformers.GPT2LMHeadModel(config)


def _encoder(family: str, draw: random.Random) -> nn.Module:
    num_heads = draw.choice((1, 2, 3))
    width, layers, inner = num_heads * draw.choice((5, 8)), draw.choice((1, 3)), draw.choice((30, 50))
    tied = draw.random() < 0.5
    if family == "distilbert":
        return transformers.DistilBertForMaskedLM(
            transformers.DistilBertConfig(
                vocab_size=VOCAB_SIZE,
                dim=width,
                n_layers=layers,
                n_heads=num_heads,
                hidden_dim=inner,
                max_position_embeddings=CONTEXT,
            )
        )
    config = getattr(transformers, f"{_MASKED[family]}Config")(
        vocab_size=VOCAB_SIZE,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=num_heads,
        intermediate_size=inner,
        max_position_embeddings=CONTEXT + 2,
        tie_word_embeddings=tied,
    )
    model: nn.Module = getattr(transformers, f"{_MASKED[family]}ForMaskedLM")(config)
    return model


def _t5(draw: random.Random) -> nn.Module:
    config = transformers.T5Config(
        vocab_size=VOCAB_SIZE,
        d_model=draw.choice((12, 24)),
        d_kv=draw.choice((5, 7)),
        num_heads=draw.choice((1, 2, 3)),
        d_ff=draw.choice((30, 50)),
        num_layers=draw.choice((1, 3)),
        num_decoder_layers=draw.choice((1, 2)),
        feed_forward_proj=draw.choice(("relu", "gated-gelu", "gated-silu")),
        relative_attention_num_buckets=8,
        relative_attention_max_distance=draw.choice((10, 20)),
        decoder_start_token_id=0,
    )
    return transformers.T5ForConditionalGeneration(config)


def _bart(draw: random.Random) -> nn.Module:
    num_heads = draw.choice((1, 2, 3))
    inner = draw.choice((30, 50))
    config = transformers.BartConfig(
        vocab_size=VOCAB_SIZE,
        d_model=num_heads * draw.choice((5, 8)),
        encoder_layers=draw.choice((1, 2)),
        decoder_layers=draw.choice((1, 3)),
        encoder_attention_heads=num_heads,
        decoder_attention_heads=num_heads,
        encoder_ffn_dim=inner,
        decoder_ffn_dim=inner,
        max_position_embeddings=CONTEXT,
        scale_embedding=draw.random() < 0.5,
        tie_word_embeddings=draw.random() < 0.5,
    )
    return transformers.BartForConditionalGeneration(config)


def saved_model(family: str, seed: int, folder: Path) -> nn.Module:
    """The drawn model, saved by transformers into a folder."""
    model = drawn_model(family, seed)
    model.save_pretrained(folder)  # type: ignore[operator]
    return model
