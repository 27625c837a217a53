"""Texts from a file to batches: splits, vocabulary, what is cut and unknown, and settings that cannot be."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from creuset.data.dataset import Dataset, conform
from creuset.data.npz import write_npz
from creuset.errors import DataError, UsageError
from creuset.recipe.sections import DataConfig

Load = Callable[..., Dataset]


def reviews(path: Path, rows: int = 60) -> Path:
    """Texts of different lengths, each with a word of its own."""
    lines = [
        f"{'very ' * (number % 5)}{'good' if number % 2 else 'bad'} word{number}\t{'ab'[number % 2]}"
        for number in range(rows)
    ]
    path.write_text("\n".join(["review\tlabel", *lines]) + "\n")
    return path


def test_a_batch_is_padded_to_the_longest_of_it(tmp_path: Path, load: Load) -> None:
    dataset = load(reviews(tmp_path / "r.tsv"), text_column="review")
    assert (dataset.spec.kind, dataset.spec.shape, dataset.spec.class_names) == ("texts", (), ("a", "b"))
    train = dataset.splits["train"]
    short = [place for place, text in enumerate(train.texts) if "very" not in text]
    batch = dataset.batch("train", torch.tensor(short[:3]))
    assert set(batch) == {"tokens", "lengths", "labels"}
    assert batch["tokens"].shape == (3, 2)
    assert batch["tokens"].dtype == batch["lengths"].dtype == torch.int64
    everything = dataset.batch("train", torch.arange(train.num_samples))
    assert everything["lengths"].tolist() == [len(text.split()) for text in train.texts]
    for row, text in zip(everything["tokens"].tolist(), train.texts, strict=True):
        assert [dataset.spec.vocabulary[token] for token in row if token] == text.split()


def test_the_vocabulary_is_that_of_the_training_split_alone(tmp_path: Path, load: Load) -> None:
    dataset = load(reviews(tmp_path / "r.tsv"), text_column="review")
    known = set(dataset.spec.vocabulary)
    for name, split in dataset.splits.items():
        own = {text.split()[-1] for text in split.texts}
        assert own <= known if name == "train" else not own & known
    assert dataset.report.unknown_tokens["train"] == 0
    assert dataset.report.unknown_tokens["test"] > 0
    assert "tokens that are not in the vocabulary: 0.00% of train" in "\n".join(dataset.report.remarks())
    small = load(tmp_path / "r.tsv", text_column="review", vocabulary_size=1)
    assert small.spec.vocabulary == ("<padding>", "<unknown>", "very")
    assert small.content_hash == dataset.content_hash


def test_what_is_cut_is_counted_and_said(tmp_path: Path, load: Load) -> None:
    dataset = load(reviews(tmp_path / "r.tsv"), text_column="review", max_tokens=3)
    longer = {
        name: sum(len(text.split()) > 3 for text in split.texts) for name, split in dataset.splits.items()
    }
    assert dataset.report.texts_cut == {name: number for name, number in longer.items() if number}
    assert dataset.report.to_json()["texts_cut"] == dict(dataset.report.texts_cut)
    said = f"{longer['train']} texts of train cut: longer than data.max_tokens"
    assert said in dataset.report.remarks()
    assert dataset.batch("train", torch.arange(10))["lengths"].max() == 3


def test_equal_texts_stay_in_one_split_and_conflicts_are_said(tmp_path: Path, load: Load) -> None:
    path = tmp_path / "r.csv"
    rows = [f"text {number // 2},{'ab'[number % 2]}" for number in range(60)]
    path.write_text("\n".join(["review,label", *rows]) + "\n")
    dataset = load(path, text_column="review")
    seen = [set(split.texts) for split in dataset.splits.values()]
    assert sum(map(len, seen)) == 30
    assert sum(dataset.report.duplicates_within.values()) == 30
    assert dataset.report.label_conflicts == 60
    assert any("equal to another one with another label" in line for line in dataset.report.remarks())
    again = tmp_path / "other order.csv"
    again.write_text("\n".join(["label,review", *(",".join(row.split(",")[::-1]) for row in rows[::-1])]))
    assert load(again, text_column="review").content_hash == dataset.content_hash


def test_other_texts_are_read_by_the_model_s_vocabulary(tmp_path: Path, load: Load) -> None:
    spec = load(reviews(tmp_path / "r.tsv"), text_column="review").spec
    path = tmp_path / "o.tsv"
    path.write_text(reviews(path).read_text().replace("good", "fine"))
    other = conform(load(path, text_column="review", tokens="bytes"), spec)
    assert other.spec == spec
    row = other.batch("train", torch.tensor([0]))["tokens"][0]
    assert len(row) == len(other.splits["train"].texts[0].split())
    assert other.report.unknown_tokens["train"] > 0.1
    with pytest.raises(DataError, match=r"data of another kind\n  got: texts\n  expected: table"):
        conform(other, replace(spec, kind="table"))


def test_splits_go_through_an_npz_file(tmp_path: Path, load: Load) -> None:
    dataset = load(reviews(tmp_path / "r.tsv"), text_column="review")
    write_npz(dataset, tmp_path / "r.npz")
    again = load(tmp_path / "r.npz")
    assert again.spec == dataset.spec
    assert again.content_hash == dataset.content_hash
    assert again.report.origin == "r.npz: .npz of texts"
    assert load(tmp_path / "r.npz", tokens="bytes").spec.vocab_size == 257


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"text_column": "x"}, r"data\.text_column: a setting without effect: it is for CSV files"),
        ({"tokens": "bytes"}, r"data\.tokens: a setting without effect: it is for texts\n  got: bytes"),
        ({"max_tokens": 9}, r"data\.max_tokens: a setting without effect: it is for texts"),
        (
            {"vocabulary_size": 9},
            "next: remove data.vocabulary_size, or name the column of the texts in data",
        ),
    ],
)
def test_settings_of_texts_are_for_texts(load: Load, settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        load("digits", **settings)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"tokens": "bytes", "vocabulary_size": 9}, "vocabulary_size has no effect on bytes"),
        ({"text_column": "t", "image_size": (8, 8)}, "image_size has no effect on texts"),
        ({"text_column": "t", "label_column": "t"}, "label_column is the column of the texts"),
        ({"text_column": "t", "augmentation": {"flip": True}}, "augmentation has no effect on texts"),
    ],
)
def test_settings_that_contradict_each_other(settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        DataConfig(source="t.csv", **settings)
