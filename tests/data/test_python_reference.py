"""The language reference as a corpus: read and never run, and nothing of it in two documents."""

from pathlib import Path

import pytest

from creuset.assets import resolve
from creuset.data import python_reference as module
from creuset.data.load import load_data
from creuset.data.python_reference import read_python_reference, read_topics, without_repetition
from creuset.errors import DataError, NotFoundError, UsageError
from creuset.recipe.sections import DataConfig


def section(**values: object) -> DataConfig:
    return DataConfig.model_validate({"source": "python-reference", **values})


def test_the_reference_of_this_python_is_prose_in_many_documents() -> None:
    part = read_python_reference().parts["train"]
    assert len(part.inputs) == len(part.names) > 30
    assert 200_000 < sum(map(len, part.inputs)) < 1_000_000
    assert any("Assert statements are a convenient way" in text for text in part.inputs)


def test_no_paragraph_stands_in_two_documents() -> None:
    paragraphs = [
        " ".join(paragraph.split())
        for text in read_python_reference().parts["train"].inputs
        for paragraph in text.split("\n\n")
    ]
    assert len(set(paragraphs)) == len(paragraphs)


def test_the_longest_topic_keeps_what_others_repeat() -> None:
    topics = {
        "if": "The if\n======\n\nIt  chooses.",
        "whole": "All\n***\n\nThe if\n------\n\nIt\nchooses.\n\nAnd more.\n\n+--+\n| a |",
        "while": "It repeats.\n\nAnd more.",
    }
    assert without_repetition(topics) == {
        "while": "It repeats.\n",
        "whole": "All\n***\n\nThe if\n------\n\nIt\nchooses.\n\nAnd more.\n",
    }


def test_it_is_a_data_set_by_its_name() -> None:
    found = [
        load_data(section(context=32), seed=0, resolve=lambda name: resolve(name).path) for _ in range(2)
    ]
    assert found[0].content_hash == found[1].content_hash
    assert found[0].spec.kind == "corpus"
    assert set(found[0].splits) == {"train", "validation", "test"}
    assert found[0].report.origin.startswith("python-reference: ")
    with pytest.raises(UsageError, match="a setting without effect: it is for CSV files"):
        load_data(section(label_column="x"), seed=0, resolve=lambda name: resolve(name).path)


def test_the_file_is_never_run(tmp_path: Path) -> None:
    path = tmp_path / "topics.py"
    path.write_text("topics = {'a': open('x', 'w').name}\n")
    with pytest.raises(DataError, match="this file cannot be read"):
        read_topics(path)
    path.write_text("import os\nos.mkdir('made')\ntopics = {'a': 'text'}\n")
    assert read_topics(path) == {"a": "text"}
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("text", ["", "topics = {}\n", "topics = 3\n", "others = {'a': 'b'}\n"])
def test_a_file_without_topics_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "topics.py"
    path.write_text(text)
    with pytest.raises(DataError, match="no topics in this file"):
        read_topics(path)


def test_a_python_without_its_reference_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FILE", Path("nowhere.py"))
    with pytest.raises(NotFoundError, match="installed without its language reference") as caught:
        read_python_reference()
    assert caught.value.next_step == "name a text of your own: --set data.source=FILE"
