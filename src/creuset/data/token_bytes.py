"""Which bytes of a text its tokens stand for."""

import numpy as np
from numpy.typing import NDArray

from creuset.data.byte_level import bytes_of
from creuset.data.long_texts import PIECE
from creuset.data.text_pieces import pieces
from creuset.data.token_stream import Document
from creuset.data.tokenizer import Tokenizer


def bytes_before(document: Document, tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Bytes of a document's text before the end of its first 0, 1, ... tokens, (T + 1,).

    White space that no token stands for counts with the token behind it. Of byte-level tokens the bytes are
    known; else a character that several tokens spell counts with the first of them.
    """
    text, num_tokens = document.text, len(document.ids)
    if tokenizer.is_byte_level:
        before = _by_contents(document, tokenizer)
        if before[-1] == document.num_bytes:
            return before
    if tokenizer.character_ids(text) is not None and num_tokens == len(text):
        return _by_characters(text)
    ends = [np.zeros(1, dtype=np.int64)]
    num_bytes = 0
    for piece in pieces(text, tokenizer.cut_places(text), length=PIECE):
        offsets = tokenizer.encode_with_offsets(piece, add_special=False).offsets
        places = np.maximum.accumulate(np.array([end for _, end in offsets], dtype=np.int64))
        widths = _by_characters(piece)
        ends.append(num_bytes + widths[places])
        num_bytes += int(widths[-1])
    found = np.concatenate(ends)
    if len(found) != num_tokens + 1:  # a text that was cut for timing
        return np.linspace(0, num_bytes, num_tokens + 1).astype(np.int64)
    found[-1] = num_bytes
    return found


def _by_characters(text: str) -> NDArray[np.int64]:
    """Bytes of a text before the end of its first 0, 1, ... characters."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    widths = 1 + sum((codes > last).astype(np.int64) for last in (0x7F, 0x7FF, 0xFFFF))
    return np.concatenate([[0], np.cumsum(widths)])


def _by_contents(document: Document, tokenizer: Tokenizer) -> NDArray[np.int64]:
    """The same by what the byte-level vocabulary holds."""
    kinds, places = np.unique(document.ids.numpy(), return_inverse=True)
    widths = np.array([_width(tokenizer, number) for number in kinds.tolist()], dtype=np.int64)
    return np.concatenate([[0], np.cumsum(widths[places])])


def _width(tokenizer: Tokenizer, number: int) -> int:
    content = tokenizer.token(number)
    held = None if number in tokenizer.skipped_ids else bytes_of(content)
    return len(content.encode() if held is None else held)
