"""`creuset.load`: a run as a model that can be used, with its recipe, data form and device at hand."""

import errno
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.assets import workspace
from creuset.assets.places import aliases
from creuset.data.labelled_split import base_ids
from creuset.data.spec import CodeForm, DataSpec, SoundForm
from creuset.data.vocabulary import encode
from creuset.device import Precision, resolve_device
from creuset.errors import CheckpointError, DataError, NotFoundError, UsageError
from creuset.generation import pictures
from creuset.generation.table_rows import to_features
from creuset.models import family, family_configs
from creuset.models.base import FittedModel, Model, placed
from creuset.pretrained.whole_base import weights_hash
from creuset.recipe.resolve import Recipe, parse_recipe
from creuset.recipe.source import read_text
from creuset.runs.checkpoint import (
    Checkpoint,
    DamagedCheckpoint,
    check_family,
    check_fit,
)
from creuset.runs.folder import RunFolder
from creuset.training.base import base_path
from creuset.training.session import build_model
from creuset.workflows.first_stage import RUN, FirstStage, require_same_codes
from creuset.workflows.picture_handle import PictureHandle
from creuset.workflows.text_handle import TextHandle

_CHUNK = 500
"""Samples classified at once."""
_TRIES = 5
"""To read a checkpoint of a run that is training."""


class Loaded(PictureHandle, TextHandle):
    """A trained model with all that can be asked of it, and everything around it (`Handle`).

    Pictures go in and out as uint8 (N, H, W, C) in 0..255.
    """

    @overload
    def generate(
        self, num_samples: int = 64, *, seed: int = 0, label: str | None = None, prompt: str | None = None
    ) -> pictures.Pictures | NDArray[np.float64] | NDArray[np.float32]: ...

    @overload
    def generate(
        self, num_samples: str, *, seed: int = 0, max_tokens: int = 200, temperature: float = 0.8
    ) -> str: ...

    def generate(
        self,
        num_samples: int | str = 64,
        *,
        seed: int = 0,
        label: str | None = None,
        prompt: str | None = None,
        max_tokens: int = 200,
        temperature: float = 0.8,
    ) -> pictures.Pictures | NDArray[np.float64] | NDArray[np.float32] | str:
        """New samples, as `PictureHandle.generate` says; of a language model, given a prompt in the place of
        a number, the text that it goes on with.

        Args:
            num_samples: How many samples; or a prompt, which is not repeated.
            seed: Decides them.
            label, prompt: As of `PictureHandle.generate`.
            max_tokens: Tokens of a text at most.
            temperature: 1 draws by the model's probabilities, less favours the likely; 0 takes the likeliest.

        Raises:
            UsageError: The model cannot be asked for that.
        """
        if isinstance(num_samples, str):
            return self.continue_text(num_samples, max_tokens=max_tokens, temperature=temperature, seed=seed)
        return super().generate(num_samples, seed=seed, label=label, prompt=prompt)

    def logits(self, inputs: Any) -> NDArray[np.float32]:
        """One score a class, float32 (N, K), for pictures, for table rows (N, F) as a file holds them, or for
        texts, a list of str, of which as many tokens are read as in training (`spec.max_tokens`).

        Of a language model one score a token, float32 (B, T, V), for token ids (B, T).
        """
        if self.family.traits & {"answers_chats", "generates_text"}:
            return self.token_logits(inputs)
        self.require("classifies", "classify")
        if self.spec.kind == "images":
            tensor = pictures.to_images(inputs, self.spec)
        elif self.spec.kind == "table":
            tensor = to_features(inputs, self.spec)
        else:
            tensor = self._tokens(inputs)
        with torch.no_grad():
            parts = [
                self.model.logits(placed(part, self.model, self.device)).float().cpu()
                for part in torch.split(tensor, _CHUNK)
            ]
        return torch.cat(parts).numpy()

    def predict(self, inputs: Any) -> list[str]:
        """The most likely class of each picture, row or text, by name."""
        return [self.spec.class_names[label] for label in self.logits(inputs).argmax(1)]

    def _tokens(self, inputs: Any) -> torch.Tensor:
        """Texts as the model takes them."""
        texts = [] if isinstance(inputs, str) else list(inputs)
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise DataError(
                "these are no texts",
                got=repr(inputs)[:80],
                expected="a list of texts, each with a word at least",
            )
        if self.spec.tokens == "base":
            return base_ids(texts, self.tokenizer, max_tokens=self.spec.max_tokens)[0].long()
        return encode(texts, self.spec)[0].long()


def find_run(name: str | Path) -> RunFolder:
    """The run that a name stands for: a path, an ID under the workspace's runs/, run:ID, or an alias.

    Raises:
        NotFoundError: There is none.
    """
    path = Path(str(name).removeprefix(RUN))
    try:
        if len(path.parts) > 1 or (path / "manifest.json").is_file():
            return RunFolder.open(path if path.name not in ("", "..") else path.resolve())
        own = workspace() / "runs" / path
        if not own.exists() and not str(name).startswith(RUN):
            target = aliases().get(str(name), "")
            if target.startswith(RUN):
                return find_run(target)
        return RunFolder.open(own)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise NotFoundError(
            "no run can have this name", where=path, got=error.strerror, next_step="creuset runs list"
        ) from error


