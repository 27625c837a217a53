"""A run's text embedder as something to use: vectors of any texts, and a folder for others."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from creuset.evaluation.partners import UNTRAINED
from creuset.metrics.score import Score
from creuset.models.base import Model
from creuset.models.text_embedder import TextEmbedder
from creuset.pretrained.sentence_embedder import SentenceEmbedder, save_embedder
from creuset.reporting.blocks import Block, Cell, Table
from creuset.training.session import build_model
from creuset.workflows.load import Loaded


def open_embedder(loaded: Loaded) -> SentenceEmbedder:
    """What makes vectors of texts: `open_embedder(load("my-run")).embed(["a text"])`.

    Raises:
        UsageError: The model does not embed texts.
    """
    model = _model(loaded)
    return SentenceEmbedder(copy.deepcopy(model.embedder), loaded.tokenizer, max_tokens=model.max_tokens)


def export_embedder(loaded: Loaded, folder: Path | str) -> None:
    """Writes a folder that sentence-transformers and `SentenceEmbedder.from_folder` read.

    Raises:
        UsageError: The model does not embed texts, or there is something at this place already.
        ResourceError: The disk is full.
    """
    model = _model(loaded)
    save_embedder(folder, model.embedder, loaded.tokenizer, max_tokens=model.max_tokens)


def untrained(loaded: Loaded) -> Model:
    """The run's model as it was before its training, in evaluation mode."""
    model = build_model(loaded.family, loaded.recipe.model, loaded.spec, loaded.recipe.training.seed)
    assert isinstance(model, Model)
    model.settle(loaded.device, loaded.run.manifest().precision)
    return model.eval()


def partner_blocks(document: Mapping[str, Any]) -> list[Block]:
    """The scores of a stored suite `retrieval` before and after training."""
    before = {score.metric: score for score in map(Score.from_json, document["floors"])}
    rows: list[list[Cell]] = []
    for score in map(Score.from_json, document["scores"]):
        earlier = before.get(score.metric + UNTRAINED)
        ends = (None, None) if score.interval is None else score.interval
        rows.append([score.metric, None if earlier is None else earlier.value, score.value, *ends])
    return [
        Table(
            header=["measure", "before training", "after", "low", "high"],
            rows=rows,
            caption=f"How well a text finds its partner among {document['details']['candidates']:,}, by the "
            "cosines of their vectors, before the training and after it, with the 95% interval.",
        )
    ]


def _model(loaded: Loaded) -> TextEmbedder:
    loaded.require("embeds_texts", "make vectors of texts")
    assert isinstance(loaded.model, TextEmbedder)
    return loaded.model
