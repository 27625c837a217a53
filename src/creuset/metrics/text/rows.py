"""One row of sufficient statistics a text: score, interval and paired comparison come from their sums.

A corpus score such as BLEU is no mean of sentence scores, but a function of sums over sentences. With the
rows kept, a resample costs a product of matrices instead of another pass over the texts, and two systems can
be compared on the same texts (Koehn 2004, "Statistical Significance Tests for Machine Translation
Evaluation").

Legend of shapes: N texts, C columns, R resamples.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from creuset.errors import DataError, GateError
from creuset.metrics.inputs import FloatArray, as_floats
from creuset.metrics.intervals import (
    NUM_RESAMPLES,
    Bootstrap,
    Interval,
    Statistic,
    bootstrap,
    mean_estimate,
    wilson_interval,
    within,
)
from creuset.metrics.score import Better, Score
from creuset.metrics.signature import NO_CONTEXT, Context, FieldValue


@dataclass(frozen=True, kw_only=True, eq=False)
class TextRows:
    """The rows of one metric over one set of texts.

    Args:
        metric: The metric's name.
        unit: The unit of its score.
        better: Whether higher or lower is better.
        rows: One row a text, float64 (N, C).
        statistic: The score of a sum of rows, for many sums at once: (R, C) -> (R,).
        spread: How the interval is made: "bca" resamples the texts; "t" is Student's, for a mean whose
            column is the first; "wilson" Wilson's, for a share of texts with 0 or 1 in the first column.
        fields: Every choice that changes the number, for the signature.
        bounds: The lowest and the highest value there can be, to which an interval by "t" is cut.
    """

    metric: str
    unit: str
    better: Better
    rows: FloatArray
    statistic: Statistic
    spread: Literal["bca", "t", "wilson"]
    fields: Mapping[str, FieldValue]
    bounds: Interval | None = None

    @property
    def n(self) -> int:
        """How many texts."""
        return len(self.rows)

    @property
    def value(self) -> float:
        """The score of all texts together.

        Columns are added in the order of the texts, so that the sum has the rounding of a plain loop.
        """
        return float(self.statistic(np.cumsum(self.rows, axis=0)[-1:])[0])

    def score(self, *, context: Context = NO_CONTEXT, num_resamples: int = NUM_RESAMPLES) -> Score:
        """The score with its 95% interval.

        A single text has no interval, and neither has a score that is the same for all resamples.

        Args:
            context: Data, split and seed.
            num_resamples: Resamples of a bootstrap interval.
        """
        fields = dict(self.fields)
        interval = None
        if self.spread == "bca":
            if self.n > 1:
                sampled = bootstrap(
                    self.rows,
                    self.statistic,
                    generator=context.generator(),
                    num_resamples=num_resamples,
                )
                interval = sampled.interval("bca")
            fields |= {"interval": "bca95", "resamples": num_resamples}
        elif self.spread == "t":
            interval = mean_estimate(self.rows[:, 0]).interval
            if self.bounds is not None:
                interval = within(interval, *self.bounds)
            fields |= {"interval": "t95"}
        else:
            interval = wilson_interval(int(self.rows[:, 0].sum()), self.n)
            fields |= {"interval": "wilson95"}
        return context.score(
            metric=self.metric,
            value=self.value,
            unit=self.unit,
            better=self.better,
            interval=interval,
            n=self.n,
            fields=fields,
            seeded=self.spread == "bca",
        )

    def minus(
        self, other: "TextRows", *, generator: np.random.Generator, num_resamples: int = NUM_RESAMPLES
    ) -> Bootstrap:
        """This score minus another system's on the same texts, which are resampled together.

        Args:
            other: The rows of the other system: the same metric, texts in the same order.
            generator: Every draw.
            num_resamples: Resamples.

        Raises:
            GateError: Another metric, or other choices.
            DataError: Another number of texts.
        """
        if (self.metric, dict(self.fields)) != (other.metric, dict(other.fields)):
            raise GateError(
                "these rows cannot be compared: they measure different things",
                got=f"{_described(self)} against {_described(other)}",
                expected="the same metric with the same choices",
            )
        if self.n != other.n:
            raise DataError(
                "unequal numbers of texts",
                got=f"{self.n} and {other.n}",
                expected="both systems on the same texts, in the same order",
            )
        width = self.rows.shape[1]
        return bootstrap(
            np.hstack([self.rows, other.rows]),
            lambda sums: self.statistic(sums[:, :width]) - other.statistic(sums[:, width:]),
            generator=generator,
            num_resamples=num_resamples,
        )


def mean_rows(values: ArrayLike, *more: ArrayLike) -> FloatArray:
    """The rows of a mean over texts: the values, a column of ones, and further columns; (N, 2 + ...)."""
    column = as_floats("values", values, "texts")
    others = [as_floats("values", other, "texts") for other in more]
    return np.stack([column, np.ones_like(column), *others], axis=1)


def mean_statistic(sums: FloatArray) -> FloatArray:
    """The mean of what `mean_rows` holds: (R, C) -> (R,)."""
    mean: FloatArray = sums[:, 0] / sums[:, 1]
    return mean


def _described(rows: TextRows) -> str:
    return f"{rows.metric} ({', '.join(f'{name} {value}' for name, value in sorted(rows.fields.items()))})"
