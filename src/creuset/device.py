"""Where the work runs and where its random numbers come from.

Every random draw of creuset is made from a *stream*: a torch generator seeded by hashing the run's seed with
labels that say what the draw is for, such as ("train", "model", 17). A stream depends on nothing that was
drawn before it, so the state of all generators of a run is (seed, step): nothing else has to be saved to
resume bit for bit. A BatchGenerator draws for the whole global batch and hands out the part of the samples
at hand, so results depend neither on gradient accumulation nor on the number of processes.
"""

import hashlib
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from creuset.errors import ResourceError, UsageError
from creuset.files import write_atomic

Precision = Literal["float32", "bfloat16", "float64"]

_PROBE_GAIN = 1.2
"""bfloat16 is chosen only where it is at least this much faster: below it, the lost digits buy nothing."""
_PROBE_CLEAR = 1.5
"""A gain so many times above or below the limit is clear: noise does not turn it round."""
_PROBE_ROUNDS = (12, 40)
"""Timings of each format: at least, where the gain is clear, and at most."""
_PROBE_SIZES = (256, 512)
"""Matrices of the probe: small and middling, as in our models."""


def derive_seed(seed: int, *labels: int | str) -> int:
    """A seed of 63 bits for one purpose: the first bytes of SHA-256 over the run's seed and the labels."""
    text = json.dumps([seed, *labels]).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def stream(seed: int, *labels: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator for one purpose (see the head of this file)."""
    return torch.Generator(device=device).manual_seed(derive_seed(seed, *labels))


class BatchGenerator:
    """Random numbers for the samples [start, stop) of a global batch of `size`, one row a sample.

    Each call draws for the whole global batch and keeps the draw, so that the next slice of the same batch
    (`slice`) is handed the rows that belong to it. Calls must come in the same order for each slice, as
    they do when the same forward pass runs on each.

    Args:
        seed: The run's seed.
        labels: What the draws are for, such as ("train", "model", 17).
        size: Samples in the global batch.
        device: Where the numbers are drawn and returned.
    """

    def __init__(self, seed: int, *labels: int | str, size: int, device: torch.device | str = "cpu") -> None:
        self.size = size
        self.start = 0
        self.stop = size
        self.device = torch.device(device)
        self._seed = seed
        self._labels = labels
        self._draws: list[Tensor] = []
        self._source = stream(seed, *labels, device=self.device)
        self._next = 0

    def slice(self, start: int, stop: int) -> "BatchGenerator":
        """The same draws for another part of the batch: rows [start, stop)."""
        if not 0 <= start < stop <= self.size:
            raise ValueError(f"slice [{start}, {stop}) of a batch of {self.size}")
        part = BatchGenerator.__new__(BatchGenerator)
        part.size, part.start, part.stop, part.device = self.size, start, stop, self.device
        part._seed, part._labels = self._seed, self._labels
        part._draws, part._source, part._next = self._draws, self._source, 0
        return part

    def packed(self) -> "BatchGenerator":
        """Draws of their own for these rows where their samples lie behind each other in a single one.

        They depend on which rows these are: a batch that is cut into other parts draws otherwise.
        """
        labels = (*self._labels, "packed", self.start)
        return BatchGenerator(self._seed, *labels, size=1, device=self.device)

    @contextmanager
    def again_from(self, place: int) -> Iterator[None]:
        """Within the block draws are handed out once more, from the one at `place` on."""
        before, self._next = self._next, place
        try:
            yield
        finally:
            self._next = before

    @property
    def place(self) -> int:
        """How many draws these rows were handed."""
        return self._next

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, (stop - start, *shape), float32."""
        return self._take(lambda: torch.randn(self.size, *shape, generator=self._source, device=self.device))

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), (stop - start, *shape), float32."""
        return self._take(lambda: torch.rand(self.size, *shape, generator=self._source, device=self.device))

    def integers(self, high: int, *shape: int) -> Tensor:
        """Whole numbers in [0, high), (stop - start, *shape), int64."""
        return self._take(
            lambda: torch.randint(high, (self.size, *shape), generator=self._source, device=self.device)
        )

    def _take(self, draw: Callable[[], Tensor]) -> Tensor:
        if self._next == len(self._draws):
            self._draws.append(draw())
        whole = self._draws[self._next]
        self._next += 1
        return whole[self.start : self.stop]


def stored_dtype(precision: Precision) -> torch.dtype:
    """What parameters and batches are stored in; bfloat16 is for products only."""
    return torch.float64 if precision == "float64" else torch.float32


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Within the block products are made in bfloat16, where that is the precision."""
    if precision != "bfloat16":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def resolve_device(name: str) -> torch.device:
    """The device that a recipe's `training.device` names; "auto" takes an accelerator where there is one."""
    if name in ("auto", "cuda") and torch.cuda.is_available():
        # torchrun numbers the processes of a machine: one GPU each
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", torch.cuda.current_device())))
    if name == "auto":
        return torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        available = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
        raise UsageError(
            f'device "{name}" cannot be used here',
            got=str(error).splitlines()[0],
            expected=", ".join(available),
            next_step="set training.device to one of these, or to auto",
        ) from error
    return device


