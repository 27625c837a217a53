"""BLEU, chrF and TER against sacreBLEU: the same scores, signatures, and paired tests out of kept rows."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import sacrebleu

from creuset.errors import DataError, GateError, UsageError
from creuset.metrics import Context, TextRows, bleu, bleu_rows, chrf, chrf_rows, ter, ter_rows
from sentences import damaged, pairs

CONTEXT = Context(data="3f2a9c01", split="test")
HYPOTHESES, REFERENCES = pairs(1000)

Settings = dict[str, Any]


CASES = [
    (bleu_rows, {}, sacrebleu.BLEU(force=True)),
    (
        bleu_rows,
        {"tokenizer": "intl", "lowercase": True},
        sacrebleu.BLEU(tokenize="intl", lowercase=True, force=True),
    ),
    (
        bleu_rows,
        {"smoothing": "add-k", "max_order": 2},
        sacrebleu.BLEU(smooth_method="add-k", max_ngram_order=2, force=True),
    ),
    (
        bleu_rows,
        {"tokenizer": "char", "smoothing": "floor"},
        sacrebleu.BLEU(tokenize="char", smooth_method="floor"),
    ),
    (chrf_rows, {}, sacrebleu.CHRF()),
    (
        chrf_rows,
        {"word_order": 2, "beta": 3, "lowercase": True, "whitespace": True, "char_order": 4},
        sacrebleu.CHRF(word_order=2, beta=3, lowercase=True, whitespace=True, char_order=4),
    ),
    (ter_rows, {}, sacrebleu.TER()),
    (
        ter_rows,
        {"lowercase": False, "normalized": True, "punctuation": False},
        sacrebleu.TER(case_sensitive=True, normalized=True, no_punct=True),
    ),
]


@pytest.mark.parametrize(("rows_of", "settings", "peer"), CASES)
def test_a_thousand_pairs_score_exactly_as_in_sacrebleu(
    rows_of: Callable[..., TextRows], settings: Settings, peer: Any
) -> None:
    assert "" in HYPOTHESES
    assert "" in REFERENCES
    rows = rows_of(HYPOTHESES, REFERENCES, **settings)
    assert rows.value == peer.corpus_score(HYPOTHESES, [REFERENCES]).score
    for name, value in peer.get_signature().info.items():
        if value is not None and name != "version":
            assert rows.fields[name] == value
    assert rows.fields["sacrebleu"] == sacrebleu.__version__


@pytest.mark.parametrize(
    ("metric", "peer"),
    [(bleu, sacrebleu.BLEU(force=True)), (chrf, sacrebleu.CHRF()), (ter, sacrebleu.TER())],
)
def test_several_references_of_unequal_number_score_as_in_sacrebleu(
    metric: Callable[..., Any], peer: Any
) -> None:
    rng = np.random.default_rng(1)
    streams = [REFERENCES[:100], [damaged(text, rng) for text in REFERENCES[:100]]]
    streams.append([text if index % 3 == 0 else None for index, text in enumerate(streams[1])])  # type: ignore[misc]
    several = [[text for text in texts if text is not None] for texts in zip(*streams, strict=True)]
    score = metric(HYPOTHESES[:100], several, num_resamples=20)
    assert score.value == peer.corpus_score(HYPOTHESES[:100], streams).score
    assert "|nrefs:var|" in score.signature


@pytest.mark.parametrize("metric", [bleu, chrf, ter])
@pytest.mark.parametrize(
    ("hypotheses", "references"),
    [([""], [""]), (["a b"], [""]), ([""], ["a b"]), (["", "a b c d e"], ["", "a b c d e"])],
)
def test_empty_texts_score_as_in_sacrebleu(
    metric: Callable[..., Any], hypotheses: list[str], references: list[str]
) -> None:
    peers = {bleu: sacrebleu.BLEU(), chrf: sacrebleu.CHRF(), ter: sacrebleu.TER()}
    expected = peers[metric].corpus_score(hypotheses, [references]).score
    assert metric(hypotheses, references).value == expected


def test_scores_are_signed() -> None:
    score = bleu(HYPOTHESES[:50], REFERENCES[:50], context=CONTEXT, num_resamples=50)
    assert score.signature == (
        "bleu|v:1|data:3f2a9c01|split:test|n:50|seed:0|case:mixed|eff:no|interval:bca95|nrefs:1|order:4"
        f"|resamples:50|sacrebleu:{sacrebleu.__version__}|smooth:exp|tok:13a"
    )
    assert score.interval is not None
    assert score.interval[0] < score.value < score.interval[1]
    assert (score.unit, score.better, score.n) == ("points", "higher", 50)
    assert ter(["a"], ["b"]).better == "lower"
    assert chrf(["a b"], ["a b"], word_order=2).metric == "chrf++"


def test_one_text_has_no_interval() -> None:
    assert bleu(["a b c d e"], ["a b c d x"]).interval is None


def test_a_resample_is_scored_as_the_texts_it_draws() -> None:
    rows = bleu_rows(HYPOTHESES[:60], REFERENCES[:60])
    drawn = np.random.default_rng(3).integers(60, size=60)
    counts = np.bincount(drawn, minlength=60)
    expected = sacrebleu.BLEU(force=True).corpus_score(
        [HYPOTHESES[i] for i in drawn], [[REFERENCES[i] for i in drawn]]
    )
    assert rows.statistic(counts[None] @ rows.rows)[0] == pytest.approx(expected.score, rel=1e-12)


def test_a_paired_difference_is_surer_than_two_intervals() -> None:
    rng = np.random.default_rng(5)
    worse = [damaged(text, rng) if rng.random() < 0.2 else text for text in HYPOTHESES]
    first, second = bleu_rows(HYPOTHESES, REFERENCES), bleu_rows(worse, REFERENCES)
    difference = first.minus(second, generator=np.random.default_rng(0))
    assert difference.estimate == pytest.approx(first.value - second.value)
    interval, own = difference.interval(), first.score().interval
    assert interval is not None
    assert own is not None
    assert 0 < interval[0] < difference.estimate < interval[1]
    assert interval[1] - interval[0] < own[1] - own[0]


def test_rows_that_measure_different_things_are_not_compared() -> None:
    rows = bleu_rows(["a b"], ["a b"])
    generator = np.random.default_rng(0)
    with pytest.raises(GateError, match=r"measure different things\n.*tok 13a.*tok none"):
        rows.minus(bleu_rows(["a b"], ["a b"], tokenizer="none"), generator=generator)
    with pytest.raises(DataError, match=r"unequal numbers of texts\n  got: 1 and 2"):
        rows.minus(bleu_rows(["a b", "c"], ["a b", "c"]), generator=generator)


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        ([], [], "hypotheses: nothing to measure"),
        ("abc", ["abc"], r"hypotheses: one text in place of a list of texts\n  got: str of 3 characters"),
        (["abc"], "abc", "references: one text in place of a list"),
        (["a", "b"], ["a"], r"unequal numbers of texts\n  got: 2 hypotheses, 1 references"),
        (["a", "b"], ["a", []], r"references\[1\]: nothing to measure"),
        (["a", None], ["a", "b"], r"hypotheses\[1\]: not a text\n  got: NoneType"),
        (["a"], [["a", 3]], r"references\[0\]\[1\]: not a text\n  got: int"),
    ],
)
def test_texts_that_cannot_be_measured_are_refused(
    hypotheses: Sequence[str], references: Sequence[str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        bleu(hypotheses, references)


def test_settings_that_there_are_not_are_refused() -> None:
    with pytest.raises(UsageError, match='no BLEU tokenizer "int"; did you mean "intl"'):
        bleu(["a"], ["a"], tokenizer="int")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match='no BLEU smoothing "expo"; did you mean "exp"'):
        bleu(["a"], ["a"], smoothing="expo")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="max_order: not a length of n-grams"):
        bleu(["a"], ["a"], max_order=0)
    with pytest.raises(UsageError, match=r"not a form of chrF\n  got: char_order 0, word_order 0, beta 2"):
        chrf(["a"], ["a"], char_order=0)
