"""`creuset eval --metrics`: measures files of one's own; no run is needed.

Adding a metric of texts is one entry in `TEXT_METRICS`. ROUGE is ROUGE-1, -2 and -L: ROUGE-Lsum reads the
lines within a text, and where a text is one line it is ROUGE-L under another name.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import creuset.metrics as instruments
from creuset.data.text_lines import STANDARD_INPUT, display_name, read_lines
from creuset.errors import DataError, UsageError, did_you_mean
from creuset.metrics.score import Score
from creuset.metrics.signature import UNSTATED, Context
from creuset.metrics.text.answers import Normalisation
from creuset.metrics.text.rouge import RougeTokenizer, RougeVariant
from creuset.metrics.text.rows import TextRows
from creuset.progress import Progress, Silent

WHOLE_FILES = "everything"
"""The split of files that are measured as they are."""

Texts = Sequence[str]
Answers = Sequence[Sequence[str]]
"""For each text its references."""

_ROUGE: tuple[RougeVariant, ...] = ("rouge1", "rouge2", "rougeL")
_BLEU_ORDER = 4


@dataclass(frozen=True, kw_only=True)
class TextMetric:
    """A metric by the name it has on the command line; it has either rows or a value of the whole set.

    Args:
        scores: The names of its scores.
        rows: Texts and their references -> the rows of each score, of which it is made and by which two
            systems are compared.
        of_set: Texts and a context -> scores, for a metric of a whole set of texts.
        uses_references: False for a metric of the texts alone, which is given no references.
        remark: The rows -> what a reader of the scores has to know; "" for nothing.
    """

    scores: tuple[str, ...]
    rows: Callable[[Texts, Answers], list[TextRows]] | None = None
    of_set: Callable[[Texts, Context], list[Score]] | None = None
    uses_references: bool = True
    remark: Callable[[Sequence[TextRows]], str] = lambda _: ""


@dataclass(frozen=True, kw_only=True)
class TextScores:
    """What was measured.

    Args:
        scores: In the order asked for.
        remarks: What is worth saying beside them; whole sentences without a full stop.
    """

    scores: list[Score] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def _too_short(rows: Sequence[TextRows]) -> str:
    """A remark where no hypothesis has a 4-gram: the first column of BLEU's rows counts their words."""
    longest = int(rows[0].rows[:, 0].max())
    if longest >= _BLEU_ORDER:
        return ""
    return (
        f"bleu is 0 whatever the texts say: it is made of runs of {_BLEU_ORDER} words, and no hypothesis has "
        f"more than {longest}; chrf, token-f1 and exact-match measure short texts"
    )


def _rouge(tokenizer: RougeTokenizer) -> TextMetric:
    return TextMetric(
        scores=tuple(f"{variant}_f1" for variant in _ROUGE),
        rows=lambda own, others: [
            *instruments.rouge_rows(own, others, variants=_ROUGE, tokenizer=tokenizer).values()
        ],
    )


def _exact_match(normalisation: Normalisation) -> TextMetric:
    return TextMetric(
        scores=("exact_match",),
        rows=lambda own, others: [instruments.exact_match_rows(own, others, normalisation=normalisation)],
    )


def _token_f1(normalisation: Normalisation) -> TextMetric:
    return TextMetric(
        scores=("token_f1",),
        rows=lambda own, others: [instruments.token_f1_rows(own, others, normalisation=normalisation)],
    )


TEXT_METRICS: Mapping[str, TextMetric] = MappingProxyType(
    {
        "bleu": TextMetric(
            scores=("bleu",),
            rows=lambda own, others: [instruments.bleu_rows(own, others, max_order=_BLEU_ORDER)],
            remark=_too_short,
        ),
        "chrf": TextMetric(scores=("chrf",), rows=lambda own, others: [instruments.chrf_rows(own, others)]),
        "chrf++": TextMetric(
            scores=("chrf++",),
            rows=lambda own, others: [instruments.chrf_rows(own, others, word_order=2)],
        ),
        "ter": TextMetric(scores=("ter",), rows=lambda own, others: [instruments.ter_rows(own, others)]),
        "rouge": _rouge("ascii"),
        "rouge-unicode": _rouge("unicode"),
        "meteor": TextMetric(
            scores=("meteor",), rows=lambda own, others: [instruments.meteor_rows(own, others)]
        ),
        "exact-match": _exact_match("squad"),
        "exact-match-french": _exact_match("french"),
        "exact-match-unicode": _exact_match("unicode"),
        "token-f1": _token_f1("squad"),
        "token-f1-french": _token_f1("french"),
        "token-f1-unicode": _token_f1("unicode"),
        "distinct": TextMetric(
            scores=("distinct_1", "distinct_2"),
            of_set=lambda own, c: [instruments.distinct_n(own, n=n, context=c) for n in (1, 2)],
            uses_references=False,
        ),
        "self-bleu": TextMetric(
            scores=("self_bleu",),
            of_set=lambda own, c: [instruments.self_bleu(own, context=c)],
            uses_references=False,
        ),
        "json-validity": TextMetric(
            scores=("json_validity",),
            rows=lambda own, _: [instruments.json_validity_rows(own)],
            uses_references=False,
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
) -> TextScores:
    """Scores of texts in files of one text a line.

    What the signatures say of the data is in `text_context`.

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
    require_references(chosen, references)
    require_one_standard_input((hypotheses, *references))
    texts = read_lines(hypotheses)
    answers = read_answers(references, texts, hypotheses)
    found = TextScores()
    watcher.start("measuring", len(chosen), "metrics")
    for done, metric in enumerate(chosen.values(), 1):
        context = text_context(metric, answers, len(texts), seed)
        if metric.of_set is not None:
            found.scores.extend(metric.of_set(texts, context))
        if metric.rows is not None:
            rows = metric.rows(texts, answers)
            found.scores.extend(each.score(context=context) for each in rows)
            found.remarks.extend(filter(None, [metric.remark(rows)]))
        watcher.advance(done)
    watcher.finish()
    return found


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


def text_context(metric: TextMetric, answers: Answers, num_texts: int, seed: int) -> Context:
    """The context of texts in files, by which scores of two systems can be compared or not.

    The data of a metric that uses references are these, by content. A metric of the texts alone says the same
    whatever references stand beside it: its data are so many texts.
    """
    if metric.uses_references:
        data = hashlib.sha256(json.dumps(answers).encode()).hexdigest() if answers else UNSTATED
    else:
        data = f"{num_texts}_texts"
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


def require_references(chosen: Mapping[str, TextMetric], references: Sequence[str | Path]) -> None:
    """Raises UsageError where references are missing, or are there and no metric uses them."""
    needing = [name for name, metric in chosen.items() if metric.uses_references]
    if needing and not references:
        raise UsageError(
            f"{', '.join(needing)} {'needs' if len(needing) == 1 else 'need'} references",
            next_step="name them with --references",
        )
    if references and not needing:
        raise UsageError(
            "references without effect: none of these metrics uses them",
            where="--references",
            got=", ".join(chosen),
            next_step="leave --references out",
        )
