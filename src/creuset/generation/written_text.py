"""One text while it is written: its request, its tokens so far, its random numbers, and why it ended.

Legend of shapes: V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from creuset.data.incremental_decoding import IncrementalDecoder
from creuset.data.tokenizer import Tokenizer
from creuset.device import stream
from creuset.generation.prompt_lookup import PromptLookup
from creuset.generation.sampling import Sampling, TokenScore, choose, score_tokens, without_unknown
from creuset.generation.stop_strings import StopStrings

Reason = Literal["stop", "length", "cancelled"]
"""Why a text ended: at an end token or a stop string, at max_tokens, or because somebody stopped it."""

_REPLACEMENT = "�"


@dataclass(frozen=True, kw_only=True)
class TextRequest:
    """One text to be generated.

    Args:
        prompt: Token ids: what a decoder continues, or what an encoder reads.
        max_tokens: The most tokens that are generated, at least 1.
        sampling: How they are chosen.
        stop: Strings that end the text, and are no part of it.
        num_alternatives: With each token its log-probability and so many likely others; None for neither.
        lookup: So many tokens are guessed from the text itself and verified in one step, 0 for none; it
            works for a single text (see prompt_lookup.py).
    """

    prompt: Sequence[int]
    max_tokens: int
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    num_alternatives: int | None = None
    lookup: int = 0


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a step added to one text.

    Args:
        row: The number of the request.
        text: Whole characters only, and nothing that may still become a stop string; "" without a tokenizer.
        token_ids: The tokens that were chosen, with one that ends the text.
        scores: Of these tokens, where they were asked for.
        reason: Why the text ended, in its last output alone.
    """

    row: int
    text: str
    token_ids: tuple[int, ...]
    scores: tuple[TokenScore, ...] = ()
    reason: Reason | None = None


class WrittenText:
    """One text while it is written.

    Args:
        request: What is asked for.
        number: Its place among the requests.
        start: What the decoder begins with.
        tokenizer: Turns ids into text, or None.
        eos_ids: The tokens that end a text.
        known: bool (V,), where a token has the id; None where all have one.
    """

    def __init__(
        self,
        request: TextRequest,
        *,
        number: int,
        start: Sequence[int],
        tokenizer: Tokenizer | None,
        eos_ids: frozenset[int],
        known: Tensor | None,
    ) -> None:
        self.request, self.number = request, number
        self.ids = list(start)
        """All tokens of the decoder."""
        self.reason: Reason | None = None
        """Why it ended, once it did."""
        self._eos_ids, self._known = eos_ids, known
        self._start = len(self.ids)
        self._decoder = None if tokenizer is None else IncrementalDecoder(tokenizer)
        self._stops = StopStrings(request.stop)
        self._generator = stream(request.sampling.seed, "text")
        self._lookup = PromptLookup(request.lookup) if request.lookup else None
        self._guess: list[int] = []

    @property
    def num_read(self) -> int:
        """Tokens that the cache should hold: all but the last, which the next step reads."""
        return len(self.ids) - 1

    def next_guess(self) -> list[int]:
        """Tokens to read with the last one, in the hope that they will be chosen."""
        room = self.request.max_tokens - (len(self.ids) - self._start) - 1
        self._guess = [] if self._lookup is None else self._lookup.guess(self.ids, room)
        return self._guess

    def add(self, logits: Tensor) -> Output:
        """Chooses a token, and further ones as long as those that were guessed are chosen.

        Args:
            logits: (1 + guess, V).
        """
        guess, self._guess = self._guess, []
        chosen: list[int] = []
        text = ""
        allowed = logits if self._known is None else without_unknown(logits, self._known)
        for place in range(len(logits)):
            token = choose(allowed[place], self.request.sampling, self.ids, self._generator)
            chosen.append(token)
            self.ids.append(token)
            text += self._text_of(token)
            if self.reason is not None or place == len(guess) or token != guess[place]:
                break
        if self._lookup is not None:
            right = sum(one == other for one, other in zip(chosen, guess, strict=False))
            self._lookup.learn(len(guess), right)
        wanted = self.request.num_alternatives
        scores = () if wanted is None else tuple(score_tokens(logits[: len(chosen)], chosen, wanted))
        return Output(row=self.number, text=text, token_ids=tuple(chosen), scores=scores, reason=self.reason)

    def end(self, reason: Reason) -> Output:
        """Ends the text where it is."""
        text = self._rest()
        self.reason = reason
        return Output(row=self.number, text=text, token_ids=(), reason=reason)

    def _text_of(self, token: int) -> str:
        """What is certain of the text with one more token; sets why it ended, if it did."""
        text = ""
        if token in self._eos_ids:
            self.reason = "stop"
        else:
            text = "" if self._decoder is None else self._stops.feed(self._decoder.feed(token))
            if self._stops.found is not None:
                self.reason = "stop"
            elif len(self.ids) - self._start == self.request.max_tokens:
                self.reason = "length"
        if self.reason is not None and self._stops.found is None:
            text += self._rest()
            self.reason = "stop" if self._stops.found is not None else self.reason
        return text

    def _rest(self) -> str:
        """What was held back; a character that is not whole is left out."""
        last = "" if self._decoder is None else self._decoder.finish().rstrip(_REPLACEMENT)
        return self._stops.feed(last) + self._stops.finish()