def processor_name() -> str:
    """The processor's model name, as the operating system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def device_name(device: torch.device) -> str:
    """What the maker calls a device: the model name of the GPU, or else of the processor."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()


@contextmanager
def memory_errors(next_step: str) -> Iterator[None]:
    """Turns running out of memory into an error that says what to do.

    Raises:
        ResourceError: Memory ran out within the block.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch reports a refused allocation on the processor as a plain RuntimeError
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in str(
            error
        ):
            raise
        raise ResourceError(
            "out of memory",
            got=(str(error).splitlines() or [type(error).__name__])[0],
            next_step=next_step,
        ) from error


@contextmanager
def threads_restored() -> Iterator[None]:
    """After the block, torch uses as many threads as before it, whatever a recipe asked for within."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def machine_facts() -> dict[str, Any]:
    """What a manifest records of the machine and the versions that decide a run's bytes."""
    import numpy

    import creuset

    return {
        "creuset": creuset.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor_name(),
        "threads": torch.get_num_threads(),
    }


def peak_memory_bytes(device: torch.device | None = None) -> int:
    """The most memory this process has held so far: on a GPU what torch allocated, else the resident set."""
    if device is not None and device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():  # Linux's getrusage would count what the parent held when it started this process
        return _line_of(status.read_text(), "VmHWM")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def memory_bytes(device: torch.device | None = None) -> int:
    """What this process holds now, as `peak_memory_bytes` counts; the most so far where that is not told."""
    if device is not None and device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    status = Path("/proc/self/status")
    return _line_of(status.read_text(), "VmRSS") if status.exists() else peak_memory_bytes(device)


def _line_of(status: str, name: str) -> int:
    """A line such as `VmHWM: 123456 kB` of a process's status, in bytes."""
    line = next(line for line in status.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def bfloat16_gain(device: torch.device, cache: Path) -> float:
    """How many times faster a matrix product is in bfloat16 than in float32 here.

    Measured once for a processor, torch version and thread count, then read from `cache` (a JSON file), so
    that the choice that hangs on it is the same in each run on this machine.
    """
    name = device_name(device)
    key = f"{name} | torch {torch.__version__} | {torch.get_num_threads()} threads"
    known: dict[str, float] = {}
    if cache.exists():
        try:
            known = dict(json.loads(cache.read_text()))
        except (TypeError, ValueError):
            known = {}  # a damaged cache is measured again
    if key not in known:
        known[key] = measured_gain(_product_clock(device))
        write_atomic(cache, json.dumps(known, indent=1, sort_keys=True))
    return known[key]


def measured_gain(seconds_of: Callable[[torch.dtype], float]) -> float:
    """How many times faster one piece of work is in bfloat16 than in float32.

    Other work on the machine only ever makes a timing longer, and it comes and goes. So the two formats take
    turns, in changing order, after a first round that is not counted, and the shortest time of each counts.
    Timing ends early where the gain is clear, and goes on where it is near the limit.

    Args:
        seconds_of: Does the work once in a format, and says how long it took, in seconds above 0.
    """
    shortest = dict.fromkeys((torch.float32, torch.bfloat16), float("inf"))
    at_least, at_most = _PROBE_ROUNDS
    for dtype in shortest:
        seconds_of(dtype)
    gain = 1.0
    for number in range(1, at_most + 1):
        for dtype in sorted(shortest, key=str, reverse=number % 2 == 0):
            shortest[dtype] = min(shortest[dtype], seconds_of(dtype))
        gain = shortest[torch.float32] / shortest[torch.bfloat16]
        clear = not _PROBE_GAIN / _PROBE_CLEAR < gain < _PROBE_GAIN * _PROBE_CLEAR
        if number >= at_least and clear:
            break
    return gain


def choose_precision(requested: str, device: torch.device, cache: Path) -> tuple[Precision, str]:
    """The precision to train in and the sentence that says why.

    Args:
        requested: "float32", "bfloat16", "float64", or "auto": bfloat16 only where the processor gains.
        device: Where training runs.
        cache: Where the probe's result is kept (`bfloat16_gain`).
    """
    if requested in ("float32", "float64", "bfloat16"):
        return requested, f"{requested}, as the recipe asks"  # type: ignore[return-value]
    gain = bfloat16_gain(device, cache)
    if gain >= _PROBE_GAIN:
        return "bfloat16", f"bfloat16: products are {gain:.1f} times as fast as in float32 here"
    return "float32", f"float32: bfloat16 products are only {gain:.2f} times as fast here"


def _product_clock(device: torch.device) -> Callable[[torch.dtype], float]:
    """What times the probe's matrix products in a format."""
    pairs = {
        dtype: [(torch.ones(size, size, device=device, dtype=dtype),) * 2 for size in _PROBE_SIZES]
        for dtype in (torch.float32, torch.bfloat16)
    }

    def seconds_of(dtype: torch.dtype) -> float:
        begin = time.perf_counter()
        for left, right in pairs[dtype]:
            left @ right
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return max(time.perf_counter() - begin, 1e-9)

    return seconds_of
