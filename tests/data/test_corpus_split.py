"""A corpus as a data set: contiguous splits, tokenizers of the training split alone, what is counted."""

from pathlib import Path

import pytest
import torch

from creuset.data.corpus_split import without_documents
from creuset.data.dataset import Dataset
from creuset.data.load import load_data
from creuset.data.token_stream import IGNORED
from creuset.data.tokenizer_training import train_tokenizer
from creuset.errors import DataError, NotFoundError
from creuset.recipe.sections import DataConfig


def load(source: Path, **settings: object) -> Dataset:
    config = DataConfig(source=str(source), **{"context": 8, **settings})  # type: ignore[arg-type]
    return load_data(config, seed=0, resolve=Path)


def texts(dataset: Dataset, split: str) -> list[str]:
    stream = dataset.split(split).stream
    assert stream is not None
    return [document.text for document in stream.documents]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("".join(f"line {number} of the text\n" for number in range(300)))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "documents"
    place.mkdir()
    for number in range(20):
        (place / f"{number:02}.txt").write_text(f"document {number} says {'so ' * (3 + number)}\n")
    return place


def test_one_file_is_cut_at_a_character(file: Path) -> None:
    text = file.read_text()
    dataset = load(file, validation_share=0.1, test_share=0.0)
    cut = int(len(text) * 0.9)
    assert texts(dataset, "train") == [text[:cut]]
    assert texts(dataset, "validation") == [text[cut:]]
    three = load(file)
    pieces = [texts(three, split)[0] for split in ("train", "validation", "test")]
    assert "".join(pieces) == text
    assert [round(len(piece) / len(text), 2) for piece in pieces] == [0.8, 0.1, 0.1]


def test_many_documents_stay_whole(folder: Path) -> None:
    dataset = load(folder)
    documents = [texts(dataset, split) for split in ("train", "validation", "test")]
    assert sorted(text for part in documents for text in part) == sorted(
        file.read_text() for file in folder.iterdir()
    )
    assert all(documents)
    assert any("in the order of their content hashes" in note for note in dataset.report.notes)
    stream = dataset.split("train").stream
    assert stream is not None
    assert dataset.tokenizer is not None
    (eos,) = dataset.tokenizer.special.eos
    assert int((stream.ids == eos).sum()) == len(documents[0])


def test_no_split_is_of_one_folder_alone(tmp_path: Path) -> None:
    """Were documents taken by their paths, the test split would be French alone."""
    place = tmp_path / "langs"
    lines = {"en": "the {0}th day is over", "fr": "le {0}e jour est fini"}
    for language, line in lines.items():
        (place / language).mkdir(parents=True)
        for number in range(50):
            (place / language / f"{number:02}.txt").write_text((line.format(number) + "\n") * 4)
    dataset = load(place)
    counts = dataset.report.corpus
    total = sum(one.num_characters for one in counts.values())
    for split in ("train", "validation", "test"):
        found = {text[:2] for text in texts(dataset, split)}
        assert found == {"th", "le"}
        assert counts[split].num_characters / total == pytest.approx(
            0.8 if split == "train" else 0.1, abs=0.02
        )


def test_the_names_of_files_decide_nothing(folder: Path, tmp_path: Path) -> None:
    first = load(folder)
    for number, file in enumerate(sorted(folder.iterdir())):
        file.rename(folder / f"{(7 * number) % 20:02}-renamed.txt")
    second = load(folder)
    for split in ("train", "validation", "test"):
        assert texts(first, split) == texts(second, split)
    assert first.content_hash == second.content_hash


def test_validation_blocks_cover_the_text(file: Path) -> None:
    dataset = load(file)
    assert dataset.tokenizer is not None
    part = dataset.split("validation")
    batch = dataset.batch("validation", torch.arange(part.num_samples))
    targets = batch["targets"][batch["targets"] != IGNORED]
    assert dataset.tokenizer.decode(targets.tolist()) == texts(dataset, "validation")[0][1:]
    assert batch["tokens"].dtype == torch.int64
    assert batch["tokens"].shape[1] == 8


