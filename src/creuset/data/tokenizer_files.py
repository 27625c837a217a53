"""The files of a tokenizer's folder, read as files of strangers: sizes first, then the form.

tokenizer.json          the tokenizer itself, as the `tokenizers` library writes it
tokenizer_config.json   the names of the special tokens, perhaps a chat template
special_tokens_map.json the same names, where older tools wrote them
generation_config.json  the ids at which generation ends: one number or a list

Departures from transformers: a special token that tokenizer.json lacks is an error, where transformers adds
it behind the vocabulary; config.json and its `auto_map` are never read.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from creuset.data.bounded_json import parse_bounded
from creuset.errors import DataError, NotFoundError

TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
SPECIAL_FILE = "special_tokens_map.json"
GENERATION_FILE = "generation_config.json"

MAX_TOKENIZER_BYTES = 100_000_000
"""Three times the largest in wide use, Gemma 3's of 33 MB."""
MAX_SETTINGS_BYTES = 16_000_000


@dataclass(frozen=True, kw_only=True)
class SpecialTokens:
    """The ids of the tokens that mean something to a model beside text; None or () where there is none.

    Args:
        bos: Begins a text.
        eos: End a text; generation stops at any of them. The first is the one to append in training.
        pad: Fills up batches. It may be one of `eos`, so nothing may be masked because it has this id.
        unk: Stands for what the vocabulary lacks.
        cls: Begins an encoder's input, and its state stands for the whole.
        sep: Ends each part of an encoder's input.
        mask: Stands for a token to be guessed.
    """

    bos: int | None = None
    eos: tuple[int, ...] = ()
    pad: int | None = None
    unk: int | None = None
    cls: int | None = None
    sep: int | None = None
    mask: int | None = None

    @property
    def separator(self) -> int | None:
        """What stands between the documents of a corpus: the end of a text, else of a part of one."""
        return self.eos[0] if self.eos else self.sep

    def named(self) -> dict[str, int]:
        """The id of each special token that there is, by the name of its field; of `eos` the first."""
        found = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "eos"}
        found["eos"] = self.eos[0] if self.eos else None
        return {name: number for name, number in found.items() if number is not None}


def read_limited(path: Path, max_bytes: int) -> str:
    """The text of a file that is not above a size.

    Raises:
        NotFoundError: There is no such file.
        DataError: It is larger, no file, cannot be read, or not UTF-8.
    """
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise DataError(
                "too large for such a file",
                where=path,
                got=f"{size:,} bytes",
                expected=f"at most {max_bytes:,}",
            )
        with path.open("rb") as file:
            content = file.read(size)  # read(n) takes room for n bytes at once
        return content.decode()
    except FileNotFoundError as error:
        raise NotFoundError("no such file", where=path) from error
    except OSError as error:
        raise DataError("cannot be read", where=path, got=error.strerror or error) from error
    except UnicodeDecodeError as error:
        raise DataError("not UTF-8", where=path, got=f"byte {error.start + 1}") from error


def read_settings(path: Path) -> dict[str, Any]:
    """The object of a JSON file of settings; empty where there is no such file.

    Raises:
        DataError: It is too large, damaged, or holds something else than an object.
    """
    if not path.exists():
        return {}
    found = parse_bounded(read_limited(path, MAX_SETTINGS_BYTES), path)
    if not isinstance(found, dict):
        raise DataError("no object of settings", where=path, got=type(found).__name__, expected="{...}")
    return found


def read_special_tokens(folder: Path, id_of: Callable[[str], int | None]) -> SpecialTokens:
    """The special tokens that the files of a folder name.

    As in transformers, special_tokens_map.json comes first where tokenizer_config.json is of the older kind,
    without `added_tokens_decoder`, and does not count elsewhere.

    Args:
        folder: With a tokenizer_config.json, a special_tokens_map.json, both or none.
        id_of: The id of a token, None for a text that is none.

    Raises:
        DataError: A file that is damaged, or a name that is no token.
    """
    config, older = read_settings(folder / CONFIG_FILE), read_settings(folder / SPECIAL_FILE)
    sources = [(folder / CONFIG_FILE, config)]
    if "added_tokens_decoder" not in config:
        sources.insert(0, (folder / SPECIAL_FILE, older))
    special: dict[str, Any] = {}
    for field in fields(SpecialTokens):
        key = f"{field.name}_token"
        path, value = next(
            ((path, found[key]) for path, found in sources if found.get(key) is not None), (folder, None)
        )
        if value is None:
            continue
        number = _id_of_name(path, key, value, id_of)
        special[field.name] = (number,) if field.name == "eos" else number
    ends = _generation_ends(folder / GENERATION_FILE)
    special["eos"] = tuple(dict.fromkeys((*special.get("eos", ()), *ends)))
    return SpecialTokens(**special)


def settings_of(special: SpecialTokens, content_of: Callable[[int], str]) -> dict[str, str]:
    """The special tokens as both settings files name them: {"eos_token": "</s>", ...}."""
    return {f"{name}_token": content_of(number) for name, number in special.named().items()}


def as_json(settings: Mapping[str, Any]) -> str:
    """Settings as their file holds them."""
    return json.dumps(settings, indent=2, ensure_ascii=False) + "\n"


def _id_of_name(path: Path, key: str, value: Any, id_of: Callable[[str], int | None]) -> int:
    """The id of the token that a settings file names, as a text or as {"content": text}."""
    content = value.get("content") if isinstance(value, dict) else value
    if not isinstance(content, str):
        raise DataError(f"{key} names no token", where=path, got=repr(value)[:80], expected="a text")
    number = id_of(content)
    if number is None:
        raise DataError(
            f"{key} is no token of {TOKENIZER_FILE}",
            where=path,
            got=repr(content),
            expected="a token of the vocabulary",
            next_step=f"take {TOKENIZER_FILE} and {path.name} from the same model",
        )
    return number


def _generation_ends(path: Path) -> tuple[int, ...]:
    """eos_token_id of a generation_config.json: a number, a list of them, or nothing."""
    value = read_settings(path).get("eos_token_id")
    if value is None:
        return ()
    numbers = value if isinstance(value, list) else [value]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise DataError(
            "eos_token_id is no id", where=path, got=repr(value)[:80], expected="an id or a list of ids"
        )
    return tuple(numbers)
