"""A document with every kind of block, made from scikit-learn's digits, and ways to look at drawings."""

from functools import cache
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix as count_confusions
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from creuset.metrics.score import Score
from creuset.reporting.blocks import (
    Block,
    Chapter,
    Commands,
    Document,
    Facts,
    Figure,
    Finding,
    Measured,
    Row,
    Scores,
    Section,
    Table,
    Text,
    Timing,
)
from creuset.reporting.charts import (
    Axis,
    HeatMap,
    Histogram,
    LineChart,
    Reference,
    ReliabilityChart,
    Sample,
    ScatterChart,
    Series,
    confusion_matrix,
)
from creuset.reporting.sheet import comparison_sheet, picture_sheet
from creuset.reporting.svg import text_width

SVG = "{http://www.w3.org/2000/svg}"
NAMES = tuple("0123456789")


def wilson(right: int, n: int) -> tuple[float, float]:
    share, z = right / n, 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return float(middle - half), float(middle + half)


def accuracy(right: np.ndarray) -> Score:
    n = len(right)
    signature = "accuracy|data:digits,test,sha256:2f9c41d0|interval:wilson,0.95|v1"
    interval = wilson(int(right.sum()), n)
    return Score(
        metric="accuracy",
        value=float(right.mean()),
        unit="fraction",
        better="higher",
        interval=interval,
        n=n,
        signature=signature,
    )


def nats(log_probs: np.ndarray) -> Score:
    n, mean = len(log_probs), float(-log_probs.mean())
    half = 1.96 * float(log_probs.std()) / np.sqrt(n)
    return Score(
        metric="cross_entropy",
        value=mean,
        unit="nats",
        better="lower",
        interval=(mean - half, mean + half),
        n=n,
        signature="cross_entropy|data:digits,test,sha256:2f9c41d0|interval:normal,0.95|v1",
    )


@cache
def digits() -> dict[str, np.ndarray]:
    data = load_digits()
    rows = data.data.astype(np.float64) / 16
    pictures = np.rint(rows.reshape(-1, 8, 8, 1) * 255).astype(np.uint8)
    return {"rows": rows, "labels": data.target, "pictures": pictures}


@cache
def example_document() -> Document:
    return Document(
        title="Digits, told apart and drawn anew",
        subtitle="Classifiers and linear autoencoders on the same 1,797 pictures of handwritten digits.",
        facts={
            "Data": "scikit-learn digits, 8 × 8, 17 levels",
            "Split": "1,000 train · 350 validation · 447 test",
            "Data hash": "sha256 2f9c41d0 8a17",
            "Seed": 0,
            "Processor": "2 threads, no accelerator",
            "Time": "12.4 s",
        },
        chapters=[_discriminative(), _autoencoders(), _measured()],
        colophon="Made by `creuset tour`. Every number above carries its signature.",
    )


