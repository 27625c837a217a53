"""How many modes of a known mixture a model reaches, and how evenly: points by their places, stacked pictures
by a classifier's word on each channel.

Beside each number stands what a sampler without fault would reach with as many samples, and what was
published for others.

Legend of shapes: N samples, M modes, C channels; H height, W width.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.data.spec import DataSpec
from creuset.data.toys import STACK, mixtures
from creuset.errors import UsageError
from creuset.evaluation.suite import Evaluation, Subject
from creuset.generation import pictures
from creuset.generation.table_rows import to_rows
from creuset.metrics.modes import ModeCounts, mode_scores
from creuset.metrics.signature import Context
from creuset.models.base import Model

NUM_POINTS, NUM_STACKED = 2_500, 26_000
"""Samples that the published figures were taken with."""
_SHOWN = 64

PUBLISHED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ring": ("GAN 6.3 of 8 modes, PacGAN 7.9 (Lin et al. 2018)",),
        "grid": ("GAN 17.3 of 25 modes, PacGAN4 24.8 (Lin et al. 2018)",),
        STACK: (
            "DCGAN 99 of 1,000 modes, unrolled GAN 48.7 (Metz et al. 2017), VEEGAN 150 (Srivastava et al. "
            "2017), PacDCGAN2 1,000 with a KL of 0.06 nats (Lin et al. 2018)",
        ),
    }
)
"""By mixture, what was reached elsewhere with as many samples."""


@dataclass(frozen=True, kw_only=True)
class ModeSetting:
    """How modes are counted.

    Args:
        num_generated: Samples that are drawn; None for as many as the published figures were taken with.
        classify: The class of each grey picture, (N, H, W, 1) uint8 -> (N,); of stacked pictures alone.
        num_classes: How many classes it tells.
        classifier: What names it, for the signature.
    """

    num_generated: int | None = None
    classify: Callable[[pictures.Pictures], NDArray[np.int64]] | None = None
    num_classes: int = 0
    classifier: str = ""


def num_drawn_for_modes(spec: DataSpec, num_generated: int | None) -> int:
    """How many samples the suite draws."""
    if num_generated is not None:
        return num_generated
    return NUM_STACKED if spec.mixture == STACK else NUM_POINTS


def modes_suite(subject: Subject, spec: DataSpec, context: Context, setting: ModeSetting) -> Evaluation:
    """Modes reached, share of high quality, and the KL of the histogram from a uniform one.

    Args:
        subject: A model that draws samples.
        spec: The form of its data, of a known mixture.
        context: Of the split that stands for the data; its seed decides the samples.
        setting: How they are counted.

    Raises:
        UsageError: Stacked pictures, and no classifier.
    """
    assert isinstance(subject.model, Model)
    if spec.mixture == STACK and setting.classify is None:
        raise UsageError(
            "the modes of stacked pictures are told by a classifier",
            where="evaluation.extractor",
            expected="a run of a classifier of the pictures that were stacked",
            next_step="train one, such as creuset train cnn-mnist, and name it: --extractor RUN",
        )
    number = num_drawn_for_modes(spec, setting.num_generated)
    drawn = pictures.sample(subject.model, number, seed=context.seed, device=subject.device)
    details: dict[str, Any] = {"published": list(PUBLISHED[spec.mixture])}
    shown: dict[str, NDArray[np.uint8]] = {}
    if setting.classify is not None:
        stacks = pictures.to_pictures(drawn)
        classes = [
            setting.classify(stacks[..., channel : channel + 1]) for channel in range(stacks.shape[-1])
        ]
        counts = ModeCounts.from_classes(np.stack(classes, axis=1), num_classes=setting.num_classes)
        context = replace(context, extra={**context.extra, "classifier": setting.classifier})
        shown["generated"] = stacks[:_SHOWN]
    else:
        mixture = mixtures()[spec.mixture]
        points = to_rows(drawn, spec)
        counts = ModeCounts.from_points(points, mixture.means, mixture.sigma)
        details["points"] = points.round(4).tolist()
        details["means"] = mixture.means.round(4).tolist()
        details["columns"] = list(spec.feature_names)
    return Evaluation(
        suite="modes",
        split=context.split,
        scores=mode_scores(counts, context=context),
        details={**details, "counts": counts.counts.tolist()},
        pictures=shown,
    )
