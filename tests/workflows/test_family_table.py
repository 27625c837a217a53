"""Families of pictures in one table: kinds of likelihoods, what is ranked, what drawing takes, the page."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from command_line import run_command
from creuset.errors import GateError
from creuset.metrics.likelihood import LikelihoodSetting, nll
from creuset.metrics.score import Score
from creuset.metrics.signature import Context
from creuset.runs.folder import RunFolder
from creuset.workflows.compare import compare
from creuset.workflows.comparison_report import write_comparison_report
from creuset.workflows.evaluate import evaluate
from creuset.workflows.family_sheets import budget_remarks
from creuset.workflows.family_table import REAL, FamilyTable, family_table
from creuset.workflows.likelihood_kinds import kind_of_likelihood, of_unlike_kind, what_is_likely
from creuset.workflows.plan import read
from generators import write_distances

RECIPES = ("vae-mnist", "gan-mnist", "pixelcnn-mnist", "diffusion-mnist", "flow-mnist")


def likelihood(
    num_importance_samples: int | None = None, *, data: str = "d" * 64, seed: int = 0, **extra: str | int
) -> Score:
    setting = LikelihoodSetting(
        num_levels=2, binarisation="dynamic", num_importance_samples=num_importance_samples
    )
    context = Context(data=data, split="test", seed=seed, extra=extra)
    return nll(-np.arange(1.0, 9.0), setting=setting, context=context)


@pytest.mark.parametrize(
    ("score", "kind"),
    [
        (likelihood(), "exact"),
        (likelihood(1), "variational bound"),
        (likelihood(200), "bound by 200 importance samples"),
        (likelihood(5, draws="averaged"), "estimate, mean of 5 draws"),
        (likelihood(1, draws="averaged"), "estimate by one draw"),
        (likelihood(1, solver="heun", steps=50), "integrated by heun in 50 steps, one draw"),
        (likelihood(4, solver="heun", steps=50), "integrated by heun in 50 steps, mean of 4 draws"),
    ],
)
def test_the_signature_tells_the_kind_of_a_likelihood(score: Score, kind: str) -> None:
    assert kind_of_likelihood(score) == kind
    assert what_is_likely(score) == "binary pixels"


def test_levels_and_densities_are_told_apart() -> None:
    levels = nll(-np.ones(4), setting=LikelihoodSetting(num_levels=17))
    density = nll(-np.ones(4), setting=LikelihoodSetting(num_levels=0))
    assert (what_is_likely(levels), what_is_likely(density)) == ("17 levels", "a density")
    assert of_unlike_kind(levels, density)


def test_kinds_are_unlike_only_where_the_same_was_measured() -> None:
    assert of_unlike_kind(likelihood(), likelihood(200))
    assert not of_unlike_kind(likelihood(), likelihood())
    assert not of_unlike_kind(likelihood(), likelihood(200, data="e" * 64))
    assert not of_unlike_kind(likelihood(200), likelihood(200, seed=1))


@pytest.fixture
def families(vae: RunFolder, pixelcnn: RunFolder) -> list[RunFolder]:
    """A bound on binary pixels' likelihood and an exact one, with distances of the same kind."""
    evaluate(pixelcnn, suite="images", num_generated=20)
    evaluation = next(iter(pixelcnn.evaluations().values()))
    rows = pixelcnn.evaluation_rows(next(iter(pixelcnn.evaluations())))
    pixelcnn.write_evaluation("images", evaluation, rows)
    write_distances(vae, 0.0, seed=1)
    write_distances(pixelcnn, 1.0, seed=2)
    return [vae, pixelcnn]


def table_of(runs: list[RunFolder], time_samples: int | None = None) -> FamilyTable:
    found = compare(runs)
    table = family_table(found, {run.reference: run.id for run in runs}, time_samples=time_samples)
    assert table is not None
    return table


def test_a_bound_and_an_exact_likelihood_are_shown_and_not_ranked(families: list[RunFolder]) -> None:
    found = compare(families)
    assert "nll" in found.left_out
    assert {one.metric for _, one in found.comparisons} == {"fd", "kd", "precision", "density"}
    with pytest.raises(GateError, match="they differ in importance_samples"):
        compare(families, metrics=["nll"])
    grid = table_of(families).grid()
    rows = {row.name: row.cells for rows in grid.groups.values() for row in rows}
    assert [cell.text for cell in rows["kind of NLL"][:2]] == ["bound by 3 importance samples", "exact"]
    assert not any(cell.marked for cell in rows["NLL"] if cell is not None)
    assert [cell.marked for cell in rows["precision"][:2]] == [True, False]
    for name in ("Frechet distance", "recall", "coverage", "precision"):
        assert [cell.marked for cell in rows[name][:2]] == [True, False]
        assert all(re.fullmatch(r"\[.+, .+\]", cell.small) for cell in rows[name][:2])


