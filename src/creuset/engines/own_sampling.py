"""How a model's makers advise to choose its tokens: generation_config.json, or the metadata of a GGUF file.

It takes the place of a chat's defaults where the user says nothing, and no other's. What else these settings
say is listed as having no effect.
"""

from collections.abc import Mapping
from typing import Any

from creuset.errors import DataError, UsageError
from creuset.generation.sampling import Sampling
from creuset.pretrained.gguf.config import SAMPLING
from creuset.pretrained.gguf.metadata import Metadata

_DO_SAMPLE = "do_sample"
_FIELDS = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "repetition_penalty": "repeat_penalty",
}
"""Settings of generation_config.json, and ours."""
_USUAL: dict[str, Any] = {"temperature": 1.0, "top_k": 50, "penalty_window": None}
"""What transformers takes where the file draws and does not say."""
_READ_ELSEWHERE = (
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "transformers_version",
    "_from_model_config",
)
"""Ids that the tokenizer and the loop know, and what was noted when the file was written."""
_GGUF_FIELDS = {
    "temp": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "penalty_repeat": "repeat_penalty",
    "penalty_last_n": "penalty_window",
}
_WHOLE_CONTEXT = -1
"""What penalty_last_n is where penalties look at all tokens."""
_NO_PENALTIES = 0
"""What penalty_last_n is where they look at none."""
_ALL_TOKENS = -1
"""What top_k is in some files where all tokens are left."""
_WHOLE = ("top_k", "penalty_window")
_LARGEST = 2**40
"""No number of a model's advice is beyond it."""


Found = tuple[Sampling | None, tuple[str, ...]]
"""What is advised, and the names of settings without effect."""


def sampling_of_folder(generation: Mapping[str, Any], *, where: object) -> Found:
    """What generation_config.json advises, and its settings that have no effect here.

    Args:
        generation: Its settings.
        where: The folder, for errors.

    Returns:
        None, and all settings, where it does not draw: the likeliest token is a format's default there, no
        advice.

    Raises:
        DataError: A value out of its range.
    """
    draws = generation.get(_DO_SAMPLE) is True
    used = (*_READ_ELSEWHERE, _DO_SAMPLE, *(_FIELDS if draws else ()))
    unused = tuple(sorted(name for name in generation if name not in used))
    if not draws:
        return None, unused
    values = {ours: generation[name] for name, ours in _FIELDS.items() if generation.get(name) is not None}
    return _checked({**_USUAL, **values}, where), unused


def sampling_of_gguf(metadata: Metadata) -> Found:
    """What the metadata of a GGUF file advise, None where they say nothing; and the keys without effect.

    Raises:
        DataError: A value out of its range.
    """
    said = {key.removeprefix(SAMPLING): metadata[key] for key in metadata if key.startswith(SAMPLING)}
    unused = tuple(sorted(SAMPLING + name for name in said if name not in _GGUF_FIELDS))
    values: dict[str, Any] = {ours: said[name] for name, ours in _GGUF_FIELDS.items() if name in said}
    if values.get("penalty_window") == _WHOLE_CONTEXT:
        values["penalty_window"] = None
    elif values.get("penalty_window") == _NO_PENALTIES:
        del values["penalty_window"]
        values["repeat_penalty"] = 1.0
    return (_checked(values, metadata.where) if values else None), unused


def _checked(values: Mapping[str, Any], where: object) -> Sampling:
    numbers: dict[str, Any] = {}
    for name, value in values.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST
        if value is not None and not (number and (name not in _WHOLE or value == int(value))):
            raise DataError(
                f"{name} of the model's own sampling is no {'whole ' if name in _WHOLE else ''}number",
                where=where,
                got=repr(value)[:80],
            )
        numbers[name] = int(value) if name in _WHOLE and value is not None else value
    if numbers.get("top_k") == _ALL_TOKENS:
        numbers["top_k"] = 0
    try:
        return Sampling(**numbers)
    except UsageError as error:
        raise DataError(
            f"{error.where} of the model's own sampling is out of range",
            where=where,
            got=error.got,
            expected=error.expected,
        ) from error
