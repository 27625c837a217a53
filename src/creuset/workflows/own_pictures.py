"""`creuset eval --metrics fd,kd,precision`: measures pictures of one's own; no run is needed."""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.assets import cache_folder, resolve, writable
from creuset.data.csv_file import CSV_SUFFIXES
from creuset.data.hashing import Hashes, sample_hashes
from creuset.data.load import read_source
from creuset.data.pixels import to_bytes
from creuset.data.source import SPLITS, Source, counted
from creuset.errors import DataError, NotFoundError, UsageError
from creuset.metrics.feature_scores import (
    USING_TRAINING,
    FeatureScores,
    feature_metrics,
    require_samples,
    require_training,
    score_features,
)
from creuset.metrics.feature_sets import FeatureSets
from creuset.metrics.signature import UNSTATED, Context
from creuset.pretrained.features import FeatureNetwork, extract, form_of
from creuset.progress import Progress, Silent
from creuset.recipe.sections import DataConfig
from creuset.workflows.extractors import EFFICIENTNET, open_extractor
from creuset.workflows.other_data import EVERYTHING

_SOURCES = "a folder of pictures, a .npz or IDX file of pictures, or a name such as mnist-5k"
_CHUNK = 4096
"""Features that are classified at once."""


def measure_pictures(
    metrics: Sequence[str],
    *,
    generated: str | Path,
    reference: str | Path,
    training: str | Path | None = None,
    extractor: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> FeatureScores:
    """Scores of generated pictures against real ones.

    A source is a folder of pictures, a .npz or IDX file, or a name such as mnist-5k; all of its splits and
    classes are taken. The signature's data is the content hash of the reference, so that two generators
    measured against the same reference can be compared, whatever its files are called. Features are kept in
    the cache under all that decides them.

    Args:
        metrics: Names out of `FEATURE_METRICS` or `OTHER_NAMES`.
        generated: The pictures to measure.
        reference: Real pictures that they are held against.
        training: Other real pictures: those that the generator was trained on.
        extractor: What makes the features (`open_extractor`); default: efficientnet-lite0.
        seed: Decides the draws of the metrics and floors.
        progress: Who watches.

    Raises:
        UsageError: A metric that there is not, is named twice, or lacks what it needs; a run that is no
            extractor.
        NotFoundError, BlockedError: A source or extractor that is not there, or not what it should be.
        DataError: A source that cannot be read or holds no pictures; pictures of unlike size or channels, or
            twice the same; fewer than a metric needs; features that are not finite.
    """
    watcher = Silent() if progress is None else progress
    chosen = feature_metrics(metrics)
    _check_training(chosen, training)
    network = open_extractor(EFFICIENTNET if extractor is None else extractor)
    named = {"generated": generated, "reference": reference, "training": training}
    sets = {role: _read(role, source, watcher) for role, source in named.items() if source is not None}
    _require_one_form(sets)
    overlaps = _overlaps(sets)
    require_samples(
        chosen,
        num_generated=len(sets["generated"].pixels),
        num_reference=len(sets["reference"].pixels),
        num_features=network.num_features,
    )
    features = {role: _features(pictures, network, watcher) for role, pictures in sets.items()}
    found = score_features(
        metrics,
        FeatureSets(
            generated=features["generated"],
            reference=features["reference"],
            real=features.get("training"),
            logits=_logits(features["generated"], network) if "is" in chosen else None,
            extractor=network.extractor,
            real_data=_content_hash(sets["training"].hashes) if "training" in sets else UNSTATED,
        ),
        context=Context(data=_content_hash(sets["reference"].hashes), split=EVERYTHING, seed=seed),
    )
    read = [remark for pictures in sets.values() for remark in pictures.remarks]
    return replace(found, remarks=[*read, *overlaps, *found.remarks])


def _check_training(metrics: Sequence[str], training: str | Path | None) -> None:
    """Training pictures where a metric needs them, and none where no metric has a use for them."""
    require_training(metrics, given=training is not None)
    if training is not None and not set(metrics) & set(USING_TRAINING):
        raise UsageError(
            f"training pictures have no effect on {', '.join(metrics)}",
            where=training,
            expected=f"one of {', '.join(USING_TRAINING)}",
            next_step="leave them out",
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pictures:
    """All pictures of one source, in the order of their hashes.

    Args:
        label: The role and the source, for errors.
        pixels: uint8 (N, C, H, W), in 0..255.
        hashes: Of their content, (N, 2).
        names: Where each comes from.
        remarks: What is worth saying of the source.
    """

    label: str
    pixels: NDArray[np.uint8]
    hashes: Hashes
    names: list[str]
    remarks: list[str]


def _read(role: str, name: str | Path, progress: Progress) -> _Pictures:
    label = f"{role} {name}"
    if str(name).lower().endswith(CSV_SUFFIXES):
        raise _no_pictures(label, "a CSV or TSV file")
    try:
        source = read_source(
            DataConfig(source=str(name)),
            resolve=lambda text: resolve(text).path,
            progress=progress,
            has_recipe=False,
        )
    except NotFoundError as error:
        raise NotFoundError(
            error.message,
            where=role,
            got=error.got,
            expected=_SOURCES,
            next_step=error.next_step or "correct the path",
        ) from error
    if source.kind != "images":
        raise _no_pictures(label, source.origin)
    parts = [source.parts[split] for split in SPLITS if split in source.parts]
    pixels = np.concatenate([part.inputs for part in parts]) if len(parts) > 1 else parts[0].inputs
    if source.num_levels != 256:
        pixels = to_bytes(torch.from_numpy(pixels), source.num_levels).numpy()
    hashes = sample_hashes(pixels)
    order = np.lexsort((hashes[:, 1], hashes[:, 0]))
    names = [name for part in parts for name in part.names]
    return _Pictures(
        label=label,
        pixels=pixels[order],
        hashes=hashes[order],
        names=[names[place] for place in order],
        remarks=[f"{label}: {remark}" for remark in _remarks(source)],
    )


def _remarks(source: Source) -> list[str]:
    remarks = list(source.notes)
    if len(source.parts) > 1:
        counts = ", ".join(
            f"{split} {len(source.parts[split].inputs):,}" for split in SPLITS if split in source.parts
        )
        remarks.append(f"all of its splits are taken together: {counts}")
    return remarks


def _no_pictures(label: str, found: str) -> DataError:
    return DataError(
        "these are no pictures",
        where=label,
        got=found,
        expected=_SOURCES,
        next_step="save pictures with np.savez_compressed(file, train_images=pictures)",
    )


def _require_one_form(sets: Mapping[str, _Pictures]) -> None:
    """Pictures of one size and of the same channels in all sources."""
    generated, *others = sets.values()
    for other in others:
        form, expected = generated.pixels.shape[1:], other.pixels.shape[1:]
        if form == expected:
            continue
        size = form[1:] != expected[1:]
        step = f"-resize {expected[2]}x{expected[1]}!" if size else "-colorspace Gray"
        raise DataError(
            "pictures of different sizes" if size else "grey pictures against colour ones",
            got=f"{generated.label}: {form_of(form)}; {other.label}: {form_of(expected)}",
            expected="one size, and grey or colour throughout",
            next_step="bring both to one form in a copy of the folder, with ImageMagick for instance: "
            f"mogrify {step} FILES",
        )


def _overlaps(sets: Mapping[str, _Pictures]) -> list[str]:
    """Remarks on pictures that two sources share.

    Raises:
        UsageError: Two sources hold the same pictures and no others: what is measured between them says
            nothing of a generator.
    """
    remarks = []
    for one, other in itertools.combinations(sets.values(), 2):
        if np.array_equal(one.hashes, other.hashes):
            raise UsageError(
                "two sources hold the same pictures, so nothing can be measured between them",
                got=f"{one.label} and {other.label}: {counted(len(one.hashes), 'picture')} each",
                expected="different pictures: a Frechet distance from a set to itself is 0, whoever made it",
            )
        known = {(int(high), int(low)) for high, low in other.hashes}
        shared = sum((int(high), int(low)) in known for high, low in one.hashes)
        if shared:
            remarks.append(
                f"{counted(shared, 'picture')} of {len(one.hashes):,} of {one.label} "
                f"{'is' if shared == 1 else 'are'} also in {other.label}, pixel for pixel"
            )
    return remarks


def _features(pictures: _Pictures, network: FeatureNetwork, progress: Progress) -> NDArray[np.float32]:
    kept = writable(cache_folder()) / "features"
    found = extract(pictures.pixels, network, cache=kept, progress=progress)
    unusable = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(unusable):
        first = pictures.names[unusable[0]]
        raise DataError(
            f"the extractor {network.extractor.name} gives features that are not finite",
            where=pictures.label,
            got=f"{counted(len(unusable), 'picture')} of {len(found):,}, such as {first}",
            expected="finite numbers",
            next_step="take another extractor, or a run whose training did not diverge",
        )
    return found


def _logits(features: NDArray[Any], network: FeatureNetwork) -> NDArray[np.float32]:
    parts = [features[start : start + _CHUNK] for start in range(0, len(features), _CHUNK)]
    with torch.inference_mode():
        return np.concatenate([network.logits(torch.from_numpy(np.array(part))).numpy() for part in parts])


def _content_hash(hashes: Hashes) -> str:
    return hashlib.sha256(hashes.astype(">u8").tobytes()).hexdigest()
