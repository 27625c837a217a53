"""Wheels as archives: fetched by pip, read member by member, never installed or imported.

pip is run as a subprocess, so that the index, proxy and certificates that the user configured for it are
used, and creuset needs none of its own.
"""

import contextlib
import importlib.metadata
import lzma
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Protocol

from creuset.assets.catalogue import Asset, Wheel
from creuset.errors import BlockedError, CreusetError, ResourceError

_WATCH_SECONDS = 0.1
_LINES_OF_PIP = 8


_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)
"""What zipfile raises for archives that are damaged or made to harm; RuntimeError for encrypted members."""


class Source(Protocol):
    """Where the members of an asset's wheels are read from."""

    def open(self, member: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """The bytes of the member at this exact path.

        Raises:
            BlockedError: It is not there, or damaged: these are not the wheels that were pinned.
        """


class Archives:
    """Wheels that lie on the disk as files."""

    def __init__(self, wheels: Sequence[Path]) -> None:
        self._wheels = tuple(wheels)

    @contextlib.contextmanager
    def open(self, member: str) -> Iterator[IO[bytes]]:
        for wheel in self._wheels:
            try:
                with zipfile.ZipFile(wheel) as archive:
                    if member in archive.NameToInfo:
                        with archive.open(member) as stream:
                            yield stream
                        return
            except _DAMAGE as error:
                raise BlockedError("this wheel is damaged", where=wheel, got=error) from error
        raise BlockedError(
            "not in the wheel: this is not the one that was pinned",
            where=", ".join(wheel.name for wheel in self._wheels),
            expected=member,
        )


class Installed:
    """Wheels that pip installed into this environment; their files are read, never imported."""

    def __init__(self, members: dict[str, Path]) -> None:
        self._members = members

    @classmethod
    def of(cls, asset: Asset) -> "Installed | None":
        """The asset's wheels if all of them are installed in the pinned version, else None."""
        found: dict[str, Path] = {}
        for wheel in asset.wheels:
            try:
                distribution = importlib.metadata.distribution(wheel.project)
            except importlib.metadata.PackageNotFoundError:
                return None
            if distribution.version != wheel.version:
                return None
            found |= {str(path): Path(str(path.locate())) for path in distribution.files or ()}
        needed = {member for file in asset.files for member in file.members}
        if not all(member in found and found[member].is_file() for member in needed):
            return None
        return cls({member: found[member] for member in needed})

    def path(self, member: str) -> Path:
        return self._members[member]

    @contextlib.contextmanager
    def open(self, member: str) -> Iterator[IO[bytes]]:
        with self._members[member].open("rb") as stream:
            yield stream


Download = Callable[[Wheel, Path, Callable[[int], None]], Path]
"""Fetches a wheel into an empty folder, tells how many bytes are there, and returns the wheel's path."""


def pip_download(
    wheel: Wheel, folder: Path, watch: Callable[[int], None], *, python: str = sys.executable
) -> Path:
    """Fetch `wheel` with `pip download --no-deps`.

    Source distributions are refused, since pip would run their build. pip cannot be asked how far it is
    through a pipe, so the files that grow in its temporary folder are watched.

    Args:
        wheel: What to fetch.
        folder: An empty folder; the download and pip's temporary files stay inside it.
        watch: Called ten times a second with the bytes fetched so far.
        python: The interpreter whose pip is used.

    Raises:
        ResourceError: The disk is full.
        CreusetError: There is no pip, or it failed; with its last lines.
    """
    temporary, destination, log_file = folder / "tmp", folder / "wheel", folder / "pip.log"
    temporary.mkdir()
    destination.mkdir()
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--quiet", "--progress-bar=off"]
    command = [python, "-m", "pip", "download", *options, "--dest", str(destination), wheel.requirement]
    # Newer versions of pip go on with a download that broke off when told so; older ones ignore the variable.
    environment = {"PIP_RESUME_RETRIES": "5", **os.environ, "TMPDIR": str(temporary)}
    with (
        log_file.open("wb") as log,
        # python -m looks for modules in the current folder first; in `temporary` there are none.
        subprocess.Popen(
            command,
            cwd=temporary,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            _watch(process, folder, watch)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise _failure(wheel, log_file.read_text(encoding="utf-8", errors="replace"), python)
    wheels = list(destination.glob("*.whl"))
    if len(wheels) != 1:
        raise CreusetError(
            f"pip downloaded no wheel for {wheel.requirement}",
            got=", ".join(sorted(item.name for item in destination.iterdir())) or "nothing",
        )
    return wheels[0]


def _watch(process: "subprocess.Popen[bytes]", folder: Path, watch: Callable[[int], None]) -> None:
    while True:
        try:
            process.wait(timeout=_WATCH_SECONDS)
            return
        except subprocess.TimeoutExpired:
            watch(_bytes_of_wheels(folder))


def _bytes_of_wheels(folder: Path) -> int:
    """The size of the wheels below `folder`, each counted once: pip copies it when it is complete."""
    sizes: dict[str, int] = {}
    for place, _, names in os.walk(folder):  # passes over a folder that pip deletes meanwhile; rglob raises
        for name in names:
            if name.endswith(".whl"):
                with contextlib.suppress(OSError):  # pip moves and deletes files too
                    sizes[name] = max(sizes.get(name, 0), Path(place, name).stat().st_size)
    return sum(sizes.values())


def _failure(wheel: Wheel, log: str, python: str) -> CreusetError:
    lines = [line for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if not line.startswith("WARNING: Location")] or ["it said nothing"]
    got = "\n       ".join(errors[-_LINES_OF_PIP:])
    if "No module named pip" in log:
        return CreusetError(
            f"{wheel.requirement} is downloaded with pip, which is not in this environment",
            got=got,
            next_step=f"{python} -m ensurepip",
        )
    if "No space left on device" in log:
        return ResourceError(
            f"the disk is full: {wheel.requirement} was not downloaded",
            got=got,
            next_step="free some space, then run the same command again",
        )
    return CreusetError(
        f"pip could not download {wheel.requirement}",
        got=got,
        expected="a package index that pip can reach and that has this wheel",
        next_step="see with `pip config list` which index pip uses, then run the same command again",
    )
