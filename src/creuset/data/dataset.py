"""A data set in memory: its splits, its form, its hash, and what was done to make it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creuset.data.hashing import Hashes, content_hash, groups
from creuset.data.pixels import to_floats
from creuset.data.report import DataReport
from creuset.data.spec import DataSpec
from creuset.data.text_pairs import TextPairs
from creuset.data.token_stream import TokenStream, block_batch
from creuset.data.tokenizer import Tokenizer
from creuset.data.tuning_rows import TuningRows
from creuset.data.vocabulary import encode, text_lengths, unknown_share
from creuset.errors import DataError


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """The samples of one split, in the order of their hashes; those of a corpus in that of its documents.

    Args:
        inputs: Pictures as stored, uint8 (N, C, H, W) in [0, num_levels); or table rows as they stand in
            the file, float64 (N, F); or token ids of texts, int32 (N, T), padded (vocabulary.py); or blocks
            of a corpus, int32 (N, context + 1) (token_stream.py); or how many tokens source and target of a
            pair have, int64 (N, 2); or code maps, int16 (N, 1, h, w); or how many tokens a text to tune on
            has, or two answers have together, int64 (N,).
        labels: Places in the spec's class_names, int64 (N,); None without labels.
        hashes: Content hashes, two numbers a sample (hashing.py).
        names: Where each sample comes from, for people; of a corpus its documents, which are not samples.
        texts: The texts themselves; empty for other data.
        num_tokens: Tokens of each whole text, int64 (N,), of which `inputs` may hold the first ones only; of
            pairs to tune a text embedder on int64 (N, 3), of anchor, positive and negative, 0 without one;
            None for other data.
        stream: The tokens of a corpus; None for other data.
        pairs: Pairs of texts and their tokens; None for other data.
        pictures: Those that code maps stand for, uint8 (N, C, H, W); None for other data.
        tuning: Texts to tune a language model on; None for other data.
        features: What a body that does not learn makes of each text, float32 (N, E); None where nothing is
            kept.
    """

    inputs: Tensor
    labels: Tensor | None
    hashes: Hashes
    names: tuple[str, ...]
    texts: tuple[str, ...] = ()
    num_tokens: Tensor | None = None
    stream: TokenStream | None = None
    pairs: TextPairs | None = None
    pictures: Tensor | None = None
    tuning: TuningRows | None = None
    features: Tensor | None = None

    @property
    def num_samples(self) -> int:
        return len(self.inputs)

    def select(self, indices: NDArray[np.int64]) -> "Split":
        """These samples only."""
        places = torch.from_numpy(indices)
        return Split(
            inputs=self.inputs[places],
            labels=None if self.labels is None else self.labels[places],
            hashes=self.hashes[indices],
            names=tuple(self.names[index] for index in indices),
            texts=tuple(self.texts[index] for index in indices) if self.texts else (),
            num_tokens=None if self.num_tokens is None else self.num_tokens[places],
            pairs=None if self.pairs is None else self.pairs.select(indices),
            pictures=None if self.pictures is None else self.pictures[places],
            tuning=None if self.tuning is None else self.tuning.select(indices),
            features=None if self.features is None else self.features[places],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class CodeMaps:
    """What code maps stand for.

    Args:
        spec: The form of the pictures.
        decode: Code maps, float32 (N, 1, h, w) in [-1, 1] as they are batched, to pictures, float32
            (N, C, H, W) in [-1, 1].
    """

    spec: DataSpec
    decode: Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Splits that share one form.

    Args:
        spec: The form of a sample; a model is built for it.
        splits: "train", "validation" and, unless test_share is 0, "test".
        content_hash: Names exactly this data in these splits (hashing.content_hash).
        report: How it was made.
        tokenizer: What cut a corpus, pairs or texts to tune on into tokens; None for other data.
        code_maps: What code maps stand for; None for other data.
    """

    spec: DataSpec
    splits: Mapping[str, Split]
    content_hash: str
    report: DataReport
    tokenizer: Tokenizer | None = None
    code_maps: CodeMaps | None = None

    @property
    def shown(self) -> "Dataset":
        """What people see of it: the pictures that code maps stand for, and other data as it is."""
        if self.code_maps is None:
            return self
        spec = replace(
            self.code_maps.spec, class_names=self.spec.class_names, class_counts=self.spec.class_counts
        )
        splits = {}
        for name, split in self.splits.items():
            assert split.pictures is not None
            splits[name] = replace(split, inputs=split.pictures, pictures=None)
        return make_dataset(spec, splits, self.report)

    def as_shown(self, samples: Tensor) -> Tensor:
        """Samples as people see them: code maps, float32 (N, 1, h, w), as pictures (N, C, H, W) in
        [-1, 1]."""
        return samples if self.code_maps is None else self.code_maps.decode(samples)

    def batch(self, split: str, indices: Tensor, offsets: Tensor | None = None) -> dict[str, Tensor]:
        """Samples as a model takes them.

        Args:
            split: The name of a split.
            indices: Which samples, int64 (B,).
            offsets: How many tokens later than its usual place each training block of a corpus begins, int64
                (B,), in [0, context).

        Returns:
            "images" float32 (B, C, H, W) in [-1, 1], or "features" float32 (B, F), each column with the
            training split's mean taken off and divided by its standard deviation, or "tokens" int64 (B, T)
            padded to the longest of them with "lengths" int64 (B,), or of a corpus "tokens" and "targets"
            int64 (B, context), or of pairs what `TextPairs.batch` says, or of texts to tune on what
            `TuningRows.batch` says; "labels" int64 (B,) where there are any.

        Raises:
            DataError: There is no such split.
        """
        part = self.split(split)
        if part.stream is not None:
            return dict(
                block_batch(part.inputs[indices] if offsets is None else part.stream.at(indices, offsets))
            )
        if part.pairs is not None:
            return part.pairs.batch(indices)
        if part.tuning is not None:
            return part.tuning.batch(indices)
        inputs = part.inputs.index_select(0, indices)
        if self.spec.kind == "images":
            batch = {"images": to_floats(inputs, self.spec.num_levels)}
        elif part.features is not None:
            batch = {"features": part.features.index_select(0, indices)}
        elif self.spec.kind == "table":
            batch = {"features": standardise(inputs, self.spec)}
        else:
            lengths = text_lengths(inputs)
            batch = {"tokens": inputs[:, : int(lengths.max())].long(), "lengths": lengths}
        if part.labels is not None:
            batch["labels"] = part.labels.index_select(0, indices)
        return batch

    def split(self, name: str) -> Split:
        """The split with this name; raises DataError where there is none."""
        if name not in self.splits:
            raise DataError(
                f'this data has no "{name}" split',
                where=self.report.origin,
                expected=", ".join(self.splits),
                next_step="choose one of these, or set data.test_share above 0" if name == "test" else None,
            )
        return self.splits[name]


