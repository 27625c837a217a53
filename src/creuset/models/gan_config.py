"""What a GAN's recipe says: its networks, what the players lower, and what keeps them from running apart.

Each setting names its source; models/gan.py says what is done with it.
"""

from collections.abc import Iterator, Mapping, Set
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from creuset.layers.differentiable_augmentation import DifferentiableAugmentation
from creuset.layers.feedforward import Activation
from creuset.layers.generator import AdversarialNorm
from creuset.models.gan_remedies import Rates, gan_remedies
from creuset.objectives.adversarial import SMOOTHED, AdversarialName
from creuset.recipe.remedy import Cause, Remedy
from creuset.recipe.section import Section
from creuset.recipe.sections import DataConfig, FamilyConfig, PlayerConfig, TrainingConfig

_LEAST_HALVED = 8
"""Sides that are halved by default: the smallest map is of 4 to 7, as DCGAN's of 4."""
_LEAST_NORMALISED = 2
_NUM_HIDDEN = 3
"""Hidden layers of a dense network by default."""


class GANObjective(Section):
    """The `objective` section of a GAN: what the players lower, and what steadies the critic."""

    name: AdversarialName = Field(
        "relativistic",
        description="The loss: minimax, non_saturating, lsgan, wgan (weights clipped), wgan_gp (gradient "
        "penalty), hinge, or relativistic (each generated sample against a real one).",
    )
    penalty_weight: float = Field(
        10.0, gt=0, description="Of wgan_gp: weight of (|gradient| - 1)^2 between real and generated samples."
    )
    clip_weights: float = Field(
        0.01, gt=0, description="Of wgan: the critic's weights are cut to [-this, this] after each update."
    )
    r1: float | None = Field(
        None,
        ge=0,
        description="Weight of |gradient|^2 / 2 at real samples (Mescheder et al. 2018); 0 is off. Default: "
        "1 for relativistic, else 0.",
    )
    r2: float | None = Field(None, ge=0, description="The same at generated samples.")
    penalty_every: int = Field(
        1,
        ge=1,
        description="Training steps between those with r1 and r2, whose weight is multiplied by as much "
        "(Karras et al. 2020).",
    )
    final_penalty: float = Field(
        1.0,
        ge=0,
        description="Share of r1 and r2 in the last step, reached along half a cosine (Huang et al. 2024).",
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="Real samples are to be told as 1 minus this (Salimans et al. 2016); of minimax, "
        "non_saturating and lsgan.",
    )
    instance_noise: float = Field(
        0.0,
        ge=0,
        description="Standard deviation of the noise added to all that the critic sees in the first step; "
        "falls to 0 along a line (Sonderby et al. 2017).",
    )
    augment: tuple[DifferentiableAugmentation, ...] = Field(
        (), description="Random changes to all pictures that the critic sees: DiffAugment (Zhao et al. 2020)."
    )
    feature_matching: float = Field(
        0.0,
        ge=0,
        description="Weight, in the generator's loss, of the squared distance between the critic's mean "
        "features of real and of generated samples (Salimans et al. 2016).",
    )
    unrolled_steps: int = Field(
        0,
        ge=0,
        le=20,
        description="Steps that the critic is looked ahead for the generator's update (Metz et al. 2017).",
    )
    unrolled_learning_rate: float = Field(
        0.01, gt=0, description="Of these steps, plain gradient descent on the same batch."
    )

    @model_validator(mode="after")
    def _every_setting_has_an_effect(self) -> Self:
        fields = type(self).model_fields
        only_with = {
            "penalty_weight": (self.name == "wgan_gp", "is for wgan_gp"),
            "clip_weights": (self.name == "wgan", "is for wgan"),
            "label_smoothing": (
                self.name in SMOOTHED,
                f"has no effect on {self.name}, whose critic has no target for real samples; it is for "
                f"{', '.join(SMOOTHED)}",
            ),
            "penalty_every": (sum(self.squared) > 0, "has no effect without r1 or r2"),
            "final_penalty": (sum(self.squared) > 0, "has no effect without r1 or r2"),
            "unrolled_learning_rate": (self.unrolled_steps > 0, "has no effect without unrolled_steps"),
        }
        if self.feature_matching and self.unrolled_steps:
            raise ValueError(
                "feature_matching is of the critic as it is, unrolled_steps of the critic as it will be; "
                "leave one of them out"
            )
        for name, (fits, message) in only_with.items():
            if not fits and getattr(self, name) != fields[name].default:
                raise ValueError(f"{name} {message}; leave the key out")
        return self

    @property
    def squared(self) -> tuple[float, float]:
        """The weights of R1 and R2."""
        usual = 1.0 if self.name == "relativistic" else 0.0
        return usual if self.r1 is None else self.r1, usual if self.r2 is None else self.r2

    @property
    def penalises_gradients(self) -> bool:
        """Whether the critic's loss holds its gradient by each sample."""
        return self.name == "wgan_gp" or sum(self.squared) > 0


