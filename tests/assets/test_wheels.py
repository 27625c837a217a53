"""pip fetches wheels and its failures become sentences; archives are read by exact path."""

import os
import shutil
import stat
import sys
import threading
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from creuset.assets.catalogue import Wheel
from creuset.assets.wheels import Archives, Installed, _bytes_of_wheels, pip_download
from creuset.errors import BlockedError, CreusetError, ResourceError

CHAT = Wheel(project="fake-chat", version="1.0", num_bytes=1)


def ignore(num_bytes: int) -> None: ...


def attempt(tmp_path: Path) -> Path:
    folder = tmp_path / "attempt"
    folder.mkdir()
    return folder


def program(tmp_path: Path, script: str) -> str:
    """A program that stands for `python`, to play what pip does."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_pip_downloads_the_pinned_version(shelf: Any, fakes: Any, tmp_path: Path) -> None:
    fakes.make_wheel(shelf.folder, "fake-chat", "2.0", {"fake_chat/chat.gguf": b"newer"})
    path = pip_download(CHAT, attempt(tmp_path), ignore)
    [original] = shelf.folder.glob("fake_chat-1.0*.whl")
    assert path.read_bytes() == original.read_bytes()


def test_a_wheel_that_is_not_there_is_told_with_the_words_of_pip(shelf: Any, tmp_path: Path) -> None:
    wheel = Wheel(project="fake-nothing", version="1.0", num_bytes=1)
    with pytest.raises(
        CreusetError, match=r"No matching distribution found for fake-nothing==1\.0"
    ) as caught:
        pip_download(wheel, attempt(tmp_path), ignore)
    assert caught.value.exit_code == 1


def test_a_truncated_wheel_is_told_with_the_words_of_pip(shelf: Any, tmp_path: Path) -> None:
    [path] = shelf.folder.glob("fake_chat*.whl")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        CreusetError, match=r"pip could not download fake-chat==1\.0\n  got: .*(?s:.*)invalid"
    ):
        pip_download(CHAT, attempt(tmp_path), ignore)


def test_an_environment_without_pip(tmp_path: Path) -> None:
    venv.EnvBuilder(with_pip=False, symlinks=True).create(tmp_path / "bare")
    python = tmp_path / "bare" / "bin" / "python"
    with pytest.raises(CreusetError, match=f"next: {python} -m ensurepip") as caught:
        pip_download(CHAT, attempt(tmp_path), ignore, python=str(python))
    assert caught.value.exit_code == 1


def test_pip_on_a_full_disk(tmp_path: Path) -> None:
    python = program(tmp_path, "echo 'ERROR: [Errno 28] No space left on device' >&2; exit 1")
    with pytest.raises(ResourceError, match=r"the disk is full: fake-chat==1\.0 was not") as caught:
        pip_download(CHAT, attempt(tmp_path), ignore, python=python)
    assert caught.value.exit_code == 5


def test_pip_is_asked_for_wheels_only_and_without_dependencies(tmp_path: Path) -> None:
    python = program(tmp_path, 'echo "ERROR: $@" >&2; exit 1')
    with pytest.raises(CreusetError, match=r"--no-deps --only-binary=:all:.* fake-chat==1\.0"):
        pip_download(CHAT, attempt(tmp_path), ignore, python=python)


def test_growing_files_are_watched_and_counted_once(tmp_path: Path) -> None:
    script = """
mkdir "$TMPDIR/pip-unpack"; file="$TMPDIR/pip-unpack/fake_chat-1.0-py3-none-any.whl"
for i in 1 2 3; do head -c 1000 /dev/zero >> "$file"; sleep 0.25; done
cp "$file" ../wheel/; sleep 0.25
"""
    seen: list[int] = []
    path = pip_download(CHAT, attempt(tmp_path), seen.append, python=program(tmp_path, script))
    assert path.stat().st_size == 3000
    assert seen == sorted(seen)
    assert {1000, 2000, 3000} <= set(seen)
    assert max(seen) == 3000


def test_a_folder_that_pip_removes_while_it_is_watched(tmp_path: Path) -> None:
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            for number in range(20):
                (tmp_path / f"pip-unpack-{number}" / "in").mkdir(parents=True)
            for number in range(20):
                shutil.rmtree(tmp_path / f"pip-unpack-{number}")

    pip = threading.Thread(target=come_and_go)
    (tmp_path / "a.whl").write_bytes(b"12345")
    pip.start()
    try:
        assert {_bytes_of_wheels(tmp_path) for _ in range(500)} == {5}
    finally:
        ended.set()
        pip.join()


def test_an_interrupt_ends_pip_too(tmp_path: Path) -> None:
    def interrupt(num_bytes: int) -> None:
        if (folder / "tmp" / "pid").exists():
            raise KeyboardInterrupt

    folder = attempt(tmp_path)
    python = program(tmp_path, "echo $$ > pid; exec sleep 60")
    with pytest.raises(KeyboardInterrupt):
        pip_download(CHAT, folder, interrupt, python=python)
    pid = int((folder / "tmp" / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_member_that_is_missing(shelf: Any) -> None:
    [path] = shelf.folder.glob("fake_chat*.whl")
    with (
        pytest.raises(BlockedError, match=r"not the one that was pinned(?s:.*)fake_chat/other\.gguf"),
        Archives([path]).open("fake_chat/other.gguf"),
    ):
        pass


def test_a_member_that_is_damaged(shelf: Any) -> None:
    [path] = shelf.folder.glob("fake_chat*.whl")
    data = bytearray(path.read_bytes())
    data[120] ^= 0xFF  # inside the first member, which is compressed
    path.write_bytes(data)
    with (
        pytest.raises(BlockedError, match="this wheel is damaged"),
        Archives([path]).open("fake_chat/chat.gguf") as stream,
    ):
        stream.read()


def test_a_member_that_is_encrypted(tmp_path: Path) -> None:
    path = tmp_path / "fake.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fake/model", b"bytes")
    content = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    path.write_bytes(content)
    with pytest.raises(BlockedError, match="this wheel is damaged"), Archives([path]).open("fake/model"):
        pass


def test_installed_wheels_are_read_and_never_imported(
    shelf: Any, fakes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = shelf.catalogue["joined"]
    shelf.install("fake-joined-one", tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert Installed.of(asset) is None, "one of its two wheels is not installed"
    shelf.install("fake-joined-two", tmp_path / "site")
    installed = Installed.of(asset)
    assert installed is not None
    with installed.open("fake_joined_two/part01") as stream:
        assert stream.read() == fakes.PART_BYTES[1]
    assert "fake_joined_two" not in sys.modules


def test_another_version_that_is_installed_does_not_count(
    shelf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.install("fake-chat", tmp_path / "site")
    [info] = (tmp_path / "site").glob("*.dist-info")
    metadata = info / "METADATA"
    metadata.write_text(metadata.read_text().replace("1.0", "1.1"))
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert Installed.of(shelf.catalogue["chat"]) is None
