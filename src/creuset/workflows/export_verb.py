"""`creuset.export`: a run or a model for other programs, by name, with the proof that it answers alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from creuset.errors import UsageError, did_you_mean
from creuset.models import family
from creuset.pretrained.gguf.writing import Stored
from creuset.pretrained.onnx_writing import require_onnx
from creuset.progress import Progress
from creuset.runs.folder import RunFolder
from creuset.workflows.classifier_export import ExportedClassifier, export_classifier
from creuset.workflows.embed import CERTIFICATE, EmbedderCertificate, export_embedder
from creuset.workflows.export import (
    Exportable,
    Exported,
    Target,
    exportable_run,
    open_exportable,
)
from creuset.workflows.export import export as write_export
from creuset.workflows.load import load
from creuset.workflows.train import Run
from creuset.workflows.tuned_model import embedder_run, tuned_run

USUAL: Stored = "q8_0"
_OTHER_FILES = (".safetensors", ".onnx", ".bin", ".pt", ".json", ".zip")
"""Endings under which nobody looks for a GGUF file."""
_FILES = ("gguf", "gguf-lora")


@dataclass(frozen=True, kw_only=True)
class ExportedEmbedder:
    """What was written of a text embedder.

    Args:
        path: The folder.
        certificate: The proof that it gives the run's vectors.
        certificate_path: Where that lies.
    """

    path: Path
    certificate: EmbedderCertificate
    certificate_path: Path


def export(
    model: str | Path | Run | RunFolder,
    *,
    to: Target,
    path: str | Path | None = None,
    adapter: str | Path | None = None,
    stored: Stored | None = None,
    progress: Progress | None = None,
) -> Exported | ExportedClassifier | ExportedEmbedder:
    """Writes a language model, or a tuned classifier or embedder of texts, for other programs, and proves it.

    `.certificate` says by how much it differs, and lies beside what was written.

    Args:
        model: A tuned run, as `creuset.finetune` returns it or by its name; or a model's name, folder or
            GGUF file.
        to: "safetensors" (a folder for transformers, an adapter merged; of an embedder for
            sentence-transformers), "onnx" (a folder for onnxruntime, likewise), "gguf" (a file for llama.cpp,
            likewise), "gguf-lora" or "peft" (the adapter alone).
        path: The file or folder to write, which must not exist; of a file also the folder that it is to
            lie in, with / at its end. None: a name of the model's, here.
        adapter: A PEFT folder of updates of a model that others trained.
        stored: How a GGUF file stores numbers; None for q8_0.
        progress: Is told what is being done.

    Raises:
        NotFoundError: There is no such run, model or folder.
        UsageError: Something is at the place already, an option without effect, or the format cannot say what
            the model computes.
        CheckpointError: The adapter is of another base.
        GateError: What was written does not answer as the model: nothing is left of it.
        ResourceError: The disk is full.
    """
    _require_known("--to", to, get_args(Target))
    if stored is not None:
        _require_known("--stored", stored, get_args(Stored))
    if stored is not None and to != "gguf":
        raise UsageError(
            "an option without effect: only GGUF files store numbers in several ways",
            where="--stored",
            got=stored,
            expected="--to gguf",
            next_step="leave it out",
        )
    if to == "onnx":
        require_onnx()
    chosen = USUAL if stored is None else stored
    run = _run(model)
    if run is not None and adapter is not None:
        raise UsageError(
            "a run has its own adapter",
            where="--adapter",
            got=adapter,
            next_step="leave it out, or name the base in place of the run",
        )
    if run is not None and "embeds_texts" in family(run.manifest().family).traits:
        return _embedder(run, to, path)
    if run is not None and "classifies" in family(run.manifest().family).traits:
        place = Path(f"{run.id}-{to}") if path is None else Path(path).expanduser()
        return export_classifier(run, to, place, progress=progress)
    source = (
        open_exportable(str(model), None if adapter is None else Path(adapter).expanduser())
        if run is None
        else exportable_run(run)
    )
    return write_export(source, to, _place(source, to, chosen, path), stored=chosen, progress=progress)


def _require_known(where: str, got: str, known: Sequence[str]) -> None:
    """Refuses a word that Python passes on without a look."""
    if got not in known:
        raise UsageError(
            f"this is not known{did_you_mean(str(got), known)}",
            where=where,
            got=got,
            expected=", ".join(known),
        )


def _run(model: str | Path | Run | RunFolder) -> RunFolder | None:
    """The run that is meant; None of a model that others trained."""
    if isinstance(model, Run):
        return model.folder
    if isinstance(model, RunFolder):
        return model
    found = tuned_run(str(model))
    return embedder_run(str(model)) if found is None else found


def _embedder(run: RunFolder, to: Target, path: str | Path | None) -> ExportedEmbedder:
    """The run's text embedder as a folder for sentence-transformers."""
    if to != "safetensors":
        raise UsageError(
            "a text embedder is exported as a folder alone",
            where="--to",
            got=to,
            expected="safetensors",
        )
    place = Path(f"{run.id}-{to}") if path is None else Path(path).expanduser()
    certificate = export_embedder(load(run), place)
    return ExportedEmbedder(path=place, certificate=certificate, certificate_path=place / CERTIFICATE)


def _place(source: Exportable, to: Target, stored: Stored, path: str | Path | None) -> Path:
    """Where it is written: of a file, a name of the model's in a folder that is named."""
    endings = {"gguf": f".{stored}.gguf", "gguf-lora": ".lora.gguf"}
    usual = f"{source.name}{endings.get(to, f'-{to}')}"
    if path is None:
        return Path(usual)
    place = Path(path).expanduser()
    in_folder = to in _FILES and isinstance(path, str) and path.endswith("/")
    found = place / usual if in_folder else place
    if to in _FILES and found.suffix in _OTHER_FILES:
        raise UsageError(
            "the name of a GGUF file ends in .gguf",
            where="--out",
            got=path,
            expected=f"{place.with_suffix('.gguf')}, or a folder's name with / at its end",
        )
    if to not in _FILES and found.suffix in (".gguf", *_OTHER_FILES):
        raise UsageError(
            "what is written is a folder, and this is the name of a file",
            where="--out",
            got=path,
            expected=f"a name such as {place.with_suffix('')}",
        )
    return found
