"""Whether a run may take the place of another one: both are measured on the held-out rows of the new run.

Tuned language models go through the same code on the same rows, whatever each was measured on before: a run
of preferences stands beside one of conversations, and one of newer data beside one of older data
(evaluation/side_by_side.py). Rows that one of the two learned from, and the other did not, are left out: as
far as the runs before them are there, and their data. Other runs are compared by what was measured of them,
and classifiers on other data are measured anew as well.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from creuset.data.dataset import Dataset, conform, without
from creuset.data.tuning_rows import TunedRow
from creuset.errors import CheckpointError, CreusetError, GateError, NotFoundError, UsageError
from creuset.evaluation import Evaluation, Subject, split_hash
from creuset.evaluation import evaluate as run_suite
from creuset.evaluation.side_by_side import Match, Rivals, side_by_side
from creuset.evaluation.tuned_answers import NUM_ANSWERED
from creuset.metrics.comparison import Comparison, compare_paired
from creuset.metrics.comparison_methods import compare_kept, is_compared_by_default
from creuset.metrics.signature import Context
from creuset.models import family
from creuset.models.tuned import Tuned
from creuset.progress import Progress
from creuset.runs.folder import RunFolder
from creuset.training.session import build_model
from creuset.workflows.compare import compare
from creuset.workflows.evaluate import default_split
from creuset.workflows.lineage import ancestors
from creuset.workflows.load import Loaded, load
from creuset.workflows.rewards import reward_of
from creuset.workflows.run_data import base_text, run_data
from creuset.workflows.verdicts import Test, Verdicts, tested

NOT_COMPARED = (UsageError, NotFoundError, CheckpointError, GateError)
"""What says that two runs cannot be compared: not that memory or the disk is full, or that somebody stops."""
_FORCE = "where you know better, promote it with --force, which compares nothing"


@dataclass(frozen=True, kw_only=True)
class MeasuredAnew(Verdicts):
    """A run against the one that it is to replace, both measured on the new run's rows.

    Args:
        rows: Which rows these are, in a few words.
    """

    kind: ClassVar[str] = "run"

    rows: str

    @property
    def measured_on(self) -> str:
        return self.rows

    def to_json(self) -> dict[str, Any]:
        """The wire form of `--json`."""
        return {"rows": self.rows, "remarks": list(self.remarks), **super().to_json()}


def compare_for_promotion(old: RunFolder, new: RunFolder, *, seed: int, progress: Progress) -> Verdicts:
    """How a run compares with the one that it is to replace.

    Args:
        old: What is in use.
        new: What is to take its place.
        seed: Decides draws, permutations and resamples.
        progress: Who watches.

    Raises:
        GateError: Nothing of them can be compared, and why.
    """
    traits = [family(run.manifest().family).traits for run in (old, new)]
    try:
        if all("answers_chats" in each for each in traits):
            return _language_models(old, new, seed, progress)
        if all("classifies" in each for each in traits):
            return _classifiers(old, new, seed, progress)
        return compare([old, new], seed=seed, progress=progress)
    except NOT_COMPARED as error:
        raise GateError(
            f"nothing of {new.reference} can be compared with {old.reference}: {error.message}",
            where=error.where,
            got=error.got,
            expected=error.expected,
            next_step=_FORCE,
        ) from error


def _language_models(old: RunFolder, new: RunFolder, seed: int, progress: Progress) -> MeasuredAnew:
    before, after = (load(run, precision="float32") for run in (old, new))
    models = [_tuned(loaded.model) for loaded in (before, after)]
    dataset = run_data(new, progress)
    _require_same_reading(before, after, models, dataset)
    split = default_split(dataset, progress)
    held_out, remarks = _unknown_to_one(dataset, split, old, new, progress)
    number = after.recipe.evaluation.num_generated
    matches = side_by_side(
        Rivals(old=models[0], new=models[1], base=_began(after)),
        held_out,
        split,
        Context(data=split_hash(held_out, split), split=split, seed=seed),
        num_answered=NUM_ANSWERED if number is None else number,
        reward=reward_of(after.recipe.model),
        progress=progress,
    )
    tests: list[Test] = [(new.reference, partial(_paired, match, seed)) for match in matches]
    return MeasuredAnew(
        baseline=old.reference,
        comparisons=tested(tests, progress),
        rows=_told(held_out, split, new),
        remarks=remarks,
    )


def _tuned(model: object) -> Tuned:
    assert isinstance(model, Tuned)
    return model


def _began(loaded: Loaded) -> Tuned:
    """What a run began from, in float32."""
    recipe = loaded.recipe
    model = _tuned(build_model(loaded.family, recipe.model, loaded.spec, recipe.training.seed))
    model.settle(loaded.device, "float32")
    return model.eval()


def _classifiers(old: RunFolder, new: RunFolder, seed: int, progress: Progress) -> Verdicts:
    """By what was measured where that is of the same samples, else both anew."""
    try:
        return compare([old, new], seed=seed, progress=progress)
    except NOT_COMPARED as error:
        progress.say(f"{error.message}: both are measured on the rows of {new.reference}")
    before, after = load(old), load(new)
    dataset = run_data(new, progress)
    split = default_split(dataset, progress)
    dataset, remarks = _unseen_samples(dataset, split, old, progress)
    data = conform(dataset, before.spec)
    if data.spec.class_names != dataset.spec.class_names:
        raise GateError(
            "their classes are others, or in another order",
            got=", ".join(dataset.spec.class_names),
            expected=", ".join(data.spec.class_names),
        )
    found = [_classified(loaded, dataset, split, seed, progress) for loaded in (before, after)]
    scores = [{score.metric: score for score in one.scores} for one in found]
    compared = [
        name
        for name in scores[0]
        if name in scores[1] and all(is_compared_by_default(name, one.rows) for one in found)
    ]
    tests: list[Test] = [
        (
            new.reference,
            partial(compare_kept, scores[0][name], scores[1][name], found[0].rows, found[1].rows, seed=seed),
        )
        for name in compared
    ]
    return MeasuredAnew(
        baseline=old.reference,
        comparisons=tested(tests, progress),
        rows=_told(dataset, split, new),
        remarks=remarks,
    )


def _unseen_samples(
    dataset: Dataset, split: str, old: RunFolder, progress: Progress
) -> tuple[Dataset, tuple[str, ...]]:
    """The data without the samples that the old run learned from."""
    try:
        seen = run_data(old, progress)
    except NOT_COMPARED as error:
        return dataset, (_not_there(old, error),)
    part = dataset.split(split)
    kept = without(part, *(seen.splits[name] for name in _learned(seen)))
    if kept.num_samples == part.num_samples:
        return dataset, ()
    if not kept.num_samples:
        raise GateError(
            f"{old.reference} learned from all of the rows that are held out",
            got=f"{part.num_samples} rows of the split {split}",
        )
    dropped = part.num_samples - kept.num_samples
    remark = f"{dropped} held-out rows left out that {old.reference} learned from"
    return replace(dataset, splits={**dataset.splits, split: kept}), (remark,)


def _classified(loaded: Loaded, dataset: Dataset, split: str, seed: int, progress: Progress) -> Evaluation:
    return run_suite(
        Subject(family=loaded.family, model=loaded.model, device=loaded.device),
        dataset,
        split,
        suite="classification",
        num_importance_samples=1,
        seed=seed,
        progress=progress,
    )


def _require_same_reading(before: Loaded, after: Loaded, models: list[Tuned], dataset: Dataset) -> None:
    """Refuses models that do not read these rows alike, or of which one scores answers and one writes them.

    Raises:
        GateError: They do.
    """
    objectives = [model.objective.name for model in models]
    if objectives.count("reward") == 1:
        raise GateError(
            "one of them scores answers, and the other one writes them", got=" and ".join(objectives)
        )
    texts = [base_text(loaded.recipe.model) for loaded in (before, after)]
    readings = [
        (
            text.tokenizer.fingerprint,
            None if text.chat_template is None else text.chat_template.source,
        )
        for text in texts
        if text is not None
    ]
    if readings[0] != readings[1]:
        raise GateError(
            "their bases read texts otherwise: another tokenizer, or another chat template",
            got=f"{before.recipe.model.base_name} and {after.recipe.model.base_name}",
        )
    limit = models[0].body.config.context_length
    longest = max(int(split.inputs.max()) for split in dataset.splits.values())
    if limit is not None and longest > limit:
        raise GateError(
            "the rows of the new run are longer than the context of the other one's base",
            got=f"{longest} tokens",
            expected=f"at most {limit}",
        )


def _unknown_to_one(
    dataset: Dataset, split: str, old: RunFolder, new: RunFolder, progress: Progress
) -> tuple[Dataset, tuple[str, ...]]:
    """The data without the held-out rows that one of the two learned from, and the other did not."""
    olds, news = ([run, *ancestors(run)] for run in (old, new))
    shared = {run.path.resolve() for run in olds} & {run.path.resolve() for run in news}
    alone = [run for run in (*olds, *news[1:]) if run.path.resolve() not in shared]
    seen: set[tuple[int, ...]] = set()
    remarks = []
    for run in alone:
        try:
            data = run_data(run, progress)
        except NOT_COMPARED as error:
            remarks.append(_not_there(run, error))
            continue
        for name in _learned(data):
            tuning = data.split(name).tuning
            seen |= {_question(row) for row in tuning.rows} if tuning is not None else set()
    part = dataset.split(split)
    assert part.tuning is not None
    kept = [number for number, row in enumerate(part.tuning.rows) if _question(row) not in seen]
    dropped = part.num_samples - len(kept)
    if not kept:
        raise GateError(
            "one of them learned from all of the rows that are held out",
            got=f"{part.num_samples} rows of the split {split}",
        )
    if dropped:
        remarks.append(f"{dropped} held-out rows left out that one of the two learned from")
        part = part.select(np.array(kept))
    return replace(dataset, splits={**dataset.splits, split: part}), tuple(remarks)


def _question(row: TunedRow) -> tuple[int, ...]:
    """What a row asks; a plain text as a whole."""
    return row.prompt or row.text.ids


def _learned(dataset: Dataset) -> Sequence[str]:
    """The splits that decide what a model becomes."""
    return [name for name in ("train", "validation") if name in dataset.splits]


def _not_there(run: RunFolder, error: CreusetError) -> str:
    return (
        f"the rows of {run.reference} cannot be read again ({error.message}): held-out rows that it learned "
        "from are not left out"
    )


def _told(dataset: Dataset, split: str, new: RunFolder) -> str:
    number = dataset.split(split).num_samples
    return f"{number} rows of {new.reference}, split {split}"


def _paired(match: Match, seed: int) -> Comparison:
    """Rows of a mean are tested as the values in their first column."""
    is_mean = match.old.spread != "bca"
    rows: Callable[[Any], Any] = (lambda one: one.rows[:, 0]) if is_mean else (lambda one: one.rows)
    return compare_paired(
        match.old.score(context=match.context),
        match.new.score(context=match.context),
        rows(match.old),
        rows(match.new),
        statistic=None if is_mean else match.new.statistic,
        seed=seed,
    )
