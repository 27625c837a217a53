"""Live signals of collapse: what a few hundred generated samples show beside as many real ones.

    spread           mean distance between two samples, as a share of that of real ones
    deviation        standard deviation of a number over the samples, averaged over numbers; the same share
    modes            1 / |K/N|_F^2, the effective number of modes (Renyi kernel entropy); the same share
    near_duplicates  share of samples with another one nearer than all but 5% of real samples have (the
                     birthday test)
    coverage         share of real samples whose ball holds a generated one
    recall           share of real samples that lie in a generated sample's ball
    realism          share of generated samples that lie in a real one's ball
    cells            KL divergence of the histogram over cells of the data, 32 or as many as it has clusters,
                     less what its size gives by itself, (cells - 1) / 2N; nats
    copies           share of samples that are nearer to training samples than held-out ones allow for

A ball reaches to the 5th neighbour of its own set. All distances come from one matrix product. What the
signals are for real samples against real ones is measured before training (adversary_watch.py).

Sources: deviation: Karras et al. 2018, "Progressive Growing of GANs", section 3; modes: Jalali et al. 2023,
equation 6; near duplicates: Arora & Zhang 2017, "Do GANs actually learn the distribution?"; balls:
Kynkaanniemi et al. 2019 and Naeem et al. 2020; cells: Richardson & Weiss 2018, "On GANs and GMMs", and
Miller (1955) for the floor; copies: the nearest-neighbour test of Meehan et al. 2020, here between training
and held-out samples that stand in for each other, with the moments of their permutation.
Departures: of raw pixels, averaged down to at most 16 x 16, and table columns; bandwidth and thresholds
come from the real samples.

Not to be confused with creuset/metrics: these are thermometers for a training, not scores; they have no
interval, and no comparison of models is made with them.

Legend of shapes: N samples, D numbers of one, C cells, T training and H held-out samples.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

NEIGHBOUR = 5
"""Whose distance is a ball's radius (Naeem et al. 2020, section 4)."""
_NEAR_SHARE = 0.05
"""Of real samples have a neighbour so near by chance."""
_LARGEST_SIDE = 16
"""Pixels: larger pictures are averaged down to it, or below."""
_CELLS = 32
_SAMPLES_PER_CELL = 8
_CLUSTER_SHARE, _FOR_SPREAD = 0.25, 512
"""No further cell begins within a quarter of the mean distance: narrow modes of points are one cell each."""
_LLOYD_STEPS = 5
_WIDE = 64
"""From so many numbers a sample on, float32 is exact enough for distances; narrow modes need more."""
_HALVINGS = 40
_POWER_STEPS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class RealSamples:
    """What generated samples are held against; made by `real_samples`.

    Args:
        rows: As many real samples as are drawn for a check, (N, D).
        radii: The squared distance of each to its 5th neighbour, (N,).
        centres: Of the cells, (C, D).
        cell_shares: How the data falls into them, (C,), all above 0.
        training: Training samples, (T, D).
        held_out: Held-out samples, (H, D); none where there is no such split.
        bandwidth: Of the kernel for modes.
        near: The squared distance below which samples count as near duplicates.
        spread, deviation, modes: Of `rows`.
    """

    rows: Tensor
    radii: Tensor
    centres: Tensor
    cell_shares: Tensor
    training: Tensor
    held_out: Tensor
    bandwidth: float
    near: float
    spread: float
    deviation: float
    modes: float


