"""Features of pictures: what Fréchet and kernel distances, precision and recall are measured on.

A network comes with the hash of its weights and the words for its preprocessing: both stand in the signature
of every score, because either changes the number. Only Inception v3 with the weights of 2015-12-05 gives
features whose Fréchet distance is called FID.

Legend of shapes: N pictures, C channels, H height, W width, D features.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.errors import BlockedError, DataError, NotFoundError
from creuset.files import sha256_of, write_atomic_with
from creuset.metrics.features import INCEPTION_SHA256, Extractor
from creuset.pretrained import efficientnet, inception
from creuset.progress import Progress, Silent

_CACHE_FORMAT = 1
_BATCH_SIZE = 8
"""So few that the maps of a batch stay in the processor's caches: measured, twice as fast as 32."""


@dataclass(frozen=True, kw_only=True)
class FeatureNetwork:
    """A network that turns pictures into features.

    Args:
        extractor: What it is, for the signatures of the scores on its features.
        num_features: D.
        features: float32 pictures in [0, 255], (B, C, H, W) -> float32 (B, D), both on the processor.
        logits: Features (B, D) -> scores of the network's classes, for the Inception score.
        shape: The (C, H, W) of the only pictures it takes; None where it takes RGB of any size, a grey
            picture being copied to three channels.
        spec: What a classifier of one's own was trained on, whose classes its logits are of; None of others.
    """

    extractor: Extractor
    num_features: int
    features: Callable[[Tensor], Tensor]
    logits: Callable[[Tensor], Tensor]
    shape: tuple[int, int, int] | None = None
    spec: DataSpec | None = None


def efficientnet_lite0(folder: Path) -> FeatureNetwork:
    """EfficientNet-Lite0.

    Args:
        folder: Where its model.safetensors lies, as `creuset models pull efficientnet-lite0` leaves it.

    Raises:
        NotFoundError: There is no such file.
        BlockedError: It holds other tensors than the network has.
    """
    weights = folder / "model.safetensors"
    network = efficientnet.EfficientNetLite0()
    _load_strictly(network, _read_safetensors(weights), weights)
    return _ready(
        network,
        name="efficientnet-lite0",
        weights=sha256_of(weights),
        preprocessing="bicubic224",
        num_features=efficientnet.NUM_FEATURES,
    )


def inception_v3(weights: Path) -> FeatureNetwork:
    """Inception v3 with the weights of 2015-12-05, and no others: its distances are called FID.

    Args:
        weights: pt_inception-2015-12-05-6726825d.pth. Its hash is compared before it is opened, so that what
            is unpickled is known to the last byte.

    Raises:
        NotFoundError: There is no such file.
        BlockedError: It is another file.
    """
    if not weights.is_file():
        raise NotFoundError("the weights of Inception v3 are not there", where=weights)
    found = sha256_of(weights)
    if found != INCEPTION_SHA256:
        raise BlockedError(
            "these are not the weights that FID is defined by",
            where=weights,
            got=f"sha256 {found}",
            expected=f"sha256 {INCEPTION_SHA256}, pt_inception-2015-12-05-6726825d.pth",
            next_step="use the efficientnet-lite0 extractor, whose distances are called FD",
        )
    network = inception.InceptionV3()
    tensors = torch.load(weights, map_location="cpu", weights_only=True)
    _load_strictly(network, cast("dict[str, Tensor]", tensors), weights)
    return inception_features(network, weights=found)


def inception_features(network: inception.InceptionV3, *, weights: str) -> FeatureNetwork:
    """The features of an Inception v3 network whose weights have this SHA-256."""
    return _ready(
        network,
        name="inception-v3",
        weights=weights,
        preprocessing="tf1bilinear299",
        num_features=inception.NUM_FEATURES,
    )


