"""How a folder of data files is laid out: one folder a class, or all in one folder; with splits of its own.

    data/cat/1.png        data/dog/2.png              a class per folder
    data/1.png            data/2.png                  one folder
    data/train/cat/1.png  data/test/cat/2.png         own splits: train, validation (or val, valid), test

Names that begin with a dot, Thumbs.db and desktop.ini are passed over.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from creuset.data.entries import visible
from creuset.data.source import Skipped, counted, listed
from creuset.errors import DataError

_SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True, kw_only=True)
class FoundFile:
    """A file of the folder, of whatever kind.

    Args:
        path: Where it is.
        name: As people see it, from the source's root.
        part: The split that it belongs to; "train" where the folder has none.
        class_name: Its folder's name; None where there are no class folders.
    """

    path: Path
    name: str
    part: str
    class_name: str | None


@dataclass(frozen=True, kw_only=True)
class FilesOf:
    """What a folder is searched for.

    Args:
        suffixes: The endings of its files, in lower case.
        noun: What a file holds, such as "picture".
    """

    suffixes: frozenset[str]
    noun: str

    @property
    def plural(self) -> str:
        return f"{self.noun}s"

    def is_one(self, file: Path) -> bool:
        """Whether a file is one by its name."""
        return file.suffix.lower() in self.suffixes


def survey(root: Path, kind: FilesOf) -> Iterator[FoundFile]:
    """The files below `root` by the rules at the head of this file.

    Raises:
        DataError: An unclear layout: files beside class folders, two folders for one split, empty ones.
    """
    folders, files = visible(root)
    own_splits = {_SPLIT_FOLDERS.get(folder.name.lower()) for folder in folders}
    if not folders or None in own_splits or "train" not in own_splits:
        yield from _survey_part(root, root, "train", kind)
        return
    if len(own_splits) != len(folders):
        raise DataError(
            "two folders for one split",
            where=root,
            got=", ".join(folder.name for folder in folders),
            expected="train, validation and test, each once",
        )
    yield from _beside(root, root, "train", folders, files, kind)
    forms = set()
    for folder in folders:
        found = list(_survey_part(root, folder, _SPLIT_FOLDERS[folder.name.lower()], kind))
        if not found:
            raise DataError(
                f"a split's folder without {kind.plural}",
                where=folder,
                next_step=f"add {kind.plural}, or remove the folder to have the split cut from the others",
            )
        forms.add(any(file.class_name is not None for file in found))
        yield from found
    if len(forms) > 1:
        raise DataError(
            "some splits have class folders and others have none",
            where=root,
            got=", ".join(folder.name for folder in folders),
            expected="class folders in each split, or in none",
        )


def _survey_part(root: Path, folder: Path, part: str, kind: FilesOf) -> Iterator[FoundFile]:
    """The files of one split: flat, or in class folders."""
    folders, files = visible(folder)
    yield from _beside(root, folder, part, folders, files, kind)
    for class_folder in folders:
        deeper, files = visible(class_folder)
        if deeper:
            raise DataError(
                "folders inside a class folder",
                where=class_folder,
                got=deeper[0].name,
                expected=f"{kind.plural} only: one folder a class",
                next_step=f"move the {kind.plural} up into the class folder, or give this folder as the "
                "source",
            )
        if not files:
            raise DataError(
                f"a class folder without {kind.plural}",
                where=class_folder,
                next_step=f"add {kind.plural} of the class, or remove the folder",
            )
        for file in files:
            yield FoundFile(path=file, name=_shown(file, root), part=part, class_name=class_folder.name)


def _beside(
    root: Path, folder: Path, part: str, folders: Sequence[Path], files: Sequence[Path], kind: FilesOf
) -> Iterator[FoundFile]:
    """The files that lie directly in `folder`; none of the kind where there are sub-folders as well."""
    loose = [file for file in files if kind.is_one(file)]
    if folders and loose:
        raise DataError(
            f"{kind.plural} lie beside folders of {kind.plural}, so their class is unclear",
            where=folder,
            got=f"{loose[0].name} beside the folder {folders[0].name}",
            expected=f"all {kind.plural} in class folders, or all in one folder without classes",
            next_step=f"move the {counted(len(loose), kind.noun)} into a class folder",
        )
    for file in files:
        yield FoundFile(path=file, name=_shown(file, root), part=part, class_name=None)


def _shown(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()


def require_usable(
    root: Path,
    files: Sequence[FoundFile],
    skipped: Sequence[Skipped],
    kind: FilesOf,
    *,
    unreadable: Literal["refuse", "skip"],
    has_recipe: bool,
) -> None:
    """Refuses files that cannot be read, or a source, a split or a class of which none could be.

    Args:
        root: The folder.
        files: All of them.
        skipped: Those that cannot be read.
        kind: What they should hold.
        unreadable: Whether these may be left out.
        has_recipe: Whether an error may advise a setting of a recipe.

    Raises:
        DataError: One of these.
    """
    if skipped and unreadable == "refuse":
        raise DataError(
            f"{counted(len(skipped), 'file')} of {len(files):,} cannot be used",
            where=root,
            got=listed(skipped),
            next_step="repair or remove these files"
            + (", or leave them out by data.unreadable: skip in a recipe" if has_recipe else ""),
        )
    lost_files = {item.file for item in skipped}
    read = [file for file in files if file.name not in lost_files]
    if not read:
        raise DataError(
            f"no file of this folder can be read as a {kind.noun}", where=root, got=listed(skipped)
        )
    # Loose files beside class folders hold nothing of the kind, and are no loss.
    labelled = any(file.class_name is not None for file in files)
    counting = [file for file in files if not labelled or file.class_name is not None]
    lost = {(file.part, file.class_name) for file in counting}
    lost -= {(file.part, file.class_name) for file in read}
    if lost:
        raise DataError(
            f"folders of which no {kind.noun} can be read",
            where=root,
            got=listed(sorted(" ".join(filter(None, folder)) for folder in lost)),
            next_step=f"repair their {kind.plural}, or remove the folders",
        )
