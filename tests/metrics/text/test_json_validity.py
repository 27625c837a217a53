"""JSON validity: what RFC 8259 allows, and what a validator asks for beyond it."""

import pytest

from creuset.errors import DataError
from creuset.metrics import JsonValidator, json_validity, json_validity_rows, wilson_interval

VALID = ['{"a": [1, 2.5e3, null]}', "3", '"é"', " [true] \n", "1" + "0" * 5000]
INVALID = ["", "{'a': 1}", "[1,]", "NaN", "[Infinity]", '{"a": 1} done', "```json\n{}\n```", "[" * 100_000]


def test_valid_documents_are_told_from_others() -> None:
    rows = json_validity_rows(VALID + INVALID)
    assert rows.rows[:, 0].tolist() == [1] * len(VALID) + [0] * len(INVALID)
    score = json_validity(VALID + INVALID)
    assert score.value == len(VALID) / (len(VALID) + len(INVALID))
    assert score.interval == wilson_interval(len(VALID), len(VALID) + len(INVALID))
    assert score.signature.endswith("|interval:wilson95|validator:none")


def test_a_validator_asks_for_more() -> None:
    has_name = JsonValidator(
        name="has_name", accepts=lambda found: isinstance(found, dict) and "name" in found
    )
    score = json_validity(['{"name": 1}', '{"nam": 1}', "[]", "{"], validator=has_name)
    assert score.value == 0.25
    assert score.signature.endswith("|validator:has_name")


def test_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="texts: nothing to measure"):
        json_validity([])
