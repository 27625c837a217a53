"""Decoding is compared with equal work, and the tokens are compared as well."""

from typing import Any

import pytest

from benchmark_programs import program

driver = program("decode_against_transformers")


def row(**values: Any) -> dict[str, Any]:
    known = {"torch": "2", "num_prompt_tokens": 5, "num_tokens": 3, "threads": 1, "version": "1"}
    times = {"tokens_per_second": 2.0, "peak_memory_bytes": 5_000_000}
    return {**known, **times, "token_ids": [1, 2, 3], **values}


def rows(**changed: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {name: [row(**changed.get(name, {}))] for name in driver.CONTENDERS}


def test_texts_that_part_in_float32_end_the_program() -> None:
    driver.require_same_float32_text(rows())
    wrong = rows(**{"creuset float32": {"token_ids": [1, 5, 3]}})
    with pytest.raises(SystemExit, match="different texts from token 1 on"):
        driver.require_same_float32_text(wrong)
    driver.require_same_float32_text(rows(**{"creuset int8": {"token_ids": [4, 5, 6]}}))


@pytest.mark.parametrize("name", driver.EQUAL)
def test_unequal_work_is_refused(name: str) -> None:
    with pytest.raises(SystemExit, match=f"not the same work: {name} differs"):
        driver.require_equal(rows(**{"creuset int8": {name: 99}}), driver.EQUAL)


def test_the_summary_tells_speed_memory_tokens_and_ratios() -> None:
    found = rows(
        **{
            "creuset bfloat16": {"tokens_per_second": 4.0},
            "creuset int8": {"tokens_per_second": 5.0, "token_ids": [1, 2, 9]},
            "creuset bfloat16, 8 texts": {"tokens_per_second": 14.0},
        }
    )
    ratios = driver.ratios(found)
    assert {name: of["median"] for name, of in ratios.items()} == {
        "bfloat16, one text": 2.0,
        "int8 weights against bfloat16, one text": 2.5,
        "8 texts against one": 3.5,
        "8 texts": 7.0,
        "float32, one text": 1.0,
    }
    told = driver.summary(
        {
            "machine": {"processor": "P", "threads": 2, "system": "S", "python": "3"},
            "versions": driver.versions(found),
            "tokens": 3,
            "rounds": 1,
            "rows": found,
            "same_tokens": {
                name: driver.same_tokens(of[0], found[driver.REFERENCE][0]) for name, of in found.items()
            },
            "ratios": ratios,
        }
    )
    assert "5 tokens of prompt, 3 generated, rounds 1" in told
    assert "the first 2 tokens those of transformers float32" in told
    assert "bfloat16, one text: 2.00 times (2.00 to 2.00), at least 1.5 is promised" in told
    assert "creuset bfloat16, 8 texts         14.0 tokens/s  peak      5 MB" in told
