from pathlib import Path

import pytest

from creuset.errors import RecipeError
from creuset.models import family
from creuset.workflows.plan import check_effects, read
from small_runs import CNN, LINEAR, VAE, write_recipe


def check(folder: Path, text: str, name: str, *settings: str) -> None:
    recipe = read(write_recipe(folder, text, name), settings)
    check_effects(recipe, family(recipe.model.family))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            LINEAR + "training: {num_steps: 5}",
            r"linear\.yaml:4:1: training\.num_steps has no effect.*without steps",
        ),
        (LINEAR + "training: {ema_decay: 0.9}", r"training\.ema_decay has no effect"),
        (
            LINEAR.replace("digits}", "digits, batch_size: 7}"),
            r"linear\.yaml:3:1: data\.batch_size has no effect",
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
        (CNN.replace("num_steps: 40", "num_steps: 40, sample_every: 5"), r"makes no pictures"),
        (
            CNN + "evaluation: {suite: images}",
            r"evaluation\.suite: images does not fit the family cnn",
        ),
        (
            VAE.replace("{num_imp", "{suite: none, num_imp"),
            r"num_importance_samples has no effect: evaluation\.suite is none",
        ),
        (
            VAE.replace("{num_imp", "{suite: classification, num_imp"),
            r"vae\.yaml:\d+:1: evaluation\.suite: classification does not fit .* there is: images, none",
        ),
    ],
)
def test_a_setting_without_effect_is_refused_where_it_stands(text: str, message: str, tmp_path: Path) -> None:
    name = "linear" if "family: linear" in text else "vae" if "family: vae" in text else "cnn"
    with pytest.raises(RecipeError, match=message):
        check(tmp_path, text, name)


def test_a_setting_of_the_command_line_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"--set training\.num_steps"):
        check(tmp_path, LINEAR, "linear", "training.num_steps=7")


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
