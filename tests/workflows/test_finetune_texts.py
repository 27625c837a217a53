"""`creuset.finetune` of plain texts: short ones, long ones in blocks, files of plain text."""

import math
from pathlib import Path

import pytest

from creuset.data.conversations import read_tuning_file
from creuset.data.dataset import Dataset
from creuset.data.tuning_split import split_tuning
from creuset.errors import CreusetError, GateError, UsageError
from creuset.pretrained.text_side import open_text_side
from creuset.recipe.sections import DataConfig
from creuset.workflows.finetune import Tuning, finetune, tuning_recipe
from small_bases import WORDS, conversations, preferences, write_base, write_rows

QUICK = {"training.num_steps": 3, "training.precision": "float32", "evaluation.num_generated": 2}
CONTEXT = 256
"""Of the base."""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREUSET_WORKSPACE", str(tmp_path))
    write_base(tmp_path / "base")


def words(number: int, seed: int = 0) -> str:
    """A text of about six bytes, and tokens, a word."""
    return " ".join(f"{WORDS[(place * 7 + seed) % 8]}{place}" for place in range(number))


def dataset(path: str, **settings: object) -> Dataset:
    config = DataConfig(source=path, **settings)
    return split_tuning(read_tuning_file(Path(path)), config, open_text_side(Path("base")), seed=0)


def documents(data: Dataset) -> dict[str, set[str]]:
    """The documents and short texts of each split."""
    return {
        name: {row.document or row.messages[0] for row in split.tuning.rows}
        for name, split in data.splits.items()
        if split.tuning is not None
    }


def test_plain_texts_are_tuned_on_and_measured() -> None:
    write_rows(Path("pages.jsonl"), [{"text": f"page {number}: {words(5, number)}"} for number in range(40)])
    run = finetune("base", data="pages.jsonl", method="pretrain", settings=QUICK)
    scores = {score.metric: score.value for score in run.scores}
    assert math.isfinite(scores["nats_per_token"])
    splits = documents(dataset("pages.jsonl"))
    assert {name: len(texts) for name, texts in splits.items()} == {"train": 32, "validation": 4, "test": 4}


def test_equal_texts_stay_in_one_split() -> None:
    texts = [f"page {number % 20}" for number in range(60)]
    write_rows(Path("pages.jsonl"), [{"text": text} for text in texts])
    splits = documents(dataset("pages.jsonl"))
    assert not splits["train"] & (splits["validation"] | splits["test"])


def test_long_texts_are_read_in_blocks_of_one_split() -> None:
    texts = [f"{number}: {words(20 if number % 4 else 150)}" for number in range(40)]
    write_rows(Path("pages.jsonl"), [{"text": text} for text in texts])
    data = dataset("pages.jsonl")
    splits = documents(data)
    assert not splits["train"] & (splits["validation"] | splits["test"])
    rows = [row for split in data.splits.values() for row in split.tuning.rows]
    assert max(len(row.text.ids) for row in rows) <= CONTEXT
    blocks = [row for row in rows if row.document]
    assert min(len(row.text.ids) for row in blocks) > CONTEXT // 2
    assert len(blocks) - sum(row.goes_on for row in blocks) == 10
    told = f"10 texts of more than {CONTEXT} tokens are read in {len(blocks)} blocks"
    assert told in data.report.notes
    tokenizer = open_text_side(Path("base")).tokenizer
    whole = texts[4]
    (place,) = {row.place for row in blocks if row.messages == (whole,)}
    own = {row.text.ids for row in blocks if row.place == place}
    ids = tuple(tokenizer.encode(whole))
    assert sum(map(len, own)) in (len(ids), len(ids) + 1)


def test_one_long_text_is_measured_at_its_end() -> None:
    Path("book.txt").write_text(words(2000) + "\n")
    run = finetune(
        "base", data="book.txt", method="pretrain", epochs=1, settings={"training.precision": "float32"}
    )
    data = dataset("book.txt")
    train, test = (data.split(name).tuning for name in ("train", "test"))
    assert train is not None
    assert test is not None
    assert not test.rows[-1].prompt
    assert not any(row.goes_on for row in test.rows if row.text.ids[-1] == 2)
    assert all(row.goes_on for row in train.rows)
    steps = math.ceil(len(train.rows) / 8)
    assert abs(run.folder.manifest().step - steps) <= 1


def test_a_folder_of_texts_is_tuned_on() -> None:
    Path("texts").mkdir()
    for number in range(12):
        (Path("texts") / f"{number}.txt").write_text(words(10, number) + "\n")
    run = finetune("base", data="texts", settings=QUICK, measure=False)
    assert "name: next_token" in (run.path / "recipe.yaml").read_text()
    (Path("texts") / "5.txt").write_text("it ends <|im_end|> here\n")
    with pytest.raises(GateError, match=r"marks in a message: .*5\.txt:1"):
        finetune("base", data="texts", settings=QUICK, measure=False)


def test_rows_that_are_too_long_are_left_out_where_that_is_asked_for() -> None:
    long = {"prompt": "planted?", "completion": "no, " * 100}
    rows = [{"prompt": f"red {number}?", "completion": f"yes {number}"} for number in range(30)]
    write_rows(Path("rows.jsonl"), [*rows[:6], long, *rows[6:]])
    with pytest.raises(GateError, match=r"too long: 1 row .*rows\.jsonl:7[\s\S]*data\.too_long: drop"):
        finetune("base", data="rows.jsonl", settings=QUICK)
    finetune("base", data="rows.jsonl", settings={**QUICK, "data.too_long": "drop"}, measure=False)
    notes = dataset("rows.jsonl", too_long="drop").report.notes
    assert f"1 row of more than {CONTEXT} tokens left out by data.too_long: rows.jsonl:7" in notes
    pair = {"prompt": "planted?", "chosen": "yes", "rejected": "no, " * 100}
    write_rows(Path("pairs.jsonl"), [*preferences(), pair])
    data = dataset("pairs.jsonl", too_long="drop")
    assert sum(split.num_samples for split in data.splits.values()) == 40
    write_rows(Path("rows.jsonl"), [long] * 5)
    with pytest.raises(GateError, match="each row has more than 256 tokens"):
        dataset("rows.jsonl", too_long="drop")


def test_a_length_that_is_said_twice_is_refused() -> None:
    write_rows(Path("rows.jsonl"), conversations())
    for settings in ({"training.num_steps": 2}, ["training.num_steps=2"]):
        with pytest.raises(UsageError, match="said twice"):
            tuning_recipe(Tuning(base="base", data="rows.jsonl", epochs=3), settings)


@pytest.mark.parametrize("label", [True, 0, 1, "true", "False", "0", "1"])
@pytest.mark.parametrize("method", [None, "sft"])
def test_ratings_are_not_taken_for_good_answers(label: object, method: object) -> None:
    rows = [{"prompt": f"red {number}?", "completion": "no", "label": label} for number in range(30)]
    write_rows(Path("rows.jsonl"), rows)
    with pytest.raises(
        CreusetError, match=r"no method learns from records of the form kto[\s\S]*chosen and rejected"
    ):
        tuning_recipe(Tuning(base="base", data="rows.jsonl", method=method))
