"""Pairs for text embedders: their forms, what is refused with its place, and how they are split."""

from pathlib import Path

import numpy as np
import pytest
import torch

from creuset.data.anchored_pairs import AnchoredPair
from creuset.data.anchored_split import split_anchored
from creuset.data.conversations import form_of, read_tuning_file
from creuset.data.dataset import Dataset
from creuset.data.text_side import TextSide
from creuset.data.tokenizer import Tokenizer
from creuset.errors import CreusetError, DataError, UsageError
from creuset.recipe.sections import DataConfig
from small_bases import anchored, write_rows
from small_tokenizers import small


def base(context: int = 40) -> TextSide:
    tokenizer = Tokenizer(small("wordpiece"))
    return TextSide(tokenizer=tokenizer, chat_template=None, eos_ids=(), context_length=context)


def split(
    folder: Path, rows: list[dict[str, object]], side: TextSide | None = None, **more: object
) -> Dataset:
    path = write_rows(folder / "rows.jsonl", rows)
    config = DataConfig.model_validate({"source": str(path), **more})
    return split_anchored(read_tuning_file(path), config, side or base(), seed=0)


def texts_of(dataset: Dataset, name: str) -> set[str]:
    pairs = dataset.split(name).pairs
    assert pairs is not None
    return {*pairs.sources, *pairs.targets}


@pytest.mark.parametrize(
    ("record", "form"),
    [
        ({"anchor": "a", "positive": "b"}, "anchor"),
        ({"query": "a", "positive": "b", "negative": "c"}, "query"),
        ({"question": "a", "passage": "b", "negative": None}, "question"),
    ],
)
def test_forms_are_told_by_their_names(tmp_path: Path, record: dict[str, object], form: str) -> None:
    assert form_of(record) == form
    file = read_tuning_file(write_rows(tmp_path / "rows.jsonl", [record, {**record, "source": "me"}]))
    negative = str(record.get("negative") or "")
    assert file.rows[0] == AnchoredPair(anchor="a", positive="b", place="rows.jsonl:1", negative=negative)
    assert file.told == f"2 records of the form {form}; not read: source"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"anchor": " ", "positive": "b"}, '"anchor" is empty'),
        ({"anchor": "a", "positive": ""}, '"positive" is empty'),
        ({"anchor": "a", "positive": "b", "negative": ""}, '"negative" is empty'),
        ({"anchor": "a", "positive": 3}, '"positive" is no text, but int'),
        ({"anchor": "a", "positive": " a"}, "anchor equals positive"),
        ({"anchor": "a", "positive": "b", "negative": "b "}, "positive equals negative"),
        ({"anchor": "a", "positive": "b", "negative": "a"}, "anchor equals negative"),
    ],
)
def test_what_nothing_is_learned_from_is_named_by_its_line(
    tmp_path: Path, record: dict[str, object], message: str
) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [{"anchor": "x", "positive": "y"}, record])
    with pytest.raises(DataError, match=rf"rows\.jsonl:2:1: .*{message}"):
        read_tuning_file(path)


def test_an_empty_cell_of_a_table_is_no_negative(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("anchor,positive,negative\na,b,\nc,d,e\n")
    rows = [row for row in read_tuning_file(path).rows if isinstance(row, AnchoredPair)]
    assert [row.negative for row in rows] == ["", "e"]


def test_no_text_stands_in_two_splits(tmp_path: Path) -> None:
    rows = [
        {"anchor": f"the {letter} {other}", "positive": f"fox {letter}"}
        for letter in "abcdefghijklmnopqrst"
        for other in "abc"
    ]
    dataset = split(tmp_path, rows)
    found = [texts_of(dataset, name) for name in ("train", "validation", "test")]
    assert all(found)
    assert not found[0] & found[1]
    assert not found[0] & found[2]
    assert not found[1] & found[2]
    again = split(tmp_path, rows[::-1])
    assert again.content_hash == dataset.content_hash


def test_anchors_alone_decide_where_all_hangs_together(tmp_path: Path) -> None:
    rows = [
        {"anchor": f"the {letter}", "positive": f"fox {letter < 'n'}"}
        for letter in "abcdefghijklmnopqrstuvwxyz"
    ]
    dataset = split(tmp_path, [*rows, {"anchor": "the a", "positive": "fox False"}])
    assert any("the anchors alone decide the splits" in note for note in dataset.report.notes)
    anchors = [set(dataset.split(name).pairs.sources) for name in ("train", "validation", "test")]  # type: ignore[union-attr]
    assert not anchors[0] & (anchors[1] | anchors[2])


def test_texts_are_cut_to_what_the_base_reads(tmp_path: Path) -> None:
    rows = anchored(20)
    rows[3]["positive"] = "the " * 50
    dataset = split(tmp_path, rows, base(12))
    assert dataset.spec.context == 10
    assert (len(dataset.spec.ids_before), len(dataset.spec.ids_behind)) == (1, 1)
    part = next(part for part in dataset.splits.values() if "rows.jsonl:4" in part.names)
    place = part.names.index("rows.jsonl:4")
    assert part.num_tokens is not None
    assert part.num_tokens[place, 1] == 52
    batch = dataset.batch("train", torch.arange(4))
    assert batch["negative"].shape[0] == 4
    assert int(batch["source_lengths"].max()) <= 10


def test_pairs_without_a_negative_have_no_tokens_for_it(tmp_path: Path) -> None:
    rows = anchored(20)
    for row in rows[::2]:
        del row["negative"]
    dataset = split(tmp_path, rows)
    pairs = dataset.split("train").pairs
    assert pairs is not None
    assert pairs.negative_rows is not None
    lengths = pairs.negative_rows.lengths.numpy()
    assert np.array_equal(lengths > 0, [bool(text) for text in pairs.negatives])
    assert "negative" not in split(tmp_path, [{**row, "negative": None} for row in rows]).batch(
        "train", torch.arange(2)
    )


@pytest.mark.parametrize(
    ("rows", "more", "message"),
    [
        (
            anchored(3),
            {},
            r"too few pairs to train and to measure(.*\n)*.*got: 3 pairs\n  expected: 4 at least",
        ),
        (
            [*anchored(8), {"anchor": "\ufffd", "positive": "b"}],
            {},
            r"rows\.jsonl:9:1: a text without any token",
        ),
        (anchored(8), {"test_source": "chats.jsonl"}, "of another form than those to train on"),
    ],
)
def test_what_cannot_be_split_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[dict[str, object]],
    more: dict[str, object],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "chats.jsonl", [{"prompt": "a", "completion": "b"}])
    with pytest.raises(CreusetError, match=message) as caught:
        split(tmp_path, rows, **more)
    assert isinstance(caught.value, UsageError)
