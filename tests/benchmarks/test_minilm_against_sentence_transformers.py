"""The comparison with sentence-transformers compares like with like; its environment is not needed here."""

import gzip
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from source_tree import ROOT

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program as a module, without running it; it takes functions of another program beside it."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location(
        "minilm_benchmark", BENCHMARKS / "minilm_against_sentence_transformers.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules.pop("vae_against_pythae")
    return module


def row(**values: Any) -> dict[str, Any]:
    times = {"loop_seconds": 2.0, "whole_seconds": 3.0, "peak_memory_bytes": 5_000_000}
    return {"version": "1", "torch": "2", "num_texts": 100, "num_features": 4, **times, **values}


def test_a_document_is_its_title_and_sentences(driver: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl.gz"
    with gzip.open(path, "wt") as file:
        for number in range(3):
            file.write(json.dumps({"title": f"T{number}.", "sentences": ["A.", "B."]}) + "\n")
    assert driver.documents(path, 2) == ["T0. A. B.", "T1. A. B."]
    with pytest.raises(SystemExit, match="3 documents; --limit asks for 4"):
        driver.documents(path, 4)


def test_the_least_cosine_is_that_of_the_worst_text(driver: ModuleType, tmp_path: Path) -> None:
    np.save(driver.vectors_of(tmp_path, driver.REFERENCE), np.array([[1.0, 0.0], [0.0, 2.0]]))
    np.save(driver.vectors_of(tmp_path, "creuset float32"), np.array([[3.0, 0.0], [3.0, 4.0]]))
    found = driver.least_cosines(tmp_path, [driver.REFERENCE, "creuset float32"])
    assert found == {"creuset float32": pytest.approx(0.8)}


def test_unequal_work_is_refused(driver: ModuleType) -> None:
    for name in driver.EQUAL:
        rows = {driver.REFERENCE: [row()], "creuset float32": [row(**{name: 8})]}
        with pytest.raises(SystemExit, match=f"not the same work: {name} differs"):
            driver.require_equal(rows)


def test_the_summary_tells_speed_memory_and_agreement(driver: ModuleType) -> None:
    rows = {driver.REFERENCE: [row()], "creuset float32": [row(loop_seconds=1.0)]}
    told = driver.summary(
        {
            "machine": {"processor": "P", "threads": 2, "system": "S", "python": "3"},
            "versions": {"torch": "2"},
            "rounds": 1,
            "max_tokens": 256,
            "rows": rows,
            "least_cosine": {"creuset float32": 0.9999},
            "ratios": driver.ratios(rows),
        }
    )
    assert "100.0 texts/s" in told
    assert "least cosine 0.999900" in told
    assert "creuset float32 against sentence-transformers, loop: 2.00 times as fast (2.00 to 2.00)" in told
