"""What a model of plain text attends to, for its report: heads by layers, for the first tokens of a text."""

import numpy as np

from creuset.data.dataset import Dataset
from creuset.models.token_model import TokenModel
from creuset.reporting.blocks import Block, Figure
from creuset.reporting.charts import AttentionGrid
from creuset.workflows.load import Loaded

ATTENTION_LEAD = (
    "From which tokens each one gathers what it passes on: where a head reads, not what it makes of it."
)
_SPLIT = "validation"
_TOKENS = 16
"""Of the text: maps of more are too small to be read where a layer has several heads."""
_LAYERS = 6
"""At most; of a deeper model some are shown, evenly spread, the first and the last among them."""


def attention_blocks(loaded: Loaded, dataset: Dataset) -> list[Block]:
    """The attention of a model of plain text over the first tokens of the validation text; nothing for models
    without attention, and where that text has no tokens.
    """
    model = loaded.model
    part = dataset.splits.get(_SPLIT)
    if not isinstance(model, TokenModel) or part is None or part.stream is None:
        return []
    ids = part.stream.ids[: min(_TOKENS, model.context)].long()
    if not len(ids):
        return []
    weights = model.attention(ids[None].to(loaded.device))
    if not weights:
        return []
    shown = chosen_layers(len(weights))
    grid = AttentionGrid(
        title=f"attention of {loaded.run.id}, heads by layers",
        weights=np.stack([weights[layer][0].float().cpu().numpy() for layer in shown]),
        tokens=[loaded.tokenizer.readable(number) for number in ids.tolist()],
        layer_numbers=[layer + 1 for layer in shown],
    )
    return [Figure(drawing=grid, caption=_caption(model, len(ids), len(shown), len(weights)))]


def chosen_layers(num_layers: int) -> list[int]:
    """Which layers are shown, from 0: all of a few, else some of them, evenly spread."""
    if num_layers <= _LAYERS:
        return list(range(num_layers))
    return [round(place) for place in np.linspace(0, num_layers - 1, _LAYERS).tolist()]


def _caption(model: TokenModel, num_tokens: int, num_shown: int, num_layers: int) -> str:
    layers = "each layer" if num_shown == num_layers else f"{num_shown} of {num_layers} layers"
    ahead = (
        "left of the diagonal stands what comes before a token, right of it what comes behind"
        if model.reads_ahead
        else "right of the diagonal, where the future is, all is blank"
    )
    readers = "all tokens" if model.reads_ahead else "all later ones"
    return (
        f"The first {num_tokens} tokens of the {_SPLIT} text: a row of maps for {layers}, a column for each "
        "head. In a map, each row is a token that reads and each column one that is read. The shades of a "
        f"row add up to 1; {ahead}. A diagonal is tokens that read themselves, a line beside it the token "
        f"before, a column one token that {readers} read."
    )
