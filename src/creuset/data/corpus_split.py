"""From a corpus to a data set of token blocks: split, tokenizer, streams, form and report.

Shares are of the characters. A corpus of ten documents or more is cut between documents. They are put in the
order of their content hashes first, so that no split is of one folder or language alone, and the splits are
the same whatever the files are called. A smaller one is cut within the text, at a character: training first,
then validation, then test, so that nothing of one stands in another. A tokenizer is made from the training
split alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.data.dataset import Dataset, Split, make_dataset
from creuset.data.hashing import Hashes, sample_hashes
from creuset.data.long_texts import encode_long
from creuset.data.report import CorpusCounts, DataReport
from creuset.data.source import Source, counted
from creuset.data.spec import DataSpec
from creuset.data.text_loss import text_loss
from creuset.data.text_start import text_start
from creuset.data.token_stream import Document, TokenStream
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_training import SPECIAL_NAMES, Kind, train_tokenizer
from creuset.errors import DataError, NotFoundError, UsageError, did_you_mean
from creuset.recipe.sections import DataConfig

Text = tuple[str, str]
"""The name of a document, and what it says."""

BYTES = "bytes"
"""The tokenizer whose tokens are the 256 bytes."""

TOKENIZERS = (*get_args(Kind), BYTES)
"""Values of data.tokenizer that name no place."""

_WHOLE_FROM = 10
"""From so many documents on they are kept whole."""
_CHANGES = "the tokenizer changes texts: spaces, line ends or letters are not kept as they were"
_DEALT = "documents are kept whole, and dealt to the splits in the order of their content hashes"
_MORE_FOR: Mapping[str, str] = MappingProxyType(
    {
        "train": "give more text, or lower data.context, data.validation_share or data.test_share",
        "validation": "give more text, or raise data.validation_share",
        "test": "give more text, raise data.test_share, or set it to 0 for no test split",
    }
)
"""Split -> what to do where it holds too little."""


def split_corpus(
    source: Source, config: DataConfig, *, resolve: Callable[[str], Path], needs_mask: bool = False
) -> Dataset:
    """The data set of a corpus.

    Args:
        source: What was read.
        config: Shares of the splits, the tokenizer, tokens of a sample.
        resolve: Finds the folder that the tokenizer's name stands for, where it is no path.
        needs_mask: Whether the tokenizer is given a mask token where it has none.

    Raises:
        DataError: A split would be empty or hold less than a sample.
        UsageError: Settings of the tokenizer without effect.
        NotFoundError: There is no such tokenizer.
    """
    part = source.parts["train"]
    texts = list(zip(part.names, part.inputs.tolist(), strict=True))
    if whole := len(texts) >= _WHOLE_FROM:
        texts = _by_content(texts, sample_hashes(part.inputs))
    shares = {"validation": config.validation_share, "test": config.test_share}
    cut = _cut(texts, {name: share for name, share in shares.items() if share > 0}, source.origin)
    tokenizer = corpus_tokenizer(config, [text for _, text in cut["train"]], resolve, needs_mask=needs_mask)
    separator = tokenizer.special.separator if len(texts) > 1 else None
    streams = {
        name: read_stream(pieces, tokenizer, context=config.context, separator=separator)
        for name, pieces in cut.items()
    }
    if whole:
        source = replace(source, notes=(*source.notes, _DEALT))
    return corpus_dataset(
        source, streams, tokenizer, shown=("train", *(name for name in cut if name != "train"))
    )


def corpus_dataset(
    source: Source, streams: Mapping[str, TokenStream], tokenizer: Tokenizer, *, shown: Sequence[str]
) -> Dataset:
    """The data set of token streams.

    Args:
        source: Where the texts come from.
        streams: The stream of each split; "train" is cut into blocks for training, all others are covered.
        tokenizer: What made them.
        shown: The splits, in order.

    Raises:
        DataError: A stream holds less than a sample.
    """
    splits = {name: _split(name, streams[name], source.origin) for name in shown}
    learned = streams.get("train")
    measured = streams["validation" if "validation" in streams else shown[0]]
    loss = text_loss(tokenizer, (document.text for document in measured.documents))
    spec = DataSpec(
        kind="corpus",
        shape=(),
        num_levels=0,
        context=measured.context,
        tokenizer=tokenizer.fingerprint,
        tokenizer_size=tokenizer.vocab_size,
        mask_token=tokenizer.special.mask,
        special_tokens=tuple(sorted(tokenizer.special_ids)),
        bytes_per_token=measured.num_bytes / len(measured.ids),
        loses_text=bool(loss),
        word_counts=() if learned is None else _word_counts(tokenizer, learned),
        start_token=None
        if learned is None
        else text_start(tokenizer, learned.ids, separator=learned.separator),
    )
    report = DataReport(
        origin=source.origin,
        own_splits=(),
        num_samples={name: split.num_samples for name, split in splits.items()},
        class_counts=dict.fromkeys(splits, ()),
        duplicates_within={},
        duplicates_removed={},
        notes=(*source.notes, *((_CHANGES,) if loss.changes else ())),
        unknown_tokens={name: _unknown_share(tokenizer, streams[name]) for name in splits},
        corpus={name: _counts(streams[name]) for name in splits},
    )
    return make_dataset(spec, splits, report, tokenizer=tokenizer)


def without_documents(split: Split, *others: Split) -> Split:
    """The documents of a corpus's split that the others do not hold; it may be empty.

    A document is held by others where it stands within one of theirs, or one of theirs makes up half of it.
    """
    assert split.stream is not None
    seen = [
        document.text for other in others if other.stream is not None for document in other.stream.documents
    ]
    kept = [
        document
        for document in split.stream.documents
        if not any(_holds(text, document.text) for text in seen)
    ]
    if len(kept) == len(split.stream.documents):
        return split
    stream = TokenStream.of(kept, context=split.stream.context, separator=split.stream.separator)
    blocks = stream.all_blocks()
    names = tuple(document.name for document in kept)
    return Split(inputs=blocks, labels=None, hashes=sample_hashes(blocks.numpy()), names=names, stream=stream)


def _holds(seen: str, text: str) -> bool:
    return text in seen or (2 * len(seen) >= len(text) and seen in text)


def read_stream(
    texts: Sequence[Text], tokenizer: Tokenizer, *, context: int, separator: int | None
) -> TokenStream:
    """The token stream of documents."""
    encoded = encode_long(tokenizer, [text for _, text in texts])
    documents = [
        Document(name=name, text=text, ids=torch.from_numpy(ids))
        for (name, text), ids in zip(texts, encoded, strict=True)
    ]
    return TokenStream.of(documents, context=context, separator=separator)


def corpus_tokenizer(
    config: DataConfig, texts: Sequence[str], resolve: Callable[[str], Path], *, needs_mask: bool = False
) -> Tokenizer:
    """The tokenizer that data.tokenizer asks for: learned from texts, or read from a folder or file.

    A mask token that one is given counts in data.vocabulary_size.

    Raises:
        NotFoundError: Neither a kind nor a place.
        UsageError: data.vocabulary_size has no effect on it.
        DataError: Its vocabulary cannot be had from these texts.
    """
    name = config.tokenizer
    kinds = {kind: kind for kind in get_args(Kind)}
    if name in kinds:
        kind = kinds[name]
        added = needs_mask and "mask" not in SPECIAL_NAMES[kind]
        found = train_tokenizer(texts, kind, vocabulary_size=config.vocabulary_size - added)
    elif name == BYTES:
        _refuse_size(config, "the 256 bytes are the vocabulary")
        found = train_tokenizer(texts, "byte_bpe", vocabulary_size=256 + len(SPECIAL_NAMES["byte_bpe"]))
    else:
        _refuse_size(config, "this tokenizer is made already")
        found = _opened(name, resolve)
    return found.with_mask() if needs_mask else found


def _opened(name: str, resolve: Callable[[str], Path]) -> Tokenizer:
    """The tokenizer of a place, or of a name that stands for one."""
    path = Path(name).expanduser()
    try:
        return Tokenizer.open(path if path.exists() else resolve(name))
    except NotFoundError as error:
        raise NotFoundError(
            f'no tokenizer "{name}"{did_you_mean(name, TOKENIZERS)}',
            where="data.tokenizer",
            got=error.message,
            expected=f"{', '.join(TOKENIZERS)}, a folder with tokenizer.json, or such a file",
        ) from error


def _refuse_size(config: DataConfig, why: str) -> None:
    if config.vocabulary_size != DataConfig.model_fields["vocabulary_size"].default:
        raise UsageError(
            f"a setting without effect: {why}",
            where="data.vocabulary_size",
            got=config.vocabulary_size,
            expected=f"nothing with data.tokenizer: {config.tokenizer}",
            next_step="remove data.vocabulary_size",
        )


def _by_content(texts: Sequence[Text], hashes: Hashes) -> list[Text]:
    """The documents in the order of their hashes, whatever they are called."""
    return [texts[place] for place in np.lexsort((hashes[:, 1], hashes[:, 0]))]


def _cut(texts: Sequence[Text], shares: Mapping[str, float], origin: str) -> dict[str, list[Text]]:
    """The documents, or pieces of them, of each split; `shares` are of the characters."""
    total = sum(len(text) for _, text in texts)
    rest = 1.0 - sum(shares.values())
    places = {"train": int(total * rest)}
    for name, share in shares.items():
        rest += share
        places[name] = int(total * rest + 1e-9)
    ends = list(places.values())
    ends[-1] = total
    if len(texts) >= _WHOLE_FROM:
        ends = _between_documents(texts, ends)
    found: dict[str, list[Text]] = {name: [] for name in places}
    begin = 0
    for name, end in zip(places, ends, strict=True):
        found[name] = _piece(texts, begin, end)
        if not found[name]:
            cut_off = ", ".join(f"data.{split}_share {share:g}" for split, share in shares.items())
            raise DataError(
                f"this corpus is too small for a {name} split",
                where=origin,
                got=f"{counted(total, 'character')} in {counted(len(texts), 'document')}, cut by {cut_off}",
                expected="a character for each split at least",
                next_step=_MORE_FOR[name],
            )
        begin = end
    return found


def _between_documents(texts: Sequence[Text], ends: Sequence[int]) -> list[int]:
    """The ends of documents nearest to some places, each split keeping one at least."""
    borders = np.cumsum([len(text) for _, text in texts])
    chosen: list[int] = []
    for number, end in enumerate(ends):
        lowest = chosen[-1] + 1 if chosen else 0
        highest = len(texts) - len(ends) + number
        nearest = int(np.abs(borders - end).argmin())
        chosen.append(min(max(nearest, lowest), highest))
    return [int(borders[place]) for place in chosen]


def _piece(texts: Sequence[Text], begin: int, end: int) -> list[Text]:
    """What lies between two places of all texts behind each other."""
    pieces, start = [], 0
    for name, text in texts:
        piece = text[max(0, begin - start) : max(0, end - start)]
        if piece:
            pieces.append((name, piece))
        start += len(text)
    return pieces


def _split(name: str, stream: TokenStream, origin: str) -> Split:
    blocks = (
        stream.training_blocks() if name == "train" and stream.num_training_blocks else stream.all_blocks()
    )
    if (name == "train" and not stream.num_training_blocks) or not len(blocks):
        needed = "2 tokens"
        if name == "train":
            needed = f"{2 * stream.context:,} tokens, with data.context {stream.context}"
        raise DataError(
            f"the {name} split holds less than a sample",
            where=origin,
            got=counted(len(stream.ids), "token"),
            expected=f"at least {needed}",
            next_step=_MORE_FOR.get(name, "give more text"),
        )
    rows: NDArray[np.int32] = blocks.numpy()
    names = tuple(document.name for document in stream.documents)
    return Split(inputs=blocks, labels=None, hashes=sample_hashes(rows), names=names, stream=stream)


def _unknown_share(tokenizer: Tokenizer, stream: TokenStream) -> float:
    """The share of the tokens that stand for what the vocabulary lacks, in [0, 1]."""
    if tokenizer.special.unk is None:
        return 0.0
    return int((stream.ids == tokenizer.special.unk).sum()) / max(1, len(stream.ids))


def _word_counts(tokenizer: Tokenizer, stream: TokenStream) -> tuple[int, ...]:
    """How often each id stands in a stream, 0 for special tokens; nothing where tokens are no whole words."""
    if not tokenizer.has_whole_words:
        return ()
    counts = torch.bincount(stream.ids, minlength=tokenizer.vocab_size)
    counts[list(tokenizer.skipped_ids)] = 0
    return tuple(counts.tolist())


def _counts(stream: TokenStream) -> CorpusCounts:
    return CorpusCounts(
        num_documents=len(stream.documents),
        num_characters=sum(len(document.text) for document in stream.documents),
        num_bytes=stream.num_bytes,
        num_tokens=len(stream.ids),
    )
