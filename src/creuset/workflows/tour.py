"""`creuset tour`: real models on real data through the verbs' own functions, into one report.

Each chapter is a function that trains what it needs and returns what it shows; a chapter joins by being
added to CHAPTERS. What is trained and for how long is written in the table at the head of its function's
section, as shipped recipes with the settings that fit them into the tour's minutes.
"""

import shlex
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from creuset.assets import workspace
from creuset.data.dataset import Dataset
from creuset.device import machine_facts, peak_memory_bytes
from creuset.errors import DataError, Interrupted, UsageError
from creuset.evaluation import split_hash
from creuset.metrics.classification import classification_scores
from creuset.metrics.floors import PixelCounts
from creuset.metrics.predictions import Predictions
from creuset.metrics.signature import Context
from creuset.progress import Progress, Silent
from creuset.reporting.blocks import Chapter, Commands, Document, Finding, Section, Timing
from creuset.reporting.document import write_report
from creuset.workflows import tour_pictures, tour_texts, tour_tuning
from creuset.workflows.chapters import (
    classification_figures,
    loss_curves,
    score_block,
)
from creuset.workflows.itinerary import (
    MOST_STEPS_SHARE,
    Itinerary,
    has_itinerary,
    read_itinerary,
    with_absolute_paths,
)
from creuset.workflows.journey import Journey
from creuset.workflows.legs import Leg, Station, settings_left_out
from creuset.workflows.plan import placed_errors
from creuset.workflows.run_data import load_run_data, run_data
from creuset.workflows.tour_pictures import generative
from creuset.workflows.tour_texts import require_plain_text, texts
from creuset.workflows.tour_tuning import tuning
from creuset.workflows.train import free_path

DISCRIMINATIVE = (
    Station(subject="logistic regression", recipe="logistic-mnist"),
    Station(subject="support vector machine", recipe="svm-mnist"),
    Station(subject="convolutional network", recipe="cnn-mnist", num_steps=400),
    Station(subject="recurrent network", recipe="rnn-mnist", num_steps=300),
)


