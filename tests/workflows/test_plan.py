from pathlib import Path

import numpy as np
import pytest

import creuset
from creuset.errors import RecipeError, UsageError
from creuset.models import family
from creuset.progress import Silent
from creuset.workflows.plan import Plan, check_effects, read
from listening import Heard
from small_runs import CNN, LINEAR, VAE, write_recipe


def check(folder: Path, text: str, name: str, *settings: str) -> None:
    recipe = read(write_recipe(folder, text, name), settings)
    check_effects(recipe, family(recipe.model.family))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            LINEAR + "training: {num_steps: 5}",
            r"linear\.yaml:4:23: training\.num_steps has no effect.*without steps",
        ),
        (LINEAR + "training: {ema_decay: 0.9}", r"training\.ema_decay has no effect"),
        (
            LINEAR.replace("digits}", "digits, batch_size: 7}"),
            r"linear\.yaml:3:36: data\.batch_size has no effect",
        ),
        (
            LINEAR.replace("digits}", "digits, augmentation: {flip: true}}"),
            r"data\.augmentation\.flip has no effect",
        ),
        (LINEAR + "players: {model: {num_steps: 2}}", r"players\.model\.num_steps has no effect"),
        (
            CNN + "evaluation: {num_importance_samples: 5}",
            r"the family cnn has no likelihood",
        ),
        (CNN.replace("num_steps: 40", "num_steps: 40, sample_every: 5"), r"makes neither pictures nor texts"),
        (
            CNN + "evaluation: {suite: images}",
            r"evaluation\.suite: images does not fit the family cnn",
        ),
        (
            VAE.replace("{num_imp", "{suite: classification, num_imp"),
            r"vae\.yaml:\d+:21: evaluation\.suite: classification .* there is: images, modes, none",
        ),
        (
            CNN.replace("num_steps: 40", "num_steps: 40, warmup_steps: 40"),
            r"cnn\.yaml:4:41: training\.warmup_steps \(40\) must be less than training\.num_steps \(40\)",
        ),
    ],
)
def test_a_setting_without_effect_is_refused_where_it_stands(text: str, message: str, tmp_path: Path) -> None:
    name = "linear" if "family: linear" in text else "vae" if "family: vae" in text else "cnn"
    with pytest.raises(RecipeError, match=message):
        check(tmp_path, text, name)


@pytest.mark.parametrize("setting", ["num_importance_samples", "num_generated"])
def test_the_suite_none_leaves_out_what_a_recipe_says_of_measures(setting: str, tmp_path: Path) -> None:
    recipe = VAE.replace("{num_importance_samples", f"{{{setting}")
    check(tmp_path, recipe, "vae", "evaluation.suite=none")


def test_a_setting_of_the_command_line_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"^--set training\.num_steps=7:1:20: training\.num_steps has no"):
        check(tmp_path, LINEAR, "linear", "training.num_steps=7")


def test_a_setting_of_the_python_api_is_named_with_its_key(tmp_path: Path) -> None:
    recipe = read(write_recipe(tmp_path, CNN), {"training.warmup_steps": 90})
    with pytest.raises(
        RecipeError, match=r'^settings\["training\.warmup_steps"\]:1:1: training\.warmup_steps'
    ):
        check_effects(recipe, family("cnn"))


