"""What a suite is given and what it finds."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.data.dataset import Dataset
from creuset.data.hashing import Hashes, content_hash, sample_hashes
from creuset.data.spec import DataSpec
from creuset.data.token_stream import TokenStream
from creuset.data.toys import STACK, mixtures
from creuset.metrics.rows import KeptRows
from creuset.metrics.score import Score
from creuset.models.base import Family, FittedModel, Model
from creuset.recipe.evaluation import Suite

POINTS = frozenset(mixtures())
"""Mixtures of points."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a suite found.

    Args:
        suite: Its name.
        split: The part of the data.
        scores: The measures, the most telling first.
        floors: What simple models reach on the same samples, to read the scores against.
        details: For a report, as JSON: confusion counts, calibration bins, curves.
        findings: What the scores say, as of tuned beside base: whole sentences without a full stop.
        remarks: What was left out, and how it is to be had: whole sentences without a full stop.
        rows: What the scores were made of, by sample (metrics/rows.py); no part of the JSON.
        pictures: Shown in a report, uint8 (P, H, W, C) by name; no part of the JSON.
        samples: SHA-256 of the samples in the order of the rows.
    """

    suite: Suite
    split: str
    scores: list[Score] = field(default_factory=list)
    floors: list[Score] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    rows: KeptRows = field(default_factory=dict)
    pictures: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    samples: str = ""

    def to_json(self) -> dict[str, Any]:
        said = {"findings": self.findings, "remarks": self.remarks}
        return {
            "suite": self.suite,
            "split": self.split,
            "scores": [score.to_json() for score in self.scores],
            "floors": [score.to_json() for score in self.floors],
            "details": {**self.details, **{name: lines for name, lines in said.items() if lines}},
        }


def joined(first: Evaluation, others: Iterable[Evaluation]) -> Evaluation:
    """What several parts of one suite found, one after the other."""
    parts = [first, *others]
    return replace(
        first,
        scores=[score for part in parts for score in part.scores],
        floors=[floor for part in parts for floor in part.floors],
        findings=[finding for part in parts for finding in part.findings],
        remarks=[remark for part in parts for remark in part.remarks],
        details={name: detail for part in parts for name, detail in part.details.items()},
        rows={name: values for part in parts for name, values in part.rows.items()},
        pictures={name: images for part in parts for name, images in part.pictures.items()},
    )


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is measured.

    Args:
        family: The model's family.
        model: The model, in evaluation mode.
        device: Where it is.
    """

    family: Family
    model: Model | FittedModel
    device: torch.device


def split_hash(dataset: Dataset, split: str) -> str:
    """Names exactly the samples and labels of one split: what scores on it are comparable by."""
    part = dataset.split(split)
    return content_hash(dataset.spec, {split: (part.hashes, part.labels)})


def documents_hash(stream: TokenStream) -> str:
    """Names exactly the texts of a split in their order, whatever tokenizer reads them."""
    texts = np.empty(len(stream.documents), dtype=object)
    texts[:] = [document.text for document in stream.documents]
    return rows_hash(sample_hashes(texts))


def rows_hash(hashes: Hashes) -> str:
    """SHA-256 of samples in their order."""
    return hashlib.sha256(hashes.astype(">u8").tobytes()).hexdigest()


def suites(family: Family, spec: DataSpec | None = None) -> tuple[Suite, ...]:
    """The suites that fit a family's traits, the most telling first.

    Args:
        family: The family.
        spec: The form of its data, which leaves out what cannot be measured on it; None where it is not
            known yet.
    """
    found: list[Suite] = []
    if "classifies" in family.traits:
        found.append("classification")
    if family.traits & {"likelihood", "encodes", "samples"} and (spec is None or spec.kind == "images"):
        found.append("images")
    if "samples" in family.traits and (spec is None or spec.mixture in POINTS | {STACK}):
        found.append("modes")
    if "scores_text" in family.traits:
        found.append("text")
    if "transduces_text" in family.traits:
        found.append("pairs")
    if "fills_masks" in family.traits:
        found.append("masked")
    if "embeds_texts" in family.traits:
        found.append("retrieval")
    if "embeds_tokens" in family.traits:
        found.append("analogies")
    if "answers_chats" in family.traits:
        found.append("tuning")
    return tuple(found)