def tour(
    out: Path | None = None,
    *,
    settings: Sequence[str] = (),
    steps_share: float = 1.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Trains, samples, measures and reports; returns the report's path.

    Where `out` holds a tour with the same settings, it goes on: finished runs are left as they are, a stopped
    one goes on bit for bit.

    Args:
        out: The folder for runs/ and report.html; default: tour, or tour-2, ... in the workspace.
        settings: Values in place of recipes' values, such as "training.num_steps=100", for each model on
            which they have an effect: data.source is the models' of text where it names plain text, else
            those of pictures.
        steps_share: Share of each model's training steps, in (0, MOST_STEPS_SHARE]; below 1 for a quicker,
            poorer tour.
        seed: Decides every random draw.
        progress: Who watches.

    Raises:
        BlockedError, NotFoundError: The data is not there; `creuset models pull starter` brings it.
        RecipeError: A setting that has an effect on no model, or a wrong one, or leaves models unmeasured.
        DataError: The data has no labels or no test split, or holds no pictures.
        UsageError: `out` holds a tour, or a run, with other settings, or cannot be written; no such share.
        Interrupted: A signal came; `creuset tour --resume` goes on.
    """
    if not 0 < steps_share <= MOST_STEPS_SHARE:
        raise UsageError(
            "not a share of steps",
            where="--steps-share",
            got=steps_share,
            expected=f"a number above 0, of at most {MOST_STEPS_SHARE:.0f}",
        )
    folder = free_path(workspace(), "tour") if out is None else out
    itinerary = Itinerary(seed=seed, steps_share=steps_share, settings=with_absolute_paths(settings))
    if has_itinerary(folder):
        there = read_itinerary(folder)
        other = there.differences(itinerary)
        if other:
            raise UsageError(
                "a tour with other settings lies here",
                where=folder,
                got="; ".join(other),
                next_step=f"{shlex.join(['creuset', 'tour', '--resume', str(folder)])}, or another --out",
            )
        itinerary = there
    return _travel(folder, itinerary, Silent() if progress is None else progress)


def resume_tour(folder: Path, *, progress: Progress | None = None) -> Path:
    """Goes on with a tour that was stopped, with its own seed, steps and settings; returns the report's path.

    Raises:
        NotFoundError: There is no tour.
        UsageError: A run of it was made with other settings.
        Interrupted: A signal came again.
    """
    return _travel(folder, read_itinerary(folder), Silent() if progress is None else progress)


def _travel(folder: Path, itinerary: Itinerary, progress: Progress) -> Path:
    begin = time.monotonic()
    stations = [*DISCRIMINATIVE, *tour_pictures.STATIONS, *tour_texts.STATIONS, *tour_tuning.STATIONS]
    journey = Journey.begin(folder, itinerary, stations, progress, _require_fitting_data)
    try:
        chapters = [chapter(journey) for chapter in CHAPTERS]
        path = journey.folder / "report.html"
        write_report(_document(journey, chapters, time.monotonic() - begin), path)
    except Interrupted as error:
        error.next_step = journey.command
        raise
    except KeyboardInterrupt:
        raise Interrupted(
            "the tour was stopped; what is finished is kept",
            signal_number=signal.SIGINT,
            next_step=journey.command,
        ) from None
    return path


def _require_fitting_data(legs: Mapping[str, Leg]) -> None:
    """Loads the data once and refuses what the chapters could not compare models on.

    Raises:
        DataError: It has no labels or no test split, or holds no pictures.
    """
    recipe = legs[DISCRIMINATIVE[0].subject].recipe
    with placed_errors(recipe):
        dataset = load_run_data(recipe.data, Silent())
        if dataset.spec.kind != "images":
            raise DataError(
                "a tour's models are of pictures",
                where="data.source",
                got=f"{recipe.data.source}, which holds {dataset.spec.kind}",
                expected="pictures with labels",
            )
        if not dataset.spec.class_names:
            raise DataError(
                "a tour compares classifiers, and this data has no labels",
                where="data.source",
                got=recipe.data.source,
                expected="pictures with labels, such as a folder for each class",
            )
        if "test" not in dataset.splits:
            raise DataError(
                "a tour measures its models on a test split, and this data has none",
                where="data.test_share",
                got=recipe.data.test_share,
                expected="a share above 0",
            )
    require_plain_text(legs)


def _document(journey: Journey, chapters: Sequence[Chapter], seconds: float) -> Document:
    """The report; `seconds` went by since the tour began, or went on."""
    drawing = seconds - journey.seconds_here
    total = sum(journey.itinerary.seconds.values()) + drawing
    machine = machine_facts()
    return Document(
        title="A tour of creuset",
        subtitle="Discriminative and generative models on the same real digits, language models on the same "
        "real text, and one that others trained, tuned: with numbers you can check.",
        facts={
            "took": f"{total:.0f} s",
            "seed": journey.itinerary.seed,
            "share of training steps": journey.itinerary.steps_share,
            "processor": machine["processor"],
            "threads": machine["threads"],
            "torch": machine["torch"],
            "peak memory": f"{peak_memory_bytes() / 1e6:.0f} MB",
        },
        chapters=[*chapters, _last_chapter(journey, drawing)],
        colophon=f"Made by creuset {machine['creuset']}.",
    )


def discriminative(journey: Journey) -> Chapter:
    """Which digit is it? Models of p(class | picture), beside one generative model used as a classifier."""
    runs = {station.subject: journey.visit(station) for station in DISCRIMINATIVE}
    documents = {subject: run.folder.evaluations()["classification"] for subject, run in runs.items()}
    first = next(iter(runs.values()))
    dataset = run_data(first.folder, Silent())
    documents["class mixture of pixels (generative)"] = pixel_mixture_classifier(dataset)
    shown = ("accuracy", "f1_macro", "auroc", "calibration_error")
    best = max(runs, key=lambda subject: documents[subject]["scores"][0]["value"])
    curves = [
        Section(title=f"Training of the {subject}", blocks=loss_curves(run.folder)[:1])
        for subject, run in runs.items()
        if loss_curves(run.folder)
    ]
    return Chapter(
        title="Which digit is it? Discriminative against generative models",
        lead="Four models learn p(class | picture). A fifth learns p(picture | class), pixel by pixel, and "
        "answers by Bayes' rule.",
        blocks=[
            score_block(documents, "Classification of test digits that no model has seen.", shown),
            Finding(text=_overlap(documents, best)),
            *classification_figures(documents[best]),
            *curves,
        ],
    )


def pixel_mixture_classifier(dataset: Dataset) -> dict[str, Any]:
    """The classification suite's document for the class mixture of independent pixels on the test split."""
    train_split, test = dataset.split("train"), dataset.split("test")
    assert train_split.labels is not None
    assert test.labels is not None
    top = dataset.spec.num_levels - 1
    model = PixelCounts.from_grey(train_split.inputs.numpy() / top, train_split.labels.numpy()).fit()
    logits = model.expected_class_log_joint(test.inputs.numpy() / top)
    predictions = Predictions.from_logits(logits, test.labels.numpy())
    context = Context(data=split_hash(dataset, "test"), split="test", seed=0)
    scores = classification_scores(predictions, context=context)
    return {"scores": [score.to_json() for score in scores], "split": "test", "suite": "classification"}


CHAPTERS: tuple[Callable[[Journey], Chapter], ...] = (discriminative, generative, texts, tuning)
"""In the order of the report."""


def _last_chapter(journey: Journey, drawing: float) -> Chapter:
    itinerary = journey.itinerary
    command = [
        "creuset",
        "tour",
        "--seed",
        str(itinerary.seed),
        "--steps-share",
        str(itinerary.steps_share),
    ]
    changed = [word for setting in itinerary.settings for word in ("--set", setting)]
    remarks = [
        Finding(text=f"{text}.", kind="warning") for text in settings_left_out(journey.legs, itinerary)
    ]
    return Chapter(
        title="How long it took, and how to do it again",
        lead="Training, measuring and drawing together; the runs lie in `runs/` beside this report, each "
        "with a report of its own.",
        blocks=[
            Timing(seconds={**itinerary.seconds, "drawing and writing this page": drawing}),
            *remarks,
            Commands(commands=[shlex.join([*command, *changed])], caption="All of it."),
            Commands(commands=journey.commands, caption="Single models."),
        ],
    )


def _overlap(documents: Mapping[str, Mapping[str, Any]], best: str) -> str:
    """Which models the best one's interval of accuracy overlaps."""
    accuracy = {
        subject: next(score for score in document["scores"] if score["metric"] == "accuracy")
        for subject, document in documents.items()
    }
    low = accuracy[best]["interval"][0]
    near = [s for s, score in accuracy.items() if s != best and score["interval"][1] >= low]
    text = f"Highest accuracy: {best}, {accuracy[best]['value']:.3f} on {accuracy[best]['n']} digits. "
    if near:
        return text + f"Its interval overlaps that of: {', '.join(near)}."
    return text + "Its interval overlaps none of the others'."
