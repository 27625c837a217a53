"""From a recipe's `data` section to a data set: find the source, read it, split it by content."""

from collections.abc import Callable
from pathlib import Path

from creuset.data.assemble import split_source
from creuset.data.dataset import Dataset
from creuset.data.folder import read_folder, visible
from creuset.data.idx import is_idx, read_idx, read_idx_folder
from creuset.data.named import DIGITS, MNIST_5K_FILE, read_digits, read_mnist_5k
from creuset.data.npz import read_npz
from creuset.data.picture import SUFFIXES
from creuset.data.source import Source
from creuset.data.table import read_csv
from creuset.errors import DataError, UsageError
from creuset.progress import Progress, Silent
from creuset.recipe.sections import AugmentationConfig, DataConfig

Resolve = Callable[[str], Path]
"""Finds the folder or file that a name stands for; raises NotFoundError or BlockedError."""

_CSV_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")


def load_data(
    config: DataConfig, *, seed: int, resolve: Resolve, progress: Progress | None = None
) -> Dataset:
    """The data set that a recipe's `data` section describes, ready for training.

    The order of samples is that of their hashes, so the same files give the same data set under any names
    and in any order.

    Args:
        config: The section.
        seed: Decides, with the samples' hashes, the splits that the source does not have.
        resolve: Finds what a name stands for, where `config.source` is no path.
        progress: Counts pictures, and is told what a user should know.

    Raises:
        DataError: The source cannot be used; the error says why and what to do.
        UsageError: Settings that the source leaves without effect.
        NotFoundError: There is no such source (raised by `resolve`).
        ResourceError: It does not fit into memory.
    """
    shown = Silent() if progress is None else progress
    dataset = split_source(read_source(config, resolve=resolve, progress=shown), config, seed=seed)
    for remark in dataset.report.remarks():
        shown.say(f"data: {remark}")
    return dataset


def read_source(config: DataConfig, *, resolve: Resolve, progress: Progress) -> Source:
    """What `config.source` names, before it is split: a path first, then a name."""
    if not config.source.strip():
        raise UsageError("no source is named", where="data.source", expected="a path or a name")
    path = Path(config.source).expanduser()
    try:
        if path.exists():
            source = _read_path(path, config, progress)
        elif config.source == DIGITS:
            _refuse_csv_settings(config, DIGITS)
            source = read_digits()
        else:
            source = _read_path(resolve(config.source), config, progress)
    except OSError as error:
        raise DataError(
            "cannot be read", where=error.filename or path, got=error.strerror or error
        ) from error
    if source.kind == "table" and config.augmentation != AugmentationConfig():
        raise UsageError(
            "a setting without effect: only pictures can be augmented",
            where="data.augmentation",
            got=config.augmentation,
            expected=f"nothing for {source.origin}",
            next_step="remove data.augmentation; for pictures in a CSV file set data.image_size",
        )
    return source


def _read_path(path: Path, config: DataConfig, progress: Progress) -> Source:
    """What lies at `path`, by the reader that its name asks for."""
    name = path.name.lower()
    if path.is_file() and name.endswith(_CSV_SUFFIXES):
        return read_csv(path, label_column=config.label_column, image_size=config.image_size)
    _refuse_csv_settings(config, path.name)
    if path.is_dir():
        _, files = visible(path)
        if any(file.name == MNIST_5K_FILE for file in files):
            return read_mnist_5k(path)
        if any(is_idx(file) for file in files):
            return read_idx_folder(path)
        return read_folder(path, unreadable=config.unreadable, progress=progress)
    if name.endswith(".npz"):
        return read_npz(path)
    if is_idx(path):
        return read_idx(path)
    next_step = None
    if path.suffix.lower() in SUFFIXES:
        next_step = f"give the folder of the pictures: {path.parent}"
    elif name.endswith(".npy"):
        next_step = "save it with np.savez_compressed(file, train_images=images)"
    raise DataError(
        "data of an unknown kind",
        where=path,
        expected="a folder of pictures, .npz, .csv, .tsv, or IDX (named like train-images-idx3-ubyte), "
        "the last three also with .gz",
        next_step=next_step,
    )


def _refuse_csv_settings(config: DataConfig, origin: str) -> None:
    for field, value in (("image_size", config.image_size), ("label_column", config.label_column)):
        if value is not None:
            raise UsageError(
                "a setting without effect: it is for CSV files",
                where=f"data.{field}",
                got=value,
                expected=f"nothing, since {origin} is none",
                next_step=f"remove data.{field}",
            )
