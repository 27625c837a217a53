"""The gate on pairs: each finding on rows that have it, none on rows that have nothing."""

import pytest

from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import SpecialTokens
from creuset.errors import GateError
from creuset.training.gate import GateReport
from creuset.training.gate_on_pairs import PAIR_CHECKS, PairRow, look_at_pairs
from small_tokenizers import small

TOKENIZER = Tokenizer(small("wordpiece"), special=SpecialTokens(unk=1))
MAX_TOKENS = 8


def row(anchor: str, positive: str, negative: str = "", place: int = 1) -> PairRow:
    ids = [tuple(TOKENIZER.encode(text, add_special=False)) for text in (anchor, positive, negative)]
    return PairRow(
        texts=(anchor, positive, negative),
        ids=tuple(found[: MAX_TOKENS - 2] for found in ids),
        num_tokens=tuple(len(found) + 2 * bool(found) for found in ids),
        place=f"rows.jsonl:{place}",
    )


def look(training: list[PairRow], evaluation: list[PairRow] | None = None) -> GateReport:
    return look_at_pairs(training, evaluation or [], TOKENIZER, max_tokens=MAX_TOKENS)


GOOD = [row("fox a", "the a", "the z"), row("fox b", "the b", place=2)]


def test_good_rows_pass() -> None:
    report = look(GOOD, [row("fox c", "the c", place=3)])
    assert report.findings == ()
    assert report.told.startswith("2 rows, 20 tokens, 100% of them read")
    assert report.sample == "anchor: fox a | positive: the a | negative: the z"
    report.require()


@pytest.mark.parametrize(
    ("name", "training", "evaluation", "places"),
    [
        ("unknown tokens", [*GOOD, row("日本", "the c", place=3)], [], [3]),
        ("one positive", [row("fox a", "the b"), row("fox b", "the b", place=2)], [], [1, 2]),
        ("leak", GOOD, [row("fox b", "the c", place=7)], [7]),
        ("leak", GOOD, [row("the b", "fox b", place=8)], [8]),
        ("cut", [*GOOD, row("fox c", "the the the the the the the", place=4)], [], [4]),
        ("alike", [*GOOD, row("fox c", "Fox C", place=5)], [], [5]),
        ("contradiction", [*GOOD, row("fox b", "the c", "the b", place=6)], [], [6]),
        ("known positive", GOOD, [row("fox c", "the a", place=9)], [9]),
        ("duplicates", [*GOOD, row("fox b", "the b", place=3)], [], [3]),
    ],
)
def test_each_finding_is_made_with_its_rows(
    name: str, training: list[PairRow], evaluation: list[PairRow], places: list[int]
) -> None:
    report = look(training, evaluation)
    assert [finding.name for finding in report.findings] == [name]
    (finding,) = report.findings
    assert finding.places == tuple(f"rows.jsonl:{place}" for place in places)
    assert finding.fatal == next(check.fatal for check in PAIR_CHECKS if check.name == name)
    if finding.fatal:
        with pytest.raises(GateError, match=rf"the gate refuses this tuning\n  {name}: "):
            report.require()


def test_the_share_of_what_is_cut_is_told_and_shown() -> None:
    (finding,) = look([*GOOD, row("fox c", "the " * 7, place=4)]).findings
    assert finding.message == "1 row (33.3%) with a text of more than 8 tokens, whose end is not read"
    assert "positive (9 tokens, of which 8 are read): the the" in finding.shown
