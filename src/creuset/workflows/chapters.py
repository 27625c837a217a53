"""The blocks that the report of a run and the report of the tour are made of, from a run folder."""

import re
from typing import Any

import numpy as np
import torch

from creuset.data.dataset import Dataset
from creuset.generation.fillings import Passage, held_out_passages, quoted
from creuset.generation.pictures import to_pictures
from creuset.generation.transduction import held_out
from creuset.metrics.score import Score
from creuset.models.encoder_decoder import EncoderDecoder
from creuset.models.masked_language_model import MaskedLanguageModel
from creuset.reporting.blocks import Block, Figure, Measured, Passages, Scores, Section, Table, Text
from creuset.reporting.charts import Axis, LineChart, ReliabilityChart, Series, confusion_matrix
from creuset.reporting.sheet import comparison_sheet, picture_sheet
from creuset.runs.folder import RunFolder
from creuset.runs.journal import read_journal, without_abandoned
from creuset.workflows.generate import code_map
from creuset.workflows.load import Loaded

_SHEET = 60
_COMPARED = 10
_TEXTS = 2
_PAIRS = 6
_PASSAGES, _GUESSES = 3, 3
_LONG_WORD = re.compile(r"\S{24}(?=\S)")
_MAP_POINTS = 2000
"""Points of a latent map: more only cover each other."""


def loss_curves(run: RunFolder, *, against: str = "step") -> list[Figure]:
    """What training and validation reported, a chart for each quantity that both or one of them has.

    Args:
        run: The run.
        against: "step", or "seconds" of training.
    """
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    lines = without_abandoned(read_journal(run.journal_path))
    several = len({line["player"] for line in lines if line["event"] == "train"}) > 1
    for line in lines:
        if line["event"] not in ("train", "validation"):
            continue
        x = line["step"] if against == "step" else line["clock"].get("seconds")
        source = line["event"] if line["player"] in (None, "model") else f"{line['player']}, {line['event']}"
        for name, value in line["values"].items():
            if name == "loss" and line["player"] is None and several:
                name = "validation_loss"  # of samples, and no player's
            is_curve = name not in ("gradient_norm", "learning_rate") and not isinstance(value, str)
            if is_curve and x is not None:
                curves.setdefault(name, {}).setdefault(source, []).append((x, value))
    label = "training step" if against == "step" else "seconds of training"
    figures = []
    for name, by_source in curves.items():
        series = [
            Series(name=source, x=[x for x, _ in points], y=[y for _, y in points])
            for source, points in sorted(by_source.items())  # one colour each in every chart
        ]
        if all(len(one.x) < 2 for one in series):
            continue
        chart = LineChart(
            title=f"{name} against {label}", series=series, x=Axis(label=label), y=Axis(label=words(name))
        )
        figures.append(Figure(drawing=chart, caption=f"{words(name).capitalize()} against {label}."))
    return figures


def words(name: str) -> str:
    """A quantity's name as people read it: reconstruction_nats is "reconstruction, nats"."""
    if name.endswith("_nats"):
        return f"{name.removesuffix('_nats').replace('_', ' ')}, nats"
    return name.replace("_", " ")


def picture_blocks(loaded: Loaded, dataset: Dataset, seed: int = 0) -> list[Figure]:
    """Samples, reconstructions, ways between pictures and the map of codes, as the traits allow."""
    traits = loaded.family.traits
    figures: list[Figure] = []
    if "samples" in traits:
        drawn = loaded.draw_pictures(_SHEET, seed=seed)
        sheet = picture_sheet(drawn, alt=f"{_SHEET} samples of {loaded.run.id}", columns=12)
        figures.append(Figure(drawing=sheet, caption=f"{_SHEET} samples, seed {seed}, none left out."))
    if "encodes" not in traits:
        return figures
    split = "test" if "test" in dataset.splits else "validation"
    part = dataset.split(split)
    shown = torch.arange(min(_COMPARED, part.num_samples))
    originals = to_pictures(dataset.batch(split, shown)["images"])
    rows = {"original": originals, "reconstruction": loaded.reconstruct(originals)}
    caption = f"The first {len(originals)} pictures of the {split} split, and what comes back."
    figures.append(
        Figure(drawing=comparison_sheet(rows, alt="originals and reconstructions"), caption=caption)
    )
    if loaded.removes_noise:
        noisy = loaded.add_noise(originals, seed=seed)
        rows = {"original": originals, "noisy": noisy, "denoised": loaded.denoise(noisy)}
        figures.append(
            Figure(
                drawing=comparison_sheet(rows, alt="pictures, with noise, and without it again"),
                caption="Pictures, the same with noise, and what the model makes of the noisy ones.",
            )
        )
    if len(originals) >= 6:
        ways = np.concatenate([loaded.interpolate(originals[i], originals[i + 3], 10) for i in range(3)])
        figures.append(
            Figure(
                drawing=picture_sheet(ways, alt="ways between two pictures", columns=10),
                caption="Each row goes from one picture to another, through the codes.",
            )
        )
    few = torch.arange(min(_MAP_POINTS, part.num_samples))
    codes = loaded.encode(dataset.batch(split, few)["images"])
    if codes.dtype == np.int64:  # numbers without an order have no map
        return figures
    labels = None if part.labels is None else part.labels[few].numpy()
    chart = code_map(codes, labels, loaded.spec.class_names)
    caption = f"{len(few)} pictures of the {split} split by their codes of {codes.shape[1]} numbers"
    figures.append(Figure(drawing=chart, caption=caption + " in two dimensions."))
    return figures


