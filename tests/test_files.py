import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from creuset.errors import ResourceError, UsageError
from creuset.files import (
    atomic_folder,
    disk_errors,
    remove_folder,
    remove_leftovers,
    sha256_of,
    size_of_folder,
    write_atomic,
)
from small_runs import largest_file, leftovers


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.json"
    write_atomic(path, "é")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert leftovers(tmp_path) == []


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_atomic(path, "old")
    with largest_file(1000), pytest.raises(ResourceError, match="the disk is full") as caught:
        write_atomic(path, b"x" * 5000)
    assert caught.value.where == path
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == []


def test_a_folder_appears_complete(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "run") as temporary:
        (temporary / "inner").mkdir()
        (temporary / "inner" / "file").write_text("1")
        assert not (tmp_path / "run").exists()
    assert (tmp_path / "run" / "inner" / "file").read_text() == "1"
    assert leftovers(tmp_path) == []


def test_a_folder_appears_not_at_all_after_an_error(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_folder(tmp_path / "run") as temporary:
            (temporary / "file").write_text("1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_half_of_a_folder(tmp_path: Path) -> None:
    with largest_file(1000), pytest.raises(ResourceError), atomic_folder(tmp_path / "run") as temporary:
        (temporary / "file").write_bytes(b"x" * 5000)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_never_put_over_another(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "file").write_text("theirs")
    with pytest.raises(OSError, match="not empty"), atomic_folder(tmp_path / "run") as temporary:
        (temporary / "file").write_text("mine")
    assert (tmp_path / "run" / "file").read_text() == "theirs"
    assert leftovers(tmp_path) == []


def test_leftovers_of_others_are_left_for_a_while(tmp_path: Path) -> None:
    fresh, old = tmp_path / ".run.abc.tmp", tmp_path / ".run.def.tmp"
    for folder in (fresh, old):
        folder.mkdir()
        (folder / "file").touch()
    os.utime(old, (0, 0))
    remove_leftovers(tmp_path, older_than=60)
    assert leftovers(tmp_path) == [fresh.name]
    (tmp_path / ".manifest.json.x.tmp").touch()
    remove_leftovers(tmp_path)
    assert leftovers(tmp_path) == []


def test_a_folder_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "file").touch()
    remove_folder(folder)
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_a_folder_is_not_removed_in_its_place(tmp_path: Path) -> None:
    folder, link = tmp_path / "run", tmp_path / "a link"
    folder.mkdir()
    (folder / "file").touch()
    link.symlink_to(folder)
    with pytest.raises(UsageError, match="a symbolic link, not the folder itself") as caught:
        remove_folder(link)
    assert (caught.value.where, caught.value.got) == (link, f"a link to {folder}")
    assert caught.value.next_step == f"rm '{link}' for the link alone; or name the folder, {folder}"
    assert (link / "file").exists()
    assert leftovers(tmp_path) == []


def test_of_a_link_among_leftovers_the_link_alone_goes(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "file").touch()
    (tmp_path / ".run.1.tmp").symlink_to(folder)
    (tmp_path / ".run.2.tmp").symlink_to(tmp_path / "nowhere")
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [folder]
    assert (folder / "file").exists()


def test_a_file_on_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="something else is in the way") as caught:
        write_atomic(tmp_path / "file" / "x.png", b"")
    assert caught.value.got == f"{tmp_path / 'file'}: File exists"


@pytest.mark.parametrize(
    ("number", "expected", "message"),
    [
        (errno.ENOSPC, ResourceError, "the disk is full"),
        (errno.EDQUOT, ResourceError, "the disk is full"),
        (errno.EACCES, UsageError, "cannot be written"),
        (errno.EROFS, UsageError, "cannot be written"),
        (errno.ENAMETOOLONG, UsageError, "cannot be written"),
        (errno.EISDIR, UsageError, "cannot be written"),
        (errno.ENOENT, UsageError, "cannot be written"),
        (errno.ELOOP, UsageError, "cannot be written"),
        (errno.ENOTDIR, UsageError, "cannot be written: something else is in the way"),
        (errno.EEXIST, UsageError, "cannot be written: something else is in the way"),
    ],
)
def test_what_the_system_says_becomes_an_error_with_its_place(
    number: int, expected: type[Exception], message: str
) -> None:
    with pytest.raises(expected, match=f"place: {message}"), disk_errors(Path("place")):
        raise OSError(number, os.strerror(number))


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(BlockingIOError), disk_errors(Path("place")):
        raise BlockingIOError(errno.EAGAIN, "busy")


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(tmp_path / "file") == expected


def test_a_folder_is_measured_while_others_change_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process takes away between its listing and its reading is passed over."""
    for name in ("kept", "taken"):
        write_atomic(tmp_path / name / "file", b"x" * 100)
    walk = os.walk

    def walk_and_take(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        for found in walk(folder):
            if found[0] == str(tmp_path / "taken"):
                remove_folder(tmp_path / "taken")
            yield found

    monkeypatch.setattr(os, "walk", walk_and_take)
    assert size_of_folder(tmp_path) == 100
    assert size_of_folder(tmp_path / "taken") == 0
