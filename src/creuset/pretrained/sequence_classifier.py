"""Classifiers of texts as transformers has them: whose head computes what, written, and read again.

    decoders   score(state of the last token that is no padding), without a bias
    BERT       classifier(pooler(state of the first token))

RoBERTa's and DistilBERT's heads have a layer of their own between, which no classifier here has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import as_json, read_settings
from creuset.errors import UsageError
from creuset.files import atomic_folder, write_atomic
from creuset.models.text_classifier import SequenceClassifier
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained import decoders, tensor_links
from creuset.pretrained.classifier_head import HeadLayer, head_to_theirs, split_head
from creuset.pretrained.folder import FORMATS, MODEL_CONFIG
from creuset.pretrained.hub_format import read_config
from creuset.pretrained.safetensors_file import read_weights, write_weights

_NO_HEAD = ("head.",)


@dataclass(frozen=True, kw_only=True)
class TheirHead:
    """A head of transformers.

    Args:
        name: The class of the whole model.
        pooling: Which vector of a text it reads.
        layer: What its linear layer is called.
        bias: Whether that has one.
    """

    name: str
    pooling: Literal["last", "pooler"]
    layer: HeadLayer
    bias: bool


def _of_decoder(stem: str) -> TheirHead:
    return TheirHead(name=f"{stem}ForSequenceClassification", pooling="last", layer="score", bias=False)


HEADS: Mapping[str, TheirHead] = {
    "llama": _of_decoder("Llama"),
    "mistral": _of_decoder("Mistral"),
    "qwen2": _of_decoder("Qwen2"),
    "qwen3": _of_decoder("Qwen3"),
    "gemma3_text": _of_decoder("Gemma3Text"),
    "gpt2": _of_decoder("GPT2"),
    "bert": TheirHead(name="BertForSequenceClassification", pooling="pooler", layer="classifier", bias=True),
}
"""model_type -> the head of transformers on it."""
_READS = {
    "mean": "the mean of all tokens' states",
    "cls": "the first token's state",
    "last": "the last token's state",
    "pooler": "what the pooler makes of the first token's state",
}


def fitting_head(model_type: str, pooling: str, *, bias: bool) -> TheirHead:
    """The head of transformers that computes what a classifier computes.

    Args:
        model_type: The base's family, as config.json names it.
        pooling: Which vector of a text the classifier reads.
        bias: Whether its layer adds a number to each score.

    Raises:
        UsageError: None does, and why.
    """
    head = HEADS.get(model_type)
    if head is None:
        raise UsageError(
            "no class of transformers computes what this classifier computes",
            got=f"a base of the family {model_type}",
            expected=f"one of {', '.join(HEADS)}: the heads of others have a layer of their own between",
        )
    if pooling != head.pooling:
        raise UsageError(
            f"{head.name} of transformers computes something else than this classifier",
            got=f"a layer on {_READS[pooling]}",
            expected=f"a layer on {_READS[head.pooling]}",
            next_step=f"train it so: creuset finetune --set model.pooling={head.pooling}",
        )
    if bias != head.bias:
        raise UsageError(
            f"{head.name} of transformers computes something else than this classifier",
            got="a layer that adds a number to each score" if bias else "a layer without a bias",
            expected="one without" if bias else "one with a bias",
            next_step=f"train it so: creuset finetune --set model.bias={str(head.bias).lower()}",
        )
    return head


@dataclass(frozen=True, kw_only=True)
class SequenceFolder:
    """A classifier out of a folder.

    Args:
        model: In evaluation mode, float32.
        class_names: In the order of its scores.
        tokenizer: Its tokenizer.
    """

    model: SequenceClassifier
    class_names: tuple[str, ...]
    tokenizer: Tokenizer


def save_classifier(
    path: Path,
    head: TheirHead,
    head_state: Mapping[str, Tensor],
    *,
    config: TransformerConfig,
    state: Mapping[str, Tensor],
    model_type: str,
    class_names: Sequence[str],
    tokenizer: Tokenizer,
) -> None:
    """Writes a folder that their class for texts with classes reads, complete or not at all.

    Args:
        path: The folder; it must not exist.
        head: Theirs, as `fitting_head` found it.
        head_state: "output.weight" (K, E), and "output.bias" (K,) where there is one.
        config: The base's form.
        state: Its tensors, with what was trained of them.
        model_type: Its family, as config.json names it.
        class_names: In the order of the scores.
        tokenizer: The base's.
    """
    family = next(each for each in FORMATS if each.model_type == model_type)
    form = _without_language_head(config)
    kept = {name: tensor for name, tensor in state.items() if not name.startswith(_NO_HEAD)}
    tensors = tensor_links.to_theirs(kept, family.links(form), where="the Transformer's weights")
    tensors |= head_to_theirs(head_state, head.layer)
    values = {
        **family.write(form),
        "model_type": model_type,
        "architectures": [head.name],
        "id2label": {str(number): name for number, name in enumerate(class_names)},
        "label2id": {name: number for number, name in enumerate(class_names)},
        "problem_type": "single_label_classification",
        "pad_token_id": padding_id(tokenizer),
        "torch_dtype": "float32",
    }
    with atomic_folder(path) as place:
        write_atomic(place / MODEL_CONFIG, as_json(values))
        write_weights(place, tensors)
        tokenizer.save(place)


def load_classifier(folder: Path) -> SequenceFolder:
    """A folder of theirs for texts with classes, of a head that is known.

    Raises:
        UsageError: Another head, or a setting that is not supported.
        CheckpointError, DataError: Tensors that do not fit; a damaged file.
    """
    values = read_settings(folder / MODEL_CONFIG)
    head = HEADS.get(str(values.get("model_type")))
    if head is None or values.get("architectures") != [head.name]:
        raise UsageError(
            "no classifier of texts that is read here",
            where=folder / MODEL_CONFIG,
            got=values.get("architectures"),
            expected=", ".join(each.name for each in HEADS.values()),
        )
    tensors, head_state = split_head(read_weights(folder).tensors)
    family, config = read_config(values, FORMATS, tensors.keys())
    state = decoders.read_tensors(tensors, config, family)
    body = Transformer.from_weights(config, {name: tensor.float() for name, tensor in state.items()})
    names = values.get("id2label")
    labels = tuple(str(name) for name in names.values()) if isinstance(names, dict) else ()
    return SequenceFolder(
        model=with_head(body, head_state, head.pooling),
        class_names=labels,
        tokenizer=Tokenizer.from_folder(folder),
    )


def with_head(
    body: Transformer, head_state: Mapping[str, Tensor], pooling: Literal["last", "pooler"]
) -> SequenceClassifier:
    """A classifier of these tensors, in evaluation mode."""
    number = len(head_state["output.weight"])
    model = SequenceClassifier(body, number, pooling=pooling, bias="output.bias" in head_state)
    model.load_head_state({name: tensor.float() for name, tensor in head_state.items()})
    return model.eval()


def classifier_logits(model: SequenceClassifier, ids: Tensor) -> Tensor:
    """Scores of classes, float32 (B, K), for ids that are one higher than the tokenizer's and padded with 0,
    int (B, T)."""
    with torch.no_grad():
        logits: Tensor = model((ids.long() - 1).clamp_min(0), padding=ids > 0)
    return logits.float()


def _without_language_head(config: TransformerConfig) -> TransformerConfig:
    """A form whose scores of tokens, where it has any, take no tensors of their own."""
    if config.architecture == "decoder":
        return replace(config, tied_head=True)
    return replace(config, head="none", head_bias=False, tied_head=False)


def padding_id(tokenizer: Tokenizer) -> int | None:
    """What fills up short texts: a special token that ends none, since their decoders read the last token
    that is another one; None where there is none, so that they take one text at a time."""
    _, behind = tokenizer.around()
    own: Any = tokenizer.special.pad
    candidates = [*([] if own is None else [own]), *tokenizer.special.eos, *sorted(tokenizer.special_ids)]
    return next((number for number in candidates if number not in behind), None)