def text_blocks(loaded: Loaded) -> list[Block]:
    """Texts that a language model writes, line for line; nothing for other families."""
    if "generates_text" not in loaded.family.traits:
        return []
    written = {f"Text {number}": text for number, text in enumerate(loaded.write("", _TEXTS), 1)}
    return [Passages(texts=written, caption=f"{_TEXTS} texts that the model writes, seed 0, none left out.")]


def pair_blocks(loaded: Loaded, dataset: Dataset) -> list[Table]:
    """Held-out sources beside what is wanted and what the model writes; nothing for other families."""
    model = loaded.model
    split = next((name for name in ("test", "validation") if name in dataset.splits), None)
    if not isinstance(model, EncoderDecoder) or split is None:
        return []
    shown = held_out(model, dataset, split, _PAIRS, device=loaded.device)
    what = "pairs" if model.corruption is None else "blocks, with what was taken out of them,"
    return [
        Table(
            header=["source", "reference", "output"],
            rows=[[*map(_breakable, (one.source, one.reference, one.output))] for one in shown],
            caption=f"The first {len(shown)} {what} of the {split} split, and what the model writes: the "
            "best text of a beam search.",
        )
    ]


def _breakable(text: str) -> str:
    """A text with places to break a line within words that are too long for a column."""
    return _LONG_WORD.sub("\\g<0>\u200b", text)


def passage_blocks(loaded: Loaded, dataset: Dataset) -> list[Block]:
    """Held-out passages with masks, and what the model puts into them; nothing for other families."""
    model, part = loaded.model, dataset.splits.get("validation")
    if not isinstance(model, MaskedLanguageModel) or part is None or part.stream is None:
        return []
    passages = held_out_passages(
        model,
        loaded.tokenizer,
        part.stream,
        num_passages=_PASSAGES,
        num=_GUESSES,
        seed=0,
        device=loaded.device,
    )
    return [
        Section(
            title=f"Passage {number}",
            blocks=[Text(text="\n\n".join(passage.text.split("\n"))), _guess_table(passage)],
        )
        for number, passage in enumerate(passages, 1)
    ]


def _guess_table(passage: Passage) -> Table:
    rows = [
        [f"[{number}]", quoted(filling.true or ""), *map(str, filling.guesses)]
        for number, filling in enumerate(passage.fillings, 1)
    ]
    guesses = [f"guess {number}" for number in range(1, len(rows[0]) - 1)] if rows else []
    return Table(
        header=["mask", "hidden token", *guesses],
        rows=rows,
        caption="The tokens that were hidden, and the likeliest by the model with their probabilities.",
    )


def classification_figures(document: dict[str, Any]) -> list[Figure]:
    """The confusion matrix and the reliability diagram of a stored classification suite."""
    details = document["details"]
    counts = np.asarray(details["confusion"])
    figures = [
        Figure(
            drawing=confusion_matrix("true and predicted classes", counts, details["class_names"]),
            caption="How often each class was taken for each other; shades are shares of a row.",
        )
    ]
    if "calibration" in details:
        bins = details["calibration"]
        chart = ReliabilityChart(
            title="confidence and accuracy",
            confidence=[float("nan") if value is None else value for value in bins["confidence"]],
            accuracy=[float("nan") if value is None else value for value in bins["accuracy"]],
            counts=bins["counts"],
        )
        caption = "How often predictions of each confidence are right; a calibrated model is on the diagonal."
        figures.append(Figure(drawing=chart, caption=caption))
    return figures


def recognised_figures(document: dict[str, Any]) -> list[Figure]:
    """Which class was asked for and which was recognised; nothing where none was asked for."""
    found = document["details"].get("recognised")
    if found is None:
        return []
    counts = np.asarray(found["counts"])
    chart = confusion_matrix(
        "classes asked for and recognised", counts, found["class_names"], rows="class asked for"
    )
    caption = "Which class was asked for, a row each, and which was recognised; shades are shares of a row."
    return [Figure(drawing=chart, caption=caption)]


def score_block(subjects: dict[str, dict[str, Any]], caption: str, metrics: tuple[str, ...] = ()) -> Scores:
    """The stored scores of several subjects in one table.

    Args:
        subjects: Name -> the document of a suite.
        caption: What was measured.
        metrics: Which measures; all where empty.
    """
    measured = [
        Measured(subject=subject, score=score)
        for subject, document in subjects.items()
        for score in stored(document, "scores")
        if not metrics or score.metric in metrics
    ]
    return Scores(measured=measured, caption=caption)


def stored(document: dict[str, Any], key: str) -> list[Score]:
    """The scores under a key of a suite's document."""
    return [Score.from_json(score) for score in document[key]]
