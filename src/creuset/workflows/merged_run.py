"""A tuned run as the base of another tuning: its model, merged, in a folder of the run itself.

    runs/ID/merged/step-00000300/     a folder of Hugging Face's transformers with its certificate

It is written once for each checkpoint, and stays: the run that begins there names the folder as its base,
with the hash of the weights (workflows/lineage.py).
"""

from pathlib import Path

from creuset.errors import NotFoundError
from creuset.models import family
from creuset.progress import Progress, Silent
from creuset.workflows.embed import export_embedder
from creuset.workflows.export import export, exportable_run
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
