"""Pairs of texts from a file to batches: reading, splits that share no text, tokens, what is left out."""

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from command_line import run_command
from creuset.data.dataset import Dataset
from creuset.data.pair_file import read_pairs
from creuset.data.pair_split import without_shared_texts
from creuset.data.text_pairs import TokenRows, end_mark, start_mark
from creuset.data.token_stream import IGNORED
from creuset.data.tokenizer_training import train_tokenizer
from creuset.errors import DataError, UsageError
from creuset.recipe.sections import DataConfig

Load = Callable[..., Dataset]

PAIRS = [(f"the number {number}", f"le nombre {number} " + "oui " * (number % 4)) for number in range(80)]


def write_lines(path: Path, pairs: Sequence[tuple[str, str]] = PAIRS) -> Path:
    lines = (json.dumps({"source": source, "target": target}) for source, target in pairs)
    path.write_text("\n".join(lines) + "\n")
    return path


def texts_of(dataset: Dataset, name: str) -> set[str]:
    pairs = dataset.splits[name].pairs
    assert pairs is not None
    return {*pairs.sources, *pairs.targets}


def test_files_of_all_kinds_hold_the_same_pairs(tmp_path: Path, load: Load) -> None:
    first = load(write_lines(tmp_path / "p.jsonl"))
    assert (first.spec.kind, first.spec.context) == ("pairs", 256)
    assert first.report.origin == "p.jsonl: 80 pairs of texts"
    rows = "".join(f"{number}\t{source}\t{target}\n" for number, (source, target) in enumerate(PAIRS))
    (tmp_path / "p.tsv").write_text("number\ten\tfr\n" + rows)
    second = load(tmp_path / "p.tsv", source_column="en", target_column="fr")
    assert second.content_hash == first.content_hash
    assert "1 column not read, neither sources nor targets: number" in second.report.remarks()
    packed = tmp_path / "p.csv.gz"
    lines = "".join(f'"{source}",{target}\n' for source, target in PAIRS)
    packed.write_bytes(gzip.compress(("source,fr\n" + lines).encode()))
    assert load(packed, target_column="fr").content_hash == first.content_hash
    turned = write_lines(tmp_path / "turned.jsonl", PAIRS[::-1])
    assert load(turned).content_hash == first.content_hash


def test_a_batch_is_what_encoder_and_decoder_read(tmp_path: Path, load: Load) -> None:
    dataset = load(write_lines(tmp_path / "p.jsonl"))
    tokenizer, train = dataset.tokenizer, dataset.splits["train"]
    assert tokenizer is not None
    assert train.pairs is not None
    chosen = torch.tensor([5, 0, 31])
    batch = dataset.batch("train", chosen)
    assert all(value.dtype == torch.int64 for value in batch.values())
    size = tokenizer.vocab_size
    for row, place in enumerate(chosen.tolist()):
        source = tokenizer.encode(train.pairs.sources[place], add_special=False)
        target = tokenizer.encode(train.pairs.targets[place], add_special=False)
        assert batch["source_lengths"][row] == len(source) == train.inputs[place, 0]
        read, written, follows = (batch[name][row].tolist() for name in ("source", "tokens", "targets"))
        assert read == source + [0] * (len(read) - len(source))
        rest = len(written) - len(target) - 1
        assert written == [start_mark(size), *target, *[0] * rest]
        assert follows == [*target, end_mark(size), *[IGNORED] * rest]
    assert batch["tokens"].shape == batch["targets"].shape
    longest = max(len(train.pairs.targets[place]) for place in chosen.tolist())
    assert batch["tokens"].shape[1] == longest + 1


def test_rows_of_tokens_are_those_of_lists() -> None:
    generator = np.random.default_rng(0)
    texts = [generator.integers(1, 99, generator.integers(0, 5)).tolist() for _ in range(20)]
    rows = TokenRows.of(texts)
    assert rows.lengths.tolist() == list(map(len, texts))
    chosen = torch.tensor([3, 3, 19, 0])
    few = rows.select(chosen)
    for row, place in enumerate(chosen.tolist()):
        assert few.row(row).tolist() == rows.row(place).tolist() == texts[place]
    width = max(len(texts[place]) for place in chosen.tolist())
    padded = [texts[place] + [-1] * (width - len(texts[place])) for place in chosen.tolist()]
    assert rows.padded(chosen, -1).tolist() == padded
    assert TokenRows.of([[], [4]]).padded(torch.tensor([0]), 7).shape == (1, 0)


