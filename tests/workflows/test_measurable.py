"""What a recipe asks to be measured and its data does not allow is refused before the training."""

from pathlib import Path

import numpy as np
import pytest

import creuset
from creuset.errors import RecipeError, UsageError
from creuset.progress import Silent
from creuset.runs.folder import RunFolder
from creuset.workflows.plan import Plan, read
from small_runs import write_recipe

GAN = """
model: {family: gan, size: tiny, hidden_dims: [8]}
data: {source: ring}
training: {num_steps: 2}
"""
FLOW = GAN.replace("family: gan", "family: flow").replace(", hidden_dims: [8]", "")
STACKS = """
model: {family: vae, size: tiny}
data: {source: digits, stack: 3, batch_size: 64}
training: {num_steps: 2}
"""


def plan(folder: Path, text: str, evaluation: str) -> Plan:
    recipe = write_recipe(folder, f"{text}evaluation: {{{evaluation}}}\n", "asked")
    return Plan.make(read(recipe), Silent())


@pytest.mark.parametrize(
    ("text", "evaluation", "message"),
    [
        (
            FLOW,
            "num_importance_samples: 5",
            r"num_importance_samples has no effect: the suite modes measures no",
        ),
        (
            STACKS,
            "suite: modes, num_importance_samples: 5",
            r"has no effect: the suite modes measures no likel",
        ),
        (
            GAN,
            "num_generated: 0",
            r"asked\.yaml:5:29: evaluation\.num_generated must be 1 or more: the suite m",
        ),
        (STACKS, "suite: modes, num_generated: 0", r"evaluation\.num_generated must be 1 or more"),
        (
            STACKS,
            "suite: modes",
            r"asked\.yaml:5:21: evaluation\.suite: the modes of stacked pictures are told by",
        ),
        (GAN, "suite: images", r"evaluation\.suite: images does not fit ring; there is: modes, none"),
    ],
)
def test_what_cannot_be_measured_is_refused_where_it_stands(
    text: str, evaluation: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=message):
        plan(tmp_path, text, evaluation)


def test_an_extractor_has_no_effect_on_points(cnn: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"evaluation\.extractor has no effect: modes of points are told by th"
    ):
        plan(tmp_path, GAN, f"extractor: {cnn.path}")


def test_where_no_suite_fits_nothing_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("a,b\n" + "".join(f"{row},{row % 7}\n" for row in range(80)))
    table = GAN.replace("ring", str(tmp_path / "points.csv"))
    with pytest.raises(
        RecipeError, match=r"num_generated has no effect: no suite measures the family gan on .*csv"
    ):
        plan(tmp_path, table, "num_generated: 50")


def test_stacks_are_measured_by_a_classifier_of_what_was_stacked(
    cnn: RunFolder, vae: RunFolder, tmp_path: Path
) -> None:
    assert plan(tmp_path, STACKS, f"suite: modes, extractor: {cnn.path}").dataset.spec.mixture == "stack"
    with pytest.raises(UsageError, match=r"this run gives no features of pictures"):
        plan(tmp_path, STACKS, f"suite: modes, extractor: {vae.path}")
    pictures = np.random.default_rng(0).integers(0, 256, (80, 12, 12), dtype=np.uint8)
    np.savez(tmp_path / "larger.npz", train_images=pictures)
    larger = STACKS.replace("digits", str(tmp_path / "larger.npz"))
    with pytest.raises(UsageError, match="this run does not classify the pictures that were stacked"):
        plan(tmp_path, larger, f"suite: modes, extractor: {cnn.path}")


def test_a_suite_of_none_leaves_what_later_measurements_take(tmp_path: Path) -> None:
    found = plan(tmp_path, STACKS, "suite: none, num_importance_samples: 3, num_generated: 20")
    assert found.recipe.evaluation.num_importance_samples == 3


def test_two_stacked_pictures_are_trained_on_and_shown(workspace: Path) -> None:
    text = STACKS.replace("stack: 3", "stack: 2").replace("num_steps: 2", "num_steps: 2, sample_every: 1")
    run = creuset.train(write_recipe(workspace, text + "evaluation: {num_generated: 30}\n", "two"))
    assert sorted(path.suffix for path in run.folder.samples.iterdir()) == [".png", ".png"]
    assert run.folder.report_path.is_file()
