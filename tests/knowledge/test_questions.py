"""Questions from files and from documents."""

import json
from pathlib import Path

import pytest

from creuset.errors import DataError, NotFoundError
from creuset.knowledge.questions import Question, made_questions, read_questions
from creuset.knowledge.store import SqliteStore
from knowledge_documents import new_document


def test_a_file_of_questions(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    lines = [{"question": "How?", "relevant": ["a.md", "a.md"], "answer": "So."}, {"question": "What?"}]
    file.write_text("\n".join(map(json.dumps, lines)) + "\n\n", encoding="utf-8-sig")
    assert read_questions(file) == (
        Question(text="How?", relevant=("a.md",), answer="So."),
        Question(text="What?"),
    )
    assert [question.is_answerable for question in read_questions(file)] == [True, False]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[1]", "no object"),
        ("{", "Expecting"),
        ('{"question": " "}', '"question" is no text'),
        ('{"question": "a", "relevant": "a.md"}', '"relevant" is no list'),
        ('{"question": "a", "answer": 3}', '"answer" is no text'),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, line: str, reason: str) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text('{"question": "good"}\n' + line)
    with pytest.raises(DataError, match="1 of 2 lines are no questions") as caught:
        read_questions(file)
    assert f"{file}:2:1: {reason}" in str(caught.value.got)


def test_no_file_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no file of questions"):
        read_questions(tmp_path / "none.jsonl")
    (tmp_path / "q.jsonl").write_text("\n")
    with pytest.raises(DataError, match="no number of questions"):
        read_questions(tmp_path / "q.jsonl")
    (tmp_path / "q.jsonl").write_bytes(b'{"question": "\xff"}')
    with pytest.raises(DataError, match="no UTF-8"):
        read_questions(tmp_path / "q.jsonl")


def test_questions_are_made_of_sentences(tmp_path: Path) -> None:
    with SqliteStore.create(tmp_path / "s.sqlite") as store:
        texts = {
            "a.txt": "The boiler stands behind the kitchen wall. Its valve opens slowly.",
            "b.txt": "Snow covers the northern path until April. Walkers take the southern ridge.",
        }
        for path, text in texts.items():
            store.add(new_document(path, text))
        chunks = list(store.current_chunks())
    made = made_questions(chunks, 10, seed=0)
    assert made == made_questions(chunks, 10, seed=0)
    assert len(made) == 2
    for question in made:
        assert question.relevant is not None
        (path,) = question.relevant
        words = question.text.split()
        assert len(words) >= 3
        places = [texts[path].find(word) for word in words]
        assert -1 not in places
        assert places == sorted(places)
    with pytest.raises(DataError, match="no sentence"):
        made_questions([], 3, seed=0)