def test_no_text_stands_in_two_splits(tmp_path: Path, load: Load) -> None:
    """Chains over both sides: the source of one pair is the target of another."""
    pairs = [(f"text {number}", f"text {number + 1}") for number in range(0, 40) if number % 4]
    pairs += [(f"alone {number}", f"seul {number}") for number in range(60)] + [("alone 1", "seul 1")]
    dataset = load(write_lines(tmp_path / "p.jsonl", pairs))
    splits = [texts_of(dataset, name) for name in dataset.splits]
    assert sum(map(len, splits)) == len(set().union(*splits))
    assert sum(dataset.report.num_samples.values()) == len(pairs)
    assert sum(dataset.report.duplicates_within.values()) == 1
    said = "30 pairs linked to others by a text that they share stand in one split with them, the largest"
    assert f"{said} group of 3" in dataset.report.remarks()
    assert not any("linked" in line for line in load(write_lines(tmp_path / "q.jsonl")).report.remarks())


def test_the_tokenizer_is_learned_from_both_sides_of_the_training_split(tmp_path: Path, load: Load) -> None:
    dataset = load(write_lines(tmp_path / "p.jsonl"), tokenizer="byte_bpe", vocabulary_size=280)
    learned = sorted(texts_of(dataset, "train"))
    pairs = dataset.splits["train"].pairs
    assert pairs is not None
    again = train_tokenizer([*pairs.sources, *pairs.targets], "byte_bpe", vocabulary_size=280)
    assert dataset.spec.tokenizer == again.fingerprint
    assert dataset.spec.tokenizer_size == 280
    assert len(learned) < sum(len(texts_of(dataset, name)) for name in dataset.splits)
    assert load(tmp_path / "p.jsonl", tokenizer="bytes").spec.vocab_size == 258
    again.save(tmp_path / "own")
    assert load(tmp_path / "p.jsonl", tokenizer=str(tmp_path / "own")).content_hash == dataset.content_hash


def test_pairs_that_are_too_long_are_left_out_and_named(tmp_path: Path, load: Load) -> None:
    dataset = load(write_lines(tmp_path / "p.jsonl"), context=20, test_share=0.0)
    assert set(dataset.splits) == {"train", "validation"}
    too_long = {target for _, target in PAIRS if len(target.strip()) > 20}
    assert too_long
    assert not any(texts_of(dataset, name) & too_long for name in dataset.splits)
    counts = dataset.report.pairs
    assert sum(one.num_left_out for one in counts.values()) == len(too_long)
    assert counts["train"].longest_target == max(len(target.strip()) for target in too_long)
    left_out = counts["train"].num_left_out
    remark = next(line for line in dataset.report.remarks() if line.startswith(f"{left_out} pairs of train"))
    assert "left out: a text longer than data.context, 20 tokens, such as p.jsonl:" in remark
    assert dataset.report.to_json()["pairs"]["train"]["num_left_out"] == left_out
    assert dataset.batch("train", torch.arange(20))["tokens"].shape[1] <= 21
    with pytest.raises(
        DataError, match=r"each pair of the train split is too long\n(.*\n)*  expected: at most 3"
    ):
        load(tmp_path / "p.jsonl", context=3)


def test_a_limit_takes_training_pairs_alone(tmp_path: Path, load: Load) -> None:
    whole, few = load(write_lines(tmp_path / "p.jsonl")), load(tmp_path / "p.jsonl", limit=10)
    assert few.report.num_samples == {**whole.report.num_samples, "train": 10}
    assert texts_of(few, "test") == texts_of(whole, "test")
    with pytest.raises(UsageError, match="the limit is above what there is"):
        load(tmp_path / "p.jsonl", limit=1000)


def test_seen_texts_are_taken_out_of_other_data(tmp_path: Path, load: Load) -> None:
    own = load(write_lines(tmp_path / "p.jsonl")).splits
    assert own["train"].pairs is not None
    seen = own["train"].pairs.targets[0]
    other = load(
        write_lines(tmp_path / "o.jsonl", [(seen, "x 1"), *((f"new {n}", f"y {n}") for n in range(40))])
    )
    names = [name for name in other.splits if seen in texts_of(other, name)]
    kept = {name: without_shared_texts(split, own["train"]) for name, split in other.splits.items()}
    assert sum(split.num_samples for split in kept.values()) == 40
    assert len(names) == 1
    assert kept[names[0]].pairs is not None
    assert len(kept[names[0]].pairs.sources) == kept[names[0]].num_samples


