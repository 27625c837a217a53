"""What a text from nothing goes on from: the token behind which the texts of a corpus begin."""

import torch
from torch import Tensor

from creuset.data.tokenizer import Tokenizer
from creuset.errors import DataError

_LINE_END = "\n"


def text_start(tokenizer: Tokenizer, ids: Tensor, *, separator: int | None) -> int:
    """The separator of documents where there is one; else a line end, behind which something begins; else the
    first token of the text.

    Args:
        tokenizer: What made the tokens.
        ids: The tokens that a model learns from, int (M,), M from 1.
        separator: What stands before each document; None where the corpus is a single one.
    """
    if separator is not None:
        return separator
    line_end = _line_end(tokenizer)
    if line_end is not None and bool((ids == line_end).any()):
        return line_end
    first = next((number for number in ids.numpy() if int(number) not in tokenizer.special_ids), ids[0])
    return int(first)


def usual_start(tokenizer: Tokenizer) -> int:
    """The same where nothing is known of the text: a line end, else the first token of the vocabulary."""
    return text_start(tokenizer, torch.arange(tokenizer.vocab_size), separator=None)


def _line_end(tokenizer: Tokenizer) -> int | None:
    """The token that is a line end; None for a tokenizer that keeps none."""
    try:
        ids = tokenizer.encode(_LINE_END, add_special=False)
    except DataError:  # it has no way to write one
        return None
    if not ids or ids[-1] in tokenizer.special_ids or tokenizer.decode(ids[-1:]) != _LINE_END:
        return None
    return ids[-1]
