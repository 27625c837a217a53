"""What a model of texts attends to, for its report: heads by layers, for the first tokens of a text, or of a
target that reads its source."""

import numpy as np

from creuset.data.dataset import Dataset, Split
from creuset.generation.transduction import pairs_of, taking_out
from creuset.models.encoder_decoder import EncoderDecoder
from creuset.models.language_model import LanguageModel
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
    """The attention of a language model over the first tokens of the validation text; nothing for models
    without attention, and where that text has no tokens.
    """
    model = loaded.model
    part = dataset.splits.get(_SPLIT)
    if not isinstance(model, LanguageModel) or part is None or part.stream is None:
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
    return [Figure(drawing=grid, caption=_caption(len(ids), len(shown), len(weights)))]


def cross_attention_blocks(loaded: Loaded, dataset: Dataset) -> list[Block]:
    """Where a decoder reads its source, for a held-out target that is short enough to be looked at; nothing
    for other models, and where no target is.
    """
    model, part = loaded.model, dataset.splits.get(_SPLIT)
    if not isinstance(model, EncoderDecoder) or part is None:
        return []
    place = _short_pair(part)
    draws = taking_out(dataset, _SPLIT, device=loaded.device)
    pairs = pairs_of(model, dataset, _SPLIT, place, place + 1, draws)
    weights = model.cross_attention(pairs)
    num_read = int(pairs["source_lengths"][0])
    source, written = pairs["source"][0, :num_read].tolist(), pairs["tokens"][0].tolist()
    keys, queries = source[:_TOKENS], written[:_TOKENS]
    shown = chosen_layers(len(weights))
    grid = AttentionGrid(
        title=f"where the decoder of {loaded.run.id} reads the source, heads by layers",
        weights=np.stack(
            [weights[layer][0, :, : len(queries), : len(keys)].float().cpu().numpy() for layer in shown]
        ),
        tokens=[_shown_token(loaded, model, number) for number in queries],
        keys=[_shown_token(loaded, model, number) for number in keys],
        layer_numbers=[layer + 1 for layer in shown],
    )
    first = "" if len(source) <= _TOKENS else f"the first {_TOKENS} tokens of "
    return [
        Figure(
            drawing=grid,
            caption=f"The decoder of a held-out text and {first}its source. Each row is what the decoder has "
            "read last when it writes the next token, each column a token of the source. The shades of a row "
            "add up to 1 over the whole source. Where both sides go on in the same order, a head that finds "
            "what to write next shows a diagonal.",
        )
    ]


def _short_pair(part: Split) -> int:
    """The place of the pair whose texts are longest among those that a map has room for, else of the
    shortest; the first block of a corpus."""
    if part.pairs is None:
        return 0
    longer = part.inputs.amax(1)
    fits = longer <= _TOKENS
    return int((longer * fits).argmax() if bool(fits.any()) else longer.argmin())


def _shown_token(loaded: Loaded, model: EncoderDecoder, number: int) -> str:
    """A token as people read it; marks and sentinels by what they stand for."""
    if number < model.tokenizer_size:
        return loaded.tokenizer.readable(number)
    if number >= model.first_sentinel:
        return f"<{number - model.first_sentinel + 1}>"
    return "start" if number == model.start else "end"


def chosen_layers(num_layers: int) -> list[int]:
    """Which layers are shown, from 0: all of a few, else some of them, evenly spread."""
    if num_layers <= _LAYERS:
        return list(range(num_layers))
    return [round(place) for place in np.linspace(0, num_layers - 1, _LAYERS).tolist()]


def _caption(num_tokens: int, num_shown: int, num_layers: int) -> str:
    layers = "each layer" if num_shown == num_layers else f"{num_shown} of {num_layers} layers"
    return (
        f"The first {num_tokens} tokens of the {_SPLIT} text: a row of maps for {layers}, a column for each "
        "head. In a map, each row is a token that reads and each column one that is read. The shades of a "
        "row add up to 1; right of the diagonal, where the future is, all is blank. A diagonal is tokens "
        "that read themselves, a line beside it the token before, a column one token that all later ones "
        "read."
    )
