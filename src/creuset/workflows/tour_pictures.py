"""The tour's chapter on making pictures: autoencoders, and four families that draw digits, in one table."""

from collections.abc import Mapping
from typing import Any

from creuset.data.dataset import Dataset
from creuset.models import family
from creuset.progress import Silent
from creuset.reporting.blocks import Block, Chapter, Figure, Section
from creuset.runs.folder import RunFolder
from creuset.workflows.chapters import loss_curves, picture_blocks, score_block
from creuset.workflows.collapse_panel import collapse_chapter
from creuset.workflows.compare import compare
from creuset.workflows.family_sheets import OF_SMALL_SHEETS, small_sheets
from creuset.workflows.family_table import REAL, family_table
from creuset.workflows.journey import Journey
from creuset.workflows.legs import Station
from creuset.workflows.load import load
from creuset.workflows.run_data import run_data
from creuset.workflows.score_figures import finding_blocks, floor_blocks, neighbour_figures

_FEW = "evaluation.num_generated=200"
"""Samples that distances are measured by: a tour has seconds for them, not minutes."""
_TIMED = 100
"""Samples that are drawn to see how long it takes, three times."""
STATIONS = (
    Station(subject="autoencoder", recipe="autoencoder-mnist", num_steps=1000),
    Station(subject="denoising autoencoder", recipe="denoising-autoencoder-mnist", num_steps=1000),
    Station(
        subject="VAE",
        recipe="vae-mnist",
        num_steps=3000,
        settings=("training.validate_every=300", "training.log_every=100", _FEW),
    ),
    Station(
        subject="GAN",
        recipe="gan-mnist",
        num_steps=500,
        settings=("model.condition=none", "training.log_every=50", "training.ema_decay=0.98", _FEW),
    ),
    Station(
        subject="PixelCNN",
        recipe="pixelcnn-mnist",
        num_steps=500,
        settings=(
            "model.num_layers=4",
            "model.channels=16",
            "data.batch_size=32",
            "training.log_every=50",
            "training.validate_every=250",
            "training.ema_decay=0.98",
            _FEW,
        ),
    ),
    Station(
        subject="flow matching",
        recipe="flow-mnist",
        num_steps=500,
        settings=("model.size=tiny", "training.log_every=50", "training.ema_decay=0.98", _FEW),
    ),
)


def generative(journey: Journey) -> Chapter:
    """Models that make or rebuild pictures, trained on the same digits."""
    runs = {station.subject: journey.visit(station) for station in STATIONS}
    documents = {subject: run.folder.evaluations()["images"] for subject, run in runs.items()}
    drawing = {
        subject: run.folder
        for subject, run in runs.items()
        if "samples" in family(run.folder.manifest().family).traits
    }
    rebuilding = {subject: document for subject, document in documents.items() if subject not in drawing}
    blocks: list[Block] = _one_table(drawing, journey)
    if rebuilding:
        caption = "Autoencoders rebuild test digits, and draw none."
        blocks.append(score_block(rebuilding, caption, ("mse", "psnr")))
    for subject, run in runs.items():
        loaded, document = run.model(), documents[subject]
        dataset = run_data(run.folder, Silent())
        own = [
            *finding_blocks(document),
            *floor_blocks(document, subject),
            *loss_curves(run.folder)[:1],
            *picture_blocks(loaded, dataset, journey.itinerary.seed),
            *_neighbours(run.folder, document),
            *_alarm(run.folder),
        ]
        blocks.append(Section(title=subject[0].upper() + subject[1:], blocks=own))
    return Chapter(
        title="Making pictures: five families on the same digits",
        lead="An autoencoder squeezes a digit into a few numbers and back; the VAE also learns how those "
        "numbers are spread, so that new digits can be drawn. A GAN learns to draw what a critic cannot tell "
        "from data, watched for collapse; a PixelCNN draws pixel by pixel; flow matching carries noise to "
        "digits.",
        blocks=blocks,
    )


def _one_table(runs: Mapping[str, RunFolder], journey: Journey) -> list[Block]:
    """Likelihoods, distances, costs and samples of the families that draw."""
    if len(runs) < 2:
        return []
    found = compare(list(runs.values()), suite="images", seed=journey.itinerary.seed)
    names = {folder.reference: subject for subject, folder in runs.items()}
    table = family_table(found, names, time_samples=_TIMED, progress=journey.progress)
    assert table is not None
    dataset: Dataset = run_data(next(iter(runs.values())), Silent())
    models = {subject: load(folder) for subject, folder in runs.items()}
    sheets = small_sheets(models, dataset, found.split, real=REAL if table.floors else None)
    return [table.grid(sheets, of_sheets=OF_SMALL_SHEETS)]


def _neighbours(run: RunFolder, document: Mapping[str, Any]) -> list[Figure]:
    """Generated digits beside training digits, from what the evaluation kept."""
    kept = run.evaluation_rows("images")
    return [] if kept is None else neighbour_figures(document, kept.arrays)


def _alarm(run: RunFolder) -> list[Block]:
    """What the collapse alarm saw of a model that draws; the others' own reports have theirs."""
    if family(run.manifest().family).collapses != "samples":
        return []
    return [Section(title=chapter.title, blocks=chapter.blocks) for chapter in collapse_chapter(run)]