def _discriminative() -> Chapter:
    data = digits()
    train, test = slice(0, 1000), slice(1350, None)
    models = {
        "logistic regression": LogisticRegression(max_iter=300),
        "nearest neighbours": KNeighborsClassifier(5),
        "naive Bayes": GaussianNB(var_smoothing=1e-2),
    }
    measured, likely = [], {}
    labels = data["labels"][test]
    for name, model in models.items():
        model.fit(data["rows"][train], data["labels"][train])
        likely[name] = np.clip(model.predict_proba(data["rows"][test]), 1e-6, 1)
        right = likely[name].argmax(1) == labels
        log_probs = np.log(likely[name][np.arange(len(labels)), labels])
        measured += [Measured(subject=name, score=s) for s in (accuracy(right), nats(log_probs))]
    probabilities = likely["naive Bayes"]
    counts = count_confusions(labels, probabilities.argmax(1))
    steps = np.arange(0, 2001, 5)
    rng = np.random.default_rng(0)
    curves = [
        Series(name="train", x=steps, y=0.08 + 2.2 * np.exp(-steps / 260) + rng.normal(0, 0.02, len(steps))),
        Series(
            name="validation",
            x=steps[::20],
            y=0.17 + 2.1 * np.exp(-steps[::20] / 280),
            low=0.12 + 2.1 * np.exp(-steps[::20] / 280),
            high=0.22 + 2.1 * np.exp(-steps[::20] / 280),
        ),
    ]
    blocks: list[Block] = [
        Facts(
            facts={"Optimizer": "Adam, learning rate 1e-3", "Batch": 128, "Steps": 2000, "Parameters": 61706}
        ),
        Scores(
            measured=measured,
            caption="Accuracy and cross entropy on the test split.",
            references={"accuracy": [Reference(name="naive Bayes, untuned", value=0.80)]},
        ),
        Finding(
            text="By cross entropy, logistic regression and nearest neighbours cannot be told apart on "
            "447 pictures: their intervals overlap."
        ),
        Section(
            title="How it was learned",
            blocks=[
                Text(
                    text="The loss is the mean cross entropy of a batch. Validation is measured every 100 "
                    "steps on 350 pictures; the band is its 95% interval. The best checkpoint is "
                    "`step-00001900`.\n\n"
                    "A second paragraph stands here, so that the distance between paragraphs can be seen."
                ),
                Figure(
                    drawing=LineChart(
                        title="Loss of the classifier while training",
                        series=curves,
                        x=Axis(label="step"),
                        y=Axis(label="cross entropy, nats"),
                        references=[Reference(name="chance, ln 10", value=float(np.log(10)))],
                    ),
                    caption="Cross entropy while training; the dashed line is guessing.",
                ),
            ],
        ),
        Section(
            title="Where it errs",
            blocks=[
                Row(
                    figures=[
                        Figure(
                            drawing=confusion_matrix("Confusions of naive Bayes", counts, NAMES),
                            caption="Confusions of naive Bayes on the test split.",
                        ),
                        Figure(
                            drawing=_reliability(likely["nearest neighbours"], labels),
                            caption="Reliability of five nearest neighbours.",
                        ),
                    ]
                ),
            ],
        ),
    ]
    return Chapter(
        title="Discriminative against generative",
        lead="Three classifiers learn p(class | picture), or p(picture | class) with Bayes' rule.",
        blocks=blocks,
    )


def _reliability(probabilities: np.ndarray, labels: np.ndarray) -> ReliabilityChart:
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    place = np.minimum((confidence * 10).astype(int), 9)
    inside = [place == i for i in range(10)]
    return ReliabilityChart(
        title="Reliability of nearest neighbours",
        confidence=[float(confidence[m].mean()) if m.any() else float("nan") for m in inside],
        accuracy=[float(right[m].mean()) if m.any() else float("nan") for m in inside],
        counts=[int(m.sum()) for m in inside],
        intervals=[wilson(int(right[m].sum()), int(m.sum())) if m.any() else (0.0, 1.0) for m in inside],
    )


def _autoencoders() -> Chapter:
    data = digits()
    rows, labels, pictures = data["rows"], data["labels"], data["pictures"]
    rng = np.random.default_rng(1)
    latent = PCA(2, random_state=0).fit_transform(rows)
    small, large = PCA(8, random_state=0).fit(rows[:1000]), PCA(24, random_state=0).fit(rows[:1000])
    noisy = np.clip(rows[1350:1370] + rng.normal(0, 0.25, (20, 64)), 0, 1)

    def drawn(values: np.ndarray) -> np.ndarray:
        return np.rint(np.clip(values, 0, 1).reshape(-1, 8, 8, 1) * 255).astype(np.uint8)

    rebuilt = {
        n: m.inverse_transform(m.transform(noisy)) for n, m in (("8 numbers", small), ("24 numbers", large))
    }
    errors = {
        name: ((model.inverse_transform(model.transform(rows[1350:])) - rows[1350:]) ** 2).sum(1)
        for name, model in (("8 latents", small), ("24 latents", large))
    }
    samples = small.inverse_transform(rng.normal(size=(60, 8)) * np.sqrt(small.explained_variance_))
    blocks: list[Block] = [
        Figure(
            drawing=ScatterChart(
                title="Digits in the plane of their first two principal components",
                points=latent,
                labels=labels,
                class_names=NAMES,
                x=Axis(label="first component"),
                y=Axis(label="second component"),
            ),
            caption="All 1,797 digits in the plane of the two leading components; one unit is equally "
            "long on both axes.",
        ),
        Figure(
            drawing=comparison_sheet(
                {"original": pictures[1350:1370], "corrupted": drawn(noisy)}
                | {name: drawn(values) for name, values in rebuilt.items()},
                alt="Twenty digits, the same with noise, and their reconstructions",
            ),
            caption="Denoising: Gaussian noise of 0.25 is added, the autoencoder sees the second row only.",
        ),
        Row(
            figures=[
                Figure(
                    drawing=picture_sheet(samples_of(samples), alt="60 samples", columns=10),
                    caption="Samples: Gaussian latents, decoded.",
                ),
                Figure(
                    drawing=Histogram(
                        title="Squared errors",
                        samples=[Sample(name=name, values=values) for name, values in errors.items()],
                        x=Axis(label="squared error a picture"),
                    ),
                    caption="Reconstruction errors on the test split.",
                ),
            ]
        ),
        Figure(drawing=_correlations(rows), caption="How the rows of pixels go together."),
        Table(
            header=["model", "latents", "squared error", "share of the variance", "remark"],
            rows=[
                ["linear autoencoder", 8, float(errors["8 latents"].mean()), 0.674512, "blurred"],
                ["linear autoencoder", 24, float(errors["24 latents"].mean()), 0.899135, "sharp"],
                ["mean of the training set", 0, 18.81, None, "a floor"],
            ],
            caption="What the number of latents buys.",
            note="Squared errors are sums over 64 pixels in [0, 1].",
            best={"squared error": "lower"},
        ),
    ]
    return Chapter(title="Autoencoders", blocks=blocks, lead="A code of few numbers, and what survives it.")


