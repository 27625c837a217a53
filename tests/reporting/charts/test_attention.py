"""The grid of attention maps: what is drawn are the weights."""

from typing import Any

import numpy as np
import pytest

from creuset.errors import UsageError
from creuset.reporting.charts import AttentionGrid

TOKENS = ("the", "cat", "sat", "on", "it")


def weights(layers: int = 2, heads: int = 3, size: int = 5) -> np.ndarray:
    scores = np.random.default_rng(0).random((layers, heads, size, size)) * np.tri(size)
    return scores / scores.sum(-1, keepdims=True)


@pytest.mark.parametrize("width", [352, 720])
def test_every_layer_head_and_token_is_named_and_fits(parse: type[Any], width: int) -> None:
    drawing = parse(AttentionGrid(title="attention", weights=weights(), tokens=TOKENS).svg(width=width))
    drawing.check_texts()
    found = " ".join(drawing.texts())
    for token in TOKENS:
        assert token in found


def test_larger_weights_are_darker(parse: type[Any]) -> None:
    sure = np.zeros((1, 1, 2, 2))
    sure[0, 0, 0, 0] = 1.0
    sure[0, 0, 1] = 0.25, 0.75
    drawing = parse(AttentionGrid(title="attention", weights=sure, tokens=("a", "b")).svg())
    opacities = {float(path.attrib["stroke-opacity"]) for path in drawing.all("path", "heat")}
    assert {0.25, 0.75, 1.0} <= opacities


def test_what_is_not_finite_is_counted(parse: type[Any]) -> None:
    holed = weights()
    holed[0, 0, 4, 0] = np.nan
    drawing = parse(AttentionGrid(title="attention", weights=holed, tokens=TOKENS).svg())
    assert any("not drawn" in text for text in drawing.texts())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": np.ones((2, 5, 5))}, "takes weights of layers and heads"),
        ({"weights": weights() * 3}, "attention weights are shares"),
        ({"tokens": TOKENS[:3]}, "each query needs a token"),
        ({"keys": TOKENS[:3]}, "each key needs a token"),
    ],
)
def test_other_weights_are_refused(changes: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {"title": "attention", "weights": weights(), "tokens": TOKENS, **changes}
    with pytest.raises(UsageError, match=message):
        AttentionGrid(**options)
