"""Ids to text while they are being generated: no piece ends in half a character, and all pieces together are
the text that `Tokenizer.decode` gives for all ids.

What a token reads as depends on its neighbours: a character may be spread over several tokens, the first
token of a SentencePiece text loses its leading space, and with byte fallback a run of bytes is text only if
the whole run is. So a piece is the difference of two texts, that of the last tokens with the new one and
without it, and what a later token could still change is held back:
- one U+FFFD at the end, which is how an unfinished character decodes, however many bytes it has;
- with byte fallback the whole run of bytes at the end.

Each token costs the same, whatever stands before it: of many tokens that end nowhere (white space, bytes that
are no text, tokens that each end within a character) the last ones are kept, once these alone give the end of
the same text.

The same idea as `tokenizers.decoders.DecodeStream`; unlike there, a run of byte tokens is held to its end
(one invalid byte changes all of it), and the tokens that are kept hold a visible character, so that a leading
space is never taken off twice.
"""

from creuset.data.tokenizer import Tokenizer

_REPLACEMENT = "�"
_MOST, _KEPT = 64, 16
"""From so many tokens on the window is cut down to the last ones."""
_HALF_CHARACTER = 3
"""Bytes of a character without its first: so many U+FFFD may stand before what those last tokens give."""
_ENOUGH = 4
"""Characters that two texts must have in common at their ends."""


class IncrementalDecoder:
    """Turns ids, one by one, into pieces of text.

    Args:
        tokenizer: Whose ids they are.
        skip_special: Whether special tokens are left out.
    """

    def __init__(self, tokenizer: Tokenizer, *, skip_special: bool = True) -> None:
        self._tokenizer = tokenizer
        self._skip_special = skip_special
        self._window: list[int] = []
        self._settled = 0
        """Tokens of the window whose text is given out, and that no later token changes."""
        self._shown = ""
        """What was given out of the window's text."""

    def feed(self, number: int) -> str:
        """The text that is certain now and was not before; often empty in the middle of a character.

        Raises:
            UsageError: An id that no token has.
        """
        content = self._tokenizer.token(number)
        if self._skip_special and number in self._tokenizer.skipped_ids:
            return ""
        self._window.append(number)
        if self._tokenizer.has_byte_fallback and _is_byte(content):
            return ""
        text = self._text(self._window)
        certain = text.removesuffix(_REPLACEMENT)
        if not certain.startswith(self._shown):
            return ""
        piece = certain[len(self._shown) :]
        self._shown = certain
        if certain == text:
            self._settle(text)
        if len(self._window) >= _MOST:
            self._shorten(text)
        return piece

    def finish(self) -> str:
        """What was still held back, unfinished characters as U+FFFD; the decoder then begins anew."""
        piece = self._text(self._window)[len(self._shown) :]
        self._window, self._settled, self._shown = [], 0, ""
        return piece

    def _settle(self, text: str) -> None:
        """Forgets all tokens before the last ones that gave a text, if these can stand for them."""
        latest = self._window[self._settled :]
        latest_text = self._text(latest)
        if latest_text.strip(f"{_REPLACEMENT} \n\t\r"):
            self._window, text = latest, latest_text
        self._settled, self._shown = len(self._window), text

    def _shorten(self, text: str) -> None:
        """Forgets all but the last tokens, if these alone give the end of the window's text."""
        held = int(text.endswith(_REPLACEMENT))
        kept = self._window[-_KEPT:]
        kept_text = self._text(kept)
        for start in range(_HALF_CHARACTER + 1):
            end = kept_text[start:]
            if len(end) >= held + _ENOUGH and text.endswith(end):
                self._settled = max(0, self._settled - len(self._window) + _KEPT)
                self._window, self._shown = kept, kept_text[: len(kept_text) - held]
                return

    def _text(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids, self._skip_special)


def _is_byte(content: str) -> bool:
    """Whether a token is one byte, as byte fallback writes it: <0xE2>."""
    return len(content) == 6 and content.startswith("<0x") and content.endswith(">")
