"""From a file to tune a language model on to a data set: rows of tokens, splits by question, form and report.

The base decides how rows are written and cut into tokens.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from creuset.data.assemble import limited
from creuset.data.conversations import TuningFile, read_tuning_file
from creuset.data.dataset import Dataset, Split, make_dataset
from creuset.data.hashing import groups
from creuset.data.report import DataReport
from creuset.data.source import SPLITS, counted
from creuset.data.spec import DataSpec, Kind
from creuset.data.text_side import TextSide
from creuset.data.tuning_rows import (
    Indices,
    TunedRow,
    TuningRows,
    answer_pairs,
    content_hashes,
    conversation_rows,
    split_by_question,
    split_in_the_text,
)
from creuset.errors import DataError, GateError, NotFoundError, RowsError, UsageError
from creuset.recipe.sections import DataConfig

CREUSET_QUESTIONS = "creuset-questions"
"""The name of 120 questions about creuset with their answers, written for it, which lie beside this file."""
_SHOWN = 5
"""Places that are named of rows that are left out."""


def split_tuning(file: TuningFile, config: DataConfig, base: TextSide, *, seed: int) -> Dataset:
    """The data set of a file to tune a language model on.

    Args:
        file: Its records.
        config: The shares of the splits.
        base: How the base reads and writes; that no row is longer than its context is the gate's to say.
        seed: Decides, with the questions, what goes where.

    Raises:
        NotFoundError: There is no such file.
        DataError: Rows that cannot be learned from, each by its place, or too few of them.
        UsageError: A form that no language model is tuned on, or a test file of another one.
    """
    rows, told = _fitting(_rows(file, base), config, base)
    kind: Kind = "preferences" if rows.rejected else "chats"
    shares = {"validation": config.validation_share}
    if config.test_source is None and config.test_share:
        shares = {"test": config.test_share, **shares}
    everything = np.arange(len(rows.rows))
    if len(rows.rows) < len(shares) + 1:
        raise DataError(
            "too few rows to train and to measure",
            where=config.source,
            got=counted(len(rows.rows), "row"),
            expected=f"{len(shares) + 1} at least, of different questions",
        )
    contents = _contents(rows)
    places = _places(rows, contents, shares, seed, config.source)
    if config.limit is not None:
        train = places["train"]
        chosen = limited(content_hashes([contents[index] for index in train]), None, config.limit, seed)
        places["train"] = train[chosen]
    order = [name for name in SPLITS if name in places]
    parts = {name: rows.select(places[name]) for name in order}
    if config.test_source is not None:
        parts["test"], told_of_test = _own_test(config.test_source, kind, base, config)
        told += told_of_test
    splits = {name: _split(part) for name, part in parts.items()}
    told = [file.told, *told, *_left_out(len(everything), parts, config)]
    return make_dataset(
        _spec(kind, parts["train"], base), splits, _report(config, splits, told), tokenizer=base.tokenizer
    )


@contextmanager
def gate() -> Iterator[None]:
    """Rows that a model would learn nothing from are refused here as by the gate before a training.

    Raises:
        GateError: With the rows that were met.
    """
    try:
        yield
    except RowsError as error:
        raise GateError(
            f"the gate refuses this tuning\n  {error.message}", next_step=error.next_step
        ) from error


def tuning_path(source: str, where: str = "data.source") -> Path:
    """Where the rows lie that a source names: a file, or the questions about creuset that it brings along.

    Args:
        source: What is named.
        where: The setting that names it, for errors.

    Raises:
        NotFoundError: There is no such file.
    """
    path = Path(source).expanduser()
    if source == CREUSET_QUESTIONS and not path.exists():
        return Path(__file__).with_name("creuset_questions.jsonl")
    if not path.exists():
        raise NotFoundError(
            "no such file",
            where=where,
            got=source,
            expected="a .jsonl, .json, .csv, .tsv or .parquet file of conversations or texts, a .txt file or "
            f"a folder of them, or {CREUSET_QUESTIONS}",
        )
    return path


def _rows(file: TuningFile, base: TextSide) -> TuningRows:
    if file.form == "preference":
        pairs = answer_pairs(file, base.tokenizer, base.chat_template)
        return TuningRows(
            rows=tuple(pair.chosen for pair in pairs), rejected=tuple(pair.rejected for pair in pairs)
        )
    rows = conversation_rows(
        file,
        base.tokenizer,
        template=base.chat_template,
        end_id=base.end_id,
        context=base.context_length,
    )
    return TuningRows(rows=tuple(rows))


def _fitting(rows: TuningRows, config: DataConfig, base: TextSide) -> tuple[TuningRows, list[str]]:
    """The rows without those that are too long, where they are to be dropped; and what is worth saying."""
    limit = base.context_length
    num_blocks = sum(bool(row.document) for row in rows.rows)
    if num_blocks:
        num_texts = num_blocks - sum(row.goes_on for row in rows.rows)
        cut_texts = f"{counted(num_texts, 'text')} of more than {limit:,} tokens"
        return rows, [f"{cut_texts} {'is' if num_texts == 1 else 'are'} read in {num_blocks:,} blocks"]
    if config.too_long == "refuse" or limit is None:
        return rows, []
    fits = np.ones(len(rows.rows), dtype=bool)
    for number, row in enumerate(rows.everything):
        fits[number % len(fits)] &= len(row.text.ids) <= limit
    left_out = [rows.rows[index].place for index in np.flatnonzero(~fits)]
    if len(left_out) == len(fits):
        raise GateError(
            f"the gate refuses this tuning: each row has more than {limit:,} tokens",
            where=left_out[0],
            got=counted(len(left_out), "row"),
            next_step="shorten the rows, or take a base that reads longer texts",
        )
    if not left_out:
        return rows, []
    more = f" and {len(left_out) - _SHOWN:,} more" if len(left_out) > _SHOWN else ""
    told = f"{counted(len(left_out), 'row')} of more than {limit:,} tokens left out by data.too_long"
    return rows.select(np.flatnonzero(fits)), [f"{told}: {', '.join(left_out[:_SHOWN])}{more}"]


def _places(
    rows: TuningRows,
    contents: Sequence[tuple[int, ...]],
    shares: Mapping[str, float],
    seed: int,
    source: str,
) -> dict[str, Indices]:
    """Which rows go to which split."""
    questions = _questions(rows.rows)
    try:
        return split_by_question(questions, contents, shares=shares, seed=seed)
    except DataError as error:
        if any(row.document for row in rows.rows):
            return split_in_the_text(contents, shares=shares)
        raise DataError(
            "too few different questions to train and to measure",
            where=source,
            got=f"{counted(len(questions), 'row')}, {len(set(questions)):,} of them different in what is "
            "asked",
            expected=f"{len(shares) + 1} at least: rows that ask the same stand in one split",
            next_step="add rows that ask something else",
        ) from error


def _questions(rows: Sequence[TunedRow]) -> list[tuple[int | str, ...]]:
    """What each row asks; of rows that ask alike the first by its tokens."""
    firsts: dict[str, tuple[int | str, ...]] = {}
    for row in rows:
        first = firsts.setdefault(row.asked_alike, row.question)
        if row.asked_alike and tuple(map(str, row.question)) < tuple(map(str, first)):
            firsts[row.asked_alike] = row.question
    return [firsts[row.asked_alike] if row.asked_alike else row.question for row in rows]


def _own_test(source: str, kind: Kind, base: TextSide, config: DataConfig) -> tuple[TuningRows, list[str]]:
    file = read_tuning_file(tuning_path(source, "data.test_source"))
    rows, told = _fitting(_rows(file, base), config, base)
    if bool(rows.rejected) != (kind == "preferences"):
        raise UsageError(
            "the rows to measure on are of another form than those to train on",
            where="data.test_source",
            got=file.form,
            expected="preferences" if kind == "preferences" else "conversations or texts",
        )
    order = content_hashes(_contents(rows))
    return rows.select(np.lexsort((order[:, 1], order[:, 0]))), [f"{file.told} to measure on", *told]


def _split(part: TuningRows) -> Split:
    return Split(
        inputs=part.lengths,
        labels=None,
        hashes=content_hashes(_contents(part)),
        names=tuple(row.place for row in part.rows),
        tuning=part,
    )


def _contents(rows: TuningRows) -> list[tuple[int, ...]]:
    """All of each sample, as tokens; of preferences both answers, with a number between that no token has."""
    if not rows.rejected:
        return [row.text.ids for row in rows.rows]
    pairs = zip(rows.rows, rows.rejected, strict=True)
    return [(*chosen.text.ids, -1, *rejected.text.ids) for chosen, rejected in pairs]


def _spec(kind: Kind, train: TuningRows, base: TextSide) -> DataSpec:
    tokenizer = base.tokenizer
    return DataSpec(
        kind=kind,
        shape=(),
        num_levels=0,
        context=base.context_length or 0,
        tokenizer=tokenizer.fingerprint,
        tokenizer_size=tokenizer.vocab_size,
        special_tokens=tuple(sorted(tokenizer.special_ids)),
        target_tokens=max(1.0, float(train.num_trained.double().mean())),
    )


def _report(config: DataConfig, splits: Mapping[str, Split], told: Sequence[str]) -> DataReport:
    within = {name: split.num_samples - len(groups(split.hashes)[0]) for name, split in splits.items()}
    return DataReport(
        origin=config.source,
        own_splits=() if config.test_source is None else ("test",),
        num_samples={name: split.num_samples for name, split in splits.items()},
        class_counts=dict.fromkeys(splits, ()),
        duplicates_within={name: number for name, number in within.items() if number},
        duplicates_removed={},
        notes=tuple(told),
    )


def _left_out(num_rows: int, parts: Mapping[str, TuningRows], config: DataConfig) -> list[str]:
    if config.limit is None:
        return []
    used = sum(len(part.rows) for name, part in parts.items() if name != "test" or config.test_source is None)
    return [f"{num_rows - used:,} rows left out by data.limit"] if used < num_rows else []
