"""`creuset eval`: measures a run and keeps the scores beside it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from creuset.data.corpus_split import without_documents
from creuset.data.dataset import Dataset, conform, without
from creuset.data.pair_split import without_shared_texts
from creuset.data.source import counted
from creuset.device import memory_errors
from creuset.errors import DataError, UsageError
from creuset.evaluation import (
    AnalogySetting,
    DistanceSetting,
    Evaluation,
    ModeSetting,
    Subject,
    Suite,
    suites,
)
from creuset.evaluation import evaluate as run_suite
from creuset.evaluation.tuned_answers import NUM_ANSWERED
from creuset.metrics.score import Score
from creuset.models.base import Model
from creuset.progress import Progress, Silent
from creuset.runs.folder import RunFolder
from creuset.runs.rows import SampleRows
from creuset.workflows.analogies import analogy_setting
from creuset.workflows.distances import distance_setting, mode_setting
from creuset.workflows.embed import untrained
from creuset.workflows.load import Loaded, load, run_recipe
from creuset.workflows.other_data import EVERYTHING, load_other
from creuset.workflows.rewards import reward_of
from creuset.workflows.run_data import base_text, run_data

FORMAT = 1
OTHER_TRAIN = "train-of-other-data"
"""The training split of another source than the run's: the run's own keeps the plain name."""


def evaluate(
    run: str | Path | RunFolder,
    *,
    suite: Suite | None = None,
    data: str | None = None,
    split: str | None = None,
    num_importance_samples: int | None = None,
    num_generated: int | None = None,
    extractor: str | None = None,
    questions: str | Path | None = None,
    words: Sequence[str] = (),
    seed: int = 0,
    checkpoint: str = "best",
    dataset: Dataset | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measures a run's model and writes evaluation/SUITE.json.

    What was measured otherwise than by default, on other data, another split, checkpoint, seed, extractor or
    number of samples, has a file name of its own, and leaves the run's scores as they are.

    Args:
        run: The run's ID, its folder, or an opened run.
        suite: Which measures; default: what the recipe says, else what fits the family.
        data: Other data than the run's; samples that the run was trained on are left out and counted.
        split: Which part of the data; default: see `default_split`.
        num_importance_samples: Draws per picture for a bound on the likelihood; default: the recipe's, or the
            family's.
        num_generated: Samples drawn for distances, 0 for none, or for modes; default: the recipe's.
        extractor: What turns pictures into features (workflows/extractors.py); default: the recipe's. Where
            that is not on this machine, distances are left out, with a remark.
        questions, words: A file of analogies to ask, and words whose nearest neighbours are kept beside them.
        seed: Decides the draws of the evaluation.
        checkpoint: "best", "last", or a name.
        dataset: The run's own data, where the caller has loaded it already.
        progress: Who watches.

    Raises:
        NotFoundError, CheckpointError, DataError, UsageError: See `load`, `open_extractor` and the suites.
        ResourceError: Out of memory or disk.
    """
    watcher = Silent() if progress is None else progress
    loaded = load(run, checkpoint=checkpoint)
    chosen = suite or _suite_of(loaded)
    if num_importance_samples is not None:
        _require_bound(loaded, chosen)
        if num_importance_samples == loaded.num_importance_samples:
            num_importance_samples = None
    distances = distance_setting(loaded, chosen, num_generated, extractor)
    modes = mode_setting(loaded, chosen, num_generated, extractor)
    analogies = analogy_setting(chosen, questions, words, data, split)
    own = run_data(loaded.run, watcher) if dataset is None else dataset
    measured, part, choices = _measured(loaded, own, data, "train" if analogies else split, watcher)
    evaluation = _run(
        loaded,
        measured,
        part,
        suite=chosen,
        num_importance_samples=num_importance_samples,
        distances=distances,
        analogies=analogies,
        modes=modes,
        num_answered=_num_answered(loaded, num_generated),
        seed=seed,
        choices=choices,
        progress=watcher,
    )
    asked = (data, split, num_importance_samples, num_generated, extractor, seed, checkpoint)
    usual = asked == (None, None, None, None, None, 0, "best")
    source = loaded.recipe.data.source if data is None else data
    _keep(loaded, evaluation, usual=usual, source=source, seed=seed)
    return evaluation


def _num_answered(loaded: Loaded, number: int | None) -> int:
    """Held-out prompts that a tuned model and its base answer."""
    wanted = loaded.recipe.evaluation.num_generated if number is None else number
    return NUM_ANSWERED if wanted is None else wanted


def _keep(loaded: Loaded, evaluation: Evaluation, *, usual: bool, source: str, seed: int) -> None:
    """Writes what was measured into the run, the usual measures under the suite's plain name."""
    document = {
        "format": FORMAT,
        "run": loaded.run.id,
        "step": loaded.step,
        "checkpoint": loaded.checkpoint_hash,
        "data": source,
        "seed": seed,
        **evaluation.to_json(),
    }
    loaded.run.write_evaluation(
        evaluation.suite if usual else _unusual_name(evaluation.suite, document),
        document,
        SampleRows(arrays={**evaluation.rows, **evaluation.pictures}, samples=evaluation.samples),
    )


