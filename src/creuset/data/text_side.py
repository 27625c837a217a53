"""How a language model that others trained reads and writes: what texts to tune it on are made with."""

from dataclasses import dataclass

from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class TextSide:
    """How a base reads and writes.

    Args:
        tokenizer: Its tokenizer.
        chat_template: How chats are written for it; None where it knows none.
        eos_ids: The tokens that end an answer.
        context_length: Tokens that it reads at once; None where nothing limits it.
    """

    tokenizer: Tokenizer
    chat_template: ChatTemplate | None
    eos_ids: tuple[int, ...]
    context_length: int | None

    @property
    def end_id(self) -> int | None:
        """The token that ends a plain text; None where the base knows none."""
        return self.eos_ids[0] if self.eos_ids else None
