"""A tuned run, or a base with a PEFT folder, as the base of another tuning: the model, merged, in a folder.

    runs/ID/merged/step-00000300/     a folder of Hugging Face's transformers with its certificate
    merged/FOLDER-1a2b3c4d5e6f/       the same of a base with somebody's adapter, named by both their hashes

It is written once for each checkpoint, and stays: the run that begins there names the folder as its base,
with the hash of the weights (workflows/lineage.py).
"""

import hashlib
from pathlib import Path

from creuset.assets.places import workspace, writable
from creuset.errors import NotFoundError
from creuset.files import sha256_of
from creuset.models import family
from creuset.pretrained.peft_folder import ADAPTER_WEIGHTS
from creuset.pretrained.whole_base import weights_hash
from creuset.progress import Progress, Silent
from creuset.workflows.embed import export_embedder
from creuset.workflows.export import export, exportable_run, open_exportable
from creuset.workflows.first_stage import RUN
from creuset.workflows.lineage import MERGED
from creuset.workflows.load import find_run, load


def base_place(name: str, progress: Progress | None = None) -> str:
    """What a recipe names as its base: the name itself, and of a tuned run the folder of its merged model.

    Raises:
        NotFoundError: run:ID of no run.
        UsageError: A run that tunes neither a language model nor an embedder.
        GateError: The merged model does not answer as the run's does.
        CheckpointError, ResourceError: The run is damaged; the disk is full.
    """
    if Path(name).expanduser().exists() and not (Path(name) / "manifest.json").is_file():
        return name
    try:
        folder = find_run(name)
    except NotFoundError:
        if name.startswith(RUN):
            raise
        return name
    manifest = folder.manifest()
    kind = family(manifest.family)
    if kind.tune is None:
        return name  # the family says what it can begin from
    checkpoint = manifest.best or manifest.last
    if checkpoint is None:
        raise NotFoundError("this run has no checkpoint", where=folder.reference)
    place = folder.path.resolve() / MERGED / checkpoint
    if not place.exists():
        watcher = Silent() if progress is None else progress
        watcher.say(f"{folder.reference}: merging {checkpoint}, to be tuned further")
        if "embeds_texts" in kind.traits:
            export_embedder(load(folder), place)
        else:
            export(exportable_run(folder), "safetensors", place, progress=watcher)
    return str(place)


def adapted_place(base: str, adapter: Path, progress: Progress | None = None) -> str:
    """The folder of a base with an adapter merged into it, in the workspace; written once.

    Args:
        base: A model's name, folder or GGUF file, or a tuned run.
        adapter: A PEFT folder of updates of it.
        progress: Who watches.

    Raises:
        NotFoundError: There is no such model, run or folder.
        CheckpointError: The adapter is of another base.
        UsageError, DataError: Something that is not read, or an adapter of a classifier.
        GateError: The merged model does not answer as the base with its adapter does.
    """
    watcher = Silent() if progress is None else progress
    source = open_exportable(base_place(base, progress), adapter)
    told = f"{weights_hash(source.place)} {sha256_of(adapter / ADAPTER_WEIGHTS)}"
    digest = hashlib.sha256(told.encode()).hexdigest()[:12]
    place = writable(workspace(), "CREUSET_WORKSPACE").resolve() / MERGED / f"{source.name}-{digest}"
    if not place.exists():
        watcher.say(f"{adapter}: merging it into {base}, to be tuned further")
        export(source, "safetensors", place, progress=watcher)
    return str(place)
