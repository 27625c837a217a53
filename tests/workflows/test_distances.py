import json
from pathlib import Path

import numpy as np
import pytest
import torch

from creuset.errors import NotFoundError, RecipeError, UsageError
from creuset.evaluation.suite import split_hash
from creuset.generation.pictures import to_pictures
from creuset.metrics.signature import Signature
from creuset.progress import Silent
from creuset.runs.folder import RunFolder
from creuset.workflows.evaluate import evaluate
from creuset.workflows.load import load, run_recipe
from creuset.workflows.report import write_run_report
from creuset.workflows.run_data import load_run_data
from creuset.workflows.train import train
from small_runs import VAE, Heard, write_recipe

OF_FEATURES = {"fd", "kd", "precision", "recall", "density", "coverage"}


def test_without_the_extractor_all_else_is_measured(vae: RunFolder) -> None:
    found = evaluate("vae")
    names = {score.metric for score in found.scores}
    assert names == {"nll", "elbo", "bits_per_dim", "mse", "psnr", "memorisation", "near_copies"}
    assert len(found.remarks) == 1
    assert found.remarks[0].startswith("no distances by features of efficientnet-lite0: ")
    assert "creuset models pull efficientnet-lite0" in found.remarks[0]
    assert vae.evaluations()["images"]["details"]["remarks"] == found.remarks
    page = vae.report_path.read_text()  # of the training
    assert "No distances by features of efficientnet-lite0" in page


def test_what_was_left_out_is_said_when_a_training_ends(workspace: Path) -> None:
    heard = Heard()
    train(write_recipe(workspace), settings={"training.num_steps": 2}, progress=heard)
    assert [text for text in heard.said if text.startswith("evaluation: no distances by features")]


def test_a_classifier_of_ones_own_gives_the_features(vae: RunFolder, cnn: RunFolder) -> None:
    usual = vae.evaluations()["images"]
    found = evaluate("vae", extractor="cnn", num_generated=150)
    scores = {score.metric: score for score in found.scores}
    assert set(scores) > OF_FEATURES
    fields = Signature.parse(scores["fd"].signature).fields()
    assert (fields["extractor"], fields["n"], fields["reference_n"]) == ("cnn", "150", "150")
    assert fields["reference_seed"] == "0"  # 150 of the 180 test pictures
    assert {f"{name}_floor" for name in OF_FEATURES} <= {floor.metric for floor in found.floors}
    training = split_hash(load_run_data(run_recipe(vae).data, Silent()), "train")[:8]
    by_training = [scores["memorisation"], scores["near_copies"], *found.floors[-6:]]
    assert all(f"|training:{training}|" in score.signature for score in by_training)
    assert {score.metric for score in by_training[2:]} == {f"{name}_floor" for name in OF_FEATURES}
    assert found.remarks == []
    assert set(found.details["curves"]) == {"fd", "kd", "precision", "recall"}
    # it has a file of its own, with the rows and pictures that reports and comparisons need
    assert vae.evaluations()["images"] == usual
    name = next(name for name in vae.evaluations() if name != "images")
    rows = vae.evaluation_rows(name)
    assert rows is not None
    assert {"fd", "kd_generated", "kd_reference", "precision", "density"} <= set(rows.arrays)
    assert rows.arrays["fd"].shape == (20,)
    assert rows.arrays["kd_generated"].shape == rows.arrays["precision"].shape == (150,)
    again = evaluate("vae", extractor="cnn", num_generated=150)
    assert again.to_json() == found.to_json()


def test_the_pairs_are_of_pictures_that_the_seed_gives_again(vae: RunFolder) -> None:
    found = evaluate("vae", seed=3, num_generated=40)
    drawn = load(vae).generate(40, seed=3)
    pairs = found.details["neighbours"]
    assert np.array_equal(found.pictures["neighbours_generated"], drawn[pairs["generated"]])
    data = load_run_data(run_recipe(vae).data, Silent())
    training = to_pictures(data.batch("train", torch.tensor(pairs["training"]))["images"])
    assert np.array_equal(found.pictures["neighbours_training"], training)


