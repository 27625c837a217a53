"""The Gated PixelCNN: a picture's probability as a product over its pixels, each given all before it.

    log p(x) = sum_i log p(x_i | x_1 ... x_{i-1})        exactly, in raster order, colours one after another

All factors come from one pass of masked convolutions (layers/gated_convolution.py), in which no pixel sees
itself or its future. Pictures are drawn pixel by pixel, with what is known of earlier ones kept
(layers/raster_cache.py). A pixel is bernoulli or categorical (pixel_likelihood.py). Of code maps, which stand
for pictures (data/code_maps.py), this is the second stage of a VQ-VAE: p of the codes, not of the pixels.

With `condition: class` this is p(x|y), the label a bias of each gate. A class is then as likely as another:
log p(x) = log 1/K sum_y p(x|y), exactly as well, in a pass for each of the K classes; samples that no class
is asked of are drawn from the same mixture.

Source: van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders"; van den Oord et al.
2016, "Pixel Recurrent Neural Networks" (raster order, colours, first and last layers).

Legend of shapes: B batch, C channels, H height, W width, K classes.
"""

import math
from dataclasses import replace
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.layers.gated_convolution import GatedStacks, StackConfig
from creuset.layers.raster_cache import RasterCache
from creuset.models.base import Batch, Family, Model
from creuset.models.pixel_likelihood import Bernoulli, Categorical
from creuset.models.requirements import require_classes, require_pictures, require_shape
from creuset.recipe.sections import FamilyConfig


class PixelCNNConfig(FamilyConfig):
    """The `model` section of a PixelCNN."""

    exact_likelihood: ClassVar[bool] = True
    sizes: ClassVar[dict[str, dict[str, object]]] = {
        "tiny": {"num_layers": 3, "channels": 24},
        "small": {"num_layers": 7, "channels": 32},
        "base": {"num_layers": 12, "channels": 96},
    }

    num_layers: int = Field(7, ge=1, description="Gated layers behind the first one, each of both stacks.")
    channels: int = Field(
        32, ge=1, description="Channels of each stack; of colour pictures a multiple of 3, a share a colour."
    )
    kernel_size: int = Field(3, ge=3, description="Pixels that a masked kernel would span unmasked, odd.")
    likelihood: Literal["bernoulli", "categorical"] = Field(
        "bernoulli",
        description="p of a pixel given those before: bernoulli, of pixels binarised anew at each draw; "
        "categorical, a probability for each stored level.",
    )
    condition: Literal["none", "class"] = Field(
        "none", description="class: learns pictures given their labels, and draws those of a class."
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Probability of a zero behind each gate, in training alone."
    )

    @model_validator(mode="after")
    def _kernel_has_a_middle(self) -> Self:
        size = self.kernel_size
        if size % 2 == 0:
            raise ValueError(
                f"kernel_size must be odd, got {size}: a masked kernel ends at its middle pixel, and an even "
                f"one has none; take {size - 1} or {size + 1}"
            )
        return self


