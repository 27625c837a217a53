"""Whether a text still stands in some file, asked after the text itself is gone.

Of a text some windows of 32 bytes are kept as 64-bit polynomial hashes with a random odd multiplier, which is
thrown away with them. A file is searched for all of them at once, wherever they stand in it, by prefix sums:

    H(i) = sum over j < i of (b(j) + 1) p^j,        hash of b(i) .. b(i + 31) = (H(i + 32) - H(i)) p^-i
    mod 2^64

Source: Karp and Rabin (1987), "Efficient randomized pattern-matching algorithms", with all windows of a file
found by two cumulative sums in place of rolling. A hash that is met is told as a place where the text may
stand: two unlike windows have the same hash about once in 2^64, for each pair.

Departures: windows begin at words, and each is kept as it stands in UTF-8 and as it stands in JSON.
Limit: what is compressed or encrypted is not seen through.
"""

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from creuset.errors import CheckpointError
from creuset.files import write_atomic

WINDOW = 32
"""Bytes: shorter ones are met by chance in other texts, longer ones miss quotes."""
MAX_WINDOWS = 400
"""Of a text, evenly spread: a copy of a third of a page holds one of them."""
FORMAT = 1
_BLOCK = 1 << 22
_SIEVE_BITS = 20
_MAX_FILE_BYTES = 1 << 28

Uint64s = NDArray[np.uint64]


@dataclass(frozen=True)
class Fingerprints:
    """What texts are recognised by.

    Args:
        multiplier: Odd, in [1, 2^64).
        hashes: Of windows, ascending, uint64 (H,).
    """

    multiplier: int
    hashes: Uint64s

    @classmethod
    def empty(cls) -> Self:
        """Of no text, with a multiplier of its own."""
        return cls(secrets.randbits(64) | 1, np.empty(0, np.uint64))

    def with_texts(self, texts: Sequence[str]) -> "Fingerprints":
        """These and those of further texts."""
        windows = [window for text in texts for window in windows_of(text)]
        if not windows:
            return self
        data = np.frombuffer(b"".join(windows), np.uint8).reshape(-1, WINDOW).astype(np.uint64) + np.uint64(1)
        powers = _powers(self.multiplier, WINDOW)
        found = (data * powers).sum(1, dtype=np.uint64)
        return Fingerprints(self.multiplier, np.union1d(self.hashes, found))

    def count_in(self, path: Path) -> int:
        """How many of these windows stand in a file, each counted once.

        Raises:
            OSError: It cannot be read.
        """
        if not len(self.hashes):
            return 0
        with path.open("rb") as file:
            return self._count_in_blocks(iter(lambda: file.read(_BLOCK), b""))

    def count_in_texts(self, texts: Sequence[str]) -> int:
        """As `count_in`, of texts one behind the other."""
        return self._count_in_blocks(iter(["\n\n".join(texts).encode()])) if len(self.hashes) else 0

    def _count_in_blocks(self, blocks: Iterator[bytes]) -> int:
        sieve = np.zeros(1 << _SIEVE_BITS, np.bool_)
        sieve[(self.hashes >> np.uint64(64 - _SIEVE_BITS)).astype(np.intp)] = True
        met: set[int] = set()
        tail = b""
        for block in blocks:
            data = tail + block
            met.update(self._met(data, sieve))
            tail = data[-(WINDOW - 1) :]
        return len(met)

    def _met(self, data: bytes, sieve: NDArray[np.bool_]) -> list[int]:
        num_windows = len(data) - WINDOW + 1
        if num_windows < 1:
            return []
        powers = _powers(self.multiplier, len(data))
        inverses = _powers(pow(self.multiplier, -1, 1 << 64), num_windows)
        sums = np.zeros(len(data) + 1, np.uint64)
        terms = (np.frombuffer(data, np.uint8).astype(np.uint64) + np.uint64(1)) * powers
        np.cumsum(terms, out=sums[1:])
        hashes = (sums[WINDOW:] - sums[:num_windows]) * inverses
        likely = hashes[sieve[(hashes >> np.uint64(64 - _SIEVE_BITS)).astype(np.intp)]]
        met: list[int] = np.intersect1d(likely, self.hashes).tolist()
        return met

    def save(self, path: Path) -> None:
        """Writes them, at once."""
        document = {"format": FORMAT, "multiplier": self.multiplier, "hashes": self.hashes.tolist()}
        write_atomic(path, json.dumps(document))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Those of a file; none where there is no file.

        Raises:
            CheckpointError: The file is damaged, or a newer creuset wrote it.
        """
        if not path.exists():
            return cls.empty()
        try:
            if path.stat().st_size > _MAX_FILE_BYTES:
                raise ValueError("too large")
            document = json.loads(path.read_bytes())
            if document["format"] != FORMAT:
                raise ValueError(f"format {document['format']}")
            multiplier = int(document["multiplier"])
            hashes = np.array(sorted(map(int, document["hashes"])), np.uint64)
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise CheckpointError(
                "what removed texts are recognised by cannot be read",
                where=path,
                got=str(error)[:80],
                expected=f"format {FORMAT}",
                next_step="remove this file: a purge then searches no other files for those texts",
            ) from error
        return cls(multiplier | 1, hashes)


def windows_of(text: str) -> list[bytes]:
    """Windows of a text that begin at words, evenly spread over it, in UTF-8 and in JSON, without repeats."""
    starts = [0, *(place + 1 for place, character in enumerate(text) if character.isspace())]
    step = max(1, len(starts) // MAX_WINDOWS)
    found: dict[bytes, None] = {}
    for start in starts[::step]:
        piece = text[start : start + WINDOW]
        if len(piece.split()) < 2:  # a rule, a row of dots
            continue
        for data in (piece.encode(), json.dumps(piece)[1:-1].encode()):
            if len(data) >= WINDOW:
                found[data[:WINDOW]] = None
    return list(found)


@lru_cache(maxsize=4)
def _powers(base: int, count: int) -> Uint64s:
    """base^0, base^1, ... modulo 2^64, uint64 (count,), by doubling."""
    powers = np.ones(count, np.uint64)
    known = 1
    while known < count:
        factor = np.uint64(pow(base, known, 1 << 64))
        more = min(known, count - known)
        powers[known : known + more] = powers[:more] * factor
        known += more
    return powers
