"""The page of a comparison: what it holds for pictures, classifiers and texts, and what it refuses."""

import json
from pathlib import Path

import pytest

from command_line import run_command
from creuset.errors import UsageError
from creuset.models.base import Model
from creuset.runs.folder import RunFolder
from creuset.workflows.compare import compare
from creuset.workflows.comparison_report import write_comparison_report
from creuset.workflows.joint_curves import joint_curves
from creuset.workflows.load import load
from creuset.workflows.train import train
from small_runs import CNN, DENOISER, write_recipe

TEXT = "".join(f"the {number}th line says {number * 7 % 100} twice\n" for number in range(400))
LANGUAGE = """
model: {{family: {family}, size: tiny}}
data: {{source: {source}, context: 16, batch_size: 8}}
training: {{num_steps: 40, learning_rate: 3e-3, log_every: 10, validate_every: 20}}
"""


def page_of(found: list[RunFolder], place: Path) -> str:
    page = place / "comparison.html"
    write_comparison_report(compare(found), page)
    return page.read_text()


@pytest.fixture
def weak_cnn(cnn: RunFolder, workspace: Path) -> RunFolder:
    recipe = write_recipe(workspace, CNN, "weak")
    return train(recipe, settings={"training.num_steps": 2, "training.validate_every": 1}, name="weak").folder


@pytest.fixture
def writers(workspace: Path) -> list[RunFolder]:
    source = workspace / "text.txt"
    workspace.mkdir(parents=True, exist_ok=True)
    source.write_text(TEXT)
    return [
        train(
            write_recipe(workspace, LANGUAGE.format(family=family, source=source), family), name=family
        ).folder
        for family in ("decoder", "rnn_lm")
    ]


def test_classifiers_stand_beside_each_other(cnn: RunFolder, weak_cnn: RunFolder, tmp_path: Path) -> None:
    page = page_of([cnn, weak_cnn], tmp_path)
    model = load(cnn).model
    assert isinstance(model, Model)
    assert f"{sum(p.numel() for p in model.parameters()):,}" in page
    assert "weak against cnn: worse by accuracy, F1 macro, AUROC, label NLL" in page
    assert "All have the same number of parameters." in page
    assert "weak: How often each class was taken for each other" in page
    assert "<script" not in page
    assert "Samples, side by side" not in page
    assert "creuset compare cnn weak --report comparison.html" in page


def test_pictures_stand_beside_each_other(vae: RunFolder, workspace: Path, tmp_path: Path) -> None:
    denoiser = train(write_recipe(workspace, DENOISER, "denoiser"), name="denoiser").folder
    page = page_of([vae, denoiser], tmp_path)
    assert "vae: 36 samples, seed 0, none left out." in page
    assert "denoiser: 36 samples" not in page
    assert "<span>original</span><span>vae</span><span>denoiser</span>" in page
    assert "The losses of these families are different quantities" in page
    assert "validation loss against training step" not in page
    assert "vae: its own loss on the validation split." in page


def test_texts_and_their_losses_stand_beside_each_other(writers: list[RunFolder], tmp_path: Path) -> None:
    page = page_of(writers, tmp_path)
    for words in (
        "validation loss against seconds of training",
        "validation loss against training step",
        "loss against the tokens read before",
        '<p class="name">decoder</p><div class="passage">',
        '<p class="name">rnn_lm</p><div class="passage">',
        "tokens/s",
    ):
        assert words in page
    written = load(writers[0]).write("", 2, max_tokens=400, seed=0)[1]
    assert written.strip("\n").splitlines()[0] in page
    assert page == page_of(writers, tmp_path)


def test_models_that_fill_masks_stand_below_each_other(workspace: Path, tmp_path: Path) -> None:
    workspace.mkdir(parents=True, exist_ok=True)
    source = workspace / "text.txt"
    source.write_text(TEXT)
    recipe = write_recipe(workspace, LANGUAGE.format(family="encoder", source=source), "encoder")
    runs = [train(recipe, name=f"seed-{seed}", seed=seed).folder for seed in (0, 1)]
    page = page_of(runs, tmp_path)
    assert "seed-1 against seed-0: " in page
    assert "validation loss against training step" in page
    assert page.count("</a> Passage 1</h4>") == 2


def test_a_chart_has_the_numbers_of_the_journal(writers: list[RunFolder]) -> None:
    seconds, steps, *_ = joint_curves({run.id: run for run in writers})
    lines = [json.loads(line) for line in writers[1].journal_path.read_text().splitlines()]
    validated = [line for line in lines if line["event"] == "validation"]
    assert [one.name for one in steps.drawing.series] == ["decoder", "rnn_lm"]
    assert steps.drawing.series[1].points() == [(line["step"], line["values"]["loss"]) for line in validated]
    assert seconds.drawing.series[1].x == [line["clock"]["seconds"] for line in validated]


def test_times_of_unlike_machines_are_not_left_to_be_compared(
    cnn: RunFolder, weak_cnn: RunFolder, tmp_path: Path
) -> None:
    weak_cnn.update(machine={**weak_cnn.manifest().machine, "threads": 64})
    page = page_of([cnn, weak_cnn], tmp_path)
    assert "trained with unlike numbers of threads (" in page
    assert ", 64): their times cannot be compared." in page


def test_scores_of_an_earlier_checkpoint_are_marked(
    cnn: RunFolder, weak_cnn: RunFolder, tmp_path: Path
) -> None:
    path = cnn.evaluation / "classification.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "step": 1}))
    assert "cnn: classification: measured at step 1" in page_of([cnn, weak_cnn], tmp_path)


def test_the_command_writes_the_page(cnn: RunFolder, weak_cnn: RunFolder, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    answer = run_command(["compare", "cnn", "weak", "--report", str(page)])
    assert answer.exit_code == 0
    assert f"{page}: the report of this comparison" in answer.stdout
    assert answer.stderr.endswith(f"next: open {page}\n")
    assert "weak against cnn" in page.read_text()


@pytest.mark.parametrize("name", ["page.pdf", "page", "folder.html"])
def test_no_name_of_a_page_is_refused_before_anything_is_compared(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.html").mkdir()
    answer = run_command(["compare", "nothing", "nowhere", "--report", str(tmp_path / name)])
    assert answer.exit_code == 2
    assert "--report: no name of a page" in answer.stderr
    answer = run_command(["compare", "a.txt", "b.txt", "--metrics", "json-validity", "--report", "page.html"])
    assert answer.exit_code == 2
    assert "--report would have no effect: --metrics compares files" in answer.stderr


def test_a_run_beside_itself_has_no_page(cnn: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a report shows each run once\n  got: cnn, cnn"):
        write_comparison_report(compare([cnn, cnn]), tmp_path / "page.html")
