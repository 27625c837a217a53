"""From a recipe's `data` section to a data set: find the source, read it, split it by content."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import get_args

from creuset.data.anchored_split import split_anchored
from creuset.data.assemble import split_source
from creuset.data.audio import CLIPS, is_sound_folder, read_sound_folder
from creuset.data.audio_npz import holds_sound, read_sound_npz
from creuset.data.conversations import PAIR_FORMS, read_tuning_file
from creuset.data.corpus import SUFFIX, is_corpus, read_documents
from creuset.data.corpus_split import split_corpus
from creuset.data.csv_file import CSV_SUFFIXES
from creuset.data.dataset import Dataset
from creuset.data.entries import visible
from creuset.data.folder import read_folder
from creuset.data.idx import is_idx, read_idx, read_idx_folder
from creuset.data.labelled_split import split_labelled
from creuset.data.named import DIGITS, MNIST_5K_FILE, read_digits, read_mnist_5k
from creuset.data.npz import read_npz
from creuset.data.pair_file import PAIR_SUFFIX, read_pairs
from creuset.data.pair_split import split_pairs
from creuset.data.picture import SUFFIXES
from creuset.data.python_reference import PYTHON_REFERENCE, read_python_reference
from creuset.data.source import Source, check_classes
from creuset.data.spec import TUNING, Kind
from creuset.data.table import read_csv
from creuset.data.text_file import read_texts
from creuset.data.text_side import TextSide
from creuset.data.toys import mixtures, read_toy
from creuset.data.tuning_split import gate, split_tuning, tuning_path
from creuset.errors import DataError, NotFoundError, UsageError
from creuset.progress import Progress, Silent
from creuset.recipe.sections import AugmentationConfig, DataConfig

Resolve = Callable[[str], Path]
"""Finds the folder or file that a name stands for; raises NotFoundError or BlockedError."""

_READER_SETTINGS = {
    "image_size": "CSV files",
    "label_column": "CSV files",
    "text_column": "CSV files",
    "source_column": "CSV and .jsonl files",
    "target_column": "CSV and .jsonl files",
    "unreadable": "picture files",
    "audio": "sound",
}
"""Settings of the `data` section that only one reader takes, and what it reads."""

_KIND_SETTINGS: Mapping[str, tuple[Kind, ...]] = MappingProxyType(
    {
        "tokens": ("texts",),
        "max_tokens": ("texts",),
        "vocabulary_size": ("texts", "corpus", "pairs"),
        "tokenizer": ("corpus", "pairs"),
        "context": ("corpus", "pairs"),
        "limit": ("images", "table", "texts", "pairs", "chats", "preferences"),
        "stack": ("images",),
        "test_source": ("pairs", "chats", "preferences"),
        "too_long": ("chats", "preferences"),
    }
)
"""Settings of the `data` section that some kinds of data take."""
KIND_NAMES: Mapping[Kind, str] = MappingProxyType(
    {
        "images": "pictures",
        "table": "tables",
        "texts": "texts",
        "corpus": "plain text",
        "pairs": "pairs of texts",
        "chats": "texts to tune on",
        "preferences": "preferences",
    }
)
_NOT_BESIDE_A_BASE = ("tokens", "vocabulary_size", "tokenizer", "context", *_READER_SETTINGS)
"""Settings of texts that a base decides, and those of files that are no records."""
_ALSO_BESIDE_A_BASE = ("test_source",)
"""Settings that texts with classes have where a base is tuned on them, and there alone."""
_HINTS: Mapping[Kind, str] = MappingProxyType(
    {
        "texts": ", or name the column of the texts in data.text_column",
        "corpus": ", or give plain text: a .txt file, or a folder of them",
    }
)


def is_plain_text(source: str) -> bool:
    """Whether `data.source` names plain text, as far as its name and the files that are there tell."""
    path = Path(source).expanduser()
    if path.exists():
        return is_corpus(path)
    return source == PYTHON_REFERENCE or path.suffix.lower() == SUFFIX


def is_sound(path: Path) -> bool:
    """Whether a folder or a .npz file holds sound; not where it cannot be looked into.

    Raises:
        DataError: A damaged .npz file.
    """
    try:
        if path.is_dir():
            return is_sound_folder(path)
        return path.is_file() and path.name.lower().endswith(".npz") and holds_sound(path)
    except OSError:
        return False


def kinds_of_field(field: str) -> tuple[Kind, ...]:
    """The kinds of data on which a field of the `data` section has an effect."""
    if field in ("augmentation", "audio"):
        return ("images",)
    if field in _READER_SETTINGS:
        return tuple(kind for kind in get_args(Kind) if kind not in ("corpus", *TUNING))
    return _KIND_SETTINGS.get(field, get_args(Kind))


def load_data(
    config: DataConfig,
    *,
    seed: int,
    resolve: Resolve,
    needs_mask: bool = False,
    base: TextSide | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """The data set that a recipe's `data` section describes, ready for training.

    The order of samples is that of their hashes, so the same files give the same data set under any names
    and in any order. A corpus keeps the order of its documents.

    Args:
        config: The section.
        seed: Decides, with the samples' hashes, the splits that the source does not have.
        resolve: Finds what a name stands for, where `config.source` or `config.tokenizer` is no path.
        needs_mask: Whether the tokenizer of a corpus is given a mask token where it has none.
        base: How the language model reads that is to be tuned on the data; None where none is.
        progress: Counts pictures, and is told what a user should know.

    Raises:
        DataError: The source cannot be used, or its classes not learned; the error says why and what to do.
        UsageError: Settings that the source leaves without effect.
        NotFoundError: There is no such source (raised by `resolve`).
        ResourceError: It does not fit into memory.
    """
    shown = Silent() if progress is None else progress
    if base is not None:
        dataset = _to_tune_on(config, base, seed)
    else:
        source = read_source(config, resolve=resolve, progress=shown)
        check_classes(config.source, source)
        _refuse_shares(config, source)
        _refuse_settings_of_other_kinds(config, source)
        if source.kind == "corpus":
            dataset = split_corpus(source, config, resolve=resolve, needs_mask=needs_mask)
        elif source.kind == "pairs":
            dataset = split_pairs(source, config, seed=seed, resolve=resolve)
        else:
            dataset = split_source(source, config, seed=seed)
    for remark in dataset.report.remarks():
        shown.say(f"data: {remark}")
    return dataset


def _to_tune_on(config: DataConfig, base: TextSide, seed: int) -> Dataset:
    """Texts to tune a base on, whose settings are few: the base decides how they are read."""
    with gate():
        file = read_tuning_file(tuning_path(config.source))
        kind: Kind = "pairs" if file.form in PAIR_FORMS else "texts" if file.form == "labelled" else "chats"
        for field in DataConfig.model_fields:
            fits = kind in kinds_of_field(field) or field in _ALSO_BESIDE_A_BASE
            if not fits or field in _NOT_BESIDE_A_BASE:
                _refuse(
                    config,
                    field,
                    "it is for other data",
                    expected=f"nothing for records of the form {file.form}",
                )
        if file.form == "text":
            why = "plain texts that are too long are read in blocks"
            _refuse(config, "too_long", why, expected="nothing for plain texts")
        if config.test_source is not None:
            _refuse(config, "test_share", "data.test_source is the test split", expected="nothing beside it")
        if kind == "texts":
            return split_labelled(file, config, base, seed=seed)
        if kind == "pairs":
            return split_anchored(file, config, base, seed=seed)
        return split_tuning(file, config, base, seed=seed)


def read_source(
    config: DataConfig, *, resolve: Resolve, progress: Progress, has_recipe: bool = True
) -> Source:
    """What `config.source` names, before it is split: a path first, then a name.

    Whether its classes can be learned is not asked here, since data may also be only looked at.

    Args:
        config: The section of a recipe, or what stands in its place.
        resolve: A name to its path.
        progress: Who watches.
        has_recipe: Whether the caller can set the section's fields, so that an error may advise it.
    """
    if not config.source.strip():
        raise UsageError("no source is named", where="data.source", expected="a path or a name")
    path = Path(config.source).expanduser()
    try:
        if path.exists():
            source = _read_path(path, config, progress, has_recipe)
        elif config.source == DIGITS:
            _refuse_reader_settings(config, DIGITS)
            source = read_digits()
        elif config.source in mixtures():
            _refuse_reader_settings(config, config.source)
            source = read_toy(config.source)
        elif config.source == PYTHON_REFERENCE:
            _refuse_reader_settings(config, PYTHON_REFERENCE)
            source = read_python_reference()
        elif path.suffix.lower() == SUFFIX:
            raise NotFoundError(
                "no such file",
                where="data.source",
                got=config.source,
                expected=f"a {SUFFIX} file in UTF-8, or a folder of them",
                next_step="name a text of your own: --set data.source=FILE",
            )
        else:
            source = _read_path(resolve(config.source), config, progress, has_recipe)
    except OSError as error:
        raise DataError(
            "cannot be read", where=error.filename or path, got=error.strerror or error
        ) from error
    if source.kind != "images" and config.augmentation != AugmentationConfig():
        raise UsageError(
            "a setting without effect: only pictures can be augmented",
            where="data.augmentation",
            got=config.augmentation,
            expected=f"nothing for {source.origin}",
            next_step="remove data.augmentation; for pictures in a CSV file set data.image_size",
        )
    return source


def _read_path(path: Path, config: DataConfig, progress: Progress, has_recipe: bool) -> Source:
    """What lies at `path`, by the reader that its name asks for."""
    name = path.name.lower()
    columns = {"source_column": config.source_column, "target_column": config.target_column}
    named = any(column is not None for column in columns.values())
    if path.is_file() and (name.endswith(PAIR_SUFFIX) or (named and name.endswith(CSV_SUFFIXES))):
        _refuse_reader_settings(config, path.name, taken=columns)
        return read_pairs(path, **columns)
    if path.is_file() and name.endswith(CSV_SUFFIXES):
        _refuse_reader_settings(config, path.name, taken={"image_size", "label_column", "text_column"})
        if config.text_column is not None:
            return read_texts(path, text_column=config.text_column, label_column=config.label_column)
        return read_csv(path, label_column=config.label_column, image_size=config.image_size)
    if is_sound(path):
        return _read_sound(path, config, progress, has_recipe)
    if is_corpus(path):
        _refuse_reader_settings(config, path.name)
        return read_documents(path)
    files = visible(path)[1] if path.is_dir() else []
    is_mnist_5k, has_idx = any(file.name == MNIST_5K_FILE for file in files), any(map(is_idx, files))
    if path.is_dir() and not is_mnist_5k and not has_idx:
        _refuse_reader_settings(config, path.name, taken={"unreadable"})
        return read_folder(path, unreadable=config.unreadable, progress=progress, has_recipe=has_recipe)
    _refuse_reader_settings(config, path.name)
    if is_mnist_5k:
        return read_mnist_5k(path)
    if has_idx:
        return read_idx_folder(path)
    if name.endswith(".npz"):
        return read_npz(path)
    if is_idx(path):
        return read_idx(path)
    next_step = None
    if path.suffix.lower() in SUFFIXES:
        next_step = f"give the folder of the pictures: {path.parent}"
    elif CLIPS.is_one(path):
        next_step = f"give the folder of the sound: {path.parent}"
    elif name.endswith(".npy"):
        next_step = "save it with np.savez_compressed(file, train_images=images)"
    raise DataError(
        "data of an unknown kind",
        where=path,
        expected="a folder of pictures, .npz, .csv, .tsv, or IDX (named like train-images-idx3-ubyte), "
        "the last three also with .gz; plain text, a .txt file or a folder of them; .jsonl, pairs of texts; "
        "or sound, a folder of WAV files",
        next_step=next_step,
    )


def _read_sound(path: Path, config: DataConfig, progress: Progress, has_recipe: bool) -> Source:
    """The clips at `path`, by how they are stored."""
    if path.is_file():
        _refuse_reader_settings(config, path.name, taken={"audio"})
        return read_sound_npz(path, config.audio, progress)
    _refuse_reader_settings(config, path.name, taken={"audio", "unreadable"})
    return read_sound_folder(
        path, config.audio, unreadable=config.unreadable, progress=progress, has_recipe=has_recipe
    )


def _refuse_reader_settings(config: DataConfig, origin: str, taken: Collection[str] = ()) -> None:
    """Refuses settings of other readers than the one that takes the settings of `taken`."""
    for field, files in _READER_SETTINGS.items():
        if field not in taken:
            _refuse(config, field, f"it is for {files}", expected=f"nothing, since {origin} is none")


def _refuse_shares(config: DataConfig, source: Source) -> None:
    """Refuses a share of its own for a split that is not cut, because the source has it."""
    for split in ("validation", "test"):
        if split in source.parts:
            why = f"the source has a {split} split of its own"
            _refuse(config, f"{split}_share", why, expected=f"nothing for {source.origin}")


def _refuse_settings_of_other_kinds(config: DataConfig, source: Source) -> None:
    """Refuses settings that data of this kind ignores."""
    for field, kinds in _KIND_SETTINGS.items():
        if source.kind not in kinds:
            names = " and ".join(KIND_NAMES[kind] for kind in kinds)
            hint = _HINTS.get(kinds[0], "")
            _refuse(config, field, f"it is for {names}", expected=f"nothing for {source.origin}", hint=hint)
    if source.kind == "pairs":
        why = "it is for a base that is tuned"
        _refuse(config, "test_source", why, expected=f"nothing for {source.origin}")
    if source.sound is not None:
        why = "it is for pictures, and a clip of sound is one in grey"
        _refuse(config, "stack", why, expected=f"nothing for {source.origin}")


def _refuse(config: DataConfig, field: str, why: str, *, expected: str, hint: str = "") -> None:
    """Refuses a setting of the section that was changed from its default, and would be ignored.

    Raises:
        UsageError: It was changed.
    """
    value = getattr(config, field)
    if value != DataConfig.model_fields[field].default:
        raise UsageError(
            f"a setting without effect: {why}",
            where=f"data.{field}",
            got=value,
            expected=expected,
            next_step=f"remove data.{field}{hint}",
        )
