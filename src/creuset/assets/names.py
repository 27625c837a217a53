"""What a name stands for: found on this machine (search.py says where), or fetched if the caller says so."""

from collections.abc import Sequence
from dataclasses import replace

from creuset.assets import places
from creuset.assets.catalogue import CATALOGUE, Catalogue
from creuset.assets.hub import HubName
from creuset.assets.pulling import pull
from creuset.assets.search import Place, Resolved, Search, asset_of_project, listed, split_scheme
from creuset.assets.store import stored_names
from creuset.errors import BlockedError, CreusetError, NotFoundError, UsageError, nearest
from creuset.progress import Progress, Silent


def resolve(
    name: str,
    *,
    pull_missing: bool = False,
    progress: Progress | None = None,
    catalogue: Catalogue = CATALOGUE,
) -> Resolved:
    """Find what a name stands for.

    Args:
        name: A path, the ID of a run, an alias, a name of the catalogue, or one with a scheme.
        pull_missing: Fetch a name of the catalogue that is nowhere on this machine.
        progress: Shows the bytes of such a pull.
        catalogue: The assets known by name.

    Raises:
        NotFoundError: It is nowhere; with the places looked at and the nearest name.
        BlockedError: The network would have been next, and creuset is offline; or what was found has not the
            pinned hash, is a pickle, or asks to run its own code.
        UsageError: The name is empty, or what it names cannot be read.
    """
    found, looked_at = look_up(name, progress=progress, catalogue=catalogue)
    if found is not None:
        return found
    asset_name = _name_on_index(name, catalogue)
    if asset_name is None or places.offline() or not pull_missing:
        raise _missing(name, asset_name, looked_at, catalogue)
    pull([asset_name], progress=progress, catalogue=catalogue)
    pulled = resolve(f"pip:{asset_name}", progress=progress, catalogue=catalogue)
    index = Place(where="index", location=asset_name, found=True)
    return replace(pulled, name=name, where="index", looked_at=(*looked_at, index))


def look_up(
    name: str, *, progress: Progress | None = None, catalogue: Catalogue = CATALOGUE
) -> tuple[Resolved | None, tuple[Place, ...]]:
    """What a name stands for on this machine, None if nothing; and the places looked at, in order.

    Raises:
        BlockedError: What was found has not the pinned hash, is a pickle, or asks to run its own code.
        UsageError: The name is empty, or what it names cannot be read.
    """
    if not split_scheme(name)[1].strip():
        raise UsageError(
            "an empty name", got=repr(name), expected="a path, a run, or a name of the catalogue"
        )
    search = Search(catalogue=catalogue, progress=Silent() if progress is None else progress)
    found = search.run(name)
    looked_at = tuple(search.looked_at)
    return (None if found is None else replace(found, name=name, looked_at=looked_at)), looked_at


def _name_on_index(name: str, catalogue: Catalogue) -> str | None:
    """The catalogue's name for it, None if it cannot come from the package index."""
    scheme, rest = split_scheme(name)
    if scheme == "pip":
        rest = asset_of_project(rest, catalogue)
    return rest if scheme in ("", "pip") and rest in catalogue else None


def _missing(
    name: str, asset_name: str | None, looked_at: Sequence[Place], catalogue: Catalogue
) -> CreusetError:
    """Why there is nothing by this name, and what to do."""
    scheme, rest = split_scheme(name)
    step: str | None = "creuset models list"
    if asset_name is not None:
        step = f"creuset models pull {asset_name}"
    elif scheme == "hf":
        wanted = HubName.read(rest)
        step = None if wanted is None else wanted.download_command
    elif scheme in ("path", "run"):
        step = "creuset runs list" if scheme == "run" else None
    if places.offline() and step is not None and (asset_name is not None or scheme == "hf"):
        return BlockedError(
            f'"{name}" is not on this machine, and creuset is offline',
            got=listed(looked_at),
            next_step=f"with the network allowed: {step}",
        )
    suggestion = None if asset_name is not None else nearest(rest, _known_names(catalogue))
    return NotFoundError(
        f'"{name}" is not there' + ("" if suggestion is None else f'; did you mean "{suggestion}"?'),
        got=listed(looked_at),
        next_step=step,
    )


def _known_names(catalogue: Catalogue) -> list[str]:
    """All names that could have been meant."""
    runs = places.workspace() / "runs"
    ids = sorted(item.name for item in runs.iterdir() if item.is_dir()) if runs.is_dir() else []
    return [*catalogue, *stored_names(), *places.aliases(), *ids]
