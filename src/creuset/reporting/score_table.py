"""Scores arranged for comparison: one column a measure, one row a subject.

Only scores with the same metric, unit and signature share a column: unlike signatures measured different
things. In a column with two subjects or more the best value is marked, together with each value whose
interval overlaps the best one's: by their intervals alone these are not told apart.
"""

import string
from collections.abc import Sequence
from dataclasses import dataclass

from creuset.metrics.score import Better, Score
from creuset.reporting.blocks import Measured, Scores
from creuset.reporting.charts import Axis, Dot, DotChart, Reference
from creuset.reporting.numbers import common_decimals, compact

_UNITS = {
    "fraction": "%",
    "bits_per_dim": "bits/dim",
    "bits_per_code": "bits/code",
    "nats_per_code_map": "nats/code map",
    "score": "",
    "squared_mmd": "squared MMD",
    "probability": "probability, of real ones 0.5",
}
_WITH_TARGET = "probability"
"""The unit of what is best neither high nor low: how often one of two is ahead, 0.5 where both are alike."""
_ABBREVIATIONS = frozenset(
    ("auroc", "bleu", "elbo", "f1", "fd", "fid", "kd", "kid", "mse", "nll", "psnr", "rouge")
)
_COLUMNS_A_TABLE = 4
"""With more measures than this, the next ones go into rows of their own below."""


@dataclass(frozen=True, kw_only=True)
class ScoreCell:
    """One score as texts; the interval and n are empty where there is none, or the column says it for all."""

    value: str
    interval: str
    n: str
    marked: bool


@dataclass(frozen=True, kw_only=True)
class ScoreColumn:
    """All scores that can stand below each other.

    Args:
        letter: Leads from the column's head to its signature below the table.
        metric: The measure's name in words.
        unit: As printed; a fraction is printed in percent.
        better: Which end is the better one.
        signature: What all of them share.
        scores: By subject.
    """

    letter: str
    metric: str
    unit: str
    better: Better
    signature: str
    scores: dict[str, Score]

    @property
    def factor(self) -> float:
        """By what a score's value is multiplied to be printed in `unit`."""
        return 100.0 if self.unit == "%" else 1.0

    @property
    def has_target(self) -> bool:
        """Whether the best value is 0.5."""
        return self.unit == _UNITS[_WITH_TARGET]

    @property
    def decimals(self) -> int:
        """Decimals that show two digits of each interval's half-width."""
        return common_decimals(self._printed().values())

    @property
    def common_n(self) -> int | None:
        """The number of samples, where all scores have the same."""
        numbers = {score.n for score in self.scores.values()}
        return numbers.pop() if len(numbers) == 1 else None

    def marked(self) -> set[str]:
        """The subject with the best value and those whose intervals overlap its; none if it is alone, or
        where neither the highest nor the lowest is the best."""
        values = {name: score.value for name, score in self.scores.items()}
        if len(values) < 2 or self.has_target:
            return set()
        best = (max if self.better == "higher" else min)(values.values())
        leaders = {name for name, value in values.items() if value == best}
        for leader in sorted(leaders):
            leaders |= {name for name in values if _overlap(self.scores[leader], self.scores[name])}
        return leaders

    def cell(self, subject: str) -> ScoreCell | None:
        """What the table says of one subject, None if it has no such score."""
        if subject not in self.scores:
            return None
        value, interval = self._printed()[subject]
        ends = "" if interval is None else ", ".join(compact(end, self.decimals) for end in interval)
        return ScoreCell(
            value=compact(value, self.decimals),
            interval=f"[{ends}]" if ends else "",
            n="" if self.common_n is not None else f"n = {self.scores[subject].n:,}",
            marked=subject in self.marked(),
        )

    def chart(self, references: Sequence[Reference] = ()) -> DotChart:
        """The scores with their intervals as a chart."""
        marked = self.marked()
        rows = [
            Dot(name=name, value=value, interval=interval, marked=name in marked)
            for name, (value, interval) in self._printed().items()
        ]
        unit = f", {self.unit}" if self.unit else ""
        name = f"{self.metric}{unit}" + ("" if self.has_target else f" ({self.better} is better)")
        scaled = [Reference(name=r.name, value=r.value * self.factor) for r in references]
        if self.has_target:
            scaled.append(Reference(name="real ones", value=0.5))
        return DotChart(
            title=f"{self.metric} with 95% intervals",
            rows=rows,
            axis=Axis(label=name),
            references=scaled,
            decimals=self.decimals,
        )

    def _printed(self) -> dict[str, tuple[float, tuple[float, float] | None]]:
        """Value and interval of each subject, in the printed unit."""
        printed: dict[str, tuple[float, tuple[float, float] | None]] = {}
        for name, score in self.scores.items():
            ends = score.interval
            scaled = None if ends is None else (ends[0] * self.factor, ends[1] * self.factor)
            printed[name] = (score.value * self.factor, scaled)
        return printed


def printed_metric(metric: str) -> str:
    """A measure's name as people write it: f1_macro is F1 macro."""
    return " ".join(word.upper() if word in _ABBREVIATIONS else word for word in metric.split("_"))


def score_columns(measured: Sequence[Measured]) -> list[ScoreColumn]:
    """The columns in the order of their first score; unlike signatures go into columns of their own."""
    groups: dict[tuple[str, str, Better, str], dict[str, Score]] = {}
    for one in measured:
        score = one.score
        key = (score.metric, score.unit, score.better, score.signature)
        groups.setdefault(key, {})[one.subject] = score
    return [
        ScoreColumn(
            letter=string.ascii_lowercase[i % 26] * (i // 26 + 1),
            metric=printed_metric(metric),
            unit=_UNITS.get(unit, unit.replace("_", " ")),
            better=better,
            signature=signature,
            scores=scores,
        )
        for i, ((metric, unit, better, signature), scores) in enumerate(groups.items())
    ]


def column_bands(columns: Sequence[ScoreColumn]) -> list[list[ScoreColumn]]:
    """The columns in groups that fit side by side on a page."""
    return [list(columns[i : i + _COLUMNS_A_TABLE]) for i in range(0, len(columns), _COLUMNS_A_TABLE)]


def score_charts(scores: Scores, columns: Sequence[ScoreColumn]) -> list[DotChart]:
    """A chart for each column that two subjects or more share."""
    if not scores.charts:
        return []
    references = {printed_metric(name): given for name, given in scores.references.items()}
    return [c.chart(references.get(c.metric, ())) for c in columns if len(c.scores) > 1]


def _overlap(one: Score, other: Score) -> bool:
    if one.interval is None or other.interval is None:
        return False
    return one.interval[0] <= other.interval[1] and other.interval[0] <= one.interval[1]
