"""From pairs that a text embedder is tuned on to a data set: splits, tokens, form and report.

The base's tokenizer cuts the texts, and of each as many tokens are kept as the base reads. Pairs that share a
text, as anchor or as positive, go to one split together, and so do those that share one with these. Where
that would tie together more pairs than are to be trained, the anchors alone decide, and a positive may be
trained and measured: the gate says so. Negatives tie nothing together.

Legend of shapes: N pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.data.anchored_pairs import AnchoredPair
from creuset.data.assemble import limited
from creuset.data.conversations import PAIR_FORMS, TuningFile, read_tuning_file
from creuset.data.dataset import Dataset, Split, make_dataset
from creuset.data.hashing import Hashes, groups, sample_hashes
from creuset.data.pair_split import groups_by_text, pair_hashes, unknown_share
from creuset.data.records import refusal
from creuset.data.report import DataReport, PairCounts
from creuset.data.source import SPLITS, counted
from creuset.data.spec import DataSpec
from creuset.data.split import cut
from creuset.data.text_pairs import TextPairs, TokenRows
from creuset.data.text_side import TextSide
from creuset.data.tokenizer import Tokenizer
from creuset.data.tuning_split import tuning_path
from creuset.errors import DataError, Problem, UsageError
from creuset.recipe.sections import DataConfig

Indices = NDArray[np.int64]
Pairs = Sequence[AnchoredPair]


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """How the base reads a text.

    Args:
        tokenizer: The base's.
        room: Tokens of a text that are read, without those that the tokenizer puts around it.
        num_around: How many these are.
    """

    tokenizer: Tokenizer
    room: int
    num_around: int

    @classmethod
    def of(cls, base: TextSide) -> "_Reader":
        before, behind = base.tokenizer.around()
        assert base.context_length is not None
        num_around = len(before) + len(behind)
        return cls(
            tokenizer=base.tokenizer, room=max(1, base.context_length - num_around), num_around=num_around
        )


def split_anchored(file: TuningFile, config: DataConfig, base: TextSide, *, seed: int) -> Dataset:
    """The data set of pairs.

    Args:
        file: Records of a form of pairs.
        config: Shares of the splits, or the file to measure on.
        base: Whose tokenizer cuts the texts, and how many tokens it reads.
        seed: Decides, with the texts, what goes where.

    Raises:
        DataError: Too few pairs, or texts without a token, each by its place.
        UsageError: A test file of another form, or a limit that is too high.
    """
    pairs = _pairs(file)
    shares = {"validation": config.validation_share}
    if config.test_source is None and config.test_share:
        shares = {"test": config.test_share, **shares}
    if len(pairs) < len(shares) + 2:
        raise DataError(
            "too few pairs to train and to measure",
            where=config.source,
            got=counted(len(pairs), "pair"),
            expected=f"{len(shares) + 2} at least, of different texts: two that are told from each other, "
            "and one for each split that is measured",
        )
    places, told = _places(pairs, shares, seed)
    if config.limit is not None:
        train = places["train"]
        places["train"] = train[limited(_hashes([pairs[at] for at in train]), None, config.limit, seed)]
    chosen = {name: [pairs[at] for at in places[name]] for name in SPLITS if name in places}
    if config.test_source is not None:
        chosen["test"] = _own_test(config.test_source)
    return anchored_dataset(chosen, base, config.source, notes=(file.told, *told))


def all_anchored(file: TuningFile, base: TextSide, name: str) -> Dataset:
    """All pairs of a file as one split of this name; `base` as of `split_anchored`.

    Raises:
        DataError: A text has no token.
    """
    return anchored_dataset({name: _pairs(file)}, base, file.told)


def anchored_dataset(
    chosen: Mapping[str, Pairs], base: TextSide, origin: str, notes: Sequence[str] = ()
) -> Dataset:
    """The data set of pairs that are split already.

    Args:
        chosen: The pairs of each split, in any order.
        base: As of `split_anchored`.
        origin: Where they come from.
        notes: What is worth saying.

    Raises:
        DataError: A text has no token.
    """
    reader = _Reader.of(base)
    has_negatives = any(pair.negative for pairs in chosen.values() for pair in pairs)
    splits = {name: _split(pairs, reader, has_negatives) for name, pairs in chosen.items()}
    first = next(iter(splits.values()))
    assert first.pairs is not None
    before, behind = base.tokenizer.around()
    spec = DataSpec(
        kind="pairs",
        shape=(),
        num_levels=0,
        context=reader.room,
        tokenizer=base.tokenizer.fingerprint,
        tokenizer_size=base.tokenizer.vocab_size,
        ids_before=before,
        ids_behind=behind,
        target_tokens=float(first.pairs.target_rows.lengths.double().mean()) + 1,
    )
    within = {name: split.num_samples - len(groups(split.hashes)[0]) for name, split in splits.items()}
    report = DataReport(
        origin=origin,
        own_splits=(),
        num_samples={name: split.num_samples for name, split in splits.items()},
        class_counts=dict.fromkeys(splits, ()),
        duplicates_within={name: number for name, number in within.items() if number},
        duplicates_removed={},
        notes=tuple(notes),
        unknown_tokens={
            name: unknown_share(base.tokenizer, split.pairs)
            for name, split in splits.items()
            if split.pairs is not None
        },
        pairs={name: _counts(split) for name, split in splits.items()},
    )
    return make_dataset(spec, splits, report, tokenizer=base.tokenizer)


def _pairs(file: TuningFile) -> list[AnchoredPair]:
    return [row for row in file.rows if isinstance(row, AnchoredPair)]


def _own_test(source: str) -> list[AnchoredPair]:
    file = read_tuning_file(tuning_path(source, "data.test_source"))
    if file.form not in PAIR_FORMS:
        raise UsageError(
            "the rows to measure on are of another form than those to train on",
            where="data.test_source",
            got=file.form,
            expected=" or ".join(PAIR_FORMS),
        )
    return _pairs(file)


def _places(pairs: Pairs, shares: Mapping[str, float], seed: int) -> tuple[dict[str, Indices], list[str]]:
    """Which pairs go to which split, and what is worth saying of it."""
    texts = np.empty((len(pairs), 2), dtype=object)
    texts[:] = [(pair.anchor, pair.positive) for pair in pairs]
    together = groups_by_text(texts, pair_hashes(texts))
    sizes = np.bincount(groups(together)[1])
    if sizes.max() <= len(pairs) * (1 - sum(shares.values())):
        return cut(together, None, shares=shares, seed=seed), []
    told = (
        f"{counted(int(sizes.max()), 'pair')} hang together by texts that they share, too many for one "
        "split: the anchors alone decide the splits"
    )
    return cut(sample_hashes(texts[:, 0].copy()), None, shares=shares, seed=seed), [told]


def _hashes(pairs: Pairs) -> Hashes:
    """The hash of each pair with its negative, (N, 2)."""
    texts = np.empty(3 * len(pairs), dtype=object)
    texts[:] = [text for pair in pairs for text in (pair.anchor, pair.positive, pair.negative)]
    return sample_hashes(sample_hashes(texts).reshape(len(pairs), 6))


def _split(pairs: Pairs, reader: _Reader, has_negatives: bool) -> Split:
    """The pairs of a split in the order of their hashes, as tokens."""
    hashes = _hashes(pairs)
    order = np.lexsort((hashes[:, 1], hashes[:, 0]))
    pairs = [pairs[place] for place in order]
    sides = [[getattr(pair, name) for pair in pairs] for name in ("anchor", "positive", "negative")]
    ids = [reader.tokenizer.encode_batch(texts, add_special=False) for texts in sides]
    _require_tokens(pairs, sides, ids)
    whole = [[len(row) + reader.num_around * bool(row) for row in side] for side in ids]
    rows = [TokenRows.of([text[: reader.room] for text in side]) for side in ids]
    held = TextPairs(
        sources=tuple(sides[0]),
        targets=tuple(sides[1]),
        source_rows=rows[0],
        target_rows=rows[1],
        tokenizer_size=reader.tokenizer.vocab_size,
        negatives=tuple(sides[2]) if has_negatives else (),
        negative_rows=rows[2] if has_negatives else None,
    )
    return Split(
        inputs=torch.stack([row.lengths for row in rows[:2]], dim=1),
        labels=None,
        hashes=hashes[order],
        names=tuple(pair.place for pair in pairs),
        num_tokens=torch.tensor(whole).T.contiguous(),
        pairs=held,
    )


def _require_tokens(
    pairs: Pairs, sides: Sequence[Sequence[str]], ids: Sequence[Sequence[Sequence[int]]]
) -> None:
    """Refuses texts that the base's tokenizer reads nothing of."""
    problems = []
    for texts, side in zip(sides, ids, strict=True):
        for pair, text, row in zip(pairs, texts, side, strict=True):
            if text and not row:
                file, _, line = pair.place.rpartition(":")
                message = f"a text without any token: {text[:80]!a}"
                problems.append(Problem(file=file, line=int(line), column=1, message=message))
    if problems:
        raise refusal(sorted(problems, key=lambda problem: problem.line))


def _counts(split: Split) -> PairCounts:
    """How long the texts of a split are, those that are cut as they are before."""
    pairs = split.pairs
    assert pairs is not None
    assert split.num_tokens is not None
    return PairCounts(
        num_source_tokens=len(pairs.source_rows.ids),
        num_target_tokens=len(pairs.target_rows.ids),
        num_source_bytes=sum(len(text.encode()) for text in pairs.sources),
        num_target_bytes=sum(len(text.encode()) for text in pairs.targets),
        longest_source=int(split.num_tokens[:, 0].max()),
        longest_target=int(split.num_tokens[:, 1].max()),
        num_left_out=0,
    )