@pytest.mark.parametrize(
    ("kind", "size"), [("characters", 10_000), ("byte_bpe", 300), ("wordpiece", 60), ("unigram", 40)]
)
def test_tokenizers_are_those_of_the_training_split(file: Path, kind: str, size: int) -> None:
    dataset = load(file, tokenizer=kind, vocabulary_size=size)
    expected = train_tokenizer(texts(dataset, "train"), kind, vocabulary_size=size)  # type: ignore[arg-type]
    assert dataset.spec.tokenizer == expected.fingerprint
    assert dataset.spec.vocab_size == expected.vocab_size
    again = load(file, tokenizer=kind, vocabulary_size=size)
    assert again.content_hash == dataset.content_hash
    assert ("the tokenizer changes texts" in " ".join(dataset.report.notes)) == (kind == "wordpiece")


def test_bytes_are_a_tokenizer(file: Path) -> None:
    dataset = load(file, tokenizer="bytes")
    assert dataset.spec.vocab_size == 258
    assert dataset.spec.bytes_per_token == 1.0


def test_a_tokenizer_is_read_from_a_folder_or_file(file: Path, tmp_path: Path) -> None:
    place = tmp_path / "tokenizer"
    place.mkdir()
    made = train_tokenizer(["line of text"], "characters")
    made.save(place)
    for where in (place, place / "tokenizer.json"):
        dataset = load(file, tokenizer=str(where))
        assert dataset.spec.tokenizer == made.fingerprint
    with pytest.raises(NotFoundError, match=r'no tokenizer "charcters"; did you mean "characters"\?'):
        load_data(
            DataConfig(source=str(file), tokenizer="charcters"),
            seed=0,
            resolve=lambda name: (_ for _ in ()).throw(NotFoundError(f"nothing called {name}")),
        )


def test_the_hash_is_of_text_tokenizer_and_context(file: Path) -> None:
    hashes = {
        load(file).content_hash,
        load(file, context=9).content_hash,
        load(file, tokenizer="bytes").content_hash,
        load(file, validation_share=0.2).content_hash,
    }
    assert len(hashes) == 4


def test_what_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("été " * 200 + "\n" + "zoé " * 20)
    dataset = load(file, validation_share=0.1, test_share=0.0)
    counts = dataset.report.corpus["validation"]
    (text,) = texts(dataset, "validation")
    assert counts.num_characters == len(text) == counts.num_tokens
    assert counts.num_bytes == len(text.encode())
    assert counts.bytes_per_token == dataset.spec.bytes_per_token > 1
    unknown = sum(character in "zo\n" for character in text) / len(text)
    assert dataset.report.unknown_tokens == {"train": 0.0, "validation": pytest.approx(unknown)}
    assert any("not in the vocabulary" in line for line in dataset.report.remarks())
    stored = dataset.report.to_json()["corpus"]["validation"]
    assert stored["bytes_per_token"] == counts.bytes_per_token


def test_too_little_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "short.txt"
    file.write_text("hello\n" * 10)
    with pytest.raises(
        DataError, match=r"train split holds less than a sample\n  got: 48 tokens\n.*at least 80"
    ):
        load(file, context=40)
    with pytest.raises(DataError, match=r"or lower data.context, data.validation_share or data.test_share"):
        load(file, context=40)
    file.write_text("ab\n" * 3)
    with pytest.raises(
        DataError,
        match=r"validation split holds less than a sample\n  got: 1 token\n.*\n.*data.validation_share",
    ):
        load(file, context=2, test_share=0.0)
    file.write_text("ab\n")
    cut = r"got: 3 characters in 1 document, cut by data.validation_share 0.1, data.test_share 0.1\n"
    with pytest.raises(DataError, match=cut + r".*\n  next: give more text, or raise data.validation_share"):
        load(file)
    with pytest.raises(DataError, match="too small for a validation split"):
        load(file, context=1)


def test_documents_that_were_trained_on_are_left_out(folder: Path) -> None:
    dataset = load(folder)
    train = dataset.split("train")
    assert without_documents(train, dataset.split("test")) is train
    assert without_documents(train, train).num_samples == 0
