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
        uses_references: False for a metric of the texts alone, which is given no references.
    """

    measure: Callable[[Texts, Answers, Context], list[Score]]
    uses_references: bool = True


TEXT_METRICS: Mapping[str, TextMetric] = MappingProxyType(
    {
        "bleu": TextMetric(measure=lambda own, others, c: [instruments.bleu(own, others, context=c)]),
        "chrf": TextMetric(measure=lambda own, others, c: [instruments.chrf(own, others, context=c)]),
        "chrf++": TextMetric(
            measure=lambda own, others, c: [instruments.chrf(own, others, word_order=2, context=c)]
        ),
        "ter": TextMetric(measure=lambda own, others, c: [instruments.ter(own, others, context=c)]),
        "rouge": TextMetric(measure=lambda own, others, c: instruments.rouge(own, others, context=c)),
        "rouge-unicode": TextMetric(
            measure=lambda own, others, c: instruments.rouge(own, others, tokenizer="unicode", context=c)
        ),
        "meteor": TextMetric(measure=lambda own, others, c: [instruments.meteor(own, others, context=c)]),
        "exact-match": TextMetric(
            measure=lambda own, others, c: [instruments.exact_match(own, others, context=c)]
        ),
        "token-f1": TextMetric(measure=lambda own, others, c: [instruments.token_f1(own, others, context=c)]),
        "distinct": TextMetric(
            measure=lambda own, _, c: [instruments.distinct_n(own, n=n, context=c) for n in (1, 2)],
            uses_references=False,
        ),
        "self-bleu": TextMetric(
            measure=lambda own, _, c: [instruments.self_bleu(own, context=c)], uses_references=False
        ),
        "json-validity": TextMetric(
            measure=lambda own, _, c: [instruments.json_validity(own, context=c)], uses_references=False
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
    chosen = _chosen(metrics)
    _check_sources(chosen, hypotheses, references)
    texts = read_lines(hypotheses)
    streams = [_as_long(read_lines(source), source, texts, hypotheses) for source in references]
    answers = list(zip(*streams, strict=True))
    context = Context(data=_content_hash(answers) if answers else UNSTATED, split=WHOLE_FILES, seed=seed)
    scores: list[Score] = []
    watcher.start("measuring", len(chosen), "metrics")
    for done, metric in enumerate(chosen.values(), 1):
        scores += metric.measure(texts, answers, context)
        watcher.advance(done)
    watcher.finish()
    return scores


def _chosen(metrics: Sequence[str]) -> dict[str, TextMetric]:
    chosen: dict[str, TextMetric] = {}
    for name in metrics:
        if name not in TEXT_METRICS:
            raise UsageError(f'no metric "{name}"{did_you_mean(name, TEXT_METRICS)}', where="--metrics")
        if name in chosen:
            raise UsageError(f'"{name}" is named twice', where="--metrics", next_step="name it once")
        chosen[name] = TEXT_METRICS[name]
    if not chosen:
        raise UsageError("no metric was named", where="--metrics", expected=", ".join(TEXT_METRICS))
    return chosen


def _check_sources(
    chosen: Mapping[str, TextMetric], hypotheses: str | Path, references: Sequence[str | Path]
) -> None:
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
    from_input = [source for source in (hypotheses, *references) if str(source) == STANDARD_INPUT]
    if len(from_input) > 1:
        raise UsageError(
            "standard input can be read once",
            got=f'"{STANDARD_INPUT}" {len(from_input)} times',
            next_step="put all but one into files",
        )


def _as_long(lines: list[str], source: str | Path, texts: Sequence[str], hypotheses: str | Path) -> list[str]:
    if len(lines) != len(texts):
        raise DataError(
            "unequal numbers of lines",
            where=display_name(source),
            got=f"{len(lines)}, against {len(texts)} in {display_name(hypotheses)}",
            expected="one reference a line for each hypothesis",
        )
    return lines


def _content_hash(answers: Answers) -> str:
    return hashlib.sha256(json.dumps(answers).encode()).hexdigest()
