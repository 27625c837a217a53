"""Models in the Hugging Face cache: found by name as its own library lays them out, only ever read.

models--org--name/
  refs/main              the commit that a branch or tag stands for
  snapshots/COMMIT/      links to blobs/, one a file
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from creuset.assets import places

_NAME = re.compile(
    r"(?:(?P<org>[\w-][\w.-]*)/)?(?P<model>[\w-][\w.-]*)"
    r"(?:@(?P<revision>[\w-][\w.+-]*(?:/[\w-][\w.+-]*)*))?"
)
"""No part of it begins with a dot, so none leads out of the cache."""

_COMMIT = re.compile(r"[\w-][\w.-]*")
"""The name of one folder."""

_SHARDS = "model.safetensors.index.json"
"""In which file each tensor is, where the weights are in several."""


@dataclass(frozen=True, kw_only=True)
class HubName:
    """A model of the hub.

    Args:
        repository: `org/name`, or `name`.
        revision: A branch, tag or commit; None is main, or the newest where there is no main.
    """

    repository: str
    revision: str | None

    @classmethod
    def read(cls, text: str) -> "HubName | None":
        """`org/name` or `org/name@revision`; None for anything else."""
        match = _NAME.fullmatch(text)
        return None if match is None else cls(repository=text.partition("@")[0], revision=match["revision"])

    @property
    def folder(self) -> Path:
        """Where the cache has it, if it does."""
        return places.hub_cache() / "--".join(["models", *self.repository.split("/")])

    @property
    def download_command(self) -> str:
        """What brings it into the cache."""
        revision = "" if self.revision is None else f" --revision {self.revision}"
        return f"hf download {self.repository}{revision}"

    def snapshot(self) -> tuple[Path | None, str]:
        """A complete snapshot, None if there is none, and what to say about those that are not."""
        snapshots = self.folder / "snapshots"
        if not snapshots.is_dir():
            return None, ""
        candidates = []
        reference = self.folder / "refs" / ("main" if self.revision is None else self.revision)
        if reference.is_file():
            commit = reference.read_text(errors="replace").strip()
            if _COMMIT.fullmatch(commit) is not None:  # damaged otherwise, and not followed
                candidates.append(snapshots / commit)
        if self.revision is None:
            candidates += sorted(snapshots.iterdir(), key=lambda item: item.stat().st_mtime_ns, reverse=True)
        else:
            candidates.append(snapshots / self.revision)
        for candidate in candidates:
            if candidate.is_dir() and _is_complete(candidate):
                return candidate, ""
        return None, f"no complete snapshot of {'it' if self.revision is None else self.revision}"


def _is_complete(snapshot: Path) -> bool:
    """Whether a download came to its end.

    One that broke off leaves no file, a link to a blob that is not there, or a part of the weights' files.
    """
    files = list(snapshot.rglob("*"))
    if not files or not all(file.exists() for file in files):
        return False
    index = snapshot / _SHARDS
    if not index.is_file():
        return True
    try:
        document = json.loads(index.read_text(encoding="utf-8"))
    except ValueError:
        return False
    shards = document.get("weight_map") if isinstance(document, dict) else None
    there = {file.name for file in files}
    return isinstance(shards, dict) and all(shard in there for shard in shards.values())
