"""Layers by the names that people use for them."""

import pytest
import torch

from creuset.adapters.lora import LoraForm, attach
from creuset.adapters.targets import target_layers
from creuset.errors import UsageError
from creuset.models.transformer import Transformer
from small_transformers import MODERN, PLAIN


def model() -> Transformer:
    torch.manual_seed(0)
    return Transformer(MODERN)


THEIRS = {
    f"decoder.blocks.{layer}.attention.{ours}": f"model.layers.{layer}.self_attn.{theirs}"
    for layer in range(MODERN.num_layers)
    for ours, theirs in (("query", "q_proj"), ("value", "v_proj"))
}
QUERIES = [f"decoder.blocks.{layer}.attention.query" for layer in range(MODERN.num_layers)]
VALUES = [f"decoder.blocks.{layer}.attention.value" for layer in range(MODERN.num_layers)]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (["q"], QUERIES),
        (["query"], QUERIES),
        (["attention.query"], QUERIES),
        (["q_proj"], QUERIES),
        (["self_attn.q_proj"], QUERIES),
        (["blocks.1.attention.query"], QUERIES[1:2]),
        (["model.layers.2.self_attn.q_proj"], QUERIES[2:]),
        ([QUERIES[0], "q"], QUERIES),
        (r".*blocks\.[12]\.attention\.query", QUERIES[1:]),
        (r"model\.layers\.0\..*", [QUERIES[0], VALUES[0]]),
    ],
)
def test_names_of_layers(targets: list[str] | str, expected: list[str]) -> None:
    assert target_layers(model(), targets, THEIRS) == expected


def test_all_linear_leaves_the_head_out() -> None:
    found = target_layers(model(), "all-linear")
    assert len(found) == 7 * MODERN.num_layers
    assert target_layers(model(), ["all-linear"]) == found
    assert not any("head" in name or "embedding" in name for name in found)


def test_both_in_the_order_of_the_model() -> None:
    found = target_layers(model(), ["v", "q"])
    assert found == [name for pair in zip(QUERIES, VALUES, strict=True) for name in pair]


def test_layers_that_have_an_update_already_are_found_once() -> None:
    adapted = model()
    attach(adapted, dict.fromkeys(QUERIES, LoraForm(rank=2, alpha=2)), "one")
    assert target_layers(adapted, ["q"]) == QUERIES


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["q_prj"], 'called "q_prj"; did you mean "q_proj"'),
        (["q", "c_attn"], 'called "c_attn"'),
        (r"nothing.*", r'called "nothing'),
        ("(", "no regular expression"),
        ([], "no layer is named"),
    ],
)
def test_targets_that_match_nothing_are_named(targets: list[str] | str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as found:
        target_layers(model(), targets, THEIRS)
    assert str(found.value)


def test_a_model_without_gates_says_what_it_has() -> None:
    with pytest.raises(UsageError) as found:
        target_layers(Transformer(PLAIN), ["gate"])
    assert "expected: q, k, v, o, up, down, all-linear" in str(found.value)
