"""Pictures from a model: samples, reconstructions, the way between two codes; and how likely it finds some.

Models work on float32 (N, C, H, W) in [-1, 1]; people and files on uint8 (N, H, W, C) in 0..255. The two
conversions are here and nowhere else.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creuset.data.clips import clips_as_pictures
from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import DataError
from creuset.generation.observation import CHUNK, observed_log_likelihood
from creuset.models.base import Batch, Model, placed

Pictures = NDArray[np.uint8]


def to_pictures(images: Tensor) -> Pictures:
    """float (N, C, H, W) in [-1, 1] -> uint8 (N, H, W, C), rounded to the nearest of 256 levels."""
    levels = ((images.detach().float().cpu() + 1) * 127.5).round().clamp(0, 255)
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def to_images(pictures: Any, spec: DataSpec) -> Tensor:
    """What a user hands over, as float32 (N, C, H, W) in [-1, 1].

    Args:
        pictures: uint8 (N, H, W, C), or (N, H, W) for one channel, in 0..255;
            or float (N, C, H, W) in [-1, 1]; for a model of sound also clips of its rate, float (N, T).
        spec: The form that the model was trained on.

    Raises:
        DataError: Another type, size, channel count or range; a clip of silence alone.
    """
    tensor = torch.as_tensor(pictures)
    if spec.sound is not None and tensor.ndim == 2 and tensor.is_floating_point() and len(tensor):
        tensor = torch.from_numpy(clips_as_pictures(tensor.numpy(), spec.sound)).permute(0, 2, 3, 1)
    if tensor.dtype == torch.uint8:
        if tensor.ndim == 3 and spec.shape[0] == 1:
            tensor = tensor[..., None]
        if tensor.ndim == 4:
            tensor = tensor.permute(0, 3, 1, 2)
        images = tensor.float() / 127.5 - 1
    elif tensor.is_floating_point():
        images = tensor.float()
        if images.numel() and not bool((images.abs() <= 1 + 1e-4).all()):
            raise DataError(
                "pictures given as floats lie in [-1, 1]",
                got=f"values from {float(images.min()):.4g} to {float(images.max()):.4g}",
                expected="float (N, C, H, W) in [-1, 1], or uint8 (N, H, W, C) in 0..255",
            )
    else:
        raise DataError("pictures of an unknown type", got=str(tensor.dtype), expected="uint8 or float32")
    if tuple(images.shape[1:]) != spec.shape:
        raise DataError(
            "these pictures are not of the form that the model was trained on",
            got=f"channels, height, width {tuple(images.shape[1:])}",
            expected=f"channels, height, width {spec.shape}"
            + ("" if spec.sound is None else ", or clips of sound, float (N, T)"),
        )
    if not len(images):
        raise DataError("no pictures", got="0 pictures", expected="at least one")
    return images


def to_places(known: Any, images: Tensor) -> Tensor:
    """What a user says is known of pictures, as bool (N, 1, H, W).

    Args:
        known: bool (H, W) for all pictures or (N, H, W).
        images: The pictures, (N, C, H, W).

    Raises:
        DataError: Another type or shape.
    """
    num_pictures, _, height, width = images.shape
    places = torch.as_tensor(known)
    shapes = ((height, width), (num_pictures, height, width))
    if places.dtype != torch.bool or tuple(places.shape) not in shapes:
        raise DataError(
            "known pixels are told by true and false for each place",
            got=f"{str(places.dtype).removeprefix('torch.')} {tuple(places.shape)}",
            expected=f"bool {shapes[0]} or {shapes[1]}",
        )
    return places.expand(num_pictures, height, width)[:, None]


def sample(
    model: Model, num_samples: int, *, seed: int, device: torch.device, conditions: Batch | None = None
) -> Tensor:
    """New pictures, float32 (num_samples, C, H, W) in [-1, 1], or rows (num_samples, F); the seed and the
    conditions (`Model.sample`) alone decide them.

    Raises:
        DataError: num_samples is below 1.
    """
    if num_samples < 1:
        raise DataError("nothing to draw", where="num_samples", got=num_samples, expected="at least 1")
    draws = BatchGenerator(seed, "sample", size=num_samples, device=device)

    def part(start: int, stop: int) -> Tensor:
        asked = _rows(conditions, start, stop, device)
        return model.sample(stop - start, draws.slice(start, stop), asked)

    return _in_chunks(num_samples, part, model)


def inpaint(
    model: Model,
    images: Tensor,
    known: Tensor,
    *,
    seed: int,
    device: torch.device,
    conditions: Batch | None = None,
) -> Tensor:
    """Pictures with what is not known of them drawn anew, float32 (N, C, H, W) in [-1, 1].

    Args:
        model: What draws.
        images: (N, C, H, W) in [-1, 1].
        known: bool (N, 1, H, W), True where a pixel is known.
        seed: Decides what is drawn.
        device: Where the model is.
        conditions: As `Model.sample` takes them.
    """
    draws = BatchGenerator(seed, "inpaint", size=len(images), device=device)

    def part(start: int, stop: int) -> Tensor:
        return model.inpaint(
            placed(images[start:stop], model, device),
            known[start:stop].to(device),
            draws.slice(start, stop),
            _rows(conditions, start, stop, device),
        )

    return _in_chunks(len(images), part, model)


def encode(model: Model, images: Tensor, device: torch.device) -> Tensor:
    """The code of each picture, float32 (N, L), or int64 (N, h, w) of a model of code maps."""
    return _in_chunks(len(images), lambda a, b: model.encode(placed(images[a:b], model, device)), model)


def decode(model: Model, codes: Tensor, device: torch.device) -> Tensor:
    """The picture of each code (as of `encode`), float32 (N, C, H, W) in [-1, 1]."""
    return _in_chunks(len(codes), lambda a, b: model.decode(placed(codes[a:b], model, device)), model)


def reconstruct(model: Model, images: Tensor, device: torch.device) -> Tensor:
    """Each picture through encoder and decoder, float32 (N, C, H, W) in [-1, 1]."""
    return _in_chunks(len(images), lambda a, b: model.reconstruct(placed(images[a:b], model, device)), model)


def denoise(model: Model, images: Tensor, device: torch.device) -> Tensor:
    """Noisy pictures without their noise, float32 (N, C, H, W) in [-1, 1]; UsageError if never learned."""
    return _in_chunks(len(images), lambda a, b: model.denoise(placed(images[a:b], model, device)), model)


def log_likelihood(
    model: Model, images: Tensor, *, num_importance_samples: int, seed: int, device: torch.device
) -> Tensor:
    """log p(picture) in nats, float32 (N,), or the importance-weighted bound on it (see the family)."""

    def part(start: int, stop: int) -> Tensor:
        _, values = observed_log_likelihood(
            model,
            placed(images[start:stop], model, device),
            start,
            num_importance_samples=num_importance_samples,
            seed=seed,
        )
        return values

    return _in_chunks(len(images), part, model)


def _rows(conditions: Batch | None, start: int, stop: int, device: torch.device) -> Batch | None:
    """What is asked for by the samples of a chunk."""
    if conditions is None:
        return None
    return {name: values[start:stop].to(device) for name, values in conditions.items()}


def _in_chunks(size: int, work: Callable[[int, int], Tensor], model: Model) -> Tensor:
    """`work(start, stop)` over all of `size`, in evaluation mode, without gradients, joined on the CPU, in
    float32 where they are no whole numbers."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        parts = [work(start, min(start + CHUNK, size)).cpu() for start in range(0, size, CHUNK)]
    model.train(was_training)
    joined = torch.cat(parts)
    return joined.float() if joined.is_floating_point() else joined
