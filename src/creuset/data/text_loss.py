"""What of a text a tokenizer loses: then no count of bits says how likely a model finds the text.

A token for unknown words stands for many texts, and so does a word without its capital or the white space
before it: a model that is sure of such tokens is not sure of the bytes that they came from.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from creuset.data.text_pieces import LINES, pieces
from creuset.data.tokenizer import Tokenizer

_LENGTH = 2000
"""Characters that are written and read back at once: one unknown character hides no more of a change."""


@dataclass(frozen=True, kw_only=True)
class TextLoss:
    """What of some texts a tokenizer loses.

    Args:
        unknown: The share of the tokens that stand for what the vocabulary lacks, in [0, 1].
        changes: Whether texts come back otherwise than they were, unknown tokens aside.
    """

    unknown: float
    changes: bool

    def __bool__(self) -> bool:
        return self.changes or self.unknown > 0

    @property
    def reason(self) -> str:
        """What is lost, as half a sentence; empty where nothing is."""
        lost = [f"{self.unknown:.3g} of the tokens are unknown"] if self.unknown else []
        if self.changes:
            lost.append("the tokenizer does not give texts back as they were")
        return ", and ".join(lost)


def text_loss(tokenizer: Tokenizer, texts: Iterable[str]) -> TextLoss:
    """What of texts a tokenizer loses: all of them are written as tokens and read back, piece by piece."""
    unknown = tokenizer.special.unk
    num_unknown = num_tokens = 0
    changes = False
    for text in texts:
        for piece in pieces(text, LINES, length=_LENGTH):
            ids = tokenizer.encode(piece, add_special=False)
            found = 0 if unknown is None else ids.count(unknown)
            num_unknown += found
            num_tokens += len(ids)
            changes = changes or (not found and not _comes_back(piece, tokenizer.decode(ids, False)))
    return TextLoss(unknown=num_unknown / max(1, num_tokens), changes=changes)


def _comes_back(text: str, decoded: str) -> bool:
    """Whether a text is what it was, up to a space at its beginning, which Metaspace counts as its own."""
    return decoded in (text, text.removeprefix(" "))
