"""Encoders and encoder-decoders against transformers: folders that it saved give the same numbers."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("transformers", reason="compares with transformers, which is not installed")

from creuset.errors import CheckpointError, UsageError
from creuset.pretrained.folder import FORMATS, load_folder
from creuset.pretrained.hub_format import read_config
from small_encoders import ENCODER_DECODERS, ENCODERS, padding_of, random_ids, random_model, saved

LENGTHS = [11, 7, 1]


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    assert theirs.abs().max() > 0.5
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def padded(model: nn.Module, ids: Tensor, padding: Tensor) -> Tensor:
    """Ids with the model's own padding token where padding is: RoBERTa counts places by it."""
    return ids.masked_fill(~padding, model.config.pad_token_id)  # type: ignore[arg-type, union-attr]


@pytest.mark.parametrize("name", ENCODERS)
@torch.no_grad()
def test_encoders_give_the_same_states_and_scores(name: str, tmp_path: Path) -> None:
    theirs = saved(name, tmp_path)
    ours = load_folder(tmp_path).model()
    padding = padding_of(LENGTHS)
    ids = padded(theirs, random_ids(3, 11), padding)
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": padding.long()}
    segments = None
    if ours.config.num_segments > 1:
        segments = torch.randint(0, 2, ids.shape, generator=torch.Generator().manual_seed(0))
        inputs["token_type_ids"] = segments
    expected = theirs(**inputs, output_hidden_states=True)
    states = ours.hidden(ids, padding=padding, segments=segments)
    assert_same(states[padding], expected.hidden_states[-1][padding])
    if ours.config.head != "none":
        scores = expected.logits if "logits" in expected else expected.prediction_logits
        assert_same(ours.logits(states)[padding], scores[padding])
    if "pooler_output" in expected and expected.pooler_output is not None:
        assert_same(ours.pool(states), expected.pooler_output)
    else:
        assert (ours.pooler is not None) == (name == "bert pretraining")


@pytest.mark.parametrize("name", ENCODER_DECODERS)
@torch.no_grad()
def test_encoder_decoders_give_the_same_scores(name: str, tmp_path: Path) -> None:
    theirs = saved(name, tmp_path)
    ours = load_folder(tmp_path).model()
    padding = padding_of(LENGTHS)
    sources = padded(theirs, random_ids(3, 11), padding)
    targets = random_ids(3, 9)
    expected = theirs(input_ids=sources, attention_mask=padding.long(), decoder_input_ids=targets)
    memory = ours.encode(sources, padding=padding)
    assert_same(memory[padding], expected.encoder_last_hidden_state[padding])
    assert_same(ours(targets, memory=memory, memory_padding=padding), expected.logits)


@pytest.mark.parametrize("name", ENCODER_DECODERS)
@torch.no_grad()
def test_a_cache_changes_nothing_beside_an_encoder(name: str, tmp_path: Path) -> None:
    saved(name, tmp_path)
    ours = load_folder(tmp_path).model()
    padding, target_padding = padding_of(LENGTHS), padding_of([3, 1, 2])
    memory = ours.encode(random_ids(3, 11), padding=padding)
    first, later = random_ids(3, 3), random_ids(3, 5)
    cache = ours.new_cache(3, 8)
    parts = [ours(first, padding=target_padding, memory=memory, memory_padding=padding, cache=cache)]
    parts += [ours(step, cache=cache) for step in later.split([1, 2, 1, 1], dim=1)]
    cached = torch.cat(parts, dim=1)
    for row, length in enumerate(target_padding.sum(1).tolist()):
        whole = torch.cat([first[row, :length], later[row]])[None]
        alone = ours(whole, memory=memory[row : row + 1], memory_padding=padding[row : row + 1])[0]
        given = torch.cat([cached[row, :length], cached[row, 3:]])
        torch.testing.assert_close(given, alone, rtol=0, atol=1e-5 * float(alone.abs().max()))


def test_older_names_of_bert_are_read(tmp_path: Path) -> None:
    """As bert-base-uncased lies on the hub: gamma and beta, ids of places, the head's bias twice."""
    from safetensors.torch import load_file, save_file

    saved("bert pretraining", tmp_path)
    path = tmp_path / "model.safetensors"
    expected = load_folder(tmp_path).state
    older = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in load_file(path).items()
    }
    older["bert.embeddings.position_ids"] = torch.arange(24)[None]
    older["cls.predictions.decoder.bias"] = older["cls.predictions.bias"].clone()
    save_file(older, path)
    found = load_folder(tmp_path).state
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_body_of_bart_has_a_tied_head_without_bias(tmp_path: Path) -> None:
    random_model("bart").model.save_pretrained(tmp_path)  # type: ignore[operator, union-attr]
    ours = load_folder(tmp_path).model()
    assert ours.config.tied_head
    assert not ours.config.head_bias


def test_embeddings_of_bart_that_differ_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    saved("bart untied, scaled", tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["model.decoder.embed_tokens.weight"] += 1
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r'"model\.decoder\.embed_tokens\.weight" stands for the same'):
        load_folder(tmp_path)


def test_a_head_of_another_task_is_refused_by_name(tmp_path: Path) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=9
    )
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"not of this model: classifier\.bias, classifier\.weight"):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("bert", {"position_embedding_type": "relative_key"}, '"position_embedding_type" is not supported'),
        ("bert", {"is_decoder": True}, '"is_decoder" is not supported'),
        ("roberta", {"hidden_act": "relu"}, '"hidden_act" is not supported'),
        ("t5", {"feed_forward_proj": "gated-tanh"}, '"feed_forward_proj" is not supported'),
        ("bart", {"decoder_ffn_dim": 41}, '"decoder_ffn_dim" is not supported'),
        ("bart", {"normalize_before": True}, '"normalize_before" is not supported'),
        ("bart", {"normalise_before": True}, 'not known here: "normalise_before"; did you mean'),
    ],
)
def test_settings_that_change_the_computation_are_refused(
    name: str, changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    saved(name, tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    with pytest.raises(UsageError, match=message):
        read_config({**values, **changes}, FORMATS)