class GANConfig(FamilyConfig):
    """The `model` section of a GAN."""

    sizes: ClassVar[dict[str, dict[str, object]]] = {
        "tiny": {"latent_dim": 16, "width": 64},
        "small": {"latent_dim": 64, "width": 128},
        "base": {"latent_dim": 128, "width": 512},
    }
    own_sections: ClassVar[tuple[str, ...]] = ("objective",)
    not_there: ClassVar[dict[str, str]] = {
        "critic_activation": "a critic's score must be as it is, without a sigmoid or another function: so "
        "the losses take it, that of a WGAN above all; leave the key out",
    }

    latent_dim: int = Field(64, ge=1, description="Numbers of noise that a sample is made of.")
    width: int = Field(
        128,
        ge=4,
        description="What hidden_dims and channels are made of where they are not given.",
    )
    hidden_dims: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None,
        description="Units of each hidden dense layer, of generator and critic; behind the critic's maps. "
        "Default: three layers of width units, and none beside maps.",
    )
    channels: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None,
        description="Channels of each map, from the picture to the smallest; each is half as high and wide; "
        "[] makes dense networks. Default: of pictures a quarter of width, twice as many for each further "
        "halving, down to a side of 4 to 7 or an odd one; of tables none.",
    )
    activation: Activation = Field("relu", description="Between the generator's layers.")
    generator_norm: AdversarialNorm = Field("none", description="What follows the generator's layers.")
    critic_norm: AdversarialNorm = Field(
        "none", description="What follows the critic's layers but the first; batch excludes penalties."
    )
    spectral_norm: bool = Field(
        False, description="Divide each of the critic's weights by its largest singular value."
    )
    minibatch_kernels: int = Field(
        0,
        ge=0,
        description="Numbers that tell the critic how like a sample is to the others of its batch: minibatch "
        "discrimination (Salimans et al. 2016); 0 is off, as it must be beside a gradient penalty.",
    )
    minibatch_group: int = Field(
        0,
        ge=0,
        description="Samples whose spread the critic sees: minibatch standard deviation (Karras et al. "
        "2018); 0 is off.",
    )
    pack: int = Field(
        1, ge=1, le=8, description="Samples that the critic judges together: PacGAN (Lin et al. 2018)."
    )
    condition: Literal["none", "class"] = Field(
        "none", description="What samples can be asked for: none, or class."
    )
    objective: GANObjective = Field(GANObjective(), description="What the players lower.")

    @classmethod
    def left_to_size(cls, written: Set[str]) -> set[str]:
        layers_written = {"hidden_dims", "channels"} <= written
        return super().left_to_size(written) - ({"width"} if layers_written else set())

    def layers_of(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """`hidden_dims` and `channels` for samples of this shape, (C, H, W) or (F,), as given or by width."""
        channels = self.channels
        if channels is None:
            sides, channels = shape[1:], ()
            while sides and all(side % 2 == 0 and side >= _LEAST_HALVED for side in sides):
                sides = tuple(side // 2 for side in sides)
                channels = (*channels, self.width // 4 * 2 ** len(channels))
        usual = () if channels else (self.width,) * _NUM_HIDDEN
        return usual if self.hidden_dims is None else self.hidden_dims, channels

    @model_validator(mode="after")
    def _width_has_an_effect(self) -> Self:
        given = self.hidden_dims is not None and self.channels is not None
        if given and self.width != self.size_defaults(self.size)["width"]:
            raise ValueError("width has no effect beside hidden_dims and channels; leave one of them out")
        return self

    @model_validator(mode="after")
    def _can_be_trained(self) -> Self:
        penalised = self.objective.penalises_gradients
        if self.critic_norm == "batch" and penalised:
            raise ValueError(
                "critic_norm must be none or group beside a gradient penalty, which is of each sample by "
                "itself: batch norm mixes the samples of a batch"
            )
        if self.minibatch_kernels and penalised:
            raise ValueError(
                "minibatch_kernels must be 0 beside a gradient penalty, which is of each sample by itself: "
                "minibatch discrimination mixes the samples of a batch; take minibatch_group, or "
                "leave the penalties out (objective.r1 and r2: 0, another loss than wgan_gp)"
            )
        if self.condition == "class" and self.pack > 1:
            raise ValueError("pack joins samples of unlike classes; leave it out, or condition: class")
        if self.minibatch_group == 1:
            raise ValueError("minibatch_group of one sample has no spread; take 2 or more, or 0 for none")
        return self

    def remedies(
        self,
        cause: Cause,
        training: TrainingConfig,
        players: Mapping[str, PlayerConfig],
        data: DataConfig,
        kind: str,
    ) -> Iterator[Remedy]:
        return gan_remedies(self, cause, Rates(training, players), data, kind)

    def refusals(self, data: DataConfig) -> Mapping[str, str]:
        size = data.batch_size
        found = {}
        if size % self.pack:
            found["model.pack"] = f"must be a divisor of data.batch_size ({size}), got {self.pack}"
        elif self.minibatch_group and (size // self.pack) % self.minibatch_group:
            packs = "" if self.pack == 1 else f" in packs of {self.pack}"
            found["model.minibatch_group"] = (
                f"must be a divisor of data.batch_size ({size}{packs}), got {self.minibatch_group}"
            )
        for name, num in (("critic_norm", size // self.pack), ("generator_norm", size)):
            if getattr(self, name) == "batch" and num < _LEAST_NORMALISED:
                found[f"model.{name}"] = (
                    f"must be none or group where data.batch_size gives fewer than {_LEAST_NORMALISED} "
                    "samples (packs) to normalise over, got batch"
                )
        return found
