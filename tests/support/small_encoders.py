"""Small encoders and encoder-decoders of transformers with random weights, and the folder that each saves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

VOCAB_SIZE = 61
CONTEXT = 24

_BERT = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": CONTEXT,
}
_T5: dict[str, Any] = {
    "vocab_size": VOCAB_SIZE,
    "d_model": 24,
    "d_kv": 5,
    "num_heads": 4,
    "d_ff": 40,
    "num_layers": 2,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 12,
    "decoder_start_token_id": 0,
}
_BART = {
    "vocab_size": VOCAB_SIZE,
    "d_model": 24,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 3,
    "decoder_attention_heads": 3,
    "encoder_ffn_dim": 40,
    "decoder_ffn_dim": 40,
    "max_position_embeddings": CONTEXT,
}


def _bert(kind: str, **values: Any) -> nn.Module:
    from transformers import BertConfig, BertForMaskedLM, BertForPreTraining, BertModel

    kinds = {"model": BertModel, "masked": BertForMaskedLM, "pretraining": BertForPreTraining}
    made: nn.Module = kinds[kind](BertConfig(**_BERT, **values))
    return made


def _roberta(kind: str, **values: Any) -> nn.Module:
    from transformers import RobertaConfig, RobertaForMaskedLM, RobertaModel

    config = RobertaConfig(**{**_BERT, "max_position_embeddings": CONTEXT + 2}, type_vocab_size=1, **values)
    made: nn.Module = {"model": RobertaModel, "masked": RobertaForMaskedLM}[kind](config)
    return made


def _distilbert(kind: str, **values: Any) -> nn.Module:
    from transformers import DistilBertConfig, DistilBertForMaskedLM, DistilBertModel

    config = DistilBertConfig(
        vocab_size=VOCAB_SIZE,
        dim=24,
        n_layers=2,
        n_heads=3,
        hidden_dim=40,
        max_position_embeddings=CONTEXT,
        **values,
    )
    made: nn.Module = {"model": DistilBertModel, "masked": DistilBertForMaskedLM}[kind](config)
    return made


def _t5(kind: str, **values: Any) -> nn.Module:
    from transformers import T5Config, T5EncoderModel, T5ForConditionalGeneration

    kinds = {"encoder": T5EncoderModel, "both": T5ForConditionalGeneration}
    model: nn.Module = kinds[kind](T5Config(**{**_T5, **values}))
    return model


def _t5_untied() -> nn.Module:
    """As T5 v1.1 is: gated, and with a head of its own, which transformers 5 makes of two unlike tensors."""
    model = _t5("both", feed_forward_proj="gated-gelu", tie_word_embeddings=False, num_decoder_layers=3)
    model.lm_head.weight = nn.Parameter(torch.randn(VOCAB_SIZE, 24))  # type: ignore[union-attr]
    return model


def _bart(kind: str, **values: Any) -> nn.Module:
    from transformers import BartConfig, BartForConditionalGeneration, BartModel

    made: nn.Module = {"model": BartModel, "both": BartForConditionalGeneration}[kind](
        BartConfig(**_BART, **values)
    )
    return made


ENCODERS: dict[str, Callable[[], nn.Module]] = {
    "bert": lambda: _bert("model"),
    "bert without pooler": lambda: _without_pooler(_bert("model")),
    "bert masked": lambda: _bert("masked", hidden_act="gelu_new"),
    "bert masked, untied": lambda: _bert("masked", tie_word_embeddings=False),
    "bert pretraining": lambda: _bert("pretraining"),
    "roberta": lambda: _roberta("model"),
    "roberta masked": lambda: _roberta("masked"),
    "roberta masked, untied": lambda: _roberta("masked", tie_word_embeddings=False),
    "distilbert": lambda: _distilbert("model"),
    "distilbert masked": lambda: _distilbert("masked", activation="relu"),
    "t5 encoder": lambda: _t5("encoder"),
}
ENCODER_DECODERS: dict[str, Callable[[], nn.Module]] = {
    "t5": lambda: _t5("both"),
    "t5 gated, one decoder block": lambda: _t5(
        "both", feed_forward_proj="gated-silu", num_decoder_layers=1, tie_word_embeddings=False
    ),
    "t5 gated, untied": _t5_untied,
    "bart": lambda: _bart("both"),
    "bart untied, scaled": lambda: _bart("both", tie_word_embeddings=False, scale_embedding=True),
}


_EQUAL = {
    "cls.predictions.decoder.bias": "cls.predictions.bias",
    "lm_head.decoder.bias": "lm_head.bias",
    "model.encoder.embed_tokens.weight": "model.shared.weight",
    "model.decoder.embed_tokens.weight": "model.shared.weight",
}
"""What untied models of transformers hold twice and creuset once."""


def _without_pooler(model: nn.Module) -> nn.Module:
    model.pooler = None  # type: ignore[assignment]
    return model


def random_model(name: str) -> nn.Module:
    """The model of that name, in evaluation mode, its weights wide enough for outputs to differ."""
    torch.manual_seed(len(name))
    model = {**ENCODERS, **ENCODER_DECODERS}[name]()
    for key, parameter in model.named_parameters():
        nn.init.normal_(parameter, mean=1.0 if "norm" in key.lower() and "weight" in key else 0.0, std=0.3)
    state = model.state_dict()
    for key, copied in _EQUAL.items():
        if key in state and copied in state:
            state[key].copy_(state[copied])
    for key, buffer in model.named_buffers():
        if key == "final_logits_bias":
            buffer.normal_()
    return model.eval()


def saved(name: str, folder: Path) -> nn.Module:
    """The model of that name, saved by transformers into a folder."""
    model = random_model(name)
    model.save_pretrained(folder)  # type: ignore[operator]
    return model


def random_ids(rows: int, length: int) -> Tensor:
    """Token ids, none of them one that pads, ends or begins."""
    generator = torch.Generator().manual_seed(length)
    return torch.randint(3, VOCAB_SIZE, (rows, length), generator=generator)


def padding_of(lengths: list[int]) -> Tensor:
    """bool (B, T), True where a token is, the padding behind."""
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