def test_the_training_split_has_no_pictures_to_be_near_to(vae: RunFolder) -> None:
    found = evaluate("vae", split="train", num_generated=40)
    assert "memorisation" not in {score.metric for score in found.scores}
    assert "no memorisation: the training pictures are themselves what is measured" in found.remarks


def test_no_pictures_are_drawn_where_none_are_asked_for(vae: RunFolder) -> None:
    found = evaluate("vae", num_generated=0)
    assert {score.metric for score in found.scores} == {"nll", "elbo", "bits_per_dim", "mse", "psnr"}
    assert found.remarks == []


def test_what_has_no_effect_is_refused(vae: RunFolder, cnn: RunFolder) -> None:
    with pytest.raises(UsageError, match="an extractor and a number of pictures to draw have no effect here"):
        evaluate("cnn", extractor="cnn")
    with pytest.raises(UsageError, match="an extractor has no effect while no pictures are drawn"):
        evaluate("vae", extractor="cnn", num_generated=0)
    with pytest.raises(UsageError, match="not a number of pictures"):
        evaluate("vae", num_generated=-1)
    with pytest.raises(NotFoundError, match='no extractor "cmn"'):
        evaluate("vae", extractor="cmn")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "evaluation: {num_generated: 0, extractor: mine}",
            "extractor has no effect while num_generated is 0",
        ),
    ],
)
def test_settings_without_effect_are_refused(workspace: Path, text: str, message: str) -> None:
    recipe = write_recipe(workspace, VAE.replace("evaluation: {num_importance_samples: 3}", text))
    with pytest.raises(RecipeError, match=message):
        train(recipe)


def test_a_family_that_draws_nothing_takes_no_number_of_pictures(workspace: Path) -> None:
    recipe = write_recipe(workspace, "model: {family: cnn}\ndata: {source: digits}\n")
    with pytest.raises(RecipeError, match="num_generated has no effect: the family cnn draws no pictures"):
        train(recipe, settings={"evaluation.num_generated": 5})


def test_an_extractor_that_a_recipe_names_is_looked_for_before_training(
    workspace: Path, cnn: RunFolder
) -> None:
    recipe = write_recipe(workspace)
    with pytest.raises(NotFoundError, match='no extractor "cmn"'):
        train(recipe, settings={"evaluation.extractor": "cmn"})
    assert not (workspace / "runs" / "vae").exists()
    few = {"training.num_steps": 2, "evaluation.num_generated": 60, "evaluation.extractor": str(cnn.path)}
    run = train(recipe, settings=few)
    assert {score.metric for score in run.scores} > OF_FEATURES


def test_a_report_draws_floors_curves_and_neighbours(vae: RunFolder, cnn: RunFolder) -> None:
    evaluate("vae", extractor="cnn", num_generated=150)
    write_run_report(vae)
    page = vae.report_path.read_text()
    for text in (
        "NLL beside that of simple models",
        "FD of generated and of real pictures",
        "coverage of generated and of real pictures",
        "Against the number of samples",
        "NLL against the number of samples",
        "FD against the number of generated pictures",
        "recall against the number of generated pictures",
        "10 generated pictures that lie nearest to a training picture",
        "10 pictures that were drawn first, none left out",
    ):
        assert text in page, text
    again = page
    write_run_report(vae)
    assert vae.report_path.read_text() == again


def test_an_evaluation_of_an_older_creuset_is_still_reported(vae: RunFolder) -> None:
    """Without rows, curves, neighbours and remarks."""
    path = vae.evaluation / "images.json"
    document = json.loads(path.read_text())
    for key in ("neighbours", "remarks", "curves"):
        document["details"].pop(key, None)
    del document["rows"]
    path.write_text(json.dumps(document))
    write_run_report(vae)
    assert "NLL beside that of simple models" in vae.report_path.read_text()
    assert "Against the number of samples" not in vae.report_path.read_text()


def test_a_classifier_s_accuracy_is_drawn_against_the_number_of_samples(cnn: RunFolder) -> None:
    page = cnn.report_path.read_text()
    assert "accuracy against the number of samples" in page
    assert "label NLL against the number of samples" in page
    assert "F1 class 0 against" not in page
