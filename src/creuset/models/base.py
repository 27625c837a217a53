"""What a family is, and what its models can be asked for.

A file in this folder that defines FAMILY is a family; the folder is the registry. A family's traits say
what its models can do, and choose the contract tests (tests/test_family_contract.py) that it must pass:

    gradient    trained by the loop: loss(batch, player, generator)
    samples     sample(num_samples, generator, conditions) -> pictures, or rows of a table
    likelihood  log_likelihood(images, generator, num_importance_samples) -> nats
    inpaints    inpaint(images, known, generator, conditions) -> pictures, what was not known drawn anew
    encodes     encode(images) -> codes, reconstruct(images), decode(codes)
    classifies  logits(inputs) -> one row of scores a sample
    scores_text     token_nats(tokens, targets) -> nats of each token (models/language_model.py)
    generates_text  reader(num_rows) -> reads texts and says what comes next
    fills_masks     fill(tokens, places) -> scores of the tokens that are missing there
                    (models/masked_language_model.py)
    embeds_tokens   embeddings() -> a vector for each token
    embeds_texts    embed(tokens, lengths) -> a vector for each text
    transduces_text target_nats(pairs) -> nats of each token of a target, given its source; a `transformer`
                    writes targets by beam search (models/encoder_decoder.py, generation/transduction.py)
    answers_chats   text_nats(batch) -> nats of what is learned of each text; a Transformer with its adapters,
                    which engines and exports take over (models/tuned.py)

A model makes every random draw from the BatchGenerator it is given, and its loss is a mean over samples that
do not influence each other: so the loss of a batch is the mean of the losses of its parts, by their sizes. A
model whose samples do (`couples_samples`) is trained on whole batches.
`build` is called under a forked global generator that the caller has seeded, so torch's own initialisations
may be used in it, and nowhere else.

Legend of shapes: B batch, C channels, H height, W width, K classes, L latent dimensions, F features.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from creuset.data.spec import DataSpec
from creuset.data.token_stream import IGNORED
from creuset.device import BatchGenerator, Precision, stored_dtype
from creuset.errors import UsageError
from creuset.layers.interpolation import Path, interpolate_codes
from creuset.models.transformer import Transformer
from creuset.recipe.sections import FamilyConfig

Trait = Literal[
    "gradient",
    "samples",
    "likelihood",
    "inpaints",
    "encodes",
    "classifies",
    "scores_text",
    "generates_text",
    "fills_masks",
    "embeds_tokens",
    "embeds_texts",
    "transduces_text",
    "answers_chats",
]
Batch = Mapping[str, Tensor]
Collapse = Literal["samples", "posterior", "codes"]
"""What can collapse in a training (models/watched.py)."""
Condition = Literal["none", "class", "text"]
"""What a model that draws can be asked for: nothing, a class, or what a short prompt says."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """One model family.

    Args:
        name: The value of `model.family`, and the file's name.
        config: The family's `model` section.
        build: Makes an untrained model from its section and the form of the data. Raises UsageError for
            data that the family cannot take.
        traits: What its models can do.
        build_on: Makes a model on a body that others trained, where its section names a `base`; None for a
            family that begins from scratch alone.
        tune: Makes a model of a whole language model that others trained, given what Hugging Face's model
            calls each of its layers; None for a family that does not tune one.
        collapses: What is watched in its training; None where there is nothing to watch.
    """

    name: str
    config: type[FamilyConfig]
    build: "Callable[[Any, DataSpec], Model | FittedModel]"
    traits: frozenset[Trait]
    build_on: "Callable[[Any, DataSpec, Transformer], Model] | None" = None
    tune: "Callable[[Any, DataSpec, Transformer, Mapping[str, str]], Model] | None" = None
    collapses: Collapse | None = None


@dataclass(frozen=True, kw_only=True)
class Integration:
    """How a likelihood that is an integral along a path is computed: part of a score's signature.

    Args:
        solver: The method of a step.
        num_steps: Steps of a path; `Model.integration_error` says what they leave out.
        divergence: "exact", or "hutchinson" where it is estimated by one probe of random signs a draw.
    """

    solver: str
    num_steps: int
    divergence: Literal["exact", "hutchinson"]


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """What a model's `log_likelihood` is the log-likelihood of: part of a score's signature.

    Args:
        num_levels: Values that an observed pixel can take; 0 where the likelihood is a density over [-1, 1].
        binarisation: "dynamic" where each pixel is observed as on with its grey value as probability.
        bound: Whether `log_likelihood` is a lower bound that importance samples tighten, with an `elbo`.
        tightened: Of a bound, whether they do; False where more draws only make its estimate closer, and it
            has no `elbo` beside it.
        integration: How it is integrated; None where it is a sum.
    """

    num_levels: int
    binarisation: Literal["none", "dynamic"] = "none"
    bound: bool
    tightened: bool = True
    integration: Integration | None = None


class Model(nn.Module):
    """A model that is trained by gradients. A family implements what its traits promise.

    What a user may ask of a trained model (all but `loss` and `validation_loss`) builds no graph.
    """

    players: tuple[str, ...] = ("model",)
    """One optimizer each, updated in this order in each training step."""

    probabilistic: bool = True
    """Whether softmax(logits) is meant as class probabilities, so that calibration is defined."""

    likelihood: Likelihood
    """Set by a family with the trait of that name."""

    couples_samples: bool = False
    """Whether the loss of a sample depends on the others of its batch, which is then never cut."""

    validation_group: int = 1
    """Samples that `validation_loss` tells from each other: it cuts a batch into groups of so many."""

    condition: Condition = "none"
    """What `sample` can be asked for."""

    loss_of_guessing: float | None = None
    """The training loss of a model that learned nothing, where it is the same for all data: a training whose
    loss stays there is stopped (training/stuck.py)."""

    removes_noise: bool = False
    """Whether the model was trained to remove noise: then `disturb` adds it and `denoise` takes it away."""

    num_codes: int = 0
    """Where a code is a map of whole numbers, how many values these have; 0 where it is a vector."""

    @property
    def dtype(self) -> torch.dtype:
        """The number format of the parameters."""
        return next(self.parameters()).dtype

    def player_parameters(self, player: str) -> Iterator[tuple[str, nn.Parameter]]:
        """The named parameters that `player` updates; all of them for a family with one player."""
        assert player in self.players
        return self.named_parameters()

    def settle(self, device: torch.device, precision: Precision) -> None:
        """Moves the model to where it is trained and used, in the number format that it is kept in."""
        self.to(device, stored_dtype(precision))

    def stored_state(self) -> dict[str, Tensor]:
        """What a checkpoint holds of the model: its parameters and buffers, if not said otherwise."""
        return self.state_dict()

    def begin_step(self, step: int, num_steps: int) -> None:
        """Told before training step `step` (from 0, of `num_steps`): what changes with it is set here.

        What a step does must follow from its number, since a resumed run begins in the middle.
        """

    def end_update(self, player: str) -> None:
        """Told after each update of `player`: limits on its parameters are kept here."""

    @abstractmethod
    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """What `player` minimizes.

        Args:
            batch: "images" float32 (B, C, H, W) in [-1, 1], "features" float32 (B, F), "tokens" int64
                (B, T) with "lengths" int64 (B,), or of a corpus "tokens" and "targets" int64 (B, T), or of
                pairs what `TextPairs.batch` says; "labels" int64 (B,) where the data has them.
            player: One of `players`.
            generator: Every random draw of this pass, one row a sample.

        Returns:
            "loss", a mean over the batch, and its parts, named with their units ("kl_nats"); all scalars.
        """

    def validation_loss(self, batch: Batch, generator: BatchGenerator) -> dict[str, Tensor]:
        """What is measured on held-out data, "loss" deciding which checkpoint is best.

        Each is a mean over what `weight_of` counts: so the values of a split are the means of those of its
        batches by their weights, whatever their size, in whole groups (`validation_group`).
        """
        return self.loss(batch, self.players[0], generator)

    def weight_of(self, batch: Batch) -> int:
        """What the means of `validation_loss` are taken over, by number: the samples, if not said otherwise.

        Args:
            batch: As given to `validation_loss`.
        """
        return len(next(iter(batch.values())))

    def sample(self, num_samples: int, generator: BatchGenerator, conditions: Batch | None = None) -> Tensor:
        """New pictures, float32 (num_samples, C, H, W) in [-1, 1], or rows of a table, (num_samples, F).

        Args:
            num_samples: How many.
            generator: Has as many rows.
            conditions: What is asked for, where the model can be (`condition`): "labels" int64
                (num_samples,), or "prompts" int64 (num_samples, T) as `prompts` makes them. None: of a
                class-conditional model each class is as likely, of one that takes prompts what no prompt
                says.
        """
        raise NotImplementedError(type(self).__name__)

    def inpaint(
        self, images: Tensor, known: Tensor, generator: BatchGenerator, conditions: Batch | None = None
    ) -> Tensor:
        """Pictures with what is not known of them drawn anew, float32 (B, C, H, W) in [-1, 1].

        Args:
            images: (B, C, H, W) in [-1, 1]; what is not known of them has no influence.
            known: bool (B, 1, H, W), True where a pixel is known: it stays as it is.
            generator: Has B rows.
            conditions: As in `sample`.
        """
        raise NotImplementedError(type(self).__name__)

    def prompts(self, texts: Sequence[str]) -> Tensor:
        """Short texts as `sample` takes them, int64 (N, T); for a model whose condition is "text"."""
        raise NotImplementedError(type(self).__name__)

    def prompt_remark(self, text: str) -> str | None:
        """What to say of a prompt unlike all that were learned; None where there is nothing to say."""
        del text
        return None

    def observe(self, images: Tensor, generator: BatchGenerator) -> Tensor:
        """The pictures in the form whose likelihood is measured (`Likelihood`), in [-1, 1].

        Pictures already in that form stay as they are. A test set is observed once, with a fixed seed, where
        models are to be compared on the same pixels.
        """
        raise NotImplementedError(type(self).__name__)

    def log_likelihood(
        self, images: Tensor, generator: BatchGenerator, num_importance_samples: int
    ) -> Tensor:
        """log p(observed picture) in nats, float32 (B,); a lower bound where the family says so.

        Args:
            images: (B, C, H, W) in [-1, 1]; observed first with the generator (`observe`).
            generator: Keeps what it draws, so that its size bounds the memory: a few hundred rows.
            num_importance_samples: Draws per picture for a bound; without effect where the value is exact.
        """
        raise NotImplementedError(type(self).__name__)

    def integration_error(self, images: Tensor, generator: BatchGenerator) -> Tensor:
        """log p with half the steps less that with all of them, by the same draw, in nats, float32 (B,).

        For a likelihood with an `integration`, whose error is about that or less.
        """
        raise NotImplementedError(type(self).__name__)

    def elbo(self, images: Tensor, generator: BatchGenerator) -> Tensor:
        """The evidence lower bound on log p(observed picture) in nats, float32 (B,), where there is one."""
        raise NotImplementedError(type(self).__name__)

    def encode(self, images: Tensor) -> Tensor:
        """The code of each picture, float32 (B, L), or with `num_codes` int64 (B, h, w)."""
        raise NotImplementedError(type(self).__name__)

    def decode(self, codes: Tensor) -> Tensor:
        """The picture of each code (as of `encode`), float32 (B, C, H, W) in [-1, 1]."""
        raise NotImplementedError(type(self).__name__)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Each picture through encoder and decoder, float32 (B, C, H, W) in [-1, 1]."""
        return self.decode(self.encode(images))

    def disturb(self, images: Tensor, generator: BatchGenerator) -> Tensor:
        """The pictures (B, C, H, W) with the noise that the model was trained to remove."""
        raise NotImplementedError(type(self).__name__)

    def denoise(self, images: Tensor) -> Tensor:
        """Noisy pictures (B, C, H, W) without their noise, as far as the model learned to remove it."""
        raise UsageError(
            "this model has not learned to remove noise",
            where=type(self).__name__,
            got=f"{len(images)} pictures to denoise",
            expected="a model that was trained on noisy pictures",
            next_step="train with model.noise: gaussian, or ask for a reconstruction",
        )

    def interpolate(self, first: Tensor, second: Tensor, num_steps: int, path: Path = "linear") -> Tensor:
        """Pictures on the way from each picture of `first` to that of `second`, both ends included.

        The way is taken between their codes (`interpolate_codes`) and decoded.

        Args:
            first: (B, C, H, W) in [-1, 1].
            second: (B, C, H, W) in [-1, 1].
            num_steps: Pictures of each way, at least 2.
            path: The way's form in the space of codes.

        Returns:
            (B, num_steps, C, H, W) in [-1, 1].
        """
        codes = interpolate_codes(self.encode(first), self.encode(second), num_steps, path)
        pictures = self.decode(codes.flatten(0, 1))
        return pictures.reshape(*codes.shape[:2], *pictures.shape[1:])

    def logits(self, inputs: Tensor) -> Tensor:
        """One score a class for pictures (B, C, H, W), rows (B, F) or token ids (B, T), float32 (B, K)."""
        raise NotImplementedError(type(self).__name__)

    def embeddings(self) -> Tensor:
        """The vector of each token by its id, float32 (V, E)."""
        raise NotImplementedError(type(self).__name__)

    def embed(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """The vector of each text, float32 (B, E), of length 1.

        Args:
            tokens: int64 (B, T), padded behind.
            lengths: How many tokens of each row are no padding, int64 (B,).
        """
        raise NotImplementedError(type(self).__name__)


class FittedModel(ABC):
    """A model fitted in one go, without gradients (scikit-learn's). It is stored as arrays."""

    probabilistic: bool = True
    """Whether softmax(logits) is meant as class probabilities, so that calibration is defined."""

    @abstractmethod
    def fit(self, features: NDArray[np.float32], labels: NDArray[np.int64], seed: int) -> dict[str, float]:
        """Learn from rows (N, F) and labels (N,); returns what is worth a journal line.

        Args:
            features: Pictures flattened to rows in [-1, 1], or table rows.
            labels: Whole numbers in [0, K).
            seed: Decides every random draw.
        """

    def remarks(self) -> list[str]:
        """What a user should hear of the last `fit`, a line each, such as that it did not converge."""
        return []

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything that `load_arrays` needs, as arrays."""

    @abstractmethod
    def load_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Become the model whose `arrays` these are; raises CheckpointError where they do not fit."""

    @abstractmethod
    def logits(self, inputs: Tensor) -> Tensor:
        """One score a class for pictures (B, C, H, W) or rows (B, F), float32 (B, K)."""


def placed(inputs: Tensor, model: "Model | FittedModel", device: torch.device) -> Tensor:
    """Inputs of a model on a device, numbers in the format of its parameters, ids as they are."""
    if isinstance(model, Model) and inputs.is_floating_point():
        return inputs.to(device, model.dtype)
    return inputs.to(device)


def num_targets(batch: Batch) -> int:
    """How many tokens a batch with targets asks for."""
    return int((batch["targets"] != IGNORED).sum())


def model_inputs(batch: Batch) -> Tensor:
    """What a classifier reads of a batch: its pictures, its rows or its tokens."""
    return batch[next(name for name in ("images", "features", "tokens") if name in batch)]
