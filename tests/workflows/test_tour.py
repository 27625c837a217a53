import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from command_line import run_command
from creuset.data.load import load_data
from creuset.errors import Interrupted, UsageError
from creuset.recipe.sections import DataConfig
from creuset.runs.folder import RunFolder
from creuset.workflows import tour as module
from creuset.workflows import tour_pictures, tour_texts, tour_tuning
from creuset.workflows.itinerary import read_itinerary
from creuset.workflows.legs import Station
from creuset.workflows.tour import resume_tour, tour
from small_bases import conversations, write_base, write_rows
from small_runs import Heard, journal, tensors

SETTINGS = ("data.source=digits", "training.checkpoint_every=5", "training.log_every=1", "model.size=tiny")
RECIPES = ("logistic-mnist", "cnn-mnist", "vae-mnist", "decoder-python", "lstm-python", "tuned-questions")
SHIPPED = tour_tuning.STATIONS
TEXT = "".join(
    f"The {number}th line of this text says {number * 7 % 100} twice.\n\n" for number in range(300)
)


@pytest.fixture(autouse=True)
def few_stations(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    stations = [
        Station(subject=name, recipe=name, num_steps=None if name.startswith("log") else 10)
        for name in RECIPES[:3]
    ]
    monkeypatch.setattr(module, "DISCRIMINATIVE", tuple(stations[:2]))
    monkeypatch.setattr(tour_pictures, "STATIONS", tuple(stations[2:]))
    text = tmp_path_factory.mktemp("text") / "text.txt"
    text.write_text(TEXT)
    small = (f"data.source={text}", "data.context=32", "training.validate_every=5")
    own = {"decoder-python": ("model.embed_dim=16",), "lstm-python": ("model.hidden_dim=16",)}
    of_text = [
        Station(subject=name, recipe=name, num_steps=10, settings=(*small, *own[name]), kind="corpus")
        for name in RECIPES[3:5]
    ]
    monkeypatch.setattr(tour_texts, "STATIONS", tuple(of_text))
    base = write_base(tmp_path_factory.mktemp("base") / "base")
    chats = write_rows(base.parent / "chats.jsonl", conversations())
    of_chats = (
        f"model.base={base}",
        f"data.source={chats}",
        "training.sample_every=10",
        "training.validate_every=10",
        "evaluation.num_generated=2",
    )
    tuned = Station(subject=RECIPES[5], recipe=RECIPES[5], num_steps=10, settings=of_chats, kind="chats")
    monkeypatch.setattr(tour_tuning, "STATIONS", (tuned,))


class Interrupting(Heard):
    """Ctrl-C at a training step of the VAE."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def advance(self, done: float, values: object = None) -> None:
        if self.said[-1].startswith("vae on") and done == self.step:
            os.kill(os.getpid(), signal.SIGINT)


class Impatient(Heard):
    """Ctrl-C between two stations."""

    def say(self, message: str) -> None:
        super().say(message)
        if message == "tour: vae-mnist":
            raise KeyboardInterrupt


def runs_of(folder: Path) -> list[RunFolder]:
    return [RunFolder(folder / "runs" / name) for name in RECIPES]


def test_a_stopped_tour_goes_on_bit_for_bit(tmp_path: Path) -> None:
    tour(tmp_path / "whole", settings=SETTINGS)
    heard = Interrupting(7)
    with pytest.raises(Interrupted, match="stopped after step 7") as caught:
        tour(tmp_path / "stopped", settings=SETTINGS, progress=heard)
    command = f"creuset tour --resume {tmp_path / 'stopped'}"
    assert (caught.value.next_step, caught.value.exit_code) == (command, 130)
    assert not (tmp_path / "stopped" / "report.html").exists()
    written = [
        path.stat().st_mtime_ns for run in runs_of(tmp_path / "stopped")[:2] for path in [run.report_path]
    ]
    seconds = read_itinerary(tmp_path / "stopped").seconds

    answer = run_command(command.split()[1:])
    assert answer.exit_code == 0
    assert "cnn-mnist is finished, at step 10: nothing is left to train" in answer.stderr
    assert (tmp_path / "stopped" / "report.html").exists()
    for one, other in zip(runs_of(tmp_path / "stopped"), runs_of(tmp_path / "whole"), strict=True):
        assert journal(one) == journal(other)
        last = one.manifest().last
        ends = [
            {name: data for name, data in tensors(run).items() if name.startswith(str(last))}
            for run in (one, other)
        ]
        assert ends[0]
        assert ends[0] == ends[1]
        assert [score.to_json() for score in _scores(one)] == [score.to_json() for score in _scores(other)]
    assert written == [
        path.stat().st_mtime_ns for run in runs_of(tmp_path / "stopped")[:2] for path in [run.report_path]
    ]
    assert read_itinerary(tmp_path / "stopped").seconds["vae-mnist"] > seconds["vae-mnist"]


def _scores(run: RunFolder) -> list[object]:
    from creuset.workflows.evaluate import stored_scores

    return list(stored_scores(run))


def test_a_tour_stopped_between_two_trainings_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="the tour was stopped; what is finished is kept") as caught:
        tour(tmp_path, settings=SETTINGS, progress=Impatient())
    assert (caught.value.next_step, caught.value.exit_code) == (f"creuset tour --resume {tmp_path}", 130)
    # the same call goes on as well, another one does not
    for other in ({"settings": SETTINGS[:2]}, {"seed": 1}, {"steps_share": 0.5}):
        with pytest.raises(UsageError, match="a tour with other settings lies here") as refused:
            tour(tmp_path, **{"settings": SETTINGS, **other})  # type: ignore[arg-type]
        assert f"creuset tour --resume {tmp_path}, or another --out" == refused.value.next_step
    assert tour(tmp_path, settings=SETTINGS) == tmp_path / "report.html"
    text = (tmp_path / "report.html").read_text()
    assert "creuset tour --seed 0 --steps-share 1.0 --set data.source=digits" in text
    assert "model.size=tiny</code> is not applied to logistic-mnist" in text
    # what auto came to stands in the command that makes the single model again
    precision = RunFolder(tmp_path / "runs" / "vae-mnist").manifest().precision
    assert f"--set training.precision={precision} --seed 0" in text
    assert resume_tour(tmp_path) == tmp_path / "report.html"  # nothing is left but the page


@pytest.mark.parametrize("words", [["--seed", "0"], ["--set", "a=1"], ["--steps-share", "1"], ["--out", "x"]])
def test_a_tour_that_goes_on_takes_no_settings(words: list[str], tmp_path: Path) -> None:
    answer = run_command(["tour", "--resume", str(tmp_path), *words])
    assert answer.exit_code == 2
    assert "--resume takes folder, seed, steps and settings from the tour itself" in answer.stderr


def test_no_tour_is_exit_code_3(tmp_path: Path) -> None:
    answer = run_command(["tour", "--resume", str(tmp_path / "nothing")])
    assert answer.exit_code == 3
    assert "no tour here" in answer.stderr


def test_a_misspelt_setting_is_exit_code_2_and_nothing_is_made(tmp_path: Path) -> None:
    answer = run_command(["tour", "--out", str(tmp_path / "x"), "--set", "training.learning_rat=0.1"])
    assert answer.exit_code == 2
    assert 'did you mean "learning_rate"?' in answer.stderr
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "evaluation.suite=none"], "evaluation.suite: none leaves a tour without the scores"),
        (["--set", "data.test_share=0"], "data.test_share: a tour measures its models on a test split"),
        (["--steps-share", "inf"], "--steps-share: not a share of steps"),
        (["--steps-share", "nan"], "--steps-share: not a share of steps"),
        (["--steps-share", "1e300"], "--steps-share: not a share of steps"),
    ],
)
def test_what_no_report_could_be_made_of_is_refused_first(
    words: list[str], message: str, tmp_path: Path
) -> None:
    answer = run_command(["tour", "--out", str(tmp_path / "x"), "--set", "data.source=digits", *words])
    assert answer.exit_code == 2
    assert message in answer.stderr
    assert not (tmp_path / "x").exists()


def test_a_text_that_is_not_there_is_exit_code_3_and_nothing_is_made(tmp_path: Path) -> None:
    words = ["--set", "data.source=digits", "--set", "data.source=nothing.txt"]
    answer = run_command(["tour", "--out", str(tmp_path / "x"), *words])
    assert answer.exit_code == 3
    assert "data.source: no such file\n  got: nothing.txt" in answer.stderr
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("kind", "message"),
    [("pictures", "this data has no labels"), ("table", "a tour's models are of pictures")],
)
def test_data_that_the_models_cannot_be_compared_on_is_refused_first(
    kind: str, message: str, tmp_path: Path
) -> None:
    if kind == "pictures":
        source = tmp_path / "unlabelled.npz"
        pictures = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
        np.savez(source, train_images=pictures)
    else:
        source = tmp_path / "table.csv"
        rows = "".join(f"{number},{number % 7},{'ab'[number % 2]}\n" for number in range(60))
        source.write_text(f"first,second,label\n{rows}")
    answer = run_command(["tour", "--out", str(tmp_path / "x"), "--set", f"data.source={source}"])
    assert answer.exit_code == 2
    assert message in answer.stderr
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["file", "a" * 300])
def test_a_tour_into_an_impossible_folder_is_exit_code_2(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = run_command(["tour", "--out", str(tmp_path / name), "--set", "data.source=digits"])
    assert answer.exit_code == 2
    assert "cannot be written" in answer.stderr


def test_the_chapter_on_texts_compares_and_continues(tmp_path: Path) -> None:
    page = tour(tmp_path / "tour", settings=SETTINGS).read_text()
    assert "lstm-python against decoder-python: " in page
    for words in (
        "validation loss against seconds of training",
        "loss against the tokens read before",
        "heads by layers",
        '<p class="name">the text itself</p><div class="passage"> ',
        "Behind “",
        '<p class="name">lstm-python</p><div class="passage">',
        "tokens/s",
    ):
        assert words in page
    # the starter assets are not here: the page says so, and goes on
    assert "No text by smollm2-135m" in page
    assert "<code>creuset models pull smollm2-135m</code>" in page
    assert "data.source=digits</code> is not applied to decoder-python, lstm-python, tuned-questions" in page
    assert "this source is no plain text, and these models are of plain text" in page


def test_the_chapter_on_tuning_shows_before_and_after_and_a_certificate(tmp_path: Path) -> None:
    page = tour(tmp_path / "tour", settings=SETTINGS).read_text()
    exported = tmp_path / "tour" / "exports" / "tuned-questions.q8_0.gguf"
    certificate = json.loads(exported.with_name(f"{exported.name}.certificate.json").read_text())
    assert certificate["passed"]
    for words in ("nats_per_token", "Answer 2", exported.name, "passed", "expected"):
        assert words in page
    assert "its export for llama.cpp" in read_itinerary(tmp_path / "tour").seconds
    # what is finished stays as it is
    before = exported.stat().st_mtime_ns
    resume_tour(tmp_path / "tour")
    assert exported.stat().st_mtime_ns == before


def test_without_the_starter_model_nothing_is_tuned_and_the_page_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tour_tuning, "STATIONS", SHIPPED)
    monkeypatch.setattr(module, "CHAPTERS", (tour_tuning.tuning,))
    page = tour(tmp_path / "tour", settings=SETTINGS).read_text()
    assert "No model was tuned: " in page
    assert "<code>creuset models pull smollm2-135m</code>" in page


@pytest.mark.starter
def test_a_model_that_others_trained_goes_on_with_the_same_words(starter: Path, tmp_path: Path) -> None:
    if not (starter / "models" / "smollm2-135m" / "asset.json").is_file():
        pytest.skip("needs the starter assets (creuset models pull starter)")
    with_texts = tour_texts._by_others("The sum of two and two is", 0)
    assert with_texts == tour_texts._by_others("The sum of two and two is", 0)
    assert len(with_texts.split()) > 5


def test_text_of_one_s_own_goes_to_the_models_of_text(tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text(TEXT.replace("twice", "once"))
    settings = (*SETTINGS, f"data.source={own}")
    page = tour(tmp_path / "tour", settings=settings, steps_share=0.1).read_text()
    runs = runs_of(tmp_path / "tour")
    assert [run.manifest().data_source for run in runs[:5]] == ["digits"] * 3 + [str(own)] * 2
    assert "this source is plain text, and these models are of pictures" in page


@pytest.mark.parametrize(("context", "prompt"), [(64, ""), (20, "these words")])
def test_a_prompt_fits_into_the_context_and_holds_nothing_unknown(
    context: int, prompt: str, tmp_path: Path
) -> None:
    head = "".join(f"{number} of these words are known\n" for number in range(40))
    tail = "ß stands in no other part of this text\n\nthese words are known ones\n"
    text = tmp_path / "text.txt"
    text.write_text(head + tail)
    config = DataConfig(
        source=str(text),
        context=context,
        tokenizer="characters",
        test_share=(len(tail) - 0.5) / len(head + tail),  # cut before the ß
    )
    dataset = load_data(config, seed=0, resolve=Path)
    assert dataset.tokenizer is not None
    found, rest = tour_texts.prompt_of(dataset, dataset.tokenizer)
    assert found == prompt
    assert rest.startswith(" are known ones" if prompt else "ß stands")
