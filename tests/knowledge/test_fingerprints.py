"""Texts are found again wherever they stand in a file, and others are not."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from creuset.errors import CheckpointError
from creuset.knowledge.fingerprints import WINDOW, Fingerprints, windows_of

TEXT = "The boiler of the hut is filled with 40 litres of rain water each morning, été comme hiver.\n" * 3


def direct_hash(multiplier: int, window: bytes) -> int:
    return sum((byte + 1) * pow(multiplier, place, 1 << 64) for place, byte in enumerate(window)) % (1 << 64)


def test_hashes_are_the_polynomial() -> None:
    found = Fingerprints.empty().with_texts([TEXT])
    expected = sorted({direct_hash(found.multiplier, window) for window in windows_of(TEXT)})
    assert found.hashes.tolist() == expected


@pytest.mark.parametrize("place", [0, 1, (1 << 22) - 40, (1 << 22) - 1, 1 << 22, 9_000_000])
def test_a_text_is_found_at_any_place(tmp_path: Path, place: int) -> None:
    noise = random.Random(0).randbytes(9_500_000)
    file = tmp_path / "file"
    file.write_bytes(noise[:place] + TEXT.encode() + noise[place:])
    found = Fingerprints.empty().with_texts([TEXT])
    assert found.count_in(file) == len({window for window in windows_of(TEXT) if window in TEXT.encode()})
    file.write_bytes(noise)
    assert found.count_in(file) == 0


def test_a_quote_is_found_in_json(tmp_path: Path) -> None:
    quote = "Vidé chaque matin, l'évier et le réservoir sont séchés à l'air."
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({"text": quote}))
    assert "\\u00e9" in file.read_text()
    assert Fingerprints.empty().with_texts([quote]).count_in(file) > 0


def test_a_quote_is_found_in_texts_at_hand() -> None:
    found = Fingerprints.empty().with_texts([TEXT])
    assert found.count_in_texts(["Someone wrote:", TEXT[:60]]) > 0
    assert found.count_in_texts(["Someone wrote of the boiler of the hut and of rain."]) == 0
    assert Fingerprints.empty().count_in_texts([TEXT]) == 0


def test_short_texts_and_rules_have_no_windows() -> None:
    assert windows_of("too short") == []
    assert windows_of("-" * 200) == []
    assert all(len(window) == WINDOW for window in windows_of(TEXT))


def test_saved_and_loaded(tmp_path: Path) -> None:
    found = Fingerprints.empty().with_texts([TEXT])
    found.save(tmp_path / "removed.json")
    again = Fingerprints.load(tmp_path / "removed.json")
    assert again.multiplier == found.multiplier
    assert np.array_equal(again.hashes, found.hashes)
    assert len(Fingerprints.load(tmp_path / "none.json").hashes) == 0
    assert TEXT[:20] not in (tmp_path / "removed.json").read_text()


DAMAGED = ("", "{", "[" * 100_000, '{"format": 2}', '{"format": 1, "multiplier": 3, "hashes": [-1]}')


@pytest.mark.parametrize("content", DAMAGED, ids=map(str, range(len(DAMAGED))))
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "removed.json").write_text(content)
    with pytest.raises(CheckpointError, match="cannot be read"):
        Fingerprints.load(tmp_path / "removed.json")
