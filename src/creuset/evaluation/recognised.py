"""Whether a class that a model was asked for is recognised in what it drew, by a classifier of one's own.

Sound is judged twice: by the log-mel pictures that the model drew, and, of the first clips, by what is heard:
each picture turned into sound, and that into a picture again. Beside each score stands what real samples of
these classes reach: a perfect model would do no better.

Legend of shapes: N samples, K classes; C channels, H height, W width.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.data.clips import SILENT, clips_as_pictures
from creuset.data.dataset import Dataset
from creuset.data.spec import DataSpec, SoundForm
from creuset.evaluation.generated import channels_first, stored_pictures
from creuset.evaluation.suite import Evaluation, Subject
from creuset.generation import pictures
from creuset.generation.griffin_lim import to_sound
from creuset.metrics.inputs import IntArray
from creuset.metrics.intervals import wilson_interval
from creuset.metrics.score import Score
from creuset.metrics.signature import Context
from creuset.models.base import Model
from creuset.pretrained.features import FeatureNetwork, extract

RECOGNISED = "recognised"
BY_EAR = "recognised_by_ear"
_FLOOR = "_floor"
_UNKNOWN = -1
_MOST_HEARD = 200
"""Clips that go the way to sound and back, at a few hundredths of a second each."""


def recognised_part(
    subject: Subject,
    dataset: Dataset,
    split: str,
    judge: FeatureNetwork,
    num_generated: int,
    context: Context,
) -> Evaluation:
    """The share of samples whose class is the one that was asked for, in all and for each class.

    Classes are asked for in turn. `details["recognised"]` counts how often each was taken for each. Nothing
    is measured of a model that cannot be asked for a class, or by what is no classifier of one's own; that it
    knows other data or classes is a remark.

    Args:
        subject: The model.
        dataset: Data of the form that the model was made for.
        split: Whose real samples are judged beside the generated ones.
        judge: The classifier.
        num_generated: How many are drawn.
        context: Its seed decides what is drawn.
    """
    model, shown = subject.model, dataset.shown
    spec = shown.spec
    if not isinstance(model, Model) or model.condition != "class" or judge.spec is None:
        return Evaluation(suite="images", split=split)
    unlike = _unlike(judge.spec, spec)
    if unlike is not None:
        remark = f"classes not recognised: the classifier {judge.extractor.name} was trained on {unlike}"
        return Evaluation(suite="images", split=split, remarks=[remark])
    jury = _Jury(judge, spec, context)
    asked = torch.arange(num_generated) % spec.num_classes
    drawn = pictures.sample(
        model, num_generated, seed=context.seed, device=subject.device, conditions={"labels": asked}
    )
    generated, classes = channels_first(pictures.to_pictures(dataset.as_shown(drawn))), asked.numpy()
    answers = jury.classes(generated)
    scores = [jury.score(RECOGNISED, classes, answers), *jury.score_each(classes, answers)]
    floors: list[Score] = []
    part = shown.split(split)
    real, labels = generated[:0], classes[:0]
    if part.labels is not None:
        real = channels_first(stored_pictures(shown, split, np.arange(part.num_samples)))
        labels = part.labels.numpy()
        floors.append(jury.score(RECOGNISED + _FLOOR, labels, jury.classes(real)))
    if spec.sound is not None:
        scores.insert(1, jury.heard(BY_EAR, generated, classes, spec.sound))
        if len(real):
            floors.append(jury.heard(BY_EAR + _FLOOR, real, labels, spec.sound))
    num, known = spec.num_classes, answers != _UNKNOWN
    counts = np.bincount(classes[known] * num + answers[known], minlength=num * num).reshape(num, num)
    return Evaluation(
        suite="images",
        split=split,
        scores=scores,
        floors=floors,
        details={"recognised": {"class_names": list(spec.class_names), "counts": counts.tolist()}},
    )


class _Jury:
    """A classifier that says which class it takes pictures for, and what follows from it.

    Args:
        judge: The classifier.
        spec: The data of the model, whose order of classes is meant.
        context: For the signatures.
    """

    def __init__(self, judge: FeatureNetwork, spec: DataSpec, context: Context) -> None:
        assert judge.spec is not None
        self.judge, self.context = judge, context
        places = {name: place for place, name in enumerate(spec.class_names)}
        self.places = np.array([places.get(name, _UNKNOWN) for name in judge.spec.class_names])

    def classes(self, images: NDArray[np.uint8]) -> IntArray:
        """The class of each picture (N, C, H, W), int64 (N,), by the model's order; _UNKNOWN for one that it
        does not have."""
        features = extract(images, self.judge)
        logits = self.judge.logits(torch.from_numpy(np.array(features)))
        found: IntArray = self.places[logits.argmax(dim=1).numpy()]
        return found

    def score(self, metric: str, asked: IntArray, answers: IntArray) -> Score:
        """The share of answers that are what was asked for."""
        num_right, n = int((asked == answers).sum()), len(asked)
        return self.context.score(
            metric=metric,
            value=num_right / n,
            unit="fraction",
            better="higher",
            interval=wilson_interval(num_right, n),
            n=n,
            fields={**self.judge.extractor.fields(), "interval": "wilson95"},
            seeded=metric != RECOGNISED + _FLOOR,
        )

    def score_each(self, asked: IntArray, answers: IntArray) -> list[Score]:
        """The same for each class that was asked for, `recognised_class_0` and on."""
        return [
            self.score(f"{RECOGNISED}_class_{label}", asked[asked == label], answers[asked == label])
            for label in np.unique(asked)
        ]

    def heard(self, metric: str, images: NDArray[np.uint8], asked: IntArray, form: SoundForm) -> Score:
        """The share of the first clips that are recognised by their sound; what is silent is not."""
        clips = to_sound(images[:_MOST_HEARD], form, seed=self.context.seed)
        answers = np.full(len(clips), _UNKNOWN)
        audible = np.flatnonzero(np.abs(clips).max(axis=1) > SILENT)
        if len(audible):
            answers[audible] = self.classes(clips_as_pictures(clips[audible], form))
        return self.score(metric, asked[:_MOST_HEARD], answers)


def _unlike(judge: DataSpec, own: DataSpec) -> str | None:
    """What a judge's data has that the model's has not; None where they go together."""
    if (judge.shape, judge.sound) != (own.shape, own.sound):
        return "data of another form"
    missing = [name for name in own.class_names if name not in judge.class_names]
    return f"other classes, without {missing[0]}" if missing else None
