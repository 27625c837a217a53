"""From pairs of texts to a data set: groups that share a text, splits, tokenizer, tokens, form and report.

Pairs that share a text, be it the source of one and the target of another, go to one split together, and so
do those that share one with these: a text that stood in two splits would be known before it is measured. The
tokenizer is made from the training split alone, one for both sides.

A pair of which a text has more than data.context tokens is left out and counted: cut, its source would not
say all that its target does.

Legend of shapes: N pairs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.data.assemble import limited
from creuset.data.corpus_split import corpus_tokenizer
from creuset.data.dataset import Dataset, Split, make_dataset
from creuset.data.hashing import Hashes, groups, sample_hashes
from creuset.data.report import DataReport, PairCounts
from creuset.data.source import Part, Source, counted
from creuset.data.spec import DataSpec
from creuset.data.split import cut
from creuset.data.text_pairs import TextPairs, TokenRows
from creuset.data.tokenizer import Tokenizer
from creuset.errors import DataError
from creuset.recipe.sections import DataConfig

Indices = NDArray[np.int64]

_EXAMPLES = 3


def split_pairs(source: Source, config: DataConfig, *, seed: int, resolve: Callable[[str], Path]) -> Dataset:
    """The data set of pairs.

    Args:
        source: What was read.
        config: Shares of the splits, the tokenizer, tokens of a text at most.
        seed: Decides, with the pairs' hashes, what goes where.
        resolve: Finds the folder that the tokenizer's name stands for, where it is no path.

    Raises:
        DataError: A split would be empty, or a text has no token.
        UsageError: Settings of the tokenizer without effect, or a limit that is too high.
        NotFoundError: There is no such tokenizer.
    """
    part = source.parts["train"]
    hashes = pair_hashes(part.inputs)
    together = groups_by_text(part.inputs, hashes)
    shares = {"test": config.test_share, "validation": config.validation_share}
    places = cut(together, None, shares={name: share for name, share in shares.items() if share}, seed=seed)
    if config.limit is not None:
        train = places["train"]
        places["train"] = train[limited(hashes[train], None, config.limit, seed)]
    learned = [text for pair in part.inputs[places["train"]].tolist() for text in pair]
    tokenizer = corpus_tokenizer(config, learned, resolve)
    chosen: dict[str, tuple[Part, Hashes, Indices]] = {
        name: (part, hashes, places[name]) for name in ("train", "validation", "test") if name in places
    }
    return pair_dataset(
        source, chosen, tokenizer, context=config.context, notes=_sharing_note(together, hashes)
    )


def pair_dataset(
    source: Source,
    chosen: Mapping[str, tuple[Part, Hashes, Indices]],
    tokenizer: Tokenizer,
    *,
    context: int,
    notes: Sequence[str] = (),
) -> Dataset:
    """The data set of pairs that are split already.

    Args:
        source: Where they come from.
        chosen: Of each split the pairs, their hashes, and which of them it holds.
        tokenizer: Cuts both sides.
        context: Tokens of a text at most; pairs with more are left out.
        notes: What is worth saying beside the source's own notes.

    Raises:
        DataError: A text has no token, or each pair of a split is left out.
    """
    read = {
        name: _read(part, hashes[places], places, tokenizer)
        for name, (part, hashes, places) in chosen.items()
    }
    kept = {name: one.within(context) for name, one in read.items()}
    for name, one in kept.items():
        if not one.split.num_samples:
            raise DataError(
                f"each pair of the {name} split is too long",
                where=source.origin,
                got=f"the longest text has {read[name].longest:,} tokens",
                expected=f"at most {context:,} tokens in each text, which is data.context",
                next_step="raise data.context, or choose a data.tokenizer with longer tokens",
            )
    shown = next(name for name in ("train", *kept) if name in kept)
    targets = kept[shown].pairs.target_rows.lengths.double()
    before, behind = tokenizer.around()
    spec = DataSpec(
        kind="pairs",
        shape=(),
        num_levels=0,
        context=context,
        tokenizer=tokenizer.fingerprint,
        tokenizer_size=tokenizer.vocab_size,
        ids_before=before,
        ids_behind=behind,
        target_tokens=float(targets.mean()) + 1,
    )
    splits = {name: one.split for name, one in kept.items()}
    within = {name: one.num_samples - len(groups(one.hashes)[0]) for name, one in splits.items()}
    report = DataReport(
        origin=source.origin,
        own_splits=(),
        num_samples={name: one.num_samples for name, one in splits.items()},
        class_counts=dict.fromkeys(splits, ()),
        duplicates_within={name: number for name, number in within.items() if number},
        duplicates_removed={},
        notes=(*source.notes, *notes, *_too_long(read, context)),
        unknown_tokens={name: unknown_share(tokenizer, one.pairs) for name, one in kept.items()},
        pairs={name: _counts(one.pairs, read[name].pairs) for name, one in kept.items()},
    )
    return make_dataset(spec, splits, report, tokenizer=tokenizer)


def pair_hashes(pairs: NDArray[np.object_]) -> Hashes:
    """The hash of each pair (N, 2) of texts."""
    return sample_hashes(_text_hashes(pairs).reshape(len(pairs), 4))


def without_shared_texts(split: Split, *others: Split) -> Split:
    """The pairs of `split` no text of which stands in one of the others; there may be none."""
    assert split.pairs is not None
    seen = {text for other in others if other.pairs is not None for text in _texts(other.pairs)}
    fresh = [
        source not in seen and target not in seen
        for source, target in zip(split.pairs.sources, split.pairs.targets, strict=True)
    ]
    return split.select(np.flatnonzero(fresh))


def _texts(pairs: TextPairs) -> tuple[str, ...]:
    return (*pairs.sources, *pairs.targets)


def _text_hashes(pairs: NDArray[np.object_]) -> Hashes:
    """The hashes of sources and targets in turn, (2 N, 2)."""
    return sample_hashes(pairs.reshape(-1))


def groups_by_text(pairs: NDArray[np.object_], hashes: Hashes) -> Hashes:
    """For each pair the lowest hash of those that it is linked to by shared texts, (N, 2)."""
    _, members = groups(_text_hashes(pairs))
    parent = np.arange(members.max(initial=-1) + 1).tolist()  # of texts: those of a pair get one root

    def root(text: int) -> int:
        while parent[text] != text:
            parent[text] = parent[parent[text]]
            text = parent[text]
        return text

    for first, second in members.reshape(-1, 2).tolist():
        parent[root(second)] = root(first)
    roots = np.array([root(text) for text in members[::2].tolist()], dtype=np.int64)
    by_hash = np.lexsort((hashes[:, 1], hashes[:, 0]))
    _, first_places = np.unique(roots[by_hash], return_index=True)
    lowest = dict(zip(roots[by_hash][first_places].tolist(), by_hash[first_places].tolist(), strict=True))
    return hashes[[lowest[found] for found in roots.tolist()]]


def _sharing_note(together: Hashes, hashes: Hashes) -> tuple[str, ...]:
    """A remark on pairs that share a text with others than their equals."""
    order = np.lexsort((hashes[:, 1], hashes[:, 0]))
    repeats = (hashes[order][1:] == hashes[order][:-1]).all(axis=1)
    different = order[np.concatenate([[True], ~repeats])]
    _, members = groups(together[different])
    sizes = np.bincount(members)
    if int(sizes.max()) == 1:
        return ()
    linked = int(sizes[sizes > 1].sum())
    return (
        f"{counted(linked, 'pair')} linked to others by a text that they share stand in one split with them, "
        f"the largest group of {int(sizes.max()):,}",
    )


@dataclass(frozen=True, kw_only=True)
class _Read:
    """A split before pairs are left out."""

    split: Split

    @property
    def pairs(self) -> TextPairs:
        assert self.split.pairs is not None
        return self.split.pairs

    @property
    def lengths(self) -> Indices:
        """Tokens of the longer text of each pair, (N,)."""
        pairs = self.pairs
        found: Indices = torch.maximum(pairs.source_rows.lengths, pairs.target_rows.lengths).numpy()
        return found

    @property
    def longest(self) -> int:
        return int(self.lengths.max(initial=0))

    def within(self, context: int) -> "_Read":
        """Without pairs that are too long."""
        if self.longest <= context:
            return self
        return _Read(split=self.split.select(np.flatnonzero(self.lengths <= context)))


def _read(part: Part, hashes: Hashes, places: Indices, tokenizer: Tokenizer) -> _Read:
    """The pairs at some places in the order of their hashes, as tokens."""
    order = np.lexsort((hashes[:, 1], hashes[:, 0]))
    places, hashes = places[order], hashes[order]
    sources, targets = (tuple(part.inputs[places, side].tolist()) for side in (0, 1))
    names = tuple(part.names[place] for place in places)
    rows = [TokenRows.of(tokenizer.encode_batch(texts, add_special=False)) for texts in (sources, targets)]
    for texts, side in zip((sources, targets), rows, strict=True):
        empty = np.flatnonzero(side.lengths.numpy() == 0)
        if len(empty):
            raise DataError(
                "a text without any token",
                where=names[empty[0]],
                got=repr(texts[empty[0]][:80]),
                expected="a text that the tokenizer reads something of",
                next_step="remove the pair, or choose another data.tokenizer",
            )
    pairs = TextPairs(
        sources=sources,
        targets=targets,
        source_rows=rows[0],
        target_rows=rows[1],
        tokenizer_size=tokenizer.vocab_size,
    )
    lengths = torch.stack([side.lengths for side in rows], dim=1)
    return _Read(split=Split(inputs=lengths, labels=None, hashes=hashes, names=names, pairs=pairs))


def _too_long(read: Mapping[str, _Read], context: int) -> tuple[str, ...]:
    """A remark for each split of which pairs are left out."""
    remarks = []
    for name, one in read.items():
        over = np.flatnonzero(one.lengths > context)
        if len(over):
            shown = ", ".join(
                f"{one.split.names[place]} ({one.lengths[place]:,})" for place in over[:_EXAMPLES]
            )
            remarks.append(
                f"{counted(len(over), 'pair')} of {name} left out: a text longer than data.context, "
                f"{context:,} tokens, such as {shown}"
            )
    return tuple(remarks)


def unknown_share(tokenizer: Tokenizer, pairs: TextPairs) -> float:
    """The share of the tokens that stand for what the vocabulary lacks, in [0, 1]."""
    if tokenizer.special.unk is None:
        return 0.0
    ids = torch.cat([pairs.source_rows.ids, pairs.target_rows.ids])
    return int((ids == tokenizer.special.unk).sum()) / len(ids)


def _counts(kept: TextPairs, read: TextPairs) -> PairCounts:
    """How long the texts of a split are, those that were left out among the longest."""
    return PairCounts(
        num_source_tokens=len(kept.source_rows.ids),
        num_target_tokens=len(kept.target_rows.ids),
        num_source_bytes=sum(len(text.encode()) for text in kept.sources),
        num_target_bytes=sum(len(text.encode()) for text in kept.targets),
        longest_source=int(read.source_rows.lengths.max()),
        longest_target=int(read.target_rows.lengths.max()),
        num_left_out=len(read.sources) - len(kept.sources),
    )
