"""Classifiers of transformers: their weights give the same logits in ours, and come back unchanged."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("transformers", reason="compares with transformers, which is not installed")

import transformers

from creuset.errors import CheckpointError
from creuset.models.text_classifier import SequenceClassifier, TextClassifier, TokenClassifier
from creuset.models.transformer import Transformer
from creuset.pretrained.bert import BERT
from creuset.pretrained.classifier_head import head_to_theirs, split_head
from creuset.pretrained.decoders import read_tensors
from creuset.pretrained.gpt2 import GPT2
from creuset.pretrained.hub_format import HubFormat, read_config
from creuset.pretrained.llama import LLAMA
from small_encoders import padding_of, random_ids

LENGTHS = [11, 7, 1]
SIZES: dict[str, Any] = {"vocab_size": 61, "num_labels": 5, "pad_token_id": 0}
WIDTHS: dict[str, Any] = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 24,
}
GPT2_SIZES: dict[str, Any] = {"n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 24}


def theirs_of(name: str) -> nn.Module:
    """Their classifier of that name, with every weight random and none small, in evaluation mode."""
    config: Any
    if name.startswith("Bert"):
        config = transformers.BertConfig(**SIZES, **WIDTHS)
    elif name.startswith("Llama"):
        config = transformers.LlamaConfig(**SIZES, **WIDTHS, tie_word_embeddings=True)
    else:
        config = transformers.GPT2Config(**SIZES, **GPT2_SIZES, bos_token_id=None, eos_token_id=None)
    torch.manual_seed(0)
    model: nn.Module = getattr(transformers, name)(config)
    for key, parameter in model.named_parameters():
        nn.init.normal_(parameter, mean=1.0 if "norm" in key.lower() and "weight" in key else 0.0, std=0.3)
    return model.eval()


def body_of(theirs: nn.Module, tensors: dict[str, Tensor], format: HubFormat) -> Transformer:
    values = theirs.config.to_dict()  # type: ignore[union-attr]
    config = read_config(values, [format], tensors.keys())[1]
    return Transformer.from_weights(config, read_tensors(tensors, config, format))


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    assert theirs.abs().max() > 0.5
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "format", "layer"),
    [
        ("BertForSequenceClassification", BERT, "classifier"),
        ("BertForTokenClassification", BERT, "classifier"),
        ("GPT2ForSequenceClassification", GPT2, "score"),
        ("GPT2ForTokenClassification", GPT2, "classifier"),
        ("LlamaForSequenceClassification", LLAMA, "score"),
        ("LlamaForTokenClassification", LLAMA, "score"),
    ],
)
@torch.no_grad()
def test_logits_are_those_of_transformers(name: str, format: HubFormat, layer: Any) -> None:
    theirs = theirs_of(name)
    tensors = {key: tensor.clone() for key, tensor in theirs.state_dict().items()}
    body_tensors, head = split_head(tensors)
    body = body_of(theirs, body_tensors, format)
    num_classes, bias = len(head["output.weight"]), "output.bias" in head
    ours: TextClassifier
    if "Token" in name:
        ours = TokenClassifier(body, num_classes, bias=bias)
    else:
        ours = SequenceClassifier(
            body, num_classes, pooling="pooler" if format is BERT else "last", bias=bias
        )
    ours.load_head_state(head)

    behind = padding_of(LENGTHS)
    for padding in (behind, behind.flip(1)):
        ids = random_ids(3, 11).masked_fill(~padding, 0)
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": padding.long()}
        segments = None
        if format is BERT:
            if not bool(padding[:, 0].all()):
                continue  # their pooler reads the first place, padding or not
            segments = torch.randint(0, 2, ids.shape, generator=torch.Generator().manual_seed(0))
            inputs["token_type_ids"] = segments
        else:
            inputs["position_ids"] = (padding.long().cumsum(1) - 1).clamp(min=0)
        expected = theirs(**inputs).logits
        found = ours(ids, padding=padding, segments=segments)
        if "Token" in name:
            found, expected = found[padding], expected[padding]
        assert_same(found, expected)

    written = head_to_theirs(ours.head_state(), layer)
    assert written.keys() == {key for key in tensors if key.startswith(layer)}
    assert all(torch.equal(tensor, tensors[key]) for key, tensor in written.items())


def test_other_heads_are_refused_by_name() -> None:
    weight, bias = torch.ones(2, 3), torch.ones(2)
    with pytest.raises(CheckpointError, match=r"no head for classes[^$]*got: a body alone"):
        split_head({"bert.pooler.dense.weight": weight})
    with pytest.raises(CheckpointError, match=r"two heads[^$]*got: classifier, score"):
        split_head({"classifier.weight": weight, "score.weight": weight})
    with pytest.raises(
        CheckpointError, match=r"not of this model: classifier\.dense\.weight, classifier\.out"
    ):
        split_head({"classifier.dense.weight": weight, "classifier.out_proj.weight": weight})
    with pytest.raises(CheckpointError, match=r"missing: score\.weight"):
        split_head({"score.bias": bias})
    with pytest.raises(CheckpointError, match=r"missing: output\.weight"):
        head_to_theirs({"output.bias": bias}, "classifier")
    with pytest.raises(CheckpointError, match="not of this model: body"):
        head_to_theirs({"output.weight": weight, "body": bias}, "classifier")
