"""What `creuset eval` does with files of one's own: texts or pictures, and no run."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from creuset.metrics.score import Score
    from creuset.progress import Progress

OF_TEXTS = ("hypotheses", "references")
"""Options that say which texts are measured."""

OF_PICTURES = ("generated", "reference", "training")
"""Options that say which pictures are measured."""

SHARED = ("extractor",)
"""Options of pictures, and of runs as well."""

FOR_TEXTS = "creuset eval --metrics bleu,rouge --hypotheses FILE --references FILE"
FOR_PICTURES = "creuset eval --metrics fd,precision --generated DIR --reference DIR"


class Measured(NamedTuple):
    """What was found: scores, what they are to be read against, and what is worth saying beside them."""

    scores: "Sequence[Score]"
    floors: "Sequence[Score]" = ()
    remarks: Sequence[str] = ()
    findings: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Files:
    """The options of `creuset eval` that are about files, as they were given; see there.

    The limits of --min are among them so that a name that is not measured is refused before anything is.
    """

    metrics: str | None
    hypotheses: str | None
    references: tuple[str, ...]
    generated: str | None
    reference: str | None
    training: str | None
    extractor: str | None
    seed: int
    minimums: Mapping[str, float]


def options(names: Collection[str]) -> str:
    """These options as they are typed."""
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


def metric_names(text: str) -> list[str]:
    """The names of --metrics, which commas separate.

    Raises:
        UsageError: One of them is empty.
    """
    from creuset.errors import UsageError

    names = [name.strip() for name in text.split(",")]
    if "" in names:
        empty = names.index("")
        place = "" if len(names) == 1 else " before the first comma" if empty == 0 else " between two commas"
        if 0 < empty == len(names) - 1:
            place = " after the last comma"
        raise UsageError(
            f"an empty name{place}", where="--metrics", got=f'"{text}"', expected="names such as bleu,rouge"
        )
    return names


def measure_files(files: Files, given: Collection[str], progress: "Progress") -> Measured:
    """Measures texts or pictures.

    Args:
        files: The options.
        given: The names of those that were typed.
        progress: Who watches.

    Raises:
        UsageError: Options of both, one that is missing, metrics of the other kind, or a limit for what is
            not measured.
    """
    from creuset.errors import UsageError

    of_texts = [name for name in given if name in OF_TEXTS]
    of_pictures = [name for name in given if name in (*OF_PICTURES, *SHARED)]
    if of_texts and of_pictures:
        raise UsageError(
            f"{options(of_texts)} are of texts, {options(of_pictures)} of pictures",
            expected=f"one of both: {FOR_TEXTS}, or {FOR_PICTURES}",
        )
    if files.metrics is None:
        raise UsageError(
            "--metrics is missing",
            got=options(given),
            expected=FOR_PICTURES if of_pictures else FOR_TEXTS,
        )
    names = metric_names(files.metrics)
    if of_pictures or (not of_texts and _are_of_pictures(names)):
        return _measure_pictures(files, names, given, progress)
    return _measure_texts(files, names, given, progress)


def _measure_texts(files: Files, names: list[str], given: Collection[str], progress: "Progress") -> Measured:
    from creuset.workflows.minimums import require_measured
    from creuset.workflows.own_files import TEXT_METRICS, measure_texts, text_metrics

    _refuse_other_kind(names, of_pictures=False, own=TEXT_METRICS)
    if files.hypotheses is None:
        raise _missing("hypotheses", given, FOR_TEXTS)
    require_measured(files.minimums, {name: metric.scores for name, metric in text_metrics(names).items()})
    found = measure_texts(
        names,
        hypotheses=files.hypotheses,
        references=files.references,
        seed=files.seed,
        progress=progress,
    )
    return Measured(found.scores, remarks=found.remarks)


def _measure_pictures(
    files: Files, names: list[str], given: Collection[str], progress: "Progress"
) -> Measured:
    from creuset.metrics.feature_scores import FEATURE_METRICS, OTHER_NAMES, feature_metrics
    from creuset.workflows.minimums import picture_scores, require_measured

    _refuse_other_kind(names, of_pictures=True, own=[*FEATURE_METRICS, *OTHER_NAMES])
    if files.generated is None:
        raise _missing("generated", given, FOR_PICTURES)
    if files.reference is None:
        raise _missing("reference", given, FOR_PICTURES)
    require_measured(files.minimums, picture_scores(feature_metrics(names)))
    from creuset.workflows.own_pictures import measure_pictures

    found = measure_pictures(
        names,
        generated=files.generated,
        reference=files.reference,
        training=files.training,
        extractor=files.extractor,
        seed=files.seed,
        progress=progress,
    )
    return Measured(found.scores, found.floors, found.remarks)


def _are_of_pictures(names: Sequence[str]) -> bool:
    """Whether any of these is a metric of pictures."""
    from creuset.metrics.feature_scores import FEATURE_METRICS, OTHER_NAMES

    return any(name in FEATURE_METRICS or name in OTHER_NAMES for name in names)


def _refuse_other_kind(names: Sequence[str], *, of_pictures: bool, own: Collection[str]) -> None:
    from creuset.errors import UsageError
    from creuset.metrics.feature_scores import FEATURE_METRICS, OTHER_NAMES
    from creuset.workflows.own_files import TEXT_METRICS

    others = TEXT_METRICS if of_pictures else (*FEATURE_METRICS, *OTHER_NAMES)
    foreign = [name for name in names if name in others]
    if foreign:
        kind, other = ("pictures", "texts") if of_pictures else ("texts", "pictures")
        raise UsageError(
            f"{', '.join(foreign)}: a metric of {other}, and {kind} are measured",
            where="--metrics",
            expected=", ".join(own),
            next_step=f"for {other}: {FOR_TEXTS if of_pictures else FOR_PICTURES}",
        )


def _missing(option: str, given: Collection[str], usage: str) -> Exception:
    from creuset.errors import UsageError

    return UsageError(f"--{option} is missing", got=options(given), expected=usage)
