import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from creuset.errors import CheckpointError, NotFoundError, RecipeError, UsageError
from creuset.workflows.itinerary import (
    Itinerary,
    has_itinerary,
    read_itinerary,
    with_absolute_paths,
)
from creuset.workflows.journey import Journey
from creuset.workflows.legs import Leg, Station, plan_legs, settings_left_out
from small_runs import Heard

STATIONS = (
    Station(subject="logistic", recipe="logistic-mnist"),
    Station(subject="network", recipe="cnn-mnist", num_steps=400),
    Station(subject="VAE", recipe="vae-mnist", num_steps=3000, settings=("training.validate_every=300",)),
)


def values(*settings: str, share: float = 1.0, seed: int = 0) -> dict[str, dict[str, object]]:
    """Each station's recipe, with a tour's settings."""
    legs = plan_legs(STATIONS, Itinerary(settings=settings, steps_share=share, seed=seed))
    return {subject: leg.recipe.values() for subject, leg in legs.items()}


def test_steps_and_seed_are_the_tour_s() -> None:
    found = values(share=0.5, seed=3)
    assert [found[name]["training.num_steps"] for name in ("network", "VAE")] == [200, 1500]
    assert {found[name]["training.seed"] for name in found} == {3}
    assert found["VAE"]["training.validate_every"] == 300


def test_what_a_user_sets_wins_over_the_station_s_own() -> None:
    found = values("training.num_steps=77", "training.validate_every=7")
    assert [found[name]["training.num_steps"] for name in ("network", "VAE")] == [77, 77]
    assert found["VAE"]["training.validate_every"] == 7


@pytest.mark.parametrize("settings", [("training.num_steps=3",), ()])
def test_a_warmup_ends_within_few_steps(settings: tuple[str, ...]) -> None:
    found = values(*settings, share=0.01)["network"]
    assert found["training.warmup_steps"] == 0
    assert values("training.warmup_steps=2", share=0.01)["network"]["training.warmup_steps"] == 2


def test_a_setting_is_applied_where_it_has_an_effect_and_the_tour_says_where_not() -> None:
    settings = ("training.learning_rate=0.01", "data.source=digits", "model.latent_dim=9")
    legs = plan_legs(STATIONS, Itinerary(settings=settings))
    recipes = {subject: leg.recipe for subject, leg in legs.items()}
    assert {recipe.data.source for recipe in recipes.values()} == {"digits"}
    assert recipes["network"].training.learning_rate == 0.01
    assert recipes["VAE"].values()["model.latent_dim"] == 9
    assert "training.learning_rate=0.01" not in legs["logistic"].settings
    first, second = settings_left_out(legs, Itinerary(settings=settings))
    assert first.startswith(
        "`training.learning_rate=0.01` is not applied to logistic: training.learning_rate"
    )
    assert "the family linear is fitted in one go" in first
    assert second == (
        '`model.latent_dim=9` is not applied to logistic, network: unknown key "latent_dim" under model'
    )


TEXTS = (*STATIONS, Station(subject="decoder", recipe="decoder-python", num_steps=9, kind="corpus"))


def test_data_goes_to_the_models_that_are_of_it(tmp_path: Path) -> None:
    text = tmp_path / "own.txt"
    text.write_text("A text of one's own.\n")
    settings = (
        f"data.source={text}",
        "data={source: digits, limit: 200}",
        "data.context=32",
    )
    legs = plan_legs(TEXTS, Itinerary(settings=settings))
    recipes = {subject: leg.recipe for subject, leg in legs.items()}
    assert [recipe.data.source for recipe in recipes.values()] == [*["digits"] * 3, str(text)]
    assert (recipes["decoder"].data.context, recipes["VAE"].data.limit) == (32, 200)
    own, digits, context = settings_left_out(legs, Itinerary(settings=settings))
    assert " is not applied to logistic, network, VAE: this source is plain text, and these models" in own
    assert digits.endswith("to decoder: this source is no plain text, and these models are of plain text")
    assert context.endswith("to logistic, network, VAE: data.context has no effect on pictures")


@pytest.mark.parametrize("name", ["python-reference", "nothing.txt"])
def test_plain_text_is_told_by_its_name_too(name: str) -> None:
    legs = plan_legs(TEXTS, Itinerary(settings=(f"data.source={name}",)))
    assert legs["decoder"].recipe.data.source == name
    assert legs["VAE"].recipe.data.source == "mnist-5k"


def test_two_sources_for_the_same_models_are_refused() -> None:
    with pytest.raises(RecipeError, match="is set twice"):
        plan_legs(TEXTS, Itinerary(settings=("data.source=digits", "data.source=mnist-5k")))


