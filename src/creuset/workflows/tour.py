"""`creuset tour`: real models on real data through the verbs' own functions, into one report.

Each chapter is a function that trains what it needs and returns what it shows; a chapter joins by being
added to CHAPTERS. What is trained and for how long is written in the table at the head of its function's
section, as shipped recipes with the settings that fit them into the tour's minutes.
"""

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from creuset.assets import workspace
from creuset.data.dataset import Dataset
from creuset.device import machine_facts, peak_memory_bytes
from creuset.evaluation import split_hash
from creuset.metrics.classification import classification_scores
from creuset.metrics.floors import PixelCounts
from creuset.metrics.predictions import Predictions
from creuset.metrics.signature import Context
from creuset.progress import Progress, Silent
from creuset.reporting.blocks import Block, Chapter, Commands, Document, Finding, Section, Timing
from creuset.reporting.document import write_report
from creuset.workflows.chapters import (
    classification_figures,
    floor_table,
    loss_curves,
    picture_blocks,
    score_block,
)
from creuset.workflows.evaluate import run_data
from creuset.workflows.train import Run, free_path, train, typed_command


@dataclass(frozen=True, kw_only=True)
class Station:
    """One model of the tour: a shipped recipe, the steps that fit the tour, and other settings for so few."""

    subject: str
    recipe: str
    num_steps: int | None = None
    settings: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Journey:
    """What the chapters share: where runs go, what the user set, and how long each step took."""

    folder: Path
    settings: tuple[str, ...]
    steps_share: float
    seed: int
    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)

    def visit(self, station: Station) -> Run:
        """Trains and measures one model."""
        self.progress.say(f"tour: {station.subject}")
        begin = time.monotonic()
        settings = [*self._steps(station), *station.settings, *self.settings]
        run = train(
            station.recipe,
            name=self.folder / "runs" / station.recipe,
            seed=self.seed,
            settings=settings,
            progress=self.progress,
        )
        self.seconds[station.subject] = time.monotonic() - begin
        changed = [word for setting in settings for word in ("--set", setting)]
        command = ["creuset", "train", station.recipe, *changed, "--seed", str(self.seed)]
        self.commands.append(shlex.join(command))
        return run

    def _steps(self, station: Station) -> list[str]:
        if station.num_steps is None:
            return []
        return [f"training.num_steps={max(1, round(station.num_steps * self.steps_share))}"]


DISCRIMINATIVE = (
    Station(subject="logistic regression", recipe="logistic-mnist"),
    Station(subject="support vector machine", recipe="svm-mnist"),
    Station(subject="convolutional network", recipe="cnn-mnist", num_steps=400),
    Station(subject="recurrent network", recipe="rnn-mnist", num_steps=300),
)
GENERATIVE = (
    Station(subject="autoencoder", recipe="autoencoder-mnist", num_steps=1000),
    Station(
        subject="denoising autoencoder",
        recipe="denoising-autoencoder-mnist",
        num_steps=1000,
    ),
    Station(
        subject="VAE",
        recipe="vae-mnist",
        num_steps=3000,
        settings=("training.validate_every=300", "training.log_every=100"),
    ),
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

    Args:
        out: The folder for runs/ and report.html; default: tour, or tour-2, ... in the workspace.
        settings: Values in place of those of every recipe, such as "data.source=digits".
        steps_share: Share of each model's training steps, above 0; below 1 for a quicker, poorer tour.
        seed: Decides every random draw.
        progress: Who watches.

    Raises:
        BlockedError, NotFoundError: The data is not there; `creuset models pull starter` brings it.
        UsageError: A setting that a recipe refuses.
    """
    begin = time.monotonic()
    journey = Journey(
        folder=out if out is not None else free_path(workspace(), "tour"),
        settings=tuple(settings),
        steps_share=steps_share,
        seed=seed,
        progress=Silent() if progress is None else progress,
    )
    chapters = [chapter(journey) for chapter in CHAPTERS]
    total = time.monotonic() - begin
    chapters.append(_last_chapter(journey, total))
    machine = machine_facts()
    document = Document(
        title="A tour of creuset",
        subtitle="Discriminative and generative models on the same real digits, with numbers you can check.",
        facts={
            "took": f"{total:.0f} s",
            "seed": seed,
            "processor": machine["processor"],
            "threads": machine["threads"],
            "torch": machine["torch"],
            "peak memory": f"{peak_memory_bytes() / 1e6:.0f} MB",
        },
        chapters=chapters,
        colophon=f"Made by creuset {machine['creuset']}.",
    )
    path = journey.folder / "report.html"
    write_report(document, path)
    return path


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


def generative(journey: Journey) -> Chapter:
    """Models that make or rebuild pictures, trained on the same digits."""
    runs = {station.subject: journey.visit(station) for station in GENERATIVE}
    documents = {subject: run.folder.evaluations()["images"] for subject, run in runs.items()}
    blocks: list[Block] = [
        score_block(
            documents,
            "On the same test digits. NLL: nats of a binarised digit, bound with importance samples.",
            ("nll", "elbo", "mse", "psnr"),
        )
    ]
    for document in documents.values():
        blocks.extend(floor_table(document))
    dataset: Dataset | None = None
    for subject, run in runs.items():
        loaded = run.model()
        dataset = dataset or run_data(run.folder, Silent())
        blocks.append(
            Section(
                title=subject[0].upper() + subject[1:],
                blocks=[*loss_curves(run.folder)[:1], *picture_blocks(loaded, dataset, journey.seed)],
            )
        )
    return Chapter(
        title="Making pictures: autoencoders and the VAE",
        lead="An autoencoder squeezes a digit into a few numbers and back; the VAE also learns how those "
        "numbers are spread, so that new digits can be drawn, and gives each digit a likelihood.",
        blocks=blocks,
    )


CHAPTERS: tuple[Callable[[Journey], Chapter], ...] = (discriminative, generative)
"""In the order of the report."""


def _last_chapter(journey: Journey, total: float) -> Chapter:
    timing = {**journey.seconds, "loading, drawing, writing": total - sum(journey.seconds.values())}
    return Chapter(
        title="How long it took, and how to do it again",
        lead="Training, measuring and drawing together; the runs lie in `runs/` beside this report, each "
        "with a report of its own.",
        blocks=[
            Timing(seconds=timing),
            Commands(commands=[typed_command("creuset.workflows.tour.tour()")], caption="All of it."),
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
