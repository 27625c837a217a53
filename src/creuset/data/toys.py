"""Toys: data whose distribution is known, so that what a model draws can be judged without doubt.

    ring    8 round Gaussians on the unit circle, sigma 0.01
    grid    25 round Gaussians at {-4, -2, 0, 2, 4}^2, sigma 0.05
    stacks  pictures of any source stacked as channels: three digits make 1,000 modes (`stacked`)

Source: Srivastava et al. (2017), "VEEGAN", section 4; stacked digits: Metz et al. (2017), "Unrolled GANs".
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from creuset.data.source import Part, Source
from creuset.errors import DataError

STACK = "stack"
"""What `DataSpec.mixture` says of stacked pictures."""

_NUM_SAMPLES = MappingProxyType({"train": 50_000, "validation": 5_000, "test": 5_000})
_SEED = 20_17


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixture:
    """Round Gaussians of one spread, each as likely.

    Args:
        means: (M, 2).
        sigma: Standard deviation of each coordinate.
    """

    means: NDArray[np.float64]
    sigma: float

    def draw(
        self, num_samples: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Points (N, 2) and the mode of each, (N,)."""
        modes = rng.integers(len(self.means), size=num_samples)
        return self.means[modes] + self.sigma * rng.standard_normal((num_samples, 2)), modes


def mixtures() -> Mapping[str, Mixture]:
    """The mixtures by their names."""
    angles = 2 * np.pi * np.arange(8) / 8
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    grid = np.array(list(itertools.product(range(-4, 5, 2), repeat=2)), dtype=np.float64)
    return {"ring": Mixture(means=ring, sigma=0.01), "grid": Mixture(means=grid, sigma=0.05)}


def read_toy(name: str) -> Source:
    """50,000 points of a mixture for training, 5,000 each for validation and test, the same ones always.

    Args:
        name: A key of `mixtures`.
    """
    mixture = mixtures()[name]
    rng = np.random.default_rng([_SEED, len(mixture.means)])
    parts = {}
    for split, num_samples in _NUM_SAMPLES.items():
        points, modes = mixture.draw(num_samples, rng)
        names = tuple(f"{name}[{split} {row}]" for row in range(num_samples))
        parts[split] = Part(inputs=points, labels=modes, names=names)
    return Source(
        origin=f"{name}: points of {len(mixture.means)} round Gaussians",
        kind="table",
        num_levels=0,
        parts=parts,
        class_names=tuple(str(mode) for mode in range(len(mixture.means))),
        feature_names=("x", "y"),
        mixture=name,
    )


def stacked(part: Part, num_channels: int, where: str) -> Part:
    """As many samples as there are pictures, each of `num_channels` of them drawn at random, as its channels.

    Labels are dropped: a sample shows several classes at once. Each picture stands in each channel once, so
    that the classes are as frequent there as they are in the part.

    Args:
        part: Pictures of one channel, uint8 (N, 1, H, W).
        num_channels: How many make one sample.
        where: What the source is called, for an error.

    Raises:
        DataError: They are no pictures of one channel.
    """
    if part.inputs.ndim != 4 or part.inputs.shape[1] != 1:
        raise DataError(
            "only pictures of one channel can be stacked",
            where=where,
            got=f"samples of shape {part.inputs.shape[1:]}",
            expected="pictures in grey",
            next_step="remove data.stack",
        )
    rng = np.random.default_rng([_SEED, num_channels, len(part.inputs)])
    orders = [rng.permutation(len(part.inputs)) for _ in range(num_channels)]
    return replace(
        part,
        inputs=np.concatenate([part.inputs[order] for order in orders], axis=1),
        labels=None,
        names=tuple(
            " + ".join(part.names[place] for place in places) for places in zip(*orders, strict=True)
        ),
    )
