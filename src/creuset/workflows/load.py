"""`creuset.load`: a run as a model that can be used, with its recipe, data form and device at hand."""

import errno
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.assets import workspace
from creuset.data.dataset import standardise
from creuset.data.spec import DataSpec
from creuset.data.tokenizer import Tokenizer
from creuset.data.vocabulary import encode
from creuset.device import BatchGenerator, resolve_device
from creuset.errors import CheckpointError, DataError, NotFoundError, UsageError
from creuset.generation import pictures
from creuset.generation.continuations import continuations
from creuset.generation.fillings import Filling, fill_masks
from creuset.generation.pictures import Pictures
from creuset.generation.sampling import Sampling
from creuset.generation.transduction import transduce
from creuset.layers.interpolation import Path as InterpolationPath
from creuset.models import family, family_configs
from creuset.models.base import Family, FittedModel, Model, placed
from creuset.models.encoder_decoder import EncoderDecoder
from creuset.models.language_model import LanguageModel
from creuset.models.masked_language_model import MaskedLanguageModel
from creuset.recipe.resolve import Recipe, parse_recipe
from creuset.recipe.source import read_text
from creuset.runs.checkpoint import (
    Checkpoint,
    DamagedCheckpoint,
    check_family,
    check_fit,
)
from creuset.runs.folder import RunFolder
from creuset.training.session import build_model, stored_dtype

_CHUNK = 500
"""Samples classified at once."""
_TRIES = 5
"""To read a checkpoint of a run that is training."""