def test_a_section_given_at_once_is_left_out_as_one() -> None:
    legs = plan_legs(STATIONS, Itinerary(settings=("training={learning_rate: 0.01, threads: 1}",)))
    assert legs["network"].recipe.training.learning_rate == 0.01
    assert legs["logistic"].left_out.keys() == {"training={learning_rate: 0.01, threads: 1}"}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.learning_rat=0.01", 'did you mean "learning_rate"'),
        ("model.nothing=1", 'unknown key "nothing"'),
        ("training.learning_rate=fast", "training.learning_rate: expected a number"),
        ("learning_rate", "expected KEY=VALUE"),
        ("players.critic.learning_rate=oops", "players.critic.learning_rate: expected a number"),
    ],
)
def test_a_setting_that_fits_no_station_is_refused_before_anything_is_made(
    setting: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        Journey.begin(tmp_path / "tour", Itinerary(settings=(setting,)), STATIONS, Heard())
    texts = [str(problem) for problem in caught.value.problems]
    assert len(set(texts)) == len(texts)
    assert not (tmp_path / "tour").exists()


def test_a_setting_given_twice_is_refused() -> None:
    with pytest.raises(RecipeError, match="is set twice"):
        values("data.source=digits", "data.source=mnist-5k")


@pytest.mark.parametrize("setting", ["evaluation.suite=none", "evaluation={suite: none}"])
def test_a_tour_without_scores_is_refused_before_anything_is_made(setting: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"evaluation\.suite: none leaves a tour without the scores"):
        Journey.begin(tmp_path / "tour", Itinerary(settings=(setting,)), STATIONS, Heard())
    assert not (tmp_path / "tour").exists()


def test_what_the_check_refuses_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    def check(legs: Mapping[str, Leg]) -> None:
        raise UsageError(", ".join(legs))

    with pytest.raises(UsageError, match="logistic, network, VAE"):
        Journey.begin(tmp_path / "tour", Itinerary(), STATIONS, Heard(), check)
    assert not (tmp_path / "tour").exists()


@pytest.mark.parametrize("share", [math.inf, math.nan, 0.0, -1.0, 1e300])
def test_a_share_is_a_number_of_which_steps_can_be_taken(share: float) -> None:
    with pytest.raises(ValidationError, match="steps_share"):
        Itinerary(steps_share=share)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    itinerary = Itinerary(settings=("data.source=digits",))
    with pytest.raises(UsageError, match="something else is in the way"):
        Journey.begin(tmp_path / "file", itinerary, STATIONS, Heard())
    with pytest.raises(UsageError, match="cannot be written"):
        has_itinerary(tmp_path / ("a" * 300))


def test_the_seed_is_an_option_of_its_own() -> None:
    with pytest.raises(UsageError, match=r"--set training\.seed=3: a tour has one seed for all"):
        values("training.seed=3")


def test_a_data_source_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my digits.npz").touch()
    monkeypatch.chdir(tmp_path)
    first, second, third = with_absolute_paths(
        ["data.source=my digits.npz", "data.source=digits", "training.seed=1"]
    )
    assert first == f'data.source="{tmp_path / "my digits.npz"}"'
    assert (second, third) == ("data.source=digits", "training.seed=1")
    assert values(first)["VAE"]["data.source"] == str(tmp_path / "my digits.npz")


def test_what_a_tour_was_asked_for_is_kept(tmp_path: Path) -> None:
    itinerary = Itinerary(settings=("data.source=digits",), steps_share=0.5, seed=2)
    journey = Journey.begin(tmp_path / "a tour", itinerary, STATIONS, Heard())
    assert journey.command == f"creuset tour --resume '{tmp_path / 'a tour'}'"
    found = read_itinerary(tmp_path / "a tour")
    assert found == itinerary
    assert found.differences(Itinerary(seed=2)) == [
        "steps_share 0.5, not 1.0",
        "settings ('data.source=digits',), not ()",
    ]


def test_where_no_tour_lies_none_goes_on(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no tour here"):
        read_itinerary(tmp_path)
    (tmp_path / "tour.json").write_text("{")
    with pytest.raises(CheckpointError, match="the tour's settings cannot be read"):
        read_itinerary(tmp_path)
    (tmp_path / "tour.json").write_text('{"format": 2, "route": []}')
    with pytest.raises(CheckpointError, match="written by a newer creuset"):
        read_itinerary(tmp_path)


def test_a_run_with_other_settings_is_refused(tmp_path: Path) -> None:
    from creuset.workflows.train import train

    stations = STATIONS[:1]
    itinerary = Itinerary(settings=("data.source=digits",))
    train("logistic-mnist", name=tmp_path / "runs" / "logistic-mnist", settings=itinerary.settings, seed=1,
          measure=False)  # fmt: skip
    with pytest.raises(UsageError, match="other settings than the tour asks for") as caught:
        Journey.begin(tmp_path, itinerary, stations, Heard())
    assert (caught.value.got, caught.value.expected) == ("training.seed 1", "training.seed 0")
    assert not (tmp_path / "tour.json").exists()
