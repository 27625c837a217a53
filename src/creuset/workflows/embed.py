"""A run's text embedder as something to use: vectors of any texts, and a folder for others with its proof.

What is exported is opened again and must give the vectors of the model in memory: else nothing is left of it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from creuset.errors import GateError, UsageError
from creuset.evaluation.partners import UNTRAINED
from creuset.evaluation.tuned_answers import CHANGE
from creuset.evaluation.tuned_preferences import BASE
from creuset.files import atomic_folder, sha256_of, write_atomic
from creuset.metrics.score import Score
from creuset.models.base import Model
from creuset.pretrained.sentence_embedder import SentenceEmbedder, write_embedder
from creuset.reporting.blocks import Block, Cell, Table
from creuset.training.session import build_model
from creuset.workflows.load import Loaded

CERTIFICATE = "certificate.json"
_LEAST_COSINE = 1 - 1e-5
_TEXTS = (
    "A short sentence.",
    "What is the opening time of the library on Sundays?",
    "Où se trouve la gare la plus proche ?",
    "12 of 37 samples, that is 32.4%, were left out: see table 3.",
    "one two three four five six seven eight nine ten " * 4,
)
"""What the model and what was written of it are both asked for, as much of each as they read."""


@dataclass(frozen=True, kw_only=True)
class EmbedderCertificate:
    """The proof that a folder gives the vectors of the model.

    Args:
        run: Whose model it is.
        num_texts: Texts that both were given.
        least_cosine: Between both vectors of a text.
        max_tokens: Tokens of a text that are read.
        num_features: Numbers of a vector.
        sha256: Of the folder's weights.
    """

    run: str
    num_texts: int
    least_cosine: float
    max_tokens: int
    num_features: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """Everything, with the version that wrote it."""
        return {**asdict(self), "creuset": version("creuset"), "torch": version("torch")}


def open_embedder(loaded: Loaded) -> SentenceEmbedder:
    """What makes vectors of texts: `open_embedder(load("my-run")).embed(["a text"])`.

    Raises:
        UsageError: The model does not embed texts.
    """
    return loaded.embedder


def export_embedder(loaded: Loaded, folder: Path | str) -> EmbedderCertificate:
    """Writes a folder that sentence-transformers and `SentenceEmbedder.from_folder` read, with a certificate.

    Raises:
        UsageError: The model does not embed texts, or there is something at this place already.
        GateError: What was written gives other vectors than the model: nothing is left of it.
        ResourceError: The disk is full.
    """
    path, own = Path(folder), loaded.embedder
    if path.exists():
        raise UsageError(
            "there is something at this place already", where=path, next_step="name a folder that is new"
        )
    with atomic_folder(path) as place:
        write_embedder(place, loaded.plain_embedder(), loaded.tokenizer, max_tokens=own.max_tokens)
        certificate = _certified(loaded, place)
        document = json.dumps(certificate.to_json(), indent=2, allow_nan=False)
        write_atomic(place / CERTIFICATE, document + "\n")
    return certificate


def _certified(loaded: Loaded, place: Path) -> EmbedderCertificate:
    """What was written beside the model.

    Raises:
        GateError: Their vectors differ.
    """
    own, written = loaded.embedder, SentenceEmbedder.from_folder(place)
    sides = [each.embed(_TEXTS, truncate=own.max_tokens).astype(np.float64) for each in (own, written)]
    one, other = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in sides)
    least = float((one * other).sum(1).min())
    if not least >= _LEAST_COSINE:
        raise GateError(
            "what was written gives other vectors than the model",
            got=f"a cosine of {least:.7f}",
            expected=f"{_LEAST_COSINE:g} at least",
            next_step="report this: nothing was exported",
        )
    return EmbedderCertificate(
        run=loaded.run.id,
        num_texts=len(_TEXTS),
        least_cosine=least,
        max_tokens=own.max_tokens,
        num_features=own.num_features,
        sha256=",".join(sha256_of(shard) for shard in sorted(place.glob("*.safetensors"))),
    )


def untrained(loaded: Loaded) -> Model:
    """The run's model as it was before its training, in evaluation mode."""
    model = build_model(loaded.family, loaded.recipe.model, loaded.spec, loaded.recipe.training.seed)
    assert isinstance(model, Model)
    model.settle(loaded.device, loaded.run.manifest().precision)
    return model.eval()


def partner_blocks(document: Mapping[str, Any]) -> list[Block]:
    """The scores of a stored suite `retrieval` before and after training; of a tuned base what changed."""
    scores = {score.metric: score for score in map(Score.from_json, document["scores"])}
    before = {score.metric: score for score in map(Score.from_json, document["floors"])}
    is_tuned = any(name.endswith(BASE) for name in before)
    rows: list[list[Cell]] = []
    for metric, score in scores.items():
        if metric.endswith(CHANGE):
            continue
        earlier, change = before.get(metric + (BASE if is_tuned else UNTRAINED)), scores.get(metric + CHANGE)
        told = score if change is None else change
        ends = (None, None) if told.interval is None else told.interval
        changed = [] if not is_tuned else [None if change is None else change.value]
        rows.append([metric, None if earlier is None else earlier.value, score.value, *changed, *ends])
    what = (
        "base and tuned model, and the change with its 95% interval, over texts that are taken together"
        if is_tuned
        else "before the training and after it, with the 95% interval"
    )
    names = ["base", "tuned", "change"] if is_tuned else ["before training", "after"]
    return [
        Table(
            header=["measure", *names, "low", "high"],
            rows=rows,
            caption=f"How well a text finds its partner among {document['details']['candidates']:,}, by the "
            f"cosines of their vectors: {what}.",
        )
    ]
