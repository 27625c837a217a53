"""Mistakes in texts with classes are found before a classifier is tuned on them."""

from pathlib import Path

import pytest

from creuset.data.conversations import read_tuning_file
from creuset.data.dataset import Dataset
from creuset.data.labelled_split import split_labelled
from creuset.errors import GateError, RowsError, UsageError
from creuset.pretrained.text_side import open_text_side
from creuset.recipe.sections import DataConfig
from creuset.training.gate_on_classes import look_at_classes
from small_bases import conversations, write_base, write_rows


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_base(tmp_path / "base")


def rows(number: int = 40) -> list[dict[str, object]]:
    return [
        {"text": f"a {'good' if place % 2 else 'bad'} thing {place}", "label": "ny"[place % 2]}
        for place in range(number)
    ]


def dataset(*more: dict[str, object], **settings: object) -> Dataset:
    path = write_rows(Path("rows.jsonl"), [*rows(), *more])
    config = DataConfig(source="rows.jsonl", **settings)
    return split_labelled(read_tuning_file(path), config, open_text_side(Path("base")), seed=0)


def test_good_texts_pass_and_are_shown() -> None:
    report = look_at_classes(dataset())
    assert report.findings == ()
    assert report.told.startswith("32 texts of 2 classes, ")
    assert report.told.endswith("filled up to the longest of a batch, the first 256 tokens are read")
    assert report.sample.endswith(("⟦n⟧", "⟦y⟧"))


def test_a_text_with_two_labels_is_refused_with_its_rows() -> None:
    report = look_at_classes(dataset({"text": " a good thing 1", "label": "n"}))
    assert [(finding.name, set(finding.places)) for finding in report.findings] == [
        ("two labels", {"rows.jsonl:2", "rows.jsonl:41"})
    ]
    with pytest.raises(GateError, match=r"two labels: 2 texts[\s\S]*⟦n⟧[\s\S]*⟦y⟧|⟦y⟧[\s\S]*⟦n⟧"):
        report.require()


def test_few_texts_with_two_labels_are_told() -> None:
    many = [{"text": f"another {number}", "label": "ny"[number % 2]} for number in range(170)]
    report = look_at_classes(dataset({"text": " a good thing 1", "label": "n"}, *many))
    (finding,) = report.findings
    assert (finding.name, finding.fatal, len(finding.places)) == ("two labels", False, 2)
    report.require()
    report = look_at_classes(dataset({"text": " a good thing 1", "label": "n"}, *many[:150]))
    assert report.findings[0].fatal


def test_equal_texts_stay_in_one_split_and_are_told() -> None:
    again = [{"text": row["text"], "label": row["label"]} for row in rows()]
    data = dataset(*again)
    texts = {name: set(split.texts) for name, split in data.splits.items()}
    assert not texts["train"] & (texts["validation"] | texts["test"])
    report = look_at_classes(data)
    (finding,) = report.findings
    assert (finding.name, finding.fatal, len(finding.places)) == ("duplicates", False, 32)


def test_equal_texts_of_two_groups_bring_these_together() -> None:
    grouped = [
        {"text": f"line {place % 13} of {place // 2}", "label": "ny"[place % 2], "group": place // 4}
        for place in range(80)
    ]
    shared = [{"text": "the same", "label": "n", "group": group} for group in (3, 5, 9)]
    data = dataset(*grouped, *shared)
    where = {
        name
        for name, split in data.splits.items()
        for text in split.texts
        if any(row["text"] == text and row["group"] in (3, 5, 9) for row in (*grouped, *shared))
    }
    assert len(where) == 1


def test_texts_that_are_cut_are_counted_with_their_rows() -> None:
    report = look_at_classes(dataset({"text": "long " * 300, "label": "n"}))
    (finding,) = report.findings
    assert (finding.name, finding.fatal, finding.places) == ("cut", False, ("rows.jsonl:41",))
    assert finding.message == "1 text of more than 256 tokens, of which only the first ones are read"


def test_texts_of_ones_own_are_measured_on() -> None:
    write_rows(Path("own.jsonl"), [{"text": f"fine {place}", "label": "y"} for place in range(5)])
    data = dataset(test_source="own.jsonl")
    assert {name: split.num_samples for name, split in data.splits.items()} == {
        "train": 36,
        "validation": 4,
        "test": 5,
    }
    assert data.split("test").names[0].startswith("own.jsonl:")
    write_rows(
        Path("own.jsonl"), [{"text": f"a thing {place}", "label": "y"} for place in range(5)] + rows(40)
    )
    (finding,) = look_at_classes(dataset(test_source="own.jsonl")).findings
    assert (finding.name, finding.fatal, len(finding.places)) == ("leak", True, 36)


def test_classes_that_are_not_trained_are_named_by_their_rows() -> None:
    write_rows(Path("own.jsonl"), [*rows(3), {"text": "so so", "label": "maybe"}])
    with pytest.raises(RowsError, match=r'own\.jsonl:4:1: the class "maybe" is not trained'):
        dataset(test_source="own.jsonl")
    write_rows(Path("own.jsonl"), conversations())
    with pytest.raises(UsageError, match="of another form"):
        dataset(test_source="own.jsonl")