def test_empty_lines_are_passed_over_and_line_breaks_kept(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('\n{"source": " a\\nb ", "target": "c", "id": 3}\n\n')
    found = read_pairs(path, source_column=None, target_column=None)
    assert found.parts["train"].inputs.tolist() == [["a\nb", "c"]]
    assert found.parts["train"].names == ("p.jsonl:2",)
    assert found.notes == ("1 column not read, neither sources nor targets: id",)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"source": "a"', r"p.jsonl:2:15: this is no JSON: "),
        ('["a", "b"]', r"p.jsonl:2:1: this is no object, but list"),
        ('{"sorce": "a", "target": "b"}', r'p.jsonl:2:1: no "source"; did you mean "sorce"\?'),
        ('{"source": "a", "cible": "b"}', r'p.jsonl:2:1: no "target"; there is: source, cible'),
        ('{"source": 3, "target": "b"}', r'p.jsonl:2:1: "source" is no text, but int'),
        ('{"source": " ", "target": "b"}', r'p.jsonl:2:1: "source" is empty'),
        ('{"source": "a", "target": ""}', r'p.jsonl:2:1: "target" is empty'),
        ('{"source": "a", "target": "\\ud800"}', r'p.jsonl:2:1: "target" holds half a character'),
        ("[" * 100_000, r"p.jsonl:2:1: this is no JSON: "),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, load: Load, line: str, expected: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"source": "x", "target": "y"}\n' + line + "\n")
    with pytest.raises(DataError, match="1 wrong line\n    .*" + expected):
        load(path)


@pytest.mark.parametrize(
    ("content", "columns", "expected"),
    [
        ("en\tfr\na\t\n", {}, r'p.tsv:2:2: the text "fr" is empty'),
        ("en\tfr\n\tb\n", {}, r'p.tsv:2:1: the text "en" is empty'),
        ("en\tfr\na\tb\tc\n", {}, r"p.tsv:2:1: 3 cells where 2 are expected"),
        ("en\tfr\n", {}, "there are no rows below the header"),
        (
            "eng\tfr\na\tb\n",
            {},
            r'no column "en"; did you mean "eng"\?\n(.*\n)*  next: set data.source_column',
        ),
        (
            "en\tfrz\na\tb\n",
            {},
            r'no column "fr"; did you mean "frz"\?\n(.*\n)*  next: set data.target_column',
        ),
    ],
)
def test_wrong_rows_are_named(
    tmp_path: Path, load: Load, content: str, columns: dict[str, Any], expected: str
) -> None:
    path = tmp_path / "p.tsv"
    path.write_text(content)
    with pytest.raises(DataError, match=expected):
        load(path, source_column="en", target_column="fr", **columns)


def test_a_file_without_pairs_is_refused(tmp_path: Path, load: Load) -> None:
    (tmp_path / "p.jsonl").write_text("\n \n")
    with pytest.raises(DataError, match="there are no pairs in this file"):
        load(tmp_path / "p.jsonl")


def test_a_text_without_a_token_is_named(tmp_path: Path, load: Load) -> None:
    pairs = [*PAIRS, ("\u200e\u0007", "nothing that WordPiece reads")]
    with pytest.raises(DataError, match=r"p.jsonl:81: a text without any token\n  got: '\\u200e\\x07'"):
        load(write_lines(tmp_path / "p.jsonl", pairs), tokenizer="wordpiece", vocabulary_size=80)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"source_column": "target"}, "source_column and target_column are the same"),
        ({"source_column": "a", "text_column": "b"}, "text_column has no effect on pairs of texts"),
        ({"target_column": "a", "label_column": "b"}, "label_column has no effect on pairs of texts"),
    ],
)
def test_settings_that_contradict_each_other(settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        DataConfig(source="p.csv", **settings)


def test_settings_of_other_data_are_refused(tmp_path: Path, load: Load) -> None:
    path = write_lines(tmp_path / "p.jsonl")
    with pytest.raises(UsageError, match=r"data\.max_tokens: a setting without effect: it is for texts"):
        load(path, max_tokens=3)
    with pytest.raises(UsageError, match=r"data\.text_column: a setting without effect: it is for CSV files"):
        load(path, text_column="source")
    with pytest.raises(UsageError, match=r"data\.source_column: .* it is for CSV and .jsonl files"):
        load("digits", source_column="source")


def test_pairs_are_shown(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "p.jsonl")
    answer = run_command(["data", "show", str(path)])
    assert answer.exit_code == 0, answer.stderr
    assert "form      pairs of texts, " in answer.stdout
    assert "longest target" in answer.stdout
    assert "source    the number" in answer.stdout
    document = json.loads(run_command(["data", "show", str(path), "--json"]).stdout)
    assert document["examples"][0]["source"].startswith("the number")
    assert run_command(["data", "validate", str(path)]).exit_code == 0
    answer = run_command(["data", "split", str(path), "--out", str(tmp_path / "p.npz")])
    assert "the splits of pairs of texts are no file of arrays" in answer.stderr
