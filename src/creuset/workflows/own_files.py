"""`creuset eval --metrics`: measures files of one's own; no run is needed.

Adding a metric of texts is one line in `TEXT_METRICS`.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import creuset.metrics as instruments
from creuset.data.text_lines import STANDARD_INPUT, display_name, read_lines
from creuset.errors import DataError, UsageError, did_you_mean
from creuset.metrics.score import Score
from creuset.metrics.signature import UNSTATED, Context
from creuset.metrics.text.rows import TextRows
from creuset.progress import Progress, Silent

WHOLE_FILES = "everything"
"""The split of files that are measured as they are."""

Texts = Sequence[str]
Answers = Sequence[Sequence[str]]
"""For each text its references."""


@dataclass(frozen=True, kw_only=True)
class TextMetric:
    """A metric by the name it has on the command line.

    Args:
        measure: Texts, their references and a context -> scores.
        rows: Texts and their references -> the rows of each score, by which two systems are compared; None
            for a metric of a whole set of texts.
        uses_references: False for a metric of the texts alone, which is given no references.
    """

    measure: Callable[[Texts, Answers, Context], list[Score]]
    rows: Callable[[Texts, Answers], list[TextRows]] | None = None
    uses_references: bool = True


def _by_rows(rows: Callable[[Texts, Answers], list[TextRows]], *, uses_references: bool = True) -> TextMetric:
    """A metric whose scores are made of one row a text."""
    return TextMetric(
        measure=lambda own, others, c: [each.score(context=c) for each in rows(own, others)],
        rows=rows,
        uses_references=uses_references,
    )


TEXT_METRICS: Mapping[str, TextMetric] = MappingProxyType(
    {
        "bleu": _by_rows(lambda own, others: [instruments.bleu_rows(own, others)]),
        "chrf": _by_rows(lambda own, others: [instruments.chrf_rows(own, others)]),
        "chrf++": _by_rows(lambda own, others: [instruments.chrf_rows(own, others, word_order=2)]),
        "ter": _by_rows(lambda own, others: [instruments.ter_rows(own, others)]),
        "rouge": _by_rows(lambda own, others: [*instruments.rouge_rows(own, others).values()]),
        "rouge-unicode": _by_rows(
            lambda own, others: [*instruments.rouge_rows(own, others, tokenizer="unicode").values()]
        ),
        "meteor": _by_rows(lambda own, others: [instruments.meteor_rows(own, others)]),
        "exact-match": _by_rows(lambda own, others: [instruments.exact_match_rows(own, others)]),
        "token-f1": _by_rows(lambda own, others: [instruments.token_f1_rows(own, others)]),
        "distinct": TextMetric(
            measure=lambda own, _, c: [instruments.distinct_n(own, n=n, context=c) for n in (1, 2)],
            uses_references=False,
        ),
        "self-bleu": TextMetric(
            measure=lambda own, _, c: [instruments.self_bleu(own, context=c)], uses_references=False
        ),
        "json-validity": _by_rows(
            lambda own, _: [instruments.json_validity_rows(own)], uses_references=False
        ),
    }
)
"""name -> metric"""


def measure_texts(
    metrics: Sequence[str],
    *,
    hypotheses: str | Path,
    references: Sequence[str | Path] = (),
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Score]:
    """Scores of texts in files of one text a line.

    The signature's data is the content hash of the references, so that two systems measured against the
    same references can be compared; without references it stays unstated.

    Args:
        metrics: Names out of `TEXT_METRICS`.
        hypotheses: The file with the texts, or "-" for standard input.
        references: Files with the references, line by line; several where a text has several.
        seed: Decides the resamples of intervals.
        progress: Who watches.

    Raises:
        UsageError: A metric that there is not, or is named twice; references missing, or used by none.
        NotFoundError: A file that is not there.
        DataError: A line that is not UTF-8, or files of unequal numbers of lines.
    """
    watcher = Silent() if progress is None else progress
    chosen = text_metrics(metrics)
    _check_references(chosen, references)
    require_one_standard_input((hypotheses, *references))
    texts = read_lines(hypotheses)
    answers = read_answers(references, texts, hypotheses)
    context = text_context(answers, seed)
    scores: list[Score] = []
    watcher.start("measuring", len(chosen), "metrics")
    for done, metric in enumerate(chosen.values(), 1):
        scores += metric.measure(texts, answers, context)
        watcher.advance(done)
    watcher.finish()
    return scores


def text_metrics(names: Sequence[str]) -> dict[str, TextMetric]:
    """The metrics of these names, in their order.

    Raises:
        UsageError: None, one that there is not, or one that is named twice.
    """
    chosen: dict[str, TextMetric] = {}
    for name in names:
        if name not in TEXT_METRICS:
            raise UsageError(f'no metric "{name}"{did_you_mean(name, TEXT_METRICS)}', where="--metrics")
        if name in chosen:
            raise UsageError(f'"{name}" is named twice', where="--metrics", next_step="name it once")
        chosen[name] = TEXT_METRICS[name]
    if not chosen:
        raise UsageError("no metric was named", where="--metrics", expected=", ".join(TEXT_METRICS))
    return chosen


def require_one_standard_input(sources: Sequence[str | Path]) -> None:
    """Raises UsageError where more than one of the files is standard input."""
    from_input = [source for source in sources if str(source) == STANDARD_INPUT]
    if len(from_input) > 1:
        raise UsageError(
            "standard input can be read once",
            got=f'"{STANDARD_INPUT}" {len(from_input)} times',
            next_step="put all but one into files",
        )


def read_answers(references: Sequence[str | Path], texts: Texts, hypotheses: str | Path) -> Answers:
    """For each text its references, one out of each file; nothing where there are no files.

    Args:
        references: The files.
        texts: What was read of the hypotheses.
        hypotheses: Their file, for messages.

    Raises:
        NotFoundError: A file that is not there.
        DataError: A line that is not UTF-8, or another number of lines than of texts.
    """
    streams = []
    for source in references:
        streams.append(read_lines(source))
        require_as_long(streams[-1], source, texts, hypotheses, "one reference a line for each hypothesis")
    return list(zip(*streams, strict=True))


def text_context(answers: Answers, seed: int) -> Context:
    """The context of texts in files: their data are the references, by content."""
    data = hashlib.sha256(json.dumps(answers).encode()).hexdigest() if answers else UNSTATED
    return Context(data=data, split=WHOLE_FILES, seed=seed)


def require_as_long(
    lines: Texts, source: str | Path, others: Texts, other_source: str | Path, expected: str
) -> None:
    """Raises DataError where two files have unequal numbers of lines."""
    if len(lines) != len(others):
        raise DataError(
            "unequal numbers of lines",
            where=display_name(source),
            got=f"{len(lines)}, against {len(others)} in {display_name(other_source)}",
            expected=expected,
        )


def _check_references(chosen: Mapping[str, TextMetric], references: Sequence[str | Path]) -> None:
    needing = [name for name, metric in chosen.items() if metric.uses_references]
    if needing and not references:
        raise UsageError(f"{', '.join(needing)} needs references", next_step="name them with --references")
    if references and not needing:
        raise UsageError(
            "references without effect: none of these metrics uses them",
            where="--references",
            got=", ".join(chosen),
            next_step="leave --references out",
        )
