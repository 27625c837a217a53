"""`creuset.load`: a run, or a language model that others trained, as something that can be used."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, overload

from creuset.device import Precision
from creuset.errors import NotFoundError, UsageError
from creuset.runs.folder import RunFolder
from creuset.workflows.adapted import model_place
from creuset.workflows.first_stage import RUN
from creuset.workflows.language_handle import LanguageHandle, open_language_model
from creuset.workflows.load import Loaded, find_run
from creuset.workflows.load import load as load_run


@overload
def load(
    model: str | Path, *, adapter: str | Path | Mapping[str, str | Path], checkpoint: str = "best"
) -> LanguageHandle:
    """A language model with adapters."""


@overload
def load(
    model: RunFolder, *, checkpoint: str = "best", device: str = "auto", precision: Precision | None = None
) -> Loaded:
    """The model of a run."""


@overload
def load(
    model: str | Path, *, checkpoint: str = "best", device: str = "auto", precision: Precision | None = None
) -> Any:
    """Whichever the name stands for."""


def load(
    model: str | Path | RunFolder,
    *,
    adapter: str | Path | Mapping[str, str | Path] | None = None,
    checkpoint: str = "best",
    device: str = "auto",
    precision: Precision | None = None,
) -> Loaded | LanguageHandle:
    """A run's model with all that can be asked of it, or a language model that others trained.

    Args:
        model: A run's ID, its folder, an alias or an opened run; or a language model's name, folder or GGUF
            file.
        adapter: Of a language model: a PEFT folder of updates, or several by name, between which `use`
            switches; the first is in use.
        checkpoint: Of a run: "best" by validation loss (the last one where nothing was validated), "last", or
            a name such as "step-00000500".
        device: Of a run: where the model is put.
        precision: Of a run: the number format; None for that of the training.

    Returns:
        `Loaded` of a run, else `LanguageHandle`, which computes on the processor in float32.

    Raises:
        NotFoundError: No such run, model or checkpoint.
        CheckpointError: The checkpoint is damaged, or of another model; an adapter is of another base.
        UsageError: A run has its own adapter; a setting that the model does not have.
    """
    try:
        folder = model if isinstance(model, RunFolder) else find_run(model)
    except NotFoundError as error:
        if str(model).startswith(RUN):
            raise
        try:
            model_place(str(model))
        except NotFoundError:
            raise error from None
        if (checkpoint, precision) != ("best", None) or device not in ("auto", "cpu"):
            raise UsageError(
                "a setting without effect: a model that others trained has one state",
                where=model,
                got=f"checkpoint {checkpoint}, device {device}, precision {precision}",
                next_step="leave checkpoint, device and precision out",
            ) from error
        opened = open_language_model(str(model), adapter)
        for remark in opened.unproven:
            warnings.warn(f"{remark} (silence it with warnings.filterwarnings)", stacklevel=2)
        return opened
    if adapter is not None:
        raise UsageError(
            "a run has its own adapter",
            where=folder.reference,
            got=adapter,
            next_step="leave it out, or name the base in place of the run",
        )
    return load_run(folder, checkpoint=checkpoint, device=device, precision=precision)
