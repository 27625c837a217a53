"""Texts from a TSV file to scores, the whole way: training, resume, evaluation, report; what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

import creuset
from command_line import run_command
from creuset.errors import DataError, RecipeError, UsageError
from creuset.workflows.evaluate import evaluate
from creuset.workflows.load import data_spec
from creuset.workflows.train import Run
from small_runs import journal, tensors

RECIPE = """
model: {family: rnn, size: tiny, num_layers: 2}
data: {source: reviews.tsv, text_column: review, label_column: verdict, batch_size: 20, max_tokens: 6}
training: {num_steps: 12, learning_rate: 1e-2, checkpoint_every: 5}
"""


def write_reviews(path: Path, rows: int = 200, seed: int = 0) -> Path:
    """Texts of 2 to 9 words, of which one tells the class."""
    drawn = np.random.default_rng(seed)
    lines = []
    for number in range(rows):
        words = list(drawn.choice(["the", "film", "was", "long", "and", f"w{number}"], drawn.integers(1, 9)))
        words.insert(drawn.integers(0, min(3, len(words))), "good" if number % 2 else "bad")
        lines.append(f"{number}\t{' '.join(words)}\t{'praise' if number % 2 else 'blame'}")
    path.write_text("\n".join(["id\treview\tverdict", *lines]) + "\n")
    return path


@pytest.fixture
def recipe(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    workspace.mkdir()
    monkeypatch.chdir(workspace)
    write_reviews(workspace / "reviews.tsv")
    path = workspace / "reviews.yaml"
    path.write_text(RECIPE)
    return path


def test_a_text_run_from_end_to_end(recipe: Path, workspace: Path) -> None:
    run = creuset.train(recipe, name="reviews", settings={"training.num_steps": 120})
    scores = {score.metric: score.value for score in run.scores}
    assert scores["accuracy"] > 0.9
    manifest = run.folder.manifest()
    assert manifest.data_report["texts_cut"]["train"] > 0
    assert 0 < manifest.data_report["unknown_tokens"]["test"] < 1
    page = run.folder.report_path.read_text()
    assert "cut: longer than data.max_tokens" in page
    assert "tokens that are not in the vocabulary" in page

    loaded = creuset.load("reviews")
    assert loaded.spec == data_spec(run.folder)
    assert loaded.spec.vocabulary[:2] == ("<padding>", "<unknown>")
    assert loaded.predict(["the GOOD film was", "bad, and long"]) == ["praise", "blame"]
    one, both = loaded.logits(["bad"]), loaded.logits(["bad", "the film was good and long and long"])
    np.testing.assert_allclose(one[0], both[0], atol=1e-5)
    for wrong in ("good", [], ["good", " "], [3]):
        with pytest.raises(DataError, match="these are no texts"):
            loaded.logits(wrong)

    write_reviews(workspace / "other.tsv", rows=60, seed=1)
    other = evaluate("reviews", data="other.tsv")
    assert other.split == "everything"
    assert next(score for score in other.scores if score.metric == "accuracy").value > 0.8
    again = run_command(["eval", "reviews", "--min", "accuracy=0.9"])
    assert again.exit_code == 0, again.stderr


def test_a_stopped_text_run_goes_on_bit_for_bit(recipe: Path) -> None:
    whole = creuset.train(recipe, name="whole", measure=False)
    stopped = creuset.train(recipe, name="stopped", measure=False, max_seconds=1e-6)
    assert stopped.outcome.step == 1
    resumed = creuset.resume("stopped")
    last = f"{whole.folder.manifest().last}/weights.safetensors"
    assert tensors(whole.folder)[last] == tensors(resumed.folder)[last]
    assert [line for line in journal(whole.folder) if line["event"] == "train"] == [
        line for line in journal(resumed.folder) if line["event"] == "train"
    ]
    assert isinstance(resumed, Run)


def test_a_run_keeps_reading_by_its_own_vocabulary(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the same texts would give another one now, as with a later version of Unicode."""
    run = creuset.train(recipe, name="reviews", measure=False)
    before = evaluate("reviews").scores[0]
    monkeypatch.setattr(
        "creuset.data.assemble.make_vocabulary", lambda *_, **__: ("<padding>", "<unknown>", "else")
    )
    assert evaluate("reviews").scores[0] == before
    assert creuset.load("reviews").spec == data_spec(run.folder)


def test_the_data_verbs_take_texts(recipe: Path, workspace: Path) -> None:
    source = ["reviews.tsv", "--text-column", "review", "--label-column", "verdict"]
    shown = run_command(["data", "show", *source, "--max-tokens", "6"])
    assert "form      texts, cut into words, the first 6 tokens of each;" in shown.stdout
    assert "data: 1 column not read, neither texts nor classes: id" in shown.stderr
    validated = run_command(["data", "validate", *source])
    assert validated.exit_code == 0
    assert "near duplicates: only looked for among pictures" in validated.stdout
    assert run_command(["data", "split", *source, "--out", "splits.npz"]).exit_code == 0
    first, second = (
        json.loads(run_command(["data", "show", *words, "--json"]).stdout)
        for words in (source, ["splits.npz"])
    )
    assert first["content_hash"] == second["content_hash"]
    assert first["spec"]["vocabulary"] == second["spec"]["vocabulary"]
    picture = run_command(["data", "show", *source, "--out", "sheet.png"])
    assert (picture.exit_code, "texts have no pictures" in picture.stderr) == (2, True)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"model": "cnn"}, "cnn takes pictures\n  got: texts"),
        ({"model": "linear"}, "linear takes pictures or a table\n  got: texts"),
        ({"model": "vae"}, "vae takes pictures\n  got: texts"),
    ],
)
def test_other_families_refuse_texts(recipe: Path, settings: dict[str, str], expected: str) -> None:
    family = settings["model"]
    text = RECIPE.replace("{family: rnn, size: tiny, num_layers: 2}", f"{{family: {family}}}")
    if family == "linear":
        text = text.replace("batch_size: 20, ", "").split("training:")[0]
    recipe.write_text(text)
    with pytest.raises(UsageError, match=expected):
        creuset.train(recipe, name="other")


def test_an_embedding_without_texts_is_refused(recipe: Path) -> None:
    recipe.write_text("model: {family: rnn, size: tiny, embedding_dim: 9}\ndata: {source: digits}\n")
    with pytest.raises(RecipeError, match="embedding_dim has no effect: digits holds no texts"):
        creuset.train(recipe, name="other")


def test_a_resolved_recipe_of_pictures_trains_again(recipe: Path) -> None:
    """It writes each value out, the embedding's with them."""
    recipe.write_text("model: {family: rnn, size: tiny}\ndata: {source: digits}\ntraining: {num_steps: 2}\n")
    run = creuset.train(recipe, name="rows", measure=False)
    assert "embedding_dim" in run.folder.recipe_path.read_text()
    assert creuset.train(run.folder.recipe_path, name="again", measure=False).outcome.step == 2