def _measured(
    loaded: Loaded, own: Dataset, data: str | None, split: str | None, progress: Progress
) -> tuple[Dataset, str, dict[str, str | int]]:
    """What is measured: the data, which split of it, and what of this the signatures must say."""
    if data is None:
        return own, default_split(own, progress) if split is None else split, {}
    stage = loaded.first_stage
    if stage is None:
        base = base_text(loaded.recipe.model)
        section = loaded.recipe.data
        other = load_other(data, section, loaded.spec, progress, tokenizer=own.tokenizer, base=base)
    else:
        pictures = load_other(data, run_recipe(stage.run).data, stage.spec, progress)
        other = conform(stage.dataset(pictures, progress), loaded.spec)
    part = default_split(other, progress) if split is None else split
    if part == "train":  # the run's own training split keeps that name
        other, part = replace(other, splits={OTHER_TRAIN: other.split(part)}), OTHER_TRAIN
    measured, dropped = _without_training(other, own, part)
    if not dropped:
        return measured, part, {}
    noun = "document" if own.spec.kind == "corpus" else "sample"
    progress.say(f"of {data} left out: {counted(dropped, noun)} that the run was trained on")
    return measured, part, {"training_samples_left_out": dropped}


def _run(
    loaded: Loaded,
    dataset: Dataset,
    split: str,
    *,
    suite: Suite,
    num_importance_samples: int | None,
    distances: DistanceSetting | None,
    analogies: AnalogySetting | None,
    modes: ModeSetting | None,
    num_answered: int,
    seed: int,
    choices: Mapping[str, str | int],
    progress: Progress,
) -> Evaluation:
    """The suite over a split, with the recipe's number of importance samples where None is given."""
    num_samples = num_importance_samples
    if num_samples is None:
        num_samples = loaded.num_importance_samples
    with memory_errors("take fewer importance samples, fewer generated pictures, or a smaller split"):
        return run_suite(
            Subject(family=loaded.family, model=loaded.model, device=loaded.device),
            dataset,
            split,
            suite=suite,
            num_importance_samples=num_samples,
            distances=distances,
            analogies=analogies,
            modes=modes,
            num_answered=num_answered,
            untrained=untrained(loaded) if suite in ("retrieval", "tuning") else None,
            reward=reward_of(loaded.recipe.model),
            seed=seed,
            progress=progress,
            choices=choices,
        )


def stored_scores(run: RunFolder) -> list[Score]:
    """The scores of every evaluation that was kept beside a run, the usual ones first."""
    documents = sorted(run.evaluations().items(), key=lambda item: ("-" in item[0], item[0]))
    return [Score.from_json(score) for _, document in documents for score in document["scores"]]


def _unusual_name(suite: str, document: Mapping[str, Any]) -> str:
    """A file name for what was measured: the same for the same question, another for another one."""
    asked = json.dumps([document[key] for key in ("data", "split", "seed", "checkpoint")])
    signatures = " ".join(score["signature"] for score in document["scores"])
    digest = hashlib.sha256(f"{asked} {signatures}".encode()).hexdigest()[:8]
    return f"{suite}-{document['split']}-{digest}"


def default_split(dataset: Dataset, progress: Progress) -> str:
    """The split that is measured and shown where none is named.

    It is the test split; all of another source that has no splits; the validation split where none was kept
    for a test.
    """
    for split in ("test", EVERYTHING):
        if split in dataset.splits:
            return split
    progress.say("there is no test split: the validation split is taken")
    return "validation"


def _require_bound(loaded: Loaded, suite: Suite) -> None:
    """Importance samples need a likelihood that is only known by a bound."""
    model = loaded.model
    bounded = isinstance(model, Model) and "likelihood" in loaded.family.traits and model.likelihood.bound
    if suite != "images" or not bounded:
        raise UsageError(
            "importance samples have no effect here",
            where="--importance-samples",
            got=f"the suite {suite} of the family {loaded.family.name}",
            expected="a family whose likelihood is known by a bound, such as vae",
            next_step="leave the option out",
        )


def _suite_of(loaded: Loaded) -> Suite:
    asked = loaded.recipe.evaluation.suite
    if asked is not None and asked != "none":
        return asked
    fitting = suites(loaded.family, loaded.spec)
    if not fitting:
        raise UsageError(f"no suite measures the family {loaded.family.name}", where=loaded.run.path)
    return fitting[0]


def _without_training(other: Dataset, own: Dataset, split: str) -> tuple[Dataset, int]:
    """The other data without what the model has seen in training or selection, and how much that is.

    Beside them stands the run's own training split, from which the floors are made.
    """
    part = other.split(split)
    seen = [own.splits[name] for name in ("train", "validation") if name in own.splits]
    dropped = None
    if part.stream is not None:
        kept = without_documents(part, *seen)
        assert kept.stream is not None
        dropped = len(part.stream.documents) - len(kept.stream.documents)  # the same for any tokenizer
    elif part.pairs is not None:
        kept = without_shared_texts(part, *seen)
    else:
        kept = without(part, *seen)
    if not kept.num_samples:
        raise DataError(
            "nothing is left to measure: the run was trained on all of these samples",
            where=other.report.origin,
            got=f"{part.num_samples} samples in the split {split}",
            expected="data that the run has not seen",
        )
    measured = replace(other, splits={"train": own.splits["train"], split: kept})
    return measured, part.num_samples - kept.num_samples if dropped is None else dropped
