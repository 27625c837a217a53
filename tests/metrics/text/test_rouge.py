"""ROUGE against rouge-score, and its mode for texts that are not English."""

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

from creuset.errors import UsageError
from creuset.metrics import Stemmer, rouge, rouge_rows
from creuset.metrics.text.rouge import ROUGE_VARIANTS
from sentences import damaged, pairs

HYPOTHESES, REFERENCES = pairs(1000, seed=2)


@pytest.mark.parametrize("stemmer", [None, "porter"])
def test_a_thousand_pairs_score_exactly_as_in_rouge_score(stemmer: str | None) -> None:
    lines = [text.replace(" ", "\n", 2) for text in HYPOTHESES]  # several lines, which ROUGE-Lsum tells apart
    rows = rouge_rows(lines, REFERENCES, stemmer=stemmer)  # type: ignore[arg-type]
    peer = RougeScorer(list(ROUGE_VARIANTS), use_stemmer=stemmer is not None)
    expected = [peer.score(reference, text) for text, reference in zip(lines, REFERENCES, strict=True)]
    for variant in ROUGE_VARIANTS:
        table = np.array(
            [(e[variant].fmeasure, 1, e[variant].precision, e[variant].recall) for e in expected]
        )
        np.testing.assert_array_equal(rows[variant].rows, table)
        assert rows[variant].value == pytest.approx(table[:, 0].mean())


def test_the_best_of_several_references_counts() -> None:
    rng = np.random.default_rng(0)
    several = [[text, damaged(text, rng)] for text in REFERENCES[:50]]
    peer = RougeScorer(["rougeL"])
    expected = [
        peer.score_multi(texts, text)["rougeL"].fmeasure
        for text, texts in zip(HYPOTHESES[:50], several, strict=True)
    ]
    (score,) = rouge(HYPOTHESES[:50], several, variants=["rougeL"])
    assert score.value == pytest.approx(np.mean(expected))
    assert score.metric == "rougeL_f1"
    assert "|interval:t95|nrefs:2|rouge_score:0.1.2|stemmer:none|tokenizer:ascii" in score.signature


def test_accents_and_elisions_are_words_in_the_unicode_mode() -> None:
    # rouge-score sees [l, t, l, l, ve] and [l, t, l, tat]: letters without accents are all that is left.
    hypothesis, reference = ["L'été, l'élève"], ["l’ÉTÉ, l’étude"]
    (score,) = rouge(hypothesis, reference, variants=["rouge1"], tokenizer="unicode")
    assert score.value == pytest.approx(3 / 4)  # l, été, l of four words each
    assert "|tokenizer:unicode" in score.signature
    assert rouge(["été"], ["étage"], variants=["rouge1"])[0].value == 0
    same = rouge(["Éléphant à l'œuvre"], ["éléphant à l'œuvre"], tokenizer="unicode")
    assert [each.value for each in same] == [1, 1, 1, 1]
    # What the ASCII mode makes of unlike words: "é" alone leaves nothing, and so nothing can match.
    assert rouge(["é à ù"], ["é à ù"], variants=["rouge1"])[0].value == 0


def test_a_stemmer_brings_french_forms_together() -> None:
    plural = Stemmer(name="no_s", stem=lambda word: word.removesuffix("s"))
    (score,) = rouge(["les élèves"], ["le élève"], variants=["rouge2"], tokenizer="unicode", stemmer=plural)
    (plain,) = rouge(["les élèves"], ["le élève"], variants=["rouge2"], tokenizer="unicode")
    assert (score.value, plain.value) == (1, 0)
    assert "|stemmer:no_s|" in score.signature


def test_intervals_stay_within_what_rouge_can_be() -> None:
    (score,) = rouge(["a b", "c", "a"], ["a c", "d", "a"], variants=["rouge1"])
    assert score.interval is not None
    assert score.interval[0] == 0
    assert score.interval[1] == 1


def test_settings_that_there_are_not_are_refused() -> None:
    with pytest.raises(UsageError, match='no variant of ROUGE "rougel"; did you mean "rougeL"'):
        rouge(["a"], ["a"], variants=["rougel"])  # type: ignore[list-item]
    with pytest.raises(UsageError, match="no variant of ROUGE was asked for"):
        rouge(["a"], ["a"], variants=[])
    with pytest.raises(UsageError, match='no ROUGE tokenizer "french"'):
        rouge(["a"], ["a"], tokenizer="french")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"does not fit the tokenizer\n  got: porter with unicode"):
        rouge(["a"], ["a"], tokenizer="unicode", stemmer="porter")