def samples_of(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values + 0.3, 0, 1).reshape(-1, 8, 8, 1) * 255).astype(np.uint8)


def _correlations(rows: np.ndarray) -> HeatMap:
    sums = rows.reshape(-1, 8, 8).sum(axis=2)
    names = [f"row {i}" for i in range(1, 9)]
    return HeatMap(
        title="Correlations between rows of pixels",
        values=np.corrcoef(sums.T),
        measure="correlation",
        row_names=names,
        column_names=names,
    )


def _measured() -> Chapter:
    return Chapter(
        title="What was measured, and how to do it again",
        blocks=[
            Timing(
                seconds={"data": 0.21, "logistic regression": 3.4, "autoencoder": 68.9, "evaluation": 11.0}
            ),
            Finding(
                kind="warning",
                text="Wall-clock times depend on this machine; all else is the same on each run with seed 0.",
            ),
            Commands(
                caption="From a fresh start:",
                commands=[
                    "creuset train recipes/linear-digits.yaml --seed 0",
                    "creuset train recipes/autoencoder-digits.yaml --seed 0 --set training.num_steps=4000",
                    "creuset eval runs/autoencoder-digits --suite images --json",
                ],
            ),
        ],
    )


@pytest.fixture
def document() -> Document:
    return example_document()


class Drawing:
    """A parsed SVG: what a test asks of one."""

    def __init__(self, svg: str) -> None:
        self.root = ElementTree.fromstring(svg)
        self.width, self.height = (float(self.root.attrib[side]) for side in ("width", "height"))

    def all(self, name: str, kind: str | None = None) -> list[ElementTree.Element]:
        """All elements of a name, and of a class."""
        found = self.root.iter(f"{SVG}{name}")
        return [e for e in found if kind is None or kind in e.attrib.get("class", "").split()]

    def texts(self) -> list[str]:
        return [element.text or "" for element in self.all("text")]

    def boxes(self) -> list[tuple[float, float, float, float, str]]:
        """(left, top, right, bottom, text) of each text, as wide as the layout reckons."""
        boxes = []
        for element in self.all("text"):
            x, y, text = float(element.attrib["x"]), float(element.attrib["y"]), element.text or ""
            width = text_width(text)
            if "transform" in element.attrib:
                boxes.append((x - 8, y - width, x + 2, y, text))
                continue
            start = {"start": 0.0, "middle": width / 2, "end": width}[
                element.attrib.get("text-anchor", "start")
            ]
            boxes.append((x - start, y - 8, x - start + width, y + 2, text))
        return boxes

    def check_texts(self) -> None:
        """No text lies over another, and none leaves the drawing by more than a pixel."""
        boxes = self.boxes()
        for one, other in combinations(boxes, 2):
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert apart, f"{one} lies over {other}"
        for left, top, right, bottom, text in boxes:
            assert left >= -1, text
            assert top >= -1, text
            assert right <= self.width + 1, text
            assert bottom <= self.height + 1, text


@pytest.fixture(scope="session")
def parse() -> type[Drawing]:
    """Parses an SVG, which must be well-formed XML."""
    return Drawing
