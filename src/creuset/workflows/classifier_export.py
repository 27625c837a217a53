"""A tuned classifier of texts for transformers and PEFT, with the proof that it gives the same scores.

    safetensors   a folder of the base's own class for texts with classes, what was trained of the base merged
    peft          the updates and the layer of classes (modules_to_save), which PEFT adds to that class

Where that class computes something else, nothing is written (pretrained/sequence_classifier.py).
"""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creuset.adapters.adapter import given, taken
from creuset.adapters.switch import merged_state
from creuset.data.labelled_split import base_ids
from creuset.data.tokenizer import Tokenizer
from creuset.errors import CheckpointError, GateError, NotFoundError, UsageError
from creuset.evaluation.certificate import PROMPTS
from creuset.files import disk_errors, sync_folder
from creuset.models.text_classifier import SequenceClassifier
from creuset.models.transformer import Transformer
from creuset.models.tuned_classifier import TunedClassifier
from creuset.models.tuning import ADAPTER
from creuset.pretrained.base_identity import BaseIdentity, OpenedBase, require_base
from creuset.pretrained.classifier_head import head_to_theirs, split_head
from creuset.pretrained.peft_folder import load_adapter, save_adapter
from creuset.pretrained.sequence_classifier import (
    TheirHead,
    classifier_logits,
    fitting_head,
    load_classifier,
    save_classifier,
    with_head,
)
from creuset.pretrained.whole_base import WholeBase, load_whole_base
from creuset.progress import Progress, Silent
from creuset.runs.folder import RunFolder
from creuset.training.base import base_path
from creuset.workflows.load import Loaded, load
from creuset.workflows.run_data import run_data

CERTIFICATE = "certificate.json"
LIMIT = 1e-4
"""The largest difference of a score."""
_OWN_TEXTS = 4


@dataclass(frozen=True, kw_only=True)
class ClassifierCertificate:
    """By how much the scores of what was written differ from the run's.

    Args:
        num_texts: Texts that both scored.
        num_own_texts: Those of them that are held-out texts of the run.
        same_tokens: Whether each was the same tokens on both sides.
        largest_difference: Of a score.
        about: What was compared, by which versions.
    """

    num_texts: int
    num_own_texts: int
    same_tokens: bool
    largest_difference: float
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether the scores are the same."""
        return self.same_tokens and self.largest_difference <= LIMIT

    def to_json(self) -> dict[str, Any]:
        """As it lies in the folder."""
        found = {"format": 1, "kind": "classifier", **asdict(self), "passed": self.passed}
        return {**found, "limits": {"largest_difference": LIMIT}}

    def require(self) -> None:
        """Refuses an export that scores otherwise.

        Raises:
            GateError: It does.
        """
        if not self.passed:
            raise GateError(
                "the exported classifier does not score as the run does: nothing was exported",
                got=f"a difference of {self.largest_difference:.3g}"
                if self.same_tokens
                else "other tokens of the same text",
                expected=f"at most {LIMIT:g}",
            )


@dataclass(frozen=True, kw_only=True)
class ExportedClassifier:
    """What was written.

    Args:
        path: The folder.
        certificate: The proof that it scores as the run.
        certificate_path: Where that lies.
    """

    path: Path
    certificate: ClassifierCertificate
    certificate_path: Path


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A run's classifier with its base in float32."""

    loaded: Loaded
    model: TunedClassifier
    base: WholeBase
    place: Path
    base_name: str
    head: TheirHead

    @property
    def head_state(self) -> dict[str, Tensor]:
        return {f"output.{name}": value.detach() for name, value in self.model.output.named_parameters()}

    @property
    def theirs(self) -> dict[str, Tensor]:
        return head_to_theirs(self.head_state, self.head.layer)


