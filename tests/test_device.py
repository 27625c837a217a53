import hashlib
import itertools
import json
import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

from creuset import device
from creuset.device import (
    BatchGenerator,
    choose_precision,
    derive_seed,
    machine_facts,
    measured_gain,
    memory_errors,
    peak_memory_bytes,
    resolve_device,
    stream,
)
from creuset.errors import ResourceError, UsageError


def test_seeds_differ_by_each_label_and_never_change() -> None:
    assert derive_seed(0, "train", 17) == 4685959339490670074  # stored runs rest on it
    of_text = hashlib.sha256(b'[0, "train", 17]').digest()
    assert derive_seed(0, "train", 17) == int.from_bytes(of_text[:8], "big") // 2
    seeds = {
        derive_seed(seed, *labels) for seed in (0, 1) for labels in (("a", 1), ("a", 2), ("b", 1), ("a1",))
    }
    assert len(seeds) == 8


def test_a_stream_does_not_hang_on_what_was_drawn_before() -> None:
    first = torch.randn(5, generator=stream(3, "x", 1))
    torch.randn(100, generator=stream(3, "x", 0))
    assert torch.equal(first, torch.randn(5, generator=stream(3, "x", 1)))


@pytest.mark.parametrize("cuts", [(0, 12), (0, 5, 12), (0, 1, 2, 12)])
def test_slices_of_a_batch_are_handed_the_draws_of_the_whole(cuts: tuple[int, ...]) -> None:
    def draws(generator: BatchGenerator) -> list[torch.Tensor]:
        return [generator.normal(2, 3), generator.uniform(), generator.integers(10, 4), generator.normal()]

    whole = draws(BatchGenerator(0, "draws", size=12))
    source = BatchGenerator(0, "draws", size=12)
    parts = [draws(source.slice(a, b)) for a, b in itertools.pairwise(cuts)]
    joined = [torch.cat(pieces) for pieces in zip(*parts, strict=True)]
    assert all(torch.equal(a, b) for a, b in zip(whole, joined, strict=True))
    assert whole[0].shape == (12, 2, 3)
    assert whole[2].dtype == torch.int64


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (3, 3), (0, 13)])
def test_a_slice_lies_within_its_batch(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="of a batch of 12"):
        BatchGenerator(0, size=12).slice(start, stop)


def test_a_device_that_is_not_there_is_named_with_those_that_are() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(UsageError, match='device "quantum" cannot be used here') as caught:
        resolve_device("quantum")
    assert "cpu" in str(caught.value.expected)


def test_precision_follows_the_measured_gain(tmp_path: Path) -> None:
    cache, cpu = tmp_path / "cache" / "bfloat16.json", torch.device("cpu")
    chosen, reason = choose_precision("auto", cpu, cache)
    (key,) = json.loads(cache.read_text())
    for gain, expected in ((1.19, "float32"), (1.2, "bfloat16"), (7.0, "bfloat16")):
        cache.write_text(json.dumps({key: gain}))
        chosen, reason = choose_precision("auto", cpu, cache)
        assert chosen == expected
        assert f"{gain:g}" in reason
    assert choose_precision("float64", cpu, cache) == ("float64", "float64, as the recipe asks")


def test_the_gain_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "bfloat16.json"
    first = device.bfloat16_gain(torch.device("cpu"), cache)
    monkeypatch.setattr(device, "measured_gain", lambda *_: pytest.fail("measured again"))
    assert device.bfloat16_gain(torch.device("cpu"), cache) == first


class Stopwatch:
    """A machine whose formats take known times, with disturbances that come and go."""

    def __init__(self, gain: float, disturbances: Iterable[float] = ()) -> None:
        self.seconds = {torch.float32: 0.01, torch.bfloat16: 0.01 / gain}
        self.disturbances = iter(disturbances)
        self.asked: list[torch.dtype] = []

    def __call__(self, dtype: torch.dtype) -> float:
        self.asked.append(dtype)
        return self.seconds[dtype] + next(self.disturbances, 0.0)


@pytest.mark.parametrize("gain", [0.5, 1.1, 1.3, 8.0])
def test_disturbances_do_not_turn_the_gain_round(gain: float) -> None:
    draws = random.Random(0)
    for _ in range(20):  # every other timing takes up to twenty times as long, whichever format's it is
        disturbances = [draws.choice([0.0, draws.uniform(0, 0.2)]) for _ in range(100)]
        measured = measured_gain(Stopwatch(gain, disturbances))
        assert (measured >= 1.2) == (gain >= 1.2)


def test_the_formats_take_turns_after_a_warm_up() -> None:
    clock = Stopwatch(1.2)  # as unclear as can be: all rounds are made
    assert measured_gain(clock) == pytest.approx(1.2)
    rounds = list(zip(clock.asked[::2], clock.asked[1::2], strict=True))
    assert all(set(pair) == {torch.float32, torch.bfloat16} for pair in rounds)
    firsts = [pair[0] for pair in rounds[1:]]
    assert all(one != other for one, other in itertools.pairwise(firsts))
    assert len(rounds) == 1 + 40
    # what the first round says is not counted, however short it was
    assert measured_gain(Stopwatch(3.0, [-0.009, 0.0])) == pytest.approx(3.0)


def test_a_clear_gain_is_told_early() -> None:
    for gain in (0.3, 4.0):
        clock = Stopwatch(gain)
        measured_gain(clock)
        assert len(clock.asked) == 2 * (1 + 12)


@pytest.mark.parametrize("damage", ["{", "3", "[[]]"])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, damage: str) -> None:
    cache = tmp_path / "bfloat16.json"
    cache.write_text(damage)
    assert device.bfloat16_gain(torch.device("cpu"), cache) > 0
    assert len(json.loads(cache.read_text())) == 1


def test_running_out_of_memory_is_an_error_with_advice() -> None:
    with pytest.raises(ResourceError, match="out of memory") as caught, memory_errors("take less"):
        torch.empty(10**15)
    assert caught.value.next_step == "take less"
    with pytest.raises(ResourceError, match="out of memory"), memory_errors("take less"):
        raise MemoryError
    with pytest.raises(RuntimeError, match="shapes"), memory_errors("take less"):
        raise RuntimeError("shapes do not fit")


def test_a_manifest_records_what_decides_the_bytes() -> None:
    facts = machine_facts()
    assert facts["torch"] == torch.__version__
    assert facts["threads"] == torch.get_num_threads()
    assert peak_memory_bytes() > 50e6  # torch alone takes more


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_peak_memory_never_falls_and_holds_what_was_held() -> None:
    before = peak_memory_bytes()
    held = np.ones(before // 2, dtype=np.uint8)
    during = peak_memory_bytes()
    assert during >= 0.95 * max(before, len(held))  # Linux counts pages in batches
    del held
    assert peak_memory_bytes() >= 0.95 * during
