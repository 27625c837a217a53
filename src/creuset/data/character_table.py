"""The ids of texts where each character is a token: looked up, without the `tokenizers` library."""

import sys
from collections.abc import Mapping

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import models, pre_tokenizers

from creuset.data.text_pieces import CHARACTER
from creuset.data.tokenizer_library import component

_BLOCK = 2**16
"""Characters that are looked up at once."""


def is_by_characters(backend: tokenizers.Tokenizer) -> bool:
    """Whether texts are cut into characters, and each is looked up as it is."""
    by_character = pre_tokenizers.Split(tokenizers.Regex(CHARACTER), "isolated")
    return (
        isinstance(backend.model, models.WordLevel)
        and backend.normalizer is None
        and component(backend.pre_tokenizer) == component(by_character)
    )


def character_table(vocabulary: Mapping[str, int], unknown: int) -> NDArray[np.int32]:
    """The id of each character by its code point."""
    table = np.full(sys.maxunicode + 1, unknown, dtype=np.int32)
    for token, number in vocabulary.items():
        if len(token) == 1:
            table[ord(token)] = number
    return table


def look_up(text: str, table: NDArray[np.int32]) -> NDArray[np.int32]:
    """The id of each character of a text, int32 (T,)."""
    found = np.empty(len(text), dtype=np.int32)
    for begin in range(0, len(text), _BLOCK):
        codes = np.frombuffer(text[begin : begin + _BLOCK].encode("utf-32-le"), dtype="<u4")
        found[begin : begin + _BLOCK] = table[codes]
    return found