def test_what_training_and_drawing_took(families: list[RunFolder]) -> None:
    table = table_of(families, time_samples=2)
    first, second = table.to_json()["runs"]
    assert (first["family"], first["steps"]) == ("vae", families[0].manifest().step)
    assert first["training_seconds"] == families[0].manifest().seconds
    assert first["num_parameters"] > 1000
    assert second["likelihood"] == {"kind": "exact", "of": "binary pixels"}
    took = second["seconds_per_1000_samples"]
    low, high = took["extremes"]
    assert 0 < low <= took["median"] <= high
    assert (took["num_samples"], took["rounds"]) == (2, 3)
    assert "drawing 1,000 samples" in {row.name for rows in table.grid().groups.values() for row in rows}


def test_what_each_was_told_is_a_row_and_unlike_ones_are_warned_of(families: list[RunFolder]) -> None:
    table = table_of(families)
    rows = {row.name: row.cells for rows in table.grid().groups.values() for row in rows}
    assert [cell.text for cell in rows["told of each picture"][:2]] == ["nothing", "its class"]
    (remark,) = (one.text for one in budget_remarks(table) if "Classes were known" in one.text)
    assert remark.startswith("Classes were known to pixelcnn alone")
    alike = {name: replace(entry, told="class") for name, entry in table.entries.items()}
    assert not any("Classes" in one.text for one in budget_remarks(replace(table, entries=alike)))


def test_real_pictures_have_a_column_of_their_own(families: list[RunFolder]) -> None:
    document = families[0].evaluations()["images"]
    floor = next(score for score in document["scores"] if score["metric"] == "fd")
    floor = {**floor, "metric": "fd_floor", "signature": floor["signature"].replace("fd|", "fd_floor|", 1)}
    families[0].write_evaluation(
        "images", {**document, "floors": [floor]}, families[0].evaluation_rows("images")
    )
    grid = table_of(families).grid()
    assert list(grid.subjects) == ["vae", "pixelcnn", REAL]
    rows = {row.name: row.cells for rows in grid.groups.values() for row in rows}
    assert rows["Frechet distance"][2].text
    assert rows["kernel distance"][2] is None


def test_the_page_begins_with_the_table(families: list[RunFolder], tmp_path: Path) -> None:
    families[0].update(seconds=100.0)
    families[1].update(seconds=10.0, data_hash="ab" * 32)
    write_comparison_report(compare(families), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    for words in (
        "In one table",
        "bound by 3 importance samples",
        'alt="16 samples of vae"',
        'alt="16 samples of pixelcnn"',
        "These trainings had unlike budgets, from 10 s (pixelcnn) to 1 min 40 s (vae)",
        "trained on unlike data: vae ",
        "How long each takes to draw was not timed",
        "pixelcnn: its own loss on the validation split.",
    ):
        assert words in page


def test_the_command_prints_the_table(families: list[RunFolder]) -> None:
    answer = run_command(["compare", "vae", "pixelcnn", "--time-samples", "1"])
    assert answer.exit_code == 0, answer.stderr
    kinds = next(line for line in answer.stdout.splitlines() if line.startswith("kind of NLL"))
    assert "bound by 3 importance samples (of binary pixels)" in kinds
    assert "exact (of binary pixels)" in kinds
    document = json.loads(run_command(["compare", "vae", "pixelcnn", "--json"]).stdout)
    assert [run["run"] for run in document["table"]["runs"]] == ["vae", "pixelcnn"]
    assert document["table"]["runs"][0]["seconds_per_1000_samples"] is None


def test_only_pictures_are_timed(cnn: RunFolder) -> None:
    answer = run_command(["compare", "cnn", "cnn", "--time-samples", "5"])
    assert answer.exit_code == 2
    assert "--time-samples: an option without effect: only runs of pictures are timed" in answer.stderr


def test_the_recipes_of_one_table_read_and_measure_alike() -> None:
    recipes = [read(name, {"data.source": "digits"}) for name in RECIPES]
    first, *others = [recipe.data.model_dump(exclude={"batch_size"}) for recipe in recipes]
    assert all(other == first for other in others)
    measured = [recipe.evaluation for recipe in recipes]
    assert {(one.suite, one.num_generated, one.extractor) for one in measured} == {
        ("images", None, "efficientnet-lite0")
    }
