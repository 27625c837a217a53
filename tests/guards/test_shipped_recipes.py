"""Every recipe that is shipped resolves, says what it is, and takes two real steps."""

from pathlib import Path

import pytest

from command_line import run_command
from creuset.data.spec import DataSpec
from creuset.models import family, family_configs
from creuset.models.base import Model
from creuset.recipe.evaluation import EvaluationConfig
from creuset.recipe.resolve import read_recipe
from creuset.recipe.source import shipped_recipes
from small_bases import anchored, write_base, write_rows
from sounds import tone_folder

RECIPES = shipped_recipes()
STARTER_DATA = ("mnist-5k",)
OWN_TEXT = ("shakespeare.txt", "texts", "text.txt")
OWN_PAIRS = ("pairs.jsonl",)
OWN_SOUND = ("spoken_digits",)
"""Sources that stand for a text or sound of one's own."""


def test_there_are_recipes() -> None:
    families = {read_recipe(path, families=family_configs()).model.family for path in RECIPES.values()}
    assert families == set(family_configs())


@pytest.mark.parametrize("name", RECIPES)
def test_it_resolves_and_says_what_it_is(name: str) -> None:
    recipe = read_recipe(name, families=family_configs())
    assert recipe.name == name
    assert RECIPES[name].read_text().startswith("# ")
    answer = run_command(["config", "check", name])
    assert (answer.exit_code, answer.stdout) == (0, f"{name}: nothing wrong\n")


@pytest.mark.starter
@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_it_takes_two_steps(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    recipe = read_recipe(name, families=family_configs())
    own: list[str] = []
    if recipe.data.source in OWN_TEXT:
        text = tmp_path / "text.txt"
        text.write_text("".join(f"{number} and {number * 7 % 100} are numbers\n" for number in range(1000)))
        own = ["--set", f"data.source={text}"]
    if recipe.data.source in OWN_PAIRS:
        text = tmp_path / "pairs.jsonl"
        line = '{{"source": "{} and {} are numbers", "target": "{} et {} sont des nombres, dit-il"}}\n'
        text.write_text("".join(line.format(n, n * 7, n, n * 7 % 100) for n in range(1500)))
        own = ["--set", f"data.source={text}"]
    if family(recipe.model.family).tune is not None:  # a base, made here in short
        rows = [{"text": f"a {('good', 'bad')[n % 2]} thing {n}", "label": "yn"[n % 2]} for n in range(300)]
        own = ["--set", f"model.base={write_base(tmp_path / 'base')}", "--set", "evaluation.suite=none"]
        if recipe.model.family == "tuned_classifier":
            own += ["--set", f"data.source={write_rows(tmp_path / 'texts.jsonl', rows)}"]
        if recipe.model.family == "tuned_embedder":
            own += ["--set", f"data.source={write_rows(tmp_path / 'pairs.jsonl', anchored())}"]
    if recipe.data.source.startswith("run:"):  # the codes of a first stage, made here in short
        first = str(tmp_path / "first")
        short = ["--set", "data.source=digits", "--set", "model.size=tiny", "--set", "training.num_steps=2"]
        answer = run_command(["train", "vqvae-mnist", "--name", first, "--no-eval", *short])
        assert answer.exit_code == 0, answer.stderr
        own = ["--set", f"data.source=run:{first}"]
    if recipe.evaluation.extractor != EvaluationConfig().extractor:  # a classifier, made here in short
        request.getfixturevalue("starter")
        judge = str(tmp_path / "judge")
        short = ["--set", "data.limit=200", "--set", "training.num_steps=2"]
        answer = run_command(["train", recipe.evaluation.extractor, "--name", judge, "--no-eval", *short])
        assert answer.exit_code == 0, answer.stderr
        own += ["--set", f"evaluation.extractor={judge}"]
    if recipe.data.source in OWN_SOUND:
        own = ["--set", f"data.source={tone_folder(tmp_path / 'tones', num=40)}"]
    if own and recipe.data.tokenizer in ("byte_bpe", "wordpiece", "unigram"):  # few words, all told
        own += ["--set", "data.vocabulary_size=300"]
    if recipe.data.source in STARTER_DATA:
        request.getfixturevalue("starter")
    if "gradient" in family(recipe.model.family).traits:
        answer = run_command(["train", name, "--dry-run", *own])
        assert "step 3 gave the same numbers on both" in answer.stdout
    else:
        answer = run_command(["train", name, "--no-eval", "--set", "data.limit=200"])
        assert "finished after 1 steps" in answer.stdout
    assert answer.exit_code == 0, answer.stderr


SHAKESPEARE = ("decoder-shakespeare", "lstm-shakespeare", "gru-shakespeare")
PYTHON = ("decoder-python", "lstm-python")


@pytest.mark.parametrize(
    ("names", "num_tokens"), [(SHAKESPEARE, 68), (SHAKESPEARE, 106), (PYTHON, 100), (PYTHON, 112)]
)
def test_language_models_to_be_compared_are_of_one_size(names: tuple[str, ...], num_tokens: int) -> None:
    sizes = {}
    for name in names:
        recipe = read_recipe(name, families=family_configs())
        spec = DataSpec(
            kind="corpus",
            shape=(),
            num_levels=0,
            context=recipe.data.context,
            tokenizer="made up",
            tokenizer_size=num_tokens,
            bytes_per_token=1.0,
        )
        model = family(recipe.model.family).build(recipe.model, spec)
        assert isinstance(model, Model)
        sizes[name] = sum(parameter.numel() for parameter in model.parameters())
    assert max(sizes.values()) < 1.02 * min(sizes.values()), sizes


@pytest.mark.parametrize("names", [SHAKESPEARE, PYTHON])
def test_language_models_to_be_compared_are_trained_alike(names: tuple[str, ...]) -> None:
    first, *others = [read_recipe(name, families=family_configs()).values() for name in names]
    for other in others:
        unlike = {key for key in first if not key.startswith("model.") and first[key] != other.get(key)}
        assert unlike <= {"training.precision"}


def test_a_recipe_written_out_is_the_same_recipe(tmp_path: Path) -> None:
    for name in RECIPES:
        recipe = read_recipe(name, families=family_configs())
        path = tmp_path / f"{name}.yaml"
        path.write_text(recipe.to_yaml())
        assert read_recipe(path, families=family_configs()) == recipe