def standardise(features: Tensor, spec: DataSpec) -> Tensor:
    """(column - mean) / std with the statistics that `spec` carries: float64 (B, F) to float32 (B, F).

    Only the result is rounded to float32, so that rows differ that differ little beside their size.
    """
    mean = torch.tensor(spec.feature_mean, dtype=torch.float64)
    std = torch.tensor(spec.feature_std, dtype=torch.float64)
    return ((features.double() - mean) / std).float()


def make_split(
    spec: DataSpec,
    inputs: NDArray[Any],
    labels: NDArray[np.int64] | None,
    hashes: Hashes,
    names: tuple[str, ...],
) -> Split:
    """Samples as a source holds them (`source.Part`), as a split."""
    placed = None if labels is None else torch.from_numpy(labels)
    if spec.kind != "texts":
        stored = torch.from_numpy(np.ascontiguousarray(inputs))
        return Split(inputs=stored, labels=placed, hashes=hashes, names=names)
    texts = tuple(inputs.tolist())
    ids, num_tokens = encode(texts, spec)
    return Split(inputs=ids, labels=placed, hashes=hashes, names=names, texts=texts, num_tokens=num_tokens)


def with_text_counts(report: DataReport, spec: DataSpec, splits: Mapping[str, Split]) -> DataReport:
    """The report with what was cut off texts and what of them is unknown; as it is for other data."""
    if spec.kind != "texts":
        return report
    cut = {
        name: int((split.num_tokens > spec.max_tokens).sum())
        for name, split in splits.items()
        if split.num_tokens is not None
    }
    unknown = {name: unknown_share(split.inputs, spec) for name, split in splits.items()}
    return replace(
        report, texts_cut={name: number for name, number in cut.items() if number}, unknown_tokens=unknown
    )