def export_classifier(
    run: RunFolder, to: str, path: Path, *, progress: Progress | None = None
) -> ExportedClassifier:
    """Writes a run's classifier of texts, and proves that it gives the same scores.

    Args:
        run: Of the family tuned_classifier.
        to: "safetensors" or "peft".
        path: The folder; it must not exist.
        progress: Is told what is being done.

    Raises:
        UsageError: Something is there already, another target, or a classifier that no class of transformers
            computes; why is said.
        GateError: What was written does not give the same scores: nothing is left of it.
        ResourceError: The disk is full.
    """
    watcher = Silent() if progress is None else progress
    _require_target(to)
    if path.exists():
        raise UsageError(
            "there is something at this place already", where=path, next_step="name a place that is new"
        )
    source = _opened(run)
    if to == "peft" and source.loaded.recipe.values()["adapter.kind"] != "lora":
        raise UsageError(
            "there are no updates to export by themselves",
            where="--to",
            got=f"peft, of a run with adapter.kind {source.loaded.recipe.values()['adapter.kind']}",
            expected="--to safetensors, or a run that was tuned by lora",
        )
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
        try:
            place = folder / path.name
            watcher.say(f"writing {to}")
            _write(source, to, place)
            watcher.say("the run and what was written score the same texts")
            certificate = _certified(source, to, place)
            certificate.require()
            document = json.dumps(certificate.to_json(), indent=2, allow_nan=False) + "\n"
            (place / CERTIFICATE).write_text(document)
            place.replace(path)
            sync_folder(path.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return ExportedClassifier(path=path, certificate=certificate, certificate_path=path / CERTIFICATE)


def _require_target(to: str) -> None:
    if to not in ("safetensors", "peft"):
        raise UsageError(
            "a classifier of texts is written for transformers and for PEFT",
            where="--to",
            got=to,
            expected="safetensors or peft",
        )


def _opened(run: RunFolder) -> _Source:
    loaded = load(run, precision="float32")
    model = loaded.model
    assert isinstance(model, TunedClassifier)
    named = run.manifest().base
    assert named is not None
    place = base_path(named["name"])
    base = load_whole_base(place)
    head = fitting_head(base.model_type, model.pooling, bias=model.output.bias is not None)
    return _Source(loaded=loaded, model=model, base=base, place=place, base_name=named["name"], head=head)


def _write(source: _Source, to: str, place: Path) -> None:
    base = source.base
    if to == "safetensors":
        save_classifier(
            place,
            source.head,
            source.head_state,
            config=base.config,
            state=merged_state(source.model.body),
            model_type=base.model_type,
            class_names=source.loaded.spec.class_names,
            tokenizer=base.text.tokenizer,
        )
        return
    save_adapter(
        place,
        taken(source.model.body, ADAPTER),
        base.config,
        base.model_type,
        base=source.base_name,
        identity=BaseIdentity.of(source.base_name, source.place, base.weights),
        others=source.theirs,
        classifies=True,
    )


def _certified(source: _Source, to: str, place: Path) -> ClassifierCertificate:
    model, tokenizer = _read_again(source, to, place)
    own = _own_texts(source.loaded)
    texts, limit = [*PROMPTS, *own], source.loaded.spec.max_tokens
    ids = base_ids(texts, tokenizer, max_tokens=limit)[0]
    same = bool(torch.equal(ids, base_ids(texts, source.base.text.tokenizer, max_tokens=limit)[0]))
    found: NDArray[np.float32] = classifier_logits(model, ids).numpy()
    apart = np.abs(found - source.loaded.logits(texts))
    return ClassifierCertificate(
        num_texts=len(texts),
        num_own_texts=len(own),
        same_tokens=same,
        largest_difference=float(apart.max()) if np.isfinite(apart).all() else float("1e9"),
        about={
            "run": source.loaded.run.id,
            "base": source.base_name,
            "to": to,
            "class": source.head.name,
            **{name: version(name) for name in ("creuset", "torch")},
        },
    )


def _read_again(source: _Source, to: str, place: Path) -> tuple[SequenceClassifier, Tokenizer]:
    """What was written, by its reader."""
    if to == "safetensors":
        found = load_classifier(place)
        return found.model, found.tokenizer
    base = load_whole_base(source.place)
    loaded = load_adapter(place, base.config, base.model_type)
    opened = OpenedBase(name=source.base_name, place=source.place, weights=base.weights)
    require_base(place, opened, named=loaded.settings.base)
    body = Transformer.from_weights(base.config, base.weights)
    given(body, loaded.adapter, "read")
    _, head = split_head(loaded.others)
    return with_head(body, head, source.head.pooling), base.text.tokenizer


def _own_texts(loaded: Loaded) -> Sequence[str]:
    """A few texts that were held out, where the run's data is there."""
    try:
        dataset = run_data(loaded.run, Silent())
    except (UsageError, NotFoundError, CheckpointError):  # gone, or another one by now
        return ()
    name = next(name for name in ("test", "validation", "train") if name in dataset.splits)
    return dataset.split(name).texts[:_OWN_TEXTS]
