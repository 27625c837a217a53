"""The comparison of two ways to draw compares the same pictures."""

from typing import Any

import pytest
import torch

from benchmark_programs import program

driver = program("pixelcnn_sampling")
peer = program("peers/pixelcnn")


def row(**values: Any) -> dict[str, Any]:
    known = {
        "version": "1",
        "torch": "2",
        "threads": 1,
        "num_parameters": 5000,
        "num_pictures": 64,
        "side": 28,
    }
    times = {"drawing_seconds": 60.0, "peak_memory_bytes": 5_000_000}
    return {**known, **times, "pictures_sha256": "ab", **values}


def test_both_ways_draw_the_same_pictures() -> None:
    torch.set_num_threads(1)
    model = peer.network(5)
    naive = peer.drawn_naively(model, peer.draws(4))
    assert torch.equal(naive, peer.drawn_by_creuset(model, peer.draws(4)))
    assert naive.unique().tolist() == [-1, 1]


@pytest.mark.parametrize("name", driver.EQUAL)
def test_unequal_work_is_refused(name: str) -> None:
    rows = {driver.REFERENCE: [row()], "creuset": [row(**{name: 99})]}
    with pytest.raises(SystemExit, match=f"not the same work: {name} differs"):
        driver.require_equal(rows, driver.EQUAL)


def test_the_summary_tells_times_and_their_ratio() -> None:
    rows = {driver.REFERENCE: [row()], "creuset": [row(drawing_seconds=1.5)]}
    told = driver.summary(
        {
            "machine": {"processor": "P", "threads": 1, "system": "S", "python": "3"},
            "versions": {"torch": "2"},
            "rounds": 1,
            "rows": rows,
            "ratios": driver.times_as_fast(rows, driver.TIMES),
        }
    )
    assert "64 pictures of 28 x 28 by a network of 5,000 parameters" in told
    assert "creuset against naive loop, drawing: 40.00 times as fast (40.00 to 40.00)" in told
    assert "at least 20 times are promised" in told
