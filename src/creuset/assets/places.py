"""Where creuset keeps things, and whether it may use the network.

    home        CREUSET_HOME, default ~/.local/share/creuset: models/ (the store), cache/, aliases.json
    workspace   CREUSET_WORKSPACE, default the current folder: runs/, indexes/, feedback.sqlite
    hub cache   HF_HUB_CACHE, or hub/ under HF_HOME, default ~/.cache/huggingface/hub; only ever read

Each is read from the environment when it is asked for, so that a test or a script can move it.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from creuset.errors import CreusetError, UsageError
from creuset.files import disk_errors, write_atomic

ALIASES_FORMAT = 1
_ALIASES = "aliases.json"


def home() -> Path:
    """creuset's own folder, shared by all workspaces: models/, cache/ and aliases.json. May not exist yet."""
    return _folder_of("CREUSET_HOME") or Path.home() / ".local" / "share" / "creuset"


def workspace() -> Path:
    """The folder that holds runs/ and indexes/: CREUSET_WORKSPACE or the current folder."""
    return _folder_of("CREUSET_WORKSPACE") or Path.cwd()


def models_folder() -> Path:
    """The store: one folder a name."""
    return home() / "models"


def cache_folder() -> Path:
    """What can be deleted at any time and is made again."""
    return home() / "cache"


def hub_cache() -> Path:
    """The Hugging Face cache, found as huggingface_hub finds it."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        folder = _folder_of(variable)
        if folder is not None:
            return folder
    hugging_face = _folder_of("HF_HOME")
    if hugging_face is None:
        hugging_face = (_folder_of("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    return hugging_face / "hub"


def offline() -> bool:
    """Whether the network must not be used: CREUSET_OFFLINE is set, and not to 0."""
    return os.environ.get("CREUSET_OFFLINE", "") not in ("", "0")


def aliases() -> Mapping[str, str]:
    """The aliases of this workspace: name -> the name it stands for (`run:ID`, `path:FOLDER`, any other).

    They are kept in home's aliases.json, {"format": 1, "workspaces": {"/folder": {"name": "run:ID"}}}, with
    what each stood for before, the newest last, in {"earlier": {"/folder": {"name": ["run:ID"]}}}.

    Raises:
        CreusetError: The file is damaged or of a newer format.
    """
    known = _of_this_workspace(_alias_document(), "workspaces")
    if not all(isinstance(target, str) for target in known.values()):
        raise _no_aliases()
    return known


def earlier_targets(name: str) -> list[str]:
    """What an alias of this workspace stood for before, the newest last.

    Raises:
        CreusetError: As `aliases`.
    """
    found = _of_this_workspace(_alias_document(), "earlier").get(name, [])
    if not isinstance(found, list) or not all(isinstance(target, str) for target in found):
        raise _no_aliases()
    return found


def write_alias(name: str, target: str, earlier: Sequence[str]) -> None:
    """Sets what an alias of this workspace stands for, and what it stood for before. The caller holds
    `alias_lock`.

    Raises:
        CreusetError: As `aliases`; UsageError, ResourceError: home cannot be written.
    """
    document, here = _alias_document(), str(workspace().resolve())
    for key, value in (("workspaces", target), ("earlier", list(earlier))):
        document.setdefault(key, {}).setdefault(here, {})[name] = value
    write_json(writable(home()) / _ALIASES, {**document, "format": ALIASES_FORMAT})


@contextmanager
def alias_lock() -> Iterator[None]:
    """Within the block no other process changes aliases.

    Raises:
        UsageError, ResourceError: home cannot be written.
    """
    with (writable(home()) / f"{_ALIASES}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _alias_document() -> dict[str, Any]:
    file = home() / _ALIASES
    if not file.exists():
        return {}
    document = read_json(file, ALIASES_FORMAT)
    if "workspaces" not in document:
        raise _no_aliases()
    return document


def _of_this_workspace(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    of_workspaces = document.get(key, {})
    known = of_workspaces.get(str(workspace().resolve()), {}) if isinstance(of_workspaces, dict) else None
    if not isinstance(known, dict):
        raise _no_aliases()
    return known


def _no_aliases() -> CreusetError:
    return CreusetError(
        "not a file of aliases",
        where=home() / _ALIASES,
        expected='{"format": 1, "workspaces": {"/folder": {"name": "run:ID"}}}',
        next_step="repair the file or delete it",
    )


def read_json(file: Path, format: int) -> dict[str, Any]:
    """A JSON object that carries `format`, an integer not above the one this version writes.

    Raises:
        CreusetError: The file cannot be read, is no JSON object, or is of a newer format.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CreusetError("cannot be read", where=file, got=error, next_step="delete the file") from error
    found = document.get("format") if isinstance(document, dict) else None
    if not isinstance(found, int) or not 1 <= found <= format:
        raise CreusetError(
            "written in a format that this version does not know",
            where=file,
            got=f"format {found}",
            expected=f"format {format} or older",
            next_step="update creuset, or delete the file",
        )
    assert isinstance(document, dict)
    return document


def write_json(file: Path, document: Mapping[str, Any]) -> None:
    """A JSON file that readers find whole: as it was before, or as it is now."""
    write_atomic(file, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def writable(folder: Path, variable: str = "CREUSET_HOME") -> Path:
    """`folder`, made with its parents if it is missing.

    Args:
        folder: What will be written into.
        variable: The environment variable that moves it elsewhere, named in the error.

    Raises:
        UsageError: It cannot be made or not be written, or a file is in its way.
        ResourceError: The disk is full.
    """
    reason: object = "no permission to write"
    try:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    except OSError as error:
        reason = error.strerror
    except UsageError as error:
        reason = error.got
    raise UsageError(
        "cannot be written",
        where=folder,
        got=reason,
        expected="a folder that you may write",
        next_step=f"set {variable} to a folder that you may write",
    )


def _folder_of(variable: str) -> Path | None:
    value = os.environ.get(variable, "")
    return Path(value).expanduser().absolute() if value else None
