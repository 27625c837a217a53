"""What can be asked of a model of pictures: drawing, encoding, decoding, removing noise, likelihoods."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.generation import pictures
from creuset.generation.conditions import conditions_of
from creuset.generation.griffin_lim import to_sound
from creuset.generation.pictures import Pictures
from creuset.generation.table_rows import log_scale, to_features, to_rows
from creuset.layers.interpolation import Path as InterpolationPath
from creuset.models.base import Model, placed
from creuset.workflows.handle import Handle


class PictureHandle(Handle):
    """The part of a trained model that is about pictures, in and out as uint8 (N, H, W, C) in 0..255.

    A model of sound takes clips in their place, float (N, T); `to_sound` makes clips of its pictures.
    """

    def generate(
        self, num_samples: int = 64, *, seed: int = 0, label: str | None = None, prompt: str | None = None
    ) -> Pictures | NDArray[np.float64] | NDArray[np.float32]:
        """New pictures, uint8 (num_samples, H, W, C); of a table new rows, float64 (num_samples, F); of sound
        new clips, float32 (num_samples, T) in [-1, 1], `spec.sound.sample_rate` samples a second.

        Args:
            num_samples: How many.
            seed: Decides them, with what is asked for.
            label: The name of a class, for a model that was trained with model.condition: class.
            prompt: A short text, for one with model.condition: text.

        Raises:
            UsageError: The model cannot be asked for that.
        """
        if self.spec.kind == "table":
            return to_rows(self._draw(num_samples, seed, label, prompt), self.spec)
        drawn = self.draw_pictures(num_samples, seed=seed, label=label, prompt=prompt)
        return drawn if self.shown_spec.sound is None else self.to_sound(drawn, seed=seed)

    def draw_pictures(
        self, num_samples: int = 64, *, seed: int = 0, label: str | None = None, prompt: str | None = None
    ) -> Pictures:
        """New pictures, uint8 (num_samples, H, W, C); of sound log-mel levels. Arguments as in `generate`."""
        return pictures.to_pictures(self._draw(num_samples, seed, label, prompt))

    def to_sound(self, images: Any, *, seed: int = 0) -> NDArray[np.float32]:
        """The clips that log-mel pictures stand for, float32 (N, T) in [-1, 1].

        Args:
            images: uint8 (N, H, W, 1), as the model makes them.
            seed: Decides where the search for the phase begins (generation/griffin_lim.py).

        Raises:
            UsageError: The model was not trained on sound.
        """
        form = self.shown_spec.sound
        if form is None:
            raise UsageError("this model was not trained on sound", where=self.run.path, got=self.spec.kind)
        levels = pictures.to_pictures(pictures.to_images(images, self.shown_spec))
        return to_sound(levels.transpose(0, 3, 1, 2), form, seed=seed)

    def inpaint(
        self,
        images: Any,
        known: Any,
        *,
        seed: int = 0,
        label: str | None = None,
        prompt: str | None = None,
    ) -> Pictures:
        """Pictures of which a part is known, the rest drawn anew, uint8 (N, H, W, C).

        Known pixels stay as they are. A PixelCNN draws the others in raster order, row by row from the top
        and from left to right, each given those before it: what is known further down or to the right of
        an unknown pixel has no influence on it.

        Args:
            images: uint8 (N, H, W, C) in 0..255; what is not known of them has no influence.
            known: bool (H, W) for all pictures or (N, H, W), True where a pixel is known.
            seed: Decides what is drawn.
            label: The name of a class, for a model that was trained with model.condition: class.
            prompt: A short text, for one with model.condition: text.

        Raises:
            UsageError: The family cannot do that, or the model cannot be asked for that.
            DataError: Pictures or places of another form.
        """
        model = self.having("inpaints", "complete pictures")
        if self.first_stage is not None:
            raise UsageError(
                "a model of code maps cannot complete pictures: a code stands for many pixels",
                where=self.run.path,
                got=f"the codes of {self.first_stage.form.run}",
                expected="a model that was trained on pictures",
            )
        tensor = pictures.to_images(images, self.spec)
        asked = conditions_of(model, self.spec, len(tensor), label=label, prompt=prompt)
        completed = pictures.inpaint(
            model,
            tensor,
            pictures.to_places(known, tensor),
            seed=seed,
            device=self.device,
            conditions=asked,
        )
        return pictures.to_pictures(completed)

    def encode(self, images: Any) -> NDArray[np.float32] | NDArray[np.int64]:
        """The code of each picture, float32 (N, L): a few numbers in place of its pixels; of a VQ-VAE a
        map of whole numbers, int64 (N, h, w)."""
        model = self.having("encodes", "encode pictures")
        return pictures.encode(model, pictures.to_images(images, self.spec), self.device).numpy()

    def decode(self, codes: Any) -> Pictures:
        """The picture of each code, as `encode` gives them, uint8 (N, H, W, C)."""
        model = self.having("encodes", "decode codes")
        given = torch.as_tensor(codes) if model.num_codes else torch.as_tensor(codes, dtype=torch.float32)
        return pictures.to_pictures(pictures.decode(model, given, self.device))

    def reconstruct(self, images: Any) -> Pictures:
        """Each picture through encoder and decoder, uint8 (N, H, W, C)."""
        model = self.having("encodes", "reconstruct pictures")
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
        model = self.having("encodes", "interpolate between pictures")
        images = pictures.to_images(np.stack([np.asarray(first), np.asarray(second)]), self.spec)
        images = placed(images, model, self.device)
        return pictures.to_pictures(model.interpolate(images[:1], images[1:], num_steps, path)[0])

    def log_likelihood(
        self, images: Any, *, num_importance_samples: int | None = None, seed: int = 0
    ) -> NDArray[np.float32]:
        """log p(picture) in nats, float32 (N,); a bound where the family gives one. Of a table the density
        of each row in the units of its columns. Of a second stage it is log p(codes of the picture), which
        is no likelihood of pixels.

        These are the numbers of `creuset eval`, bit for bit, for all pictures of a split in its order, with
        the same seed, number of importance samples and device, where pictures have 256 levels or are given
        as floats. Draws depend on a picture's place: alone, or in another order, it has other ones.

        Args:
            images: uint8 (N, H, W, C) in 0..255, or float (N, C, H, W) in [-1, 1]; of a table rows (N, F) as
                a file holds them.
            num_importance_samples: Draws per picture for a bound; default: the recipe's.
            seed: Decides the draws: of binary pixels, where the likelihood is of such, and of codes.
        """
        model = self.having("likelihood", "give likelihoods")
        of_table = self.spec.kind == "table"
        if of_table:
            inputs = to_features(images, self.spec)
        else:
            inputs = pictures.to_images(images, self.shown_spec)
            if self.first_stage is not None:
                inputs = self.first_stage.maps(inputs)
        values = pictures.log_likelihood(
            model,
            inputs,
            num_importance_samples=(
                self.num_importance_samples if num_importance_samples is None else num_importance_samples
            ),
            seed=seed,
            device=self.device,
        )
        return (values - log_scale(self.spec)).numpy() if of_table else values.numpy()

    def _draw(self, num_samples: int, seed: int, label: str | None, prompt: str | None) -> Tensor:
        """Samples as the model makes them."""
        model = self.having("samples", "draw samples")
        asked = conditions_of(model, self.spec, num_samples, label=label, prompt=prompt)
        drawn = pictures.sample(model, num_samples, seed=seed, device=self.device, conditions=asked)
        return drawn if self.first_stage is None else self.first_stage.shown(drawn)

    def _denoising(self) -> Model:
        model = self.having("encodes", "remove noise")
        if not model.removes_noise:
            raise UsageError(
                "this model has not learned to remove noise",
                where=self.run.path,
                expected="a model that was trained on noisy pictures",
                next_step="train an autoencoder with model.noise: gaussian, or ask for a reconstruction",
            )
        return model
