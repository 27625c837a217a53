"""The ids of long texts: piece by piece (`text_pieces.py`), into arrays of 4 bytes a token."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from creuset.data.text_pieces import pieces
from creuset.data.tokenizer import Tokenizer

PIECE = 2**15
"""Characters of a piece at least."""
_AT_ONCE = 2**18
"""Characters that are encoded side by side, on all processors."""


def encode_long(tokenizer: Tokenizer, texts: Sequence[str]) -> list[NDArray[np.int32]]:
    """The ids of each text as `encode_batch` gives them, without tokens around it, int32 (T,) each."""
    found: list[list[NDArray[np.int32]]] = [[] for _ in texts]
    waiting: list[tuple[int, str]] = []

    def encode_waiting() -> None:
        encoded = tokenizer.encode_batch([piece for _, piece in waiting], add_special=False)
        for (number, _), ids in zip(waiting, encoded, strict=True):
            found[number].append(np.array(ids, dtype=np.int32))
        waiting.clear()

    num_waiting = 0
    for number, text in enumerate(texts):
        known = tokenizer.character_ids(text)
        if known is not None:
            found[number].append(known)
            continue
        for piece in pieces(text, tokenizer.cut_places(text), length=PIECE):
            waiting.append((number, piece))
            num_waiting += len(piece)
            if num_waiting >= _AT_ONCE:
                encode_waiting()
                num_waiting = 0
    encode_waiting()
    return [np.concatenate(own) if own else np.empty(0, dtype=np.int32) for own in found]