def extract(
    pictures: NDArray[Any],
    network: FeatureNetwork,
    *,
    cache: Path | None = None,
    batch_size: int = _BATCH_SIZE,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """The features of pictures, float32 (N, D), in their order.

    Args:
        pictures: uint8 (N, C, H, W), grey or RGB, of the shape that the network takes.
        network: What computes them.
        cache: A folder in which features are kept under all that decides them: the pictures, the weights and
            the preprocessing. They come back as a memory-mapped array.
        batch_size: Pictures at a time; no part of what decides the features but for their last digits.
        progress: Who watches.

    Raises:
        DataError: No pictures, another number type, neither 1 nor 3 channels, or another shape than the
            network takes.
    """
    _require_pictures(pictures)
    _require_shape(pictures, network)
    path = None if cache is None else cache / f"{_key(pictures, network.extractor)}.npy"
    known = None if path is None else _from_cache(path, (len(pictures), network.num_features))
    if known is not None:
        return known
    found = _compute(pictures, network, batch_size, Silent() if progress is None else progress)
    if path is None:
        return found
    write_atomic_with(path, lambda file: np.save(file, found))
    kept = _from_cache(path, found.shape)
    return found if kept is None else kept


def _compute(
    pictures: NDArray[Any], network: FeatureNetwork, batch_size: int, progress: Progress
) -> NDArray[np.float32]:
    found = np.empty((len(pictures), network.num_features), dtype=np.float32)
    progress.start(f"features by {network.extractor.name}", len(pictures), "pictures")
    try:
        with torch.inference_mode():
            for start in range(0, len(pictures), batch_size):
                batch = torch.from_numpy(np.ascontiguousarray(pictures[start : start + batch_size])).float()
                if network.shape is None:
                    batch = batch.expand(-1, 3, -1, -1)
                batch = batch.contiguous(memory_format=torch.channels_last)
                found[start : start + len(batch)] = network.features(batch).numpy()
                progress.advance(start + len(batch))
    finally:
        progress.finish()
    return found


def _require_pictures(pictures: NDArray[Any]) -> None:
    form = f"{pictures.dtype} {pictures.shape}"
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[1] not in (1, 3):
        raise DataError(
            "features are made from pictures",
            got=form,
            expected="uint8 (pictures, 1 or 3 channels, height, width)",
        )
    if 0 in pictures.shape:
        raise DataError("there are no pictures to make features from", got=form)


def _require_shape(pictures: NDArray[Any], network: FeatureNetwork) -> None:
    if network.shape is not None and pictures.shape[1:] != network.shape:
        raise DataError(
            f"the extractor {network.extractor.name} takes pictures of one form",
            got=form_of(pictures.shape[1:]),
            expected=f"{form_of(network.shape)}, as it was trained on",
            next_step="take pictures of this form, or the extractor efficientnet-lite0, which takes any size",
        )


def form_of(shape: tuple[int, ...]) -> str:
    """The (C, H, W) of pictures in words, such as "28 x 28 (height x width), grey"."""
    channels, height, width = shape
    return f"{height} x {width} (height x width), {'grey' if channels == 1 else 'colour'}"


def _key(pictures: NDArray[Any], extractor: Extractor) -> str:
    facts = {
        "format": _CACHE_FORMAT,
        "torch": torch.__version__,
        "shape": list(pictures.shape),
        **extractor.fields(),
        "weights": extractor.sha256,
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for picture in pictures:
        digest.update(np.ascontiguousarray(picture).data)
    return digest.hexdigest()


def _from_cache(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """The features kept in a file; None where there are none, or the file is damaged and made again."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    usable = found.shape == shape and found.dtype == np.float32
    return cast("NDArray[np.float32]", found) if usable else None


def _ready(
    network: inception.InceptionV3 | efficientnet.EfficientNetLite0,
    *,
    name: str,
    weights: str,
    preprocessing: str,
    num_features: int,
) -> FeatureNetwork:
    network.eval().requires_grad_(False).fold()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return FeatureNetwork(
        extractor=Extractor(name=name, sha256=weights, preprocessing=preprocessing),
        num_features=num_features,
        features=network,
        logits=network.logits,
    )


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise NotFoundError(
            "the weights are not there", where=path, next_step="creuset models pull efficientnet-lite0"
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise BlockedError("no safetensors file, or a damaged one", where=path, got=error) from error


def _load_strictly(network: torch.nn.Module, tensors: dict[str, Tensor], where: Path) -> None:
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise BlockedError(
            "these are not the weights of this network",
            where=where,
            got=str(error).splitlines()[1].strip(),
            expected=f"the {len(network.state_dict())} tensors of {type(network).__name__}",
        ) from error