def load(
    run: str | Path | RunFolder,
    *,
    checkpoint: str = "best",
    device: str = "auto",
    precision: Precision | None = None,
) -> Loaded:
    """The model of a run, in the number format that it was trained in.

    Args:
        run: The run's ID, its folder, or an opened run.
        checkpoint: "best" by validation loss (the last one where nothing was validated), "last", or a name
            such as "step-00000500".
        device: Where the model is put.
        precision: The number format; None for that of the training.

    Raises:
        NotFoundError: No such run or checkpoint.
        CheckpointError: The checkpoint is damaged, or of another model.
    """
    folder = run if isinstance(run, RunFolder) else find_run(run)
    recipe = run_recipe(folder)
    kind = family(recipe.model.family)
    spec = data_spec(folder)
    _require_same_base(folder)
    stage = None
    if spec.codes is not None:
        stage = first_stage(spec.codes.run, device=device, wanted_by=folder)
        require_same_codes(spec.codes, stage.form, folder.path)
    path, saved = _checkpoint(folder, checkpoint)
    place = resolve_device(device)
    model = build_model(kind, recipe.model, spec, recipe.training.seed)
    check_family(saved, kind.name, path)
    if isinstance(model, Model):
        model.settle(place, folder.manifest().precision if precision is None else precision)
        model.eval()
    _fill(model, saved, path)
    return Loaded(
        folder,
        recipe,
        spec,
        kind,
        model,
        device=place,
        step=saved.step,
        checkpoint_hash=saved.hashes["weights"],
        first_stage=stage,
    )


def first_stage(name: str, *, device: str = "auto", wanted_by: RunFolder | None = None) -> FirstStage:
    """The model of a run that makes code maps of pictures.

    Args:
        name: The run's ID or its folder.
        device: Where the model is put.
        wanted_by: The second stage that was trained on its codes; None where one is to be trained.

    Raises:
        NotFoundError: There is no such run, or it has no checkpoint yet.
        UsageError: Its model makes no code maps, or is still being trained.
    """
    where = "data.source" if wanted_by is None else wanted_by.path
    try:
        run = find_run(name)
    except NotFoundError as error:
        step = f"train it: creuset train vqvae-mnist --name {Path(name).name}"
        if wanted_by is not None:
            step = "put its folder back, or train both stages again"
        raise NotFoundError(
            f"the run {name}, whose codes {'are asked for' if wanted_by is None else 'this one learned'}, "
            "is not there",
            where=where,
            got=error.message,
            next_step=step,
        ) from error
    if wanted_by is None and run.running_process() is not None:
        raise UsageError(
            "this run is still training: its codes will change",
            where=where,
            got=f"{RUN}{name}",
            expected="a run that is finished or stopped",
            next_step=f"wait for it: creuset runs log {run.reference} --follow",
        )
    loaded = load(run, device=device)
    if not isinstance(loaded.model, Model) or not loaded.model.num_codes:
        raise UsageError(
            f"a model of the family {loaded.family.name} makes no code maps",
            where=where,
            got=f"{RUN}{name}",
            expected="a run of the family vqvae",
            next_step="train one: creuset train vqvae-mnist",
        )
    return FirstStage(
        run=run,
        model=loaded.model,
        spec=loaded.spec,
        form=CodeForm(run=name, checkpoint=loaded.checkpoint_hash),
        device=loaded.device,
    )


def _require_same_base(run: RunFolder) -> None:
    """Refuses another base than the one that a run was tuned from: what it learned means nothing there.

    Raises:
        CheckpointError: The base's weights have changed.
    """
    base = run.manifest().base
    if base is None:
        return
    found = weights_hash(base_path(base["name"]))
    if found != base["sha256"]:
        raise CheckpointError(
            "the base is not the one that this run was tuned from",
            where=base["name"],
            got=f"weights with sha256 {found[:16]}",
            expected=f"sha256 {base['sha256'][:16]}",
            next_step="put that file back",
        )


def _checkpoint(folder: RunFolder, which: str) -> tuple[Path, Checkpoint]:
    """A checkpoint of a run that may be training: there it can be dropped for a newer one meanwhile."""
    for tries_left in reversed(range(_TRIES)):
        try:
            return folder.load(which, parts=("weights", "state"))
        except (NotFoundError, DamagedCheckpoint):
            if not tries_left or folder.running_process() is None:
                raise
    raise AssertionError("the last try returns or raises")


def run_recipe(run: RunFolder) -> Recipe:
    """The resolved recipe of a run, with what its rollbacks have set."""
    text, settings = read_text(run.recipe_path), run.manifest().settings
    return parse_recipe(text, str(run.recipe_path), settings=settings, families=family_configs())


def data_spec(run: RunFolder) -> DataSpec:
    """The form of the data that a run was trained on."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in run.manifest().data_spec.items()
    }
    fields["sound"] = SoundForm.from_json(fields.get("sound"))  # a run of an older creuset says nothing of it
    fields["codes"] = CodeForm.from_json(fields.get("codes"))
    return DataSpec(**fields)


def _fill(model: Model | FittedModel, saved: Checkpoint, path: Path) -> None:
    """Puts a checkpoint's weights into a model: the averages where the training kept them."""
    if isinstance(model, FittedModel):
        model.load_arrays({name: tensor.numpy() for name, tensor in saved.weights.items()})
        return
    stored = model.stored_state()
    check_fit(saved.weights, stored, path)
    averages = {
        name.removeprefix("ema/"): value for name, value in saved.state.items() if name.startswith("ema/")
    }
    with torch.no_grad():
        for name, value in {**saved.weights, **averages}.items():
            stored[name].copy_(value)