def test_all_of_them_are_told_at_once(tmp_path: Path) -> None:
    text = LINEAR + "training: {num_steps: 5, ema_decay: 0.5}\nevaluation: {suite: images}"
    with pytest.raises(RecipeError) as caught:
        check(tmp_path, text, "linear")
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize("text", [LINEAR, CNN, VAE])
def test_a_resolved_recipe_can_be_trained_again(text: str, tmp_path: Path) -> None:
    recipe = read(write_recipe(tmp_path, text))
    again = read(write_recipe(tmp_path, recipe.to_yaml(), "again"))
    check_effects(again, family(again.model.family))
    assert again == recipe


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("unreadable: skip", r"data\.unreadable: a setting without effect: it is for picture files"),
        ("label_column: kind", r"data\.label_column: a setting without effect: it is for CSV files"),
        ("image_size: [8, 8]", r"data\.image_size: a setting without effect: it is for CSV files"),
        ("limit: 100000", r"data\.limit: the limit is above what there is"),
    ],
)
def test_a_setting_that_the_data_leaves_without_effect_is_named_where_it_stands(
    setting: str, message: str, tmp_path: Path
) -> None:
    path = write_recipe(tmp_path, LINEAR.replace("digits}", f"digits, {setting}}}"), "linear")
    with pytest.raises(UsageError, match=rf"linear\.yaml:3:\d\d: {message}"):
        Plan.make(read(path), Silent())
    with pytest.raises(UsageError, match=rf"^--set data\.\w+=.+:1:\d+: {message}"):
        Plan.make(read(write_recipe(tmp_path, LINEAR), [f"data.{setting.replace(': ', '=')}"]), Silent())


def test_a_share_of_a_split_that_the_source_has_is_refused_where_it_stands(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (60, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", train_images=pictures[:40], test_images=pictures[40:])
    text = VAE.replace("digits", str(tmp_path / "own.npz"))
    Plan.make(read(write_recipe(tmp_path, text), {"data.validation_share": 0.2}), Silent())
    path = write_recipe(tmp_path, text.replace("batch_size", "test_share: 0, batch_size"))
    with pytest.raises(
        UsageError, match=r"vae\.yaml:3:\d+: data\.test_share: .* the source has a test split of its own"
    ):
        Plan.make(read(path), Silent())


def test_an_error_about_the_data_itself_keeps_its_place(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,3\n")
    path = write_recipe(tmp_path, LINEAR.replace("digits", str(tmp_path / "t.csv")), "linear")
    with pytest.raises(UsageError, match=r"t\.csv:2:2") as caught:
        Plan.make(read(path), Silent())
    assert "linear.yaml" not in str(caught.value)


def test_steps_that_are_cut_short_leave_a_warmup_too_long_with_a_warning(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, CNN.replace("num_steps: 40", "num_steps: 40, warmup_steps: 8"))
    heard = Heard()
    Plan.make(read(path, ["training.num_steps=8"]), heard)
    assert [line for line in heard.said if "training.warmup_steps (8) is not over after 8 steps" in line]
    heard = Heard()
    Plan.make(read(path, ["training.num_steps=9"]), heard)
    assert not [line for line in heard.said if "warmup" in line]


def test_a_shift_out_of_sight_is_refused_before_there_is_a_run(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, CNN)
    with pytest.raises(
        UsageError, match=r"^--set data\.augmentation\.shift=8:1:\d+: .* out of sight|a shift this large"
    ):
        creuset.train(path, name=tmp_path / "run", settings=["data.augmentation.shift=8"])
    assert not (tmp_path / "run").exists()


def test_fsdp_on_one_process_is_warned_of_and_trains(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, CNN.replace("num_steps: 40", "num_steps: 2, distributed: fsdp"))
    heard = Heard()
    run = creuset.train(path, measure=False, max_seconds=1e-6, progress=heard)
    warning = "warning: training.distributed: fsdp has no effect on one process"
    assert [line for line in heard.said if line.startswith(warning)]
    assert creuset.resume(run.path, measure=False).outcome.reason == "finished"


def test_a_run_goes_on_with_the_recipe_that_it_was_begun_with(tmp_path: Path) -> None:
    run = creuset.train(write_recipe(tmp_path, CNN), measure=False, max_seconds=1e-6)
    text = run.folder.recipe_path.read_text()
    run.folder.recipe_path.write_text(text.replace("warmup_steps: 0", "warmup_steps: 99"))
    assert creuset.resume(run.path, measure=False).outcome.reason == "finished"