def make_dataset(
    spec: DataSpec,
    splits: Mapping[str, Split],
    report: DataReport,
    *,
    tokenizer: Tokenizer | None = None,
    code_maps: CodeMaps | None = None,
) -> Dataset:
    """A data set whose hash is computed from what it holds."""
    named = {name: (split.hashes, split.labels) for name, split in splits.items()}
    return Dataset(
        spec=spec,
        splits=splits,
        content_hash=content_hash(spec, named),
        report=report,
        tokenizer=tokenizer,
        code_maps=code_maps,
    )


def conform(dataset: Dataset, spec: DataSpec) -> Dataset:
    """The data set as a model made for `spec` takes it: labels in its order of classes, its statistics.

    Labels are dropped where the model has no classes.

    Raises:
        DataError: The samples have another form, or a class that the model does not know.
    """
    own = dataset.spec
    for what, got, expected in (
        ("another kind", own.kind, spec.kind),
        ("another shape", own.shape, spec.shape),
        ("another number of pixel levels", own.num_levels, spec.num_levels),
        ("another form of sound", own.sound, spec.sound),
        ("another codebook", own.codes, spec.codes),
        ("other columns", own.feature_names, spec.feature_names),
        ("another context", own.context, spec.context),
        ("another tokenizer", own.tokenizer, spec.tokenizer),
    ):
        if got != expected:
            raise DataError(
                f"the model was made for data of {what}",
                where=dataset.report.origin,
                got=got,
                expected=expected,
                next_step="give data of the form that the model was trained on",
            )
    unknown = [name for name in own.class_names if name not in spec.class_names]
    if unknown and spec.class_names:
        raise DataError(
            "the data has classes that the model does not know",
            where=dataset.report.origin,
            got=", ".join(unknown),
            expected=f"only classes out of {', '.join(spec.class_names)}",
        )
    place = None
    if spec.class_names:
        place = torch.tensor([spec.class_names.index(name) for name in own.class_names], dtype=torch.int64)
    splits = {
        name: replace(split, labels=None if place is None or split.labels is None else place[split.labels])
        for name, split in dataset.splits.items()
    }
    if (own.tokens, own.max_tokens, own.vocabulary) != (spec.tokens, spec.max_tokens, spec.vocabulary):
        splits = {name: _read_again(split, spec) for name, split in splits.items()}
    report = with_text_counts(dataset.report, spec, splits)
    return make_dataset(spec, splits, report, tokenizer=dataset.tokenizer, code_maps=dataset.code_maps)


def _read_again(split: Split, spec: DataSpec) -> Split:
    """The texts of a split by the vocabulary of `spec`."""
    ids, num_tokens = encode(split.texts, spec)
    return replace(split, inputs=ids, num_tokens=num_tokens)


def without(split: Split, *others: Split) -> Split:
    """The samples of `split` that none of the others holds, compared by content hash."""
    everything = np.concatenate([split.hashes, *(other.hashes for other in others)])
    _, members = groups(everything)
    kept = ~np.isin(members[: split.num_samples], members[split.num_samples :])
    return split.select(np.flatnonzero(kept))
