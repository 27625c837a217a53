"""Texts as numbers: what a text is cut into (its tokens), and the number (id) of each token.

words   The text in composed form (Unicode's NFC) and lower case. A word is a run of letters, digits and
        underscores with the marks on them; each other character but white space is a token of its own. The
        vocabulary is made from the training split: id 0 is padding, 1 any word that is not in it, and from 2
        on come the most frequent words, those that are equally frequent in the order of the alphabet.
bytes   The bytes of the text in UTF-8, as they are: id 0 is padding, 1 + b the byte b. Nothing is unknown,
        which suits languages written without spaces between words.

Legend of shapes: N texts, B batch, T tokens.
"""

import functools
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from creuset.data.spec import DataSpec

Tokens = Literal["words", "bytes"]

PADDING = 0
"""The id that fills up the rows of a batch behind shorter texts; no text holds it."""
UNKNOWN = 1
"""The id of words that are not in the vocabulary."""

_PADDING_NAME, _UNKNOWN_NAME = "<padding>", "<unknown>"  # no words: punctuation is cut off a word


def words(text: str) -> list[str]:
    """The words and punctuation marks of a text, in their order."""
    return _word_pattern().findall(unicodedata.normalize("NFC", text).lower())


def make_vocabulary(
    texts: Sequence[str], tokens: Tokens, *, vocabulary_size: int, max_tokens: int
) -> tuple[str, ...]:
    """The tokens by their ids.

    Args:
        texts: The training texts; only what is read of them counts.
        tokens: What a text is cut into.
        vocabulary_size: Words that get an id of their own, at most; without effect on bytes.
        max_tokens: Tokens of a text that are read.
    """
    if tokens == "bytes":
        return (_PADDING_NAME, *(f"0x{byte:02x}" for byte in range(256)))
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(words(text)[:max_tokens])
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return (_PADDING_NAME, _UNKNOWN_NAME, *(word for word, _ in islice(ranked, vocabulary_size)))


def encode(texts: Sequence[str], spec: DataSpec) -> tuple[Tensor, Tensor]:
    """The token ids of texts, padded behind their ends to the longest of them.

    Args:
        texts: Texts with a token each, at least.
        spec: How they are cut, the vocabulary, and how many tokens are read.

    Returns:
        The ids of the tokens that are read, int32 (N, T); the tokens of each whole text, int64 (N,).
    """
    place = {token: number for number, token in enumerate(spec.vocabulary)}
    rows: list[np.ndarray[tuple[int], np.dtype[np.int32]]] = []
    num_tokens = np.zeros(len(texts), dtype=np.int64)
    for number, text in enumerate(texts):
        if spec.tokens == "bytes":
            content = text.encode()
            ids = np.frombuffer(content[: spec.max_tokens], dtype=np.uint8).astype(np.int32) + 1
            num_tokens[number] = len(content)
        else:
            found = words(text)
            ids = np.array([place.get(word, UNKNOWN) for word in found[: spec.max_tokens]], dtype=np.int32)
            num_tokens[number] = len(found)
        rows.append(ids)
    padded = np.full((len(texts), max(map(len, rows), default=0)), PADDING, dtype=np.int32)
    for number, ids in enumerate(rows):
        padded[number, : len(ids)] = ids
    return torch.from_numpy(padded), torch.from_numpy(num_tokens)


def text_lengths(tokens: Tensor) -> Tensor:
    """How many tokens of each row (B, T) are no padding, int64 (B,)."""
    return (tokens != PADDING).sum(1)


def unknown_share(tokens: Tensor, spec: DataSpec) -> float:
    """The share of the tokens (N, T), padding left out, that are not in the vocabulary: in [0, 1]."""
    if spec.tokens == "bytes":
        return 0.0
    return int((tokens == UNKNOWN).sum()) / max(1, int(text_lengths(tokens).sum()))


@functools.cache
def _word_pattern() -> re.Pattern[str]:
    """A word with its marks, or any other character but white space.

    To Python's `re` the marks that stand on or beside a letter (the vowel signs of Devanagari, the points of
    Hebrew) are no part of a word; they are put into it here.
    """
    marks = "".join(
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character).startswith("M")
    )
    return re.compile(rf"\w+(?:[{marks}]+\w*)*|\S")
