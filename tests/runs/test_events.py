import math
from pathlib import Path

import pytest

from creuset.errors import ResourceError
from creuset.runs.events import EventFile, _checksum
from small_runs import largest_file


def curve(folder: Path, tag: str) -> list[tuple[int, float]]:
    """What TensorBoard shows of a curve."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder), purge_orphaned_data=True)
    accumulator.Reload()
    return [(event.step, event.value) for event in accumulator.Scalars(tag)]


def test_the_checksum_is_crc_32c() -> None:
    # RFC 3720, appendix B.4: CRC-32C of 32 zero bytes is aa36918a, here masked as TFRecord masks it
    crc = 0x8A9136AA
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32
    assert int.from_bytes(_checksum(bytes(32)), "little") == masked


def test_tensorboard_reads_the_curves(tmp_path: Path) -> None:
    events = EventFile(tmp_path, start=0)
    for step, value in ((1, 0.5), (300, -2.25), (100_000, 1e-3)):
        events.scalar("train/model/loss", value, step)
    events.scalar("other", 1.0, 1)
    events.close()
    found = curve(tmp_path, "train/model/loss")
    assert [step for step, _ in found] == [1, 300, 100_000]
    assert [value for _, value in found] == pytest.approx([0.5, -2.25, 1e-3], rel=1e-7)


def test_each_event_can_be_read_before_the_file_is_closed(tmp_path: Path) -> None:
    events = EventFile(tmp_path, start=0)
    events.scalar("loss", 1.0, 1)
    assert curve(tmp_path, "loss") == [(1, 1.0)]
    events.close()


def test_a_later_file_takes_over_from_its_start(tmp_path: Path) -> None:
    first = EventFile(tmp_path, start=0)
    for step in range(1, 6):
        first.scalar("loss", 1.0, step)
    first.close()  # or killed: what it wrote after step 3 is done again
    second = EventFile(tmp_path, start=3)
    for step in range(3, 8):
        second.scalar("loss", 2.0, step)
    second.close()
    expected = [(1, 1.0), (2, 1.0), *((step, 2.0) for step in range(3, 8))]
    assert curve(tmp_path, "loss") == expected


def test_files_of_one_second_follow_each_other(tmp_path: Path) -> None:
    for _ in range(3):
        EventFile(tmp_path, start=0).close()
    assert len(list(tmp_path.iterdir())) == 3


def test_what_a_float32_cannot_hold_is_infinite(tmp_path: Path) -> None:
    events = EventFile(tmp_path, start=0)
    for step, value in enumerate((1e39, -1e300)):
        events.scalar("loss", value, step)
    events.close()
    assert curve(tmp_path, "loss") == [(0, math.inf), (1, -math.inf)]


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    events = EventFile(tmp_path, start=0)

    def write() -> None:
        for step in range(100):
            events.scalar("loss", 1.0, step)

    with largest_file(400), pytest.raises(ResourceError, match="the disk is full"):
        write()
    events.close()
