"""Which bytes of a text its tokens stand for."""

import numpy as np
from numpy.typing import NDArray

from creuset.data.byte_level import bytes_of
from creuset.data.token_stream import Document
from creuset.data.tokenizer import Tokenizer


def bytes_before(document: Document, tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Bytes of a document's text before the end of its first 0, 1, ... tokens, (T + 1,).

    White space that no token stands for counts with the token behind it. Of byte-level tokens the bytes are
    known; else a character that several tokens spell counts with the first of them.
    """
    if tokenizer.is_byte_level:
        before = _by_contents(document, tokenizer)
        if before[-1] == document.num_bytes:
            return before
    offsets = tokenizer.encode_with_offsets(document.text, add_special=False).offsets
    if len(offsets) != len(document.ids):  # a text that was cut for timing
        return np.linspace(0, document.num_bytes, len(document.ids) + 1).astype(np.int64)
    widths = [len(character.encode()) for character in document.text]
    before = np.concatenate([[0], np.cumsum(widths, dtype=np.int64)])
    ends = np.maximum.accumulate([0, *(end for _, end in offsets)])
    ends[-1] = len(document.text)
    return before[ends]


def _by_contents(document: Document, tokenizer: Tokenizer) -> NDArray[np.int64]:
    """The same by what the byte-level vocabulary holds."""
    kinds, places = np.unique(document.ids.numpy(), return_inverse=True)
    widths = np.array([_width(tokenizer, number) for number in kinds.tolist()], dtype=np.int64)
    return np.concatenate([[0], np.cumsum(widths[places])])


def _width(tokenizer: Tokenizer, number: int) -> int:
    content = tokenizer.token(number)
    held = None if number in tokenizer.skipped_ids else bytes_of(content)
    return len(content.encode() if held is None else held)