class PixelCNN(Model):
    """Pictures to the probability of each pixel, given those before it.

    Args:
        config: The recipe's section.
        spec: The form of the data.

    Raises:
        UsageError: The data are no pictures, or have no labels where classes are learned; channels that
            colours cannot share.
    """

    def __init__(self, config: PixelCNNConfig, spec: DataSpec) -> None:
        super().__init__()
        self.image_shape = require_pictures(spec, config.family, takes_codes=True)
        if spec.codes is not None and config.likelihood != "categorical":
            raise UsageError(
                "codes are no shades of grey: each needs a probability of its own",
                where="model.likelihood",
                got=config.likelihood,
                expected=f"categorical, for the codes of {spec.codes.run}",
                next_step="set model.likelihood: categorical",
            )
        self.bits_name = "bits_per_dim" if spec.codes is None else "bits_per_code"
        num_colours = self.image_shape[0]
        _require_shared(config.channels, num_colours)
        self.condition = config.condition
        self.num_classes = 0
        if config.condition == "class":
            self.num_classes = require_classes(spec, f"{config.family} with model.condition: class")
        bernoulli = config.likelihood == "bernoulli"
        self.pixel_likelihood = Bernoulli() if bernoulli else Categorical(spec.num_levels)
        self.likelihood = replace(self.pixel_likelihood.form, bound=False)
        self.stacks = GatedStacks(
            StackConfig(
                num_colours=num_colours,
                channels=config.channels,
                num_layers=config.num_layers,
                kernel_size=config.kernel_size,
                outputs_per_colour=self.pixel_likelihood.outputs_per_channel,
                num_classes=self.num_classes,
                dropout=config.dropout,
                num_symbols=0 if spec.codes is None else spec.num_levels,
            )
        )

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """-log p(x) in nats, with `condition: class` -log p(x|y), and the same in bits a pixel and
        colour, or a code."""
        assert player in self.players
        return self._report(batch, generator, dropped=generator)

    def validation_loss(self, batch: Batch, generator: BatchGenerator) -> dict[str, Tensor]:
        """The same without dropout."""
        return self._report(batch, generator, dropped=None)

    @torch.no_grad()
    def sample(self, num_samples: int, generator: BatchGenerator, conditions: Batch | None = None) -> Tensor:
        """Pictures drawn pixel by pixel; of a Bernoulli likelihood they are binary, -1 and 1."""
        blank = next(self.parameters()).new_zeros(num_samples, *self.image_shape)
        return self._drawn(blank, torch.zeros_like(blank, dtype=torch.bool), generator, conditions)

    @torch.no_grad()
    def inpaint(
        self, images: Tensor, known: Tensor, generator: BatchGenerator, conditions: Batch | None = None
    ) -> Tensor:
        """As `Model.inpaint`: each unknown pixel is drawn given those before it in raster order, known or
        drawn. A known pixel has no influence on unknown ones before it, such as those above it."""
        observed = self.observe(images, generator)
        drawn = self._drawn(observed, known.expand_as(images), generator, conditions)
        return torch.where(known, images, drawn)

    @torch.no_grad()
    def observe(self, images: Tensor, generator: BatchGenerator) -> Tensor:
        return self.pixel_likelihood.unscale(self._observed(images, generator))

    @torch.no_grad()
    def log_likelihood(
        self, images: Tensor, generator: BatchGenerator, num_importance_samples: int
    ) -> Tensor:
        """log p(x) in nats, exactly; with `condition: class` log 1/K sum_y p(x|y)."""
        del num_importance_samples
        pixels = self._observed(images, generator)
        if not self.num_classes:
            return self._log_prob(pixels, None, None)
        labels = torch.arange(self.num_classes, device=images.device)
        joint = [self._log_prob(pixels, label.expand(len(pixels)), None) for label in labels]
        return torch.logsumexp(torch.stack(joint), dim=0) - math.log(self.num_classes)

    def _report(
        self, batch: Batch, generator: BatchGenerator, dropped: BatchGenerator | None
    ) -> dict[str, Tensor]:
        """The loss of a batch; `dropped` draws what dropout takes away, None where nothing is."""
        pixels = self._observed(batch["images"], generator)
        labels = batch["labels"] if self.num_classes else None
        nats = -self._log_prob(pixels, labels, dropped).mean()
        num_dims = math.prod(self.image_shape)
        return {"loss": nats, self.bits_name: nats.detach() / (num_dims * math.log(2))}

    def _observed(self, images: Tensor, generator: BatchGenerator) -> Tensor:
        """Pictures as their likelihood is measured, on the scale of the likelihood."""
        return self.pixel_likelihood.observe(require_shape(images, self.image_shape), generator)

    def _log_prob(self, pixels: Tensor, labels: Tensor | None, dropped: BatchGenerator | None) -> Tensor:
        """log p(x), or log p(x|y), of observed pixels (B, C, H, W): (B,)."""
        output = self.stacks(self.pixel_likelihood.unscale(pixels), labels, dropped)
        # Under autocast the sum over pixels needs more digits than the network's output has.
        return self.pixel_likelihood.log_prob(output.to(pixels.dtype), pixels)

    def _drawn(
        self, given: Tensor, known: Tensor, generator: BatchGenerator, conditions: Batch | None
    ) -> Tensor:
        """Pixels (B, C, H, W) in [-1, 1]: of `given` where `known`, the others drawn in raster order."""
        channels, height, width = self.image_shape
        uniform = generator.uniform(height, width, channels)
        if len(uniform) != len(given):
            raise ValueError(f"{len(given)} samples asked of a generator of {len(uniform)} rows")
        cache = RasterCache(self.stacks, len(given), width, self._labels(generator, conditions))
        pixels = given.clone()
        for row in range(height):
            cache.begin_row()
            for column in range(width):
                for colour in range(channels):
                    output = cache.outputs(column, colour)
                    level = self.pixel_likelihood.draw(output, uniform[:, row, column, colour])
                    place = (slice(None), colour, row, column)
                    drawn = self.pixel_likelihood.unscale(level)
                    pixels[place] = torch.where(known[place], given[place], drawn)
                    cache.put(column, colour, pixels[place])
        return pixels

    def _labels(self, generator: BatchGenerator, conditions: Batch | None) -> Tensor | None:
        """The classes that are asked for, or drawn where none are: each as likely."""
        if not self.num_classes:
            return None
        if conditions is None:
            return generator.integers(self.num_classes)
        return conditions["labels"]


def _require_shared(channels: int, num_colours: int) -> None:
    """UsageError for channels that the colours of a pixel cannot share."""
    if channels % num_colours:
        nearest = max(1, round(channels / num_colours)) * num_colours
        raise UsageError(
            f"channels that {num_colours} colours cannot share: each colour has as many",
            where="model.channels",
            got=channels,
            expected=f"a multiple of {num_colours}",
            next_step=f"set model.channels to {nearest}",
        )


FAMILY = Family(
    name="pixelcnn",
    config=PixelCNNConfig,
    build=PixelCNN,
    traits=frozenset({"gradient", "samples", "likelihood", "inpaints"}),
)