def as_rows(samples: Tensor) -> Tensor:
    """Samples (N, ...) as rows (N, D) to measure distances between, pictures at most 16 x 16 pixels."""
    if samples.ndim == 4:
        height, width = (side // -(-side // _LARGEST_SIDE) for side in samples.shape[2:])
        if (height, width) != tuple(samples.shape[2:]):
            samples = functional.adaptive_avg_pool2d(samples, (height, width))
    rows = samples.flatten(1)
    return rows.double() if rows.shape[1] < _WIDE else rows.float()


def real_samples(rows: Tensor, others: Tensor, training: Tensor, held_out: Tensor) -> RealSamples:
    """The real side of all signals.

    Args:
        rows: (N, D), N at least 16.
        others: Further real samples, (M, D): the first half places the cells, the second says how the data
            falls into them. Where there are few, `rows` do both.
        training: (T, D).
        held_out: (H, D), of no rows where there is no held-out split.
    """
    squared = squared_distances(rows, rows)
    apart = squared.clone().fill_diagonal_(math.inf)
    nearest = apart.min(1).values.sort().values
    bandwidth = _bandwidth(squared)
    placing, counted = others[: len(others) // 2], others[len(others) // 2 :]
    if len(placing) < len(rows):
        placing = counted = torch.cat([rows, others])
    centres = _centres(placing, min(_CELLS, len(rows) // _SAMPLES_PER_CELL))
    counts = _counts(squared_distances(counted, centres))
    return RealSamples(
        rows=rows,
        radii=_radii(squared),
        centres=centres,
        cell_shares=(counts + 0.5) / (counts + 0.5).sum(),
        training=training,
        held_out=held_out,
        bandwidth=bandwidth,
        near=float(nearest[int(_NEAR_SHARE * len(rows))]),
        spread=_spread(squared),
        deviation=_deviation(rows),
        modes=_modes(squared, bandwidth),
    )


def sample_signals(drawn: Tensor, real: RealSamples) -> dict[str, float]:
    """Every signal of samples, by its name, and "copies_z", by how many deviations copies are too many.

    Args:
        drawn: (N, D), at least as many as `real.rows`: copies are looked for among all of them, the rest is
            said of the first so many.
        real: What they are held against.
    """
    banks = [drawn, real.rows, real.centres, torch.cat([real.training, real.held_out])]
    to_drawn, to_real, to_centres, to_known = torch.split(
        squared_distances(drawn, torch.cat(banks)), [len(bank) for bank in banks], dim=1
    )
    num = len(real.rows)
    drawn, to_drawn, to_real, to_centres = drawn[:num], to_drawn[:num, :num], to_real[:num], to_centres[:num]
    apart = to_drawn.clone().fill_diagonal_(math.inf)
    own_radii = _radii(to_drawn)
    in_real = to_real < real.radii
    found = {
        "spread": _spread(to_drawn) / real.spread,
        "deviation": _deviation(drawn) / real.deviation,
        "modes": _modes(to_drawn, real.bandwidth) / real.modes,
        "near_duplicates": float((apart.min(1).values <= real.near).double().mean()),
        "coverage": float(in_real.any(0).double().mean()),
        "recall": float((to_real < own_radii[:, None]).any(0).double().mean()),
        "realism": float(in_real.any(1).double().mean()),
        "cells": _divergence(_counts(to_centres), real.cell_shares),
    }
    if len(real.held_out):
        found["copies"], found["copies_z"] = copies(to_known, len(real.training))
    return found


def copies(squared: Tensor, num_training: int) -> tuple[float, float]:
    """The share of samples that lie too near to training samples, and by how many deviations.

    Were nothing learned by heart, training and held-out samples could be exchanged: a sample's nearest one
    would be of the training split with probability T / (T + H). Where it is so with share s, a share
    (s - p) / (1 - p) of the samples are as if copied. The deviation is that of s when the two sets are
    permuted, with the samples held fixed: where all samples lie at one place, it is large.

    Args:
        squared: Squared distances to training and, behind them, to held-out samples, (N, T + H).
        num_training: T, less than all of them.

    Returns:
        The share, below 0 where samples stray from the training split, and the z-score.
    """
    num_samples, num = squared.shape
    nearest = squared.argmin(1)
    chance = num_training / num
    share = float((nearest < num_training).double().mean())
    met = torch.bincount(nearest, minlength=num).double()
    variance = chance * (1 - chance) * num / (num - 1) * float((met - met.mean()).square().sum())
    z = (share - chance) * num_samples / math.sqrt(variance) if variance > 0 else 0.0
    return (share - chance) / (1 - chance), z


def ranked_higher(first: Tensor, second: Tensor) -> float:
    """How often a number of `first` is above one of `second`, ties one half: .5 where they are alike."""
    second, first = second.sort().values, first.contiguous()
    below, not_above = (torch.searchsorted(second, first, right=right) for right in (False, True))
    return float((below + not_above).double().mean()) / (2 * len(second))


def largest_singular_value(weights: Iterable[Tensor]) -> float:
    """The largest singular value of any of these weights, each (outputs, ...) read as a matrix, by the power
    method from a fixed start: a lower bound, near enough to see one grow."""
    largest = 0.0
    for weight in weights:
        matrix = weight.detach().flatten(1)
        vector = torch.ones(matrix.shape[1], dtype=matrix.dtype, device=matrix.device)
        for _ in range(_POWER_STEPS):
            vector = functional.normalize(matrix.T @ (matrix @ vector), dim=0)
        largest = max(largest, float((matrix @ vector).norm()))
    return largest


def squared_distances(left: Tensor, right: Tensor) -> Tensor:
    """(N, D), (M, D) -> (N, M), none below 0."""
    mean = right.mean(0)  # near 0 fewer digits are lost
    left, right = left - mean, right - mean
    squared = torch.addmm(right.square().sum(1), left, right.T, alpha=-2)  # one matrix, changed in place
    return squared.add_(left.square().sum(1)[:, None]).clamp_(min=0)


def _radii(squared: Tensor) -> Tensor:
    """The squared distance of each row to its 5th neighbour, itself not counted."""
    return squared.topk(NEIGHBOUR + 1, largest=False).values[:, -1]


def _spread(squared: Tensor) -> float:
    num = len(squared)
    return float(squared.sqrt().double().sum()) / (num * (num - 1))


def _deviation(rows: Tensor) -> float:
    return float(rows.double().std(0).mean())


def _modes(squared: Tensor, bandwidth: float) -> float:
    # K_ij^2 = exp(-d^2 / bandwidth^2)
    return len(squared) ** 2 / float((squared * (-1 / bandwidth**2)).exp().double().sum())


def _bandwidth(squared: Tensor) -> float:
    """The width at which N real samples make sqrt(N) modes: between 1, for a wide one, and N."""
    wanted = math.sqrt(len(squared))
    high = math.sqrt(float(squared.max())) or 1.0
    low = high * 1e-6
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _modes(squared, middle) > wanted else (low, middle)
    return high


def _centres(rows: Tensor, num_cells: int) -> Tensor:
    """Centres that rows fall to in equal ways each time: far from each other first, then k-means."""
    squared = squared_distances(rows, rows.mean(0, keepdim=True))[:, 0]
    wide = _CLUSTER_SHARE * _spread(squared_distances(rows[:_FOR_SPREAD], rows[:_FOR_SPREAD]))
    places = [int(squared.argmin())]
    squared = torch.full_like(squared, math.inf)
    while len(places) < num_cells:
        squared = torch.minimum(squared, squared_distances(rows, rows[places[-1:]])[:, 0])
        if float(squared.max()) <= wide**2:
            break
        places.append(int(squared.argmax()))
    centres = rows[places].clone()
    num_cells = len(places)
    for _ in range(_LLOYD_STEPS):
        nearest = squared_distances(rows, centres).argmin(1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, rows)
        counts = torch.bincount(nearest, minlength=num_cells)[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
    return centres


def _counts(to_centres: Tensor) -> Tensor:
    return torch.bincount(to_centres.argmin(1), minlength=to_centres.shape[1]).double()


def _divergence(counts: Tensor, shares: Tensor) -> float:
    num = float(counts.sum())
    found = counts / num
    divergence = torch.where(found > 0, found * (found / shares).log(), 0).sum()
    return float(divergence) - (len(counts) - 1) / (2 * num)
