"""Agreement between judges against published and hand-worked cases."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from creuset.errors import DataError, UsageError
from creuset.metrics.agreement import Labels, cohen_kappa, krippendorff_alpha, raw_agreement

KRIPPENDORFF: list[list[int | None]] = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
"""Section C of Krippendorff (2011): four judges, twelve units, gaps; alpha for names is .743."""


def test_alpha_is_that_of_the_paper() -> None:
    score = krippendorff_alpha(KRIPPENDORFF)
    assert score.value == pytest.approx(0.743, abs=0.0005)
    assert score.n == 11  # the last unit has one label only
    assert "|judges:4|" in score.signature


def test_kappa_by_hand() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: p_o = .7, p_e = .5 * .6 + .5 * .4 = .5.
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    score = cohen_kappa([first, second])
    assert score.value == pytest.approx(0.4)
    assert raw_agreement([first, second]).value == pytest.approx(0.7)
    low, high = score.interval or (0, 0)
    # Cohen's large-sample error is .13
    assert low == pytest.approx(0.4 - 1.96 * 0.13, abs=0.05)
    assert high == pytest.approx(0.4 + 1.96 * 0.13, abs=0.05)


def test_kappa_is_scikit_learns() -> None:
    drawn = np.random.default_rng(0)
    first = drawn.integers(0, 4, 200)
    second = np.where(drawn.random(200) < 0.5, first, drawn.integers(0, 4, 200))
    labels: Labels = [first.tolist(), second.tolist()]
    assert cohen_kappa(labels).value == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)


def test_alpha_of_two_judges_by_hand() -> None:
    # Units aa, ab, bb: coincidences o_ab = 1; n_a = n_b = 3: alpha = 1 - 5 (1 + 1)/(3 * 3 * 2) = 4/9.
    assert krippendorff_alpha([["a", "a", "b"], ["a", "b", "b"]]).value == pytest.approx(4 / 9)


def test_judges_who_guess_agree_as_chance_has_it() -> None:
    drawn = np.random.default_rng(0)
    labels: Labels = drawn.integers(0, 3, (3, 3000)).tolist()
    alpha = krippendorff_alpha(labels)
    assert alpha.value == pytest.approx(0, abs=0.03)
    assert alpha.interval is not None
    assert alpha.interval[0] < 0 < alpha.interval[1]
    assert raw_agreement(labels).value == pytest.approx(1 / 3, abs=0.02)


def test_full_agreement_is_one_and_has_no_interval() -> None:
    labels = [["a", "b", "a", "b"]] * 3
    for measure in (krippendorff_alpha, raw_agreement):
        assert measure(labels).value == 1
        assert measure(labels).interval is None
    assert cohen_kappa(labels[:2]).value == 1


def test_kappa_leaves_out_items_that_one_judge_skipped() -> None:
    whole = cohen_kappa([["a", "b", "a", "b"], ["a", "b", "b", "b"]])
    gaps = cohen_kappa([["a", "b", "c", "a", "b", None], ["a", "b", None, "b", "b", "a"]])
    assert (gaps.value, gaps.n) == (whole.value, 4)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(UsageError, match="of two judges\n  got: 3 judges"):
        cohen_kappa([["a", "b"]] * 3)
    with pytest.raises(DataError, match="got: 1 judges with 2 items"):
        raw_agreement([["a", "b"]])
    with pytest.raises(DataError, match="got: 2 judges with 1, 2 items"):
        krippendorff_alpha([["a", "b"], ["a"]])
    with pytest.raises(DataError, match="no item was labelled by two judges"):
        krippendorff_alpha([["a", None], [None, "b"]])
    for measure in (cohen_kappa, krippendorff_alpha):
        with pytest.raises(DataError, match="all labels are the same"):
            measure([["a", "a"], ["a", "a"]])
    assert raw_agreement([["a", "a"], ["a", "a"]]).value == 1