class Loaded:
    """A trained model with everything around it. Pictures go in and out as uint8 (N, H, W, C) in 0..255.

    Attributes:
        run: The run folder it came from.
        recipe: The resolved recipe.
        spec: The form of the data.
        family: Its family, with the traits that say what it can do.
        model: The model itself, over tensors, in evaluation mode.
        step: The training steps that its checkpoint holds.
        checkpoint_hash: SHA-256 of its weights file, for signatures.
    """

    def __init__(
        self,
        run: RunFolder,
        recipe: Recipe,
        spec: DataSpec,
        family: Family,
        model: Model | FittedModel,
        *,
        device: torch.device,
        step: int,
        checkpoint_hash: str,
    ) -> None:
        self.run, self.recipe, self.spec, self.family, self.model = run, recipe, spec, family, model
        self.device, self.step, self.checkpoint_hash = device, step, checkpoint_hash

    def generate(self, num_samples: int = 64, *, seed: int = 0) -> Pictures:
        """New pictures, uint8 (num_samples, H, W, C); the seed alone decides them."""
        model = self._having("samples", "draw samples")
        return pictures.to_pictures(pictures.sample(model, num_samples, seed=seed, device=self.device))

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of a model of plain text, as the run holds it.

        Raises:
            CheckpointError: It is not the one that the model was trained with.
        """
        tokenizer = Tokenizer.from_folder(self.run.tokenizer_path)
        if tokenizer.fingerprint != self.spec.tokenizer:
            raise CheckpointError(
                "this tokenizer is not the one that the model was trained with",
                where=self.run.tokenizer_path,
                got=f"fingerprint {tokenizer.fingerprint[:16]}",
                expected=f"fingerprint {self.spec.tokenizer[:16]}",
                next_step="put the run's own tokenizer back",
            )
        return tokenizer

    def write(
        self,
        prompt: str = "",
        num_texts: int = 1,
        *,
        max_tokens: int = 200,
        temperature: float = 0.8,
        seed: int = 0,
    ) -> list[str]:
        """What a language model goes on with behind a prompt, which is not repeated.

        Args:
            prompt: In words that the tokenizer knows; empty for a text from the beginning of a line.
            num_texts: How many.
            max_tokens: Tokens of each at most.
            temperature: 1 draws by the model's probabilities, less favours the likely; 0 takes the likeliest.
            seed: Decides the draws.
        """
        model = self._having("generates_text", "write texts")
        assert isinstance(model, LanguageModel)
        return continuations(
            model,
            self.tokenizer,
            prompt,
            num_texts=num_texts,
            max_tokens=max_tokens,
            sampling=Sampling(temperature=temperature, seed=seed),
            device=self.device,
        )

    def transduce(self, text: str, num_texts: int = 1, *, max_tokens: int | None = None) -> list[str]:
        """What a model that makes a text of another one makes of this one: the best by beam search, best
        first.

        Args:
            text: The source. A model that learned on plain text fills in what is missing, where it says <1>,
                <2> and so on, and the whole text is returned.
            num_texts: How many.
            max_tokens: Tokens of each at most; None for as many as the model can write.
        """
        model = self._having("transduces_text", "make a text of another one")
        assert isinstance(model, EncoderDecoder)
        return transduce(model, self.tokenizer, text, num_texts=num_texts, max_tokens=max_tokens)

    def fill(self, prompt: str, num: int = 5) -> tuple[Filling, ...]:
        """What a model puts into each mask of a prompt, the likeliest `num` tokens with probabilities.

        Args:
            prompt: With [MASK], or the tokenizer's own mask token, in place of each token to be guessed.
            num: Guesses of each.
        """
        model = self._having("fills_masks", "fill masks")
        assert isinstance(model, MaskedLanguageModel)
        return fill_masks(model, self.tokenizer, prompt, num=num, device=self.device)

    def encode(self, images: Any) -> NDArray[np.float32]:
        """The code of each picture, float32 (N, L): a few numbers in place of its pixels."""
        model = self._having("encodes", "encode pictures")
        return pictures.encode(model, pictures.to_images(images, self.spec), self.device).numpy()

    def decode(self, codes: Any) -> Pictures:
        """The picture of each code (N, L), uint8 (N, H, W, C)."""
        model = self._having("encodes", "decode codes")
        return pictures.to_pictures(
            pictures.decode(model, torch.as_tensor(codes, dtype=torch.float32), self.device)
        )

    def reconstruct(self, images: Any) -> Pictures:
        """Each picture through encoder and decoder, uint8 (N, H, W, C)."""
        model = self._having("encodes", "reconstruct pictures")
        return pictures.to_pictures(
            pictures.reconstruct(model, pictures.to_images(images, self.spec), self.device)
        )

    @property
    def removes_noise(self) -> bool:
        """Whether the model was trained to remove noise from pictures."""
        return isinstance(self.model, Model) and self.model.removes_noise

    def add_noise(self, images: Any, *, seed: int = 0) -> Pictures:
        """The pictures with the noise that the model was trained to remove, uint8 (N, H, W, C)."""
        model = self._denoising()
        tensor = pictures.to_images(images, self.spec)
        draws = BatchGenerator(seed, "noise", size=len(tensor), device=self.device)
        return pictures.to_pictures(model.disturb(placed(tensor, model, self.device), draws))

    def denoise(self, images: Any) -> Pictures:
        """Noisy pictures without their noise, uint8 (N, H, W, C); for a model that was trained to do so."""
        model = self._denoising()
        return pictures.to_pictures(
            pictures.denoise(model, pictures.to_images(images, self.spec), self.device)
        )

    def interpolate(
        self, first: Any, second: Any, num_steps: int = 8, path: InterpolationPath = "linear"
    ) -> Pictures:
        """The way from one picture (H, W, C) to another through the codes, uint8 (num_steps, H, W, C).

        Args:
            first, second: Where it begins and ends.
            num_steps: Pictures, at least 2, the ends among them.
            path: "linear", or "spherical": with norms between those of the ends (`interpolate_codes`).
        """
        model = self._having("encodes", "interpolate between pictures")
        images = pictures.to_images(np.stack([np.asarray(first), np.asarray(second)]), self.spec)
        images = placed(images, model, self.device)
        return pictures.to_pictures(model.interpolate(images[:1], images[1:], num_steps, path)[0])

    def log_likelihood(
        self, images: Any, *, num_importance_samples: int | None = None, seed: int = 0
    ) -> NDArray[np.float32]:
        """log p(picture) in nats, float32 (N,); a bound where the family gives one.

        These are the numbers of `creuset eval`, bit for bit, for all pictures of a split in its order, with
        the same seed, number of importance samples and device, where pictures have 256 levels or are given
        as floats. Draws depend on a picture's place: alone, or in another order, it has other ones.

        Args:
            images: uint8 (N, H, W, C) in 0..255, or float (N, C, H, W) in [-1, 1].
            num_importance_samples: Draws per picture for a bound; default: the recipe's.
            seed: Decides the draws: of binary pixels, where the likelihood is of such, and of codes.
        """
        model = self._having("likelihood", "give likelihoods")
        return pictures.log_likelihood(
            model,
            pictures.to_images(images, self.spec),
            num_importance_samples=(
                self.recipe.evaluation.num_importance_samples
                if num_importance_samples is None
                else num_importance_samples
            ),
            seed=seed,
            device=self.device,
        ).numpy()

    def logits(self, inputs: Any) -> NDArray[np.float32]:
        """One score a class, float32 (N, K), for pictures, for table rows (N, F) as a file holds them, or for
        texts, a list of str, of which as many tokens are read as in training (`spec.max_tokens`).
        """
        self.require("classifies", "classify")
        if self.spec.kind == "images":
            tensor = pictures.to_images(inputs, self.spec)
        elif self.spec.kind == "table":
            tensor = self._rows(inputs)
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

    def _denoising(self) -> Model:
        model = self._having("encodes", "remove noise")
        if not model.removes_noise:
            raise UsageError(
                "this model has not learned to remove noise",
                where=self.run.path,
                expected="a model that was trained on noisy pictures",
                next_step="train an autoencoder with model.noise: gaussian, or ask for a reconstruction",
            )
        return model

    def _rows(self, inputs: Any) -> torch.Tensor:
        """Table rows as the model takes them."""
        rows = torch.as_tensor(np.asarray(inputs, dtype=np.float64))
        if rows.ndim != 2 or tuple(rows.shape[1:]) != self.spec.shape or not len(rows):
            raise DataError(
                "these rows are not of the form that the model was trained on",
                got=f"shape {tuple(rows.shape)}",
                expected=f"(N, {self.spec.shape[0]}): {', '.join(self.spec.feature_names)}",
            )
        return standardise(rows, self.spec)

    def _tokens(self, inputs: Any) -> torch.Tensor:
        """Texts as the model takes them."""
        texts = [] if isinstance(inputs, str) else list(inputs)
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise DataError(
                "these are no texts",
                got=repr(inputs)[:80],
                expected="a list of texts, each with a word at least",
            )
        return encode(texts, self.spec)[0].long()

    def _having(self, trait: str, ability: str) -> Model:
        self.require(trait, ability)
        assert isinstance(self.model, Model)
        return self.model

    def require(self, trait: str, ability: str) -> None:
        """Raises UsageError where the family has not this trait; `ability` is what was asked for."""
        if trait not in self.family.traits:
            raise UsageError(
                f"a model of the family {self.family.name} cannot {ability}",
                where=self.run.path,
                got=f"traits {', '.join(sorted(self.family.traits))}",
                expected=f"a family with the trait {trait}",
            )


def find_run(name: str | Path) -> RunFolder:
    """The run that a name stands for: a path, an ID under the workspace's runs/, or run:ID.

    Raises:
        NotFoundError: There is none.
    """
    path = Path(str(name).removeprefix("run:"))
    try:
        if len(path.parts) > 1 or (path / "manifest.json").is_file():
            return RunFolder.open(path if path.name not in ("", "..") else path.resolve())
        return RunFolder.open(workspace() / "runs" / path)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise NotFoundError(
            "no run can have this name", where=path, got=error.strerror, next_step="creuset runs list"
        ) from error


def load(run: str | Path | RunFolder, *, checkpoint: str = "best", device: str = "auto") -> Loaded:
    """The model of a run, in the number format that it was trained in.

    Args:
        run: The run's ID, its folder, or an opened run.
        checkpoint: "best" by validation loss (the last one where nothing was validated), "last", or a name
            such as "step-00000500".
        device: Where the model is put.

    Raises:
        NotFoundError: No such run or checkpoint.
        CheckpointError: The checkpoint is damaged, or of another model.
    """
    folder = run if isinstance(run, RunFolder) else find_run(run)
    recipe = run_recipe(folder)
    kind = family(recipe.model.family)
    spec = data_spec(folder)
    path, saved = _checkpoint(folder, checkpoint)
    place = resolve_device(device)
    model = build_model(kind, recipe.model, spec, recipe.training.seed)
    check_family(saved, kind.name, path)
    if isinstance(model, Model):
        model.to(place, stored_dtype(folder.manifest().precision)).eval()
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
    """The resolved recipe of a run."""
    text = read_text(run.recipe_path)
    return parse_recipe(text, str(run.recipe_path), families=family_configs())


def data_spec(run: RunFolder) -> DataSpec:
    """The form of the data that a run was trained on."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in run.manifest().data_spec.items()
    }
    return DataSpec(**fields)


def _fill(model: Model | FittedModel, saved: Checkpoint, path: Path) -> None:
    """Puts a checkpoint's weights into a model: the averages where the training kept them."""
    if isinstance(model, FittedModel):
        model.load_arrays({name: tensor.numpy() for name, tensor in saved.weights.items()})
        return
    check_fit(saved.weights, model.state_dict(), path)
    averages = {
        name.removeprefix("ema/"): value for name, value in saved.state.items() if name.startswith("ema/")
    }
    model.load_state_dict({**saved.weights, **averages})
