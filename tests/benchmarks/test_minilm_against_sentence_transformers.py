"""The comparison with sentence-transformers compares like with like."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark_programs import program

driver = program("minilm_against_sentence_transformers")


def row(**values: Any) -> dict[str, Any]:
    times = {"loop_seconds": 2.0, "whole_seconds": 3.0, "peak_memory_bytes": 5_000_000}
    return {"version": "1", "torch": "2", "num_texts": 100, "num_features": 4, **times, **values}


def test_a_document_is_its_title_and_sentences(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl.gz"
    with gzip.open(path, "wt") as file:
        for number in range(3):
            file.write(json.dumps({"title": f"T{number}.", "sentences": ["A.", "B."]}) + "\n")
    assert driver.documents(path, 2) == ["T0. A. B.", "T1. A. B."]
    with pytest.raises(SystemExit, match="3 documents; --limit asks for 4"):
        driver.documents(path, 4)


def test_the_least_cosine_is_that_of_the_worst_text(tmp_path: Path) -> None:
    np.save(driver.vectors_of(tmp_path, driver.REFERENCE), np.array([[1.0, 0.0], [0.0, 2.0]]))
    np.save(driver.vectors_of(tmp_path, "creuset float32"), np.array([[3.0, 0.0], [3.0, 4.0]]))
    found = driver.least_cosines(tmp_path, [driver.REFERENCE, "creuset float32"])
    assert found == {"creuset float32": pytest.approx(0.8)}


def test_unequal_work_is_refused() -> None:
    for name in driver.EQUAL:
        rows = {driver.REFERENCE: [row()], "creuset float32": [row(**{name: 8})]}
        with pytest.raises(SystemExit, match=f"not the same work: {name} differs"):
            driver.require_equal(rows, driver.EQUAL)


def test_the_summary_tells_speed_memory_and_agreement() -> None:
    rows = {driver.REFERENCE: [row()], "creuset float32": [row(loop_seconds=1.0)]}
    told = driver.summary(
        {
            "machine": {"processor": "P", "threads": 2, "system": "S", "python": "3"},
            "versions": {"torch": "2"},
            "rounds": 1,
            "max_tokens": 256,
            "rows": rows,
            "least_cosine": {"creuset float32": 0.9999},
            "ratios": driver.times_as_fast(rows, driver.TIMES),
        }
    )
    assert "100.0 texts/s" in told
    assert "least cosine 0.999900" in told
    assert "creuset float32 against sentence-transformers, loop: 2.00 times as fast (2.00 to 2.00)" in told
    assert "creuset float32: at least 1.2 times in the loop and a cosine of 0.99999 are promised" in told
