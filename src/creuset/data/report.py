"""What was found and done while a data set was made: counts, duplicates, what was left out or cut."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from creuset.data.source import Skipped, counted, listed


@dataclass(frozen=True, kw_only=True)
class CorpusCounts:
    """How long a split of a corpus is."""

    num_documents: int
    num_characters: int
    num_bytes: int
    num_tokens: int

    @property
    def bytes_per_token(self) -> float:
        """Bytes of UTF-8 that a token stands for, on average."""
        return self.num_bytes / self.num_tokens


@dataclass(frozen=True, kw_only=True)
class PairCounts:
    """How long the texts of a split of pairs are; the longest ones those of pairs left out too."""

    num_source_tokens: int
    num_target_tokens: int
    num_source_bytes: int
    num_target_bytes: int
    longest_source: int
    longest_target: int
    num_left_out: int


@dataclass(frozen=True, kw_only=True)
class DataReport:
    """What was found and done while a data set was read and split.

    Args:
        origin: What the source is.
        own_splits: Splits that the source has itself; the others were cut.
        num_samples: Split -> samples.
        class_counts: Split -> samples of each class, in the order of the classes; empty without labels.
        duplicates_within: Split -> samples that equal an earlier one of the same split (kept).
        duplicates_removed: Split -> samples removed because another split of the source holds them as well.
        duplicate_examples: Some of the removed ones.
        label_conflicts: Samples that equal another one and have another label (kept).
        conflict_examples: Some of them.
        skipped: Files left out because data.unreadable is skip.
        notes: What is legal but worth knowing.
        texts_cut: Split -> texts longer than data.max_tokens, of which only the beginning is read.
        unknown_tokens: Split -> share of the tokens that are not in the vocabulary, in [0, 1].
        corpus: Split -> how long it is, for a corpus.
        pairs: Split -> how long its texts are, for pairs.
    """

    origin: str
    own_splits: tuple[str, ...]
    num_samples: Mapping[str, int]
    class_counts: Mapping[str, tuple[int, ...]]
    duplicates_within: Mapping[str, int]
    duplicates_removed: Mapping[str, int]
    duplicate_examples: tuple[str, ...] = ()
    label_conflicts: int = 0
    conflict_examples: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    texts_cut: Mapping[str, int] = field(default_factory=dict)
    unknown_tokens: Mapping[str, float] = field(default_factory=dict)
    corpus: Mapping[str, CorpusCounts] = field(default_factory=dict)
    pairs: Mapping[str, PairCounts] = field(default_factory=dict)

    def remarks(self) -> tuple[str, ...]:
        """What a user should hear before training, one line each."""
        lines = [
            f"{counted(number, 'sample')} removed from {name}, because another split holds the same"
            for name, number in self.duplicates_removed.items()
        ]
        if self.label_conflicts:
            lines.append(
                f"{counted(self.label_conflicts, 'sample')} equal to another one with another label, "
                f"such as {self.conflict_examples[0]}"
            )
        if self.skipped:
            lines.append(f"{counted(len(self.skipped), 'file')} skipped:\n    {listed(self.skipped)}")
        for name, number in self.texts_cut.items():
            lines.append(f"{counted(number, 'text')} of {name} cut: longer than data.max_tokens")
        if any(self.unknown_tokens.values()):
            shares = ", ".join(f"{share:.2%} of {name}" for name, share in self.unknown_tokens.items())
            lines.append(f"tokens that are not in the vocabulary: {shares}")
        return (*lines, *self.notes)

    def to_json(self) -> dict[str, Any]:
        return {
            "origin": self.origin,
            "own_splits": list(self.own_splits),
            "num_samples": dict(self.num_samples),
            "class_counts": {name: list(counts) for name, counts in self.class_counts.items()},
            "duplicates_within": dict(self.duplicates_within),
            "duplicates_removed": dict(self.duplicates_removed),
            "duplicate_examples": list(self.duplicate_examples),
            "label_conflicts": self.label_conflicts,
            "conflict_examples": list(self.conflict_examples),
            "skipped": [{"file": item.file, "reason": item.reason} for item in self.skipped],
            "notes": list(self.notes),
            "texts_cut": dict(self.texts_cut),
            "unknown_tokens": dict(self.unknown_tokens),
            "corpus": {
                name: {**asdict(counts), "bytes_per_token": counts.bytes_per_token}
                for name, counts in self.corpus.items()
            },
            "pairs": {name: asdict(counts) for name, counts in self.pairs.items()},
        }
