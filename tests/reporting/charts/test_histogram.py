from typing import Any

import numpy as np
import pytest

from creuset.errors import UsageError
from creuset.reporting.charts import Axis, Histogram, Sample

X = Axis(label="error")


def chart(*samples: Sample, **options: Any) -> Histogram:
    return Histogram(title="errors", samples=samples, **({"x": X} | options))


def test_shares_are_numpys() -> None:
    values = np.random.default_rng(0).normal(size=500)
    edges, (shares,) = chart(Sample(name="a", values=values), num_bins=13).bins()
    counts, expected = np.histogram(values, 13)
    np.testing.assert_allclose(edges, expected)
    np.testing.assert_allclose(shares, counts / 500)


def test_number_of_bins_follows_freedman_and_diaconis() -> None:
    values = np.random.default_rng(0).normal(size=2000)
    edges, _ = chart(Sample(name="a", values=values)).bins()
    assert len(edges) == len(np.histogram_bin_edges(values, "fd"))


def test_constant_and_empty_samples(parse: type[Any]) -> None:
    drawing = parse(chart(Sample(name="a", values=np.ones(9)), Sample(name="b", values=np.zeros(0))).svg())
    drawing.check_texts()
    assert len(drawing.all("path", "band")) == 1
    assert "no values to draw" in parse(chart().svg()).texts()
    text = chart(Sample(name="a", values=np.arange(5)), Sample(name="b", values=np.zeros(0))).describe()
    assert text == "Distribution of error. a: 5 values, median 2, quartiles 1 and 3. b: no values."


def test_what_is_left_out_is_said(parse: type[Any]) -> None:
    values = np.array([0.5, 0.6, 3.0, np.nan])
    drawing = parse(chart(Sample(name="a", values=values), x=Axis(label="x", low=0, high=1)).svg())
    assert "1 of 4 values are not drawn: not finite." in drawing.texts()
    assert "1 of 4 values lie beyond the axis." in drawing.texts()
    drawing.check_texts()


def test_refusals() -> None:
    with pytest.raises(UsageError, match="a histogram has a linear axis"):
        chart(x=Axis(label="x", log=True))
    with pytest.raises(UsageError, match="a histogram needs a bin"):
        chart(num_bins=0)
