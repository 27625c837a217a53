"""Vectors of words from a recipe to their neighbours, on the command line too."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from command_line import run_command
from creuset.errors import UsageError
from creuset.runs.folder import RunFolder
from creuset.workflows.analogies import word_vectors
from creuset.workflows.evaluate import evaluate
from creuset.workflows.load import load
from creuset.workflows.report import write_run_report
from creuset.workflows.train import train

RECIPE = """
model: {{family: {family}, size: tiny}}
data: {{source: {source}, tokenizer: {tokenizer}, context: 32, batch_size: 8, test_share: 0.0}}
training: {{num_steps: {num_steps}, learning_rate: 2e-2, log_every: 20}}
"""
TOPICS = (
    ("red", "green", "blue", "yellow", "white"),
    ("dog", "cat", "horse", "cow", "sheep"),
    ("iron", "tin", "gold", "zinc", "lead"),
)


def text() -> str:
    """Lines of words of one topic each."""
    draws = np.random.default_rng(0)
    lines = []
    for _ in range(500):
        topic = TOPICS[draws.integers(len(TOPICS))]
        lines.append(" ".join(topic[place] for place in draws.integers(len(topic), size=12)).capitalize())
    return "\n".join([*lines, "Once only"]) + "\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    place = tmp_path_factory.mktemp("words")
    source = place / "text.txt"
    source.write_text(text())
    runs = {}
    for name, family, tokenizer, num_steps in (
        ("words", "token_embeddings", "words", 100),
        ("letters", "decoder", "characters", 2),
        ("decoder", "decoder", "words", 2),
    ):
        recipe = place / f"{name}.yaml"
        recipe.write_text(
            RECIPE.format(family=family, source=source, tokenizer=tokenizer, num_steps=num_steps)
        )
        runs[name] = train(recipe, name=place / name, measure=False).folder
    return runs


@pytest.fixture
def run(trained: dict[str, RunFolder], tmp_path: Path) -> RunFolder:
    shutil.copytree(trained["words"].path, tmp_path / "words")
    return RunFolder(tmp_path / "words")


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.txt"
    path.write_text(": colours\nRed green Blue yellow\nred green blue orange\n: none\na b c d\n")
    return path


def test_words_of_a_topic_are_neighbours(run: RunFolder) -> None:
    vectors = word_vectors(load(run))
    assert set(vectors.words) > {word for topic in TOPICS for word in topic}
    for topic in TOPICS:
        for word in topic:
            assert {one.word for one in vectors.near(word, 4)} == set(topic) - {word}


def test_the_suite_keeps_scores_and_the_report_shows_them(run: RunFolder, questions: Path) -> None:
    found = evaluate(run, suite="analogies", questions=questions, words=("gold",))
    assert [(score.metric, score.n) for score in found.scores] == [
        ("analogy_accuracy", 1),
        ("analogy_accuracy_colours", 1),
    ]
    assert found.remarks[0].startswith("2 of 3 questions are left out")
    assert set(run.evaluations()) == {"analogies"}
    write_run_report(run)
    page = run.report_path.read_text()
    for shown in ("most frequent words by t-SNE", "red : green = blue : ?", "Wilson", "gold"):
        assert shown.casefold() in page.casefold(), shown


def test_the_command_line_shows_neighbours_and_analogies(run: RunFolder, questions: Path) -> None:
    answer = run_command(["neighbours", str(run.path), "Gold", "red - green + blue", "-n", "3"])
    assert answer.exit_code == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert lines[0].split() == ["Gold", "cosine"]
    assert {line.split()[0] for line in lines[1:4]} < set(TOPICS[2])
    assert lines[4].startswith("red - green + blue  cosine")
    document = json.loads(run_command(["neighbours", str(run.path), "gold", "--json"]).stdout)
    assert len(document["neighbours"][0]["nearest"]) == 10
    measured = run_command(
        ["eval", str(run.path), "--suite", "analogies", "--questions", str(questions), "--words", "gold, tin"]
    )
    assert measured.exit_code == 0, measured.stderr
    assert measured.stdout.startswith("analogy_accuracy ")
    assert "2 of 3 questions are left out" in measured.stderr


def test_a_decoder_of_words_has_neighbours_too(trained: dict[str, RunFolder]) -> None:
    assert len(word_vectors(load(trained["decoder"])).near("gold", 5)) == 5
    found = evaluate(trained["decoder"], suite="analogies")
    assert found.details["num_words"] >= 15


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["neighbours", "{words}", "quartz"], 2, '"quartz" is not in the vocabulary'),
        (["neighbours", "{words}", "gold gold"], 2, "not a sum or difference of words"),
        (["neighbours", "{letters}", "gold"], 2, "the tokens of this model are no whole words"),
        (["eval", "{letters}", "--suite", "analogies"], 2, "the tokens of this model are no whole words"),
        (["eval", "{decoder}", "--questions", "{words}"], 2, "an option without effect: --questions"),
        (["eval", "{words}", "--words", "quartz"], 2, '"quartz" is not in the vocabulary'),
        (["eval", "{words}", "--split", "train"], 2, "an option without effect: --split"),
        (["eval", "{words}", "--questions", "nowhere.txt"], 3, "no such file"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    words: list[str], code: int, message: str, trained: dict[str, RunFolder]
) -> None:
    places = {name: str(run.path) for name, run in trained.items()}
    answer = run_command([word.format(**places) for word in words])
    assert answer.exit_code == code
    assert message in answer.stderr


def test_other_families_have_no_words(trained: dict[str, RunFolder]) -> None:
    recipe = trained["words"].path.parent / "letters.yaml"
    recipe.write_text(recipe.read_text().replace("family: decoder", "family: token_embeddings"))
    with pytest.raises(UsageError, match="token_embeddings learns words"):
        train(recipe, name=recipe.with_name("refused"), measure=False)
