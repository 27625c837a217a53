"""Code maps in place of pictures: what a second stage learns of the codes that a first stage made.

A VQ-VAE makes of each picture a map of whole numbers, one of K codes at each place. As data they are pictures
of one channel and K levels, which have no order. Each stays in the split of its picture, under the hash of
its picture: so that nothing leaks between splits, and what is drawn is held against the pictures themselves.

Legend of shapes: N samples, h height and w width of a map, K codes.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from creuset.data.dataset import CodeMaps, Dataset, Split, make_dataset
from creuset.data.hashing import groups, sample_hashes
from creuset.data.report import DataReport
from creuset.data.source import counted
from creuset.data.spec import CodeForm, DataSpec


def code_dataset(
    pictures: Dataset,
    maps: Mapping[str, Tensor],
    form: CodeForm,
    *,
    num_codes: int,
    decode: Callable[[Tensor], Tensor],
) -> Dataset:
    """The code maps of a data set of pictures, in its splits and with its labels.

    Args:
        pictures: What was encoded.
        maps: The maps of each split in the order of its samples, int64 (N, h, w) in [0, K).
        form: What made them.
        num_codes: K.
        decode: Code maps, int64 (N, h, w), to pictures, float32 (N, C, H, W) in [-1, 1].
    """
    splits = {name: _coded(split, maps[name]) for name, split in pictures.splits.items()}
    own = pictures.spec
    spec = DataSpec(
        kind="images",
        shape=tuple(next(iter(splits.values())).inputs.shape[1:]),
        num_levels=num_codes,
        codes=form,
        class_names=own.class_names,
        class_counts=own.class_counts,
    )
    return make_dataset(
        spec,
        splits,
        _report(pictures.report, splits, form, num_codes),
        code_maps=CodeMaps(spec=own, decode=lambda drawn: decode(as_codes(drawn, num_codes))),
    )


def as_codes(maps: Tensor, num_codes: int) -> Tensor:
    """Code maps as they are batched, float32 (N, 1, h, w) in [-1, 1], as whole numbers, int64 (N, h, w)."""
    return torch.round((maps[:, 0] + 1) * ((num_codes - 1) / 2)).long()


def _coded(split: Split, maps: Tensor) -> Split:
    """A split of pictures as one of their code maps."""
    return replace(split, inputs=maps[:, None].to(torch.int16), pictures=split.inputs)


def _report(report: DataReport, splits: Mapping[str, Split], form: CodeForm, num_codes: int) -> DataReport:
    """What is to be said of code maps, beside what was said of their pictures when these were read."""
    notes = []
    if "train" in splits:
        used = len(torch.unique(splits["train"].inputs))
        notes.append(f"of the {num_codes} codes of {form.run} the training pictures use {used}")
        hashes = {name: sample_hashes(split.inputs.numpy()) for name, split in splits.items()}
        for name in sorted(set(hashes) - {"train"}):
            _, members = groups(np.concatenate([hashes[name], hashes["train"]]))
            own, training = np.split(members, [len(hashes[name])])
            if equal := int(np.isin(own, training).sum()):
                maps = counted(equal, "code map")
                notes.append(f"{maps} of {name} equal to one of train, made from another picture")
    return DataReport(
        origin=f"code maps of {form.run}: {report.origin}",
        own_splits=tuple(name for name in splits if name != "train"),
        num_samples=report.num_samples,
        class_counts=report.class_counts,
        duplicates_within={},
        duplicates_removed={},
        notes=tuple(notes),
    )
