"""An engine that says what a test wrote for it: for code that is written over the protocol."""

from collections.abc import Generator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from creuset.engines.base import Description, Engine, FinishReason, Piece, TextLogProbs, Usage, room_for
from creuset.engines.request import Request
from creuset.generation.stop_strings import StopStrings


class ScriptedEngine(Engine):
    """Answers each request with the next script, a word a token.

    Args:
        scripts: The answers, in the order in which they are asked for.
        context_length: In words.
        vectors: What `embed` gives for a text; without, it is refused.
    """

    def __init__(
        self,
        scripts: Sequence[str],
        *,
        context_length: int = 100,
        vectors: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        self.requests: list[Request] = []
        """What was asked, in order."""
        self.num_generated = 0
        """Words that were generated in all, asked for or not: a closed stream generates no more."""
        self.closed = False
        self._scripts = list(scripts)
        self._context_length = context_length
        self._vectors = vectors
        self._cancelled = False

    def describe(self) -> Description:
        return Description(
            name="scripted",
            driver="test",
            context_length=self._context_length,
            vocab_size=0,
            precision="none",
            abilities=frozenset({"chat"}) if self._vectors is None else frozenset({"chat", "embeddings"}),
        )

    def count_tokens(self, request: Request) -> int:
        if request.messages is not None:
            return sum(1 + len(turn.content.split()) for turn in request.messages)
        return len(request.prompt.split() if isinstance(request.prompt, str) else request.prompt or ())

    def stream(self, request: Request) -> Generator[Piece, None, None]:
        length = self.count_tokens(request)
        room = room_for(length, request.max_tokens, context_length=self._context_length, where="scripted")
        self.requests.append(request)
        self._cancelled = False
        return self._pieces(request, self._scripts.pop(0).split(), length, room)

    def cancel(self) -> None:
        self._cancelled = True

    def close(self) -> None:
        self.cancel()
        self.closed = True

    def log_probs(self, text: str | Sequence[int], *, start: int = 1, num_top: int = 0) -> TextLogProbs:
        self.refuse("log_probs", "log-probabilities of a given text")

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self._vectors is None:
            self.refuse("embeddings", "vectors of texts")
        return np.array([self._vectors[text] for text in texts], np.float32)

    def _pieces(
        self, request: Request, words: list[str], num_prompt_tokens: int, room: int
    ) -> Generator[Piece, None, None]:
        stops = StopStrings(request.stop)
        reason: FinishReason = "length" if len(words) > room else "stop"
        said = 0
        for word in words[:room]:
            if self._cancelled or stops.found is not None:
                reason = "cancelled" if self._cancelled else "stop"
                break
            text = stops.feed(word if said == 0 else f" {word}")
            said += 1
            self.num_generated += 1
            yield Piece(text=text)
        usage = Usage(
            num_prompt_tokens=num_prompt_tokens,
            num_completion_tokens=said,
            seconds_to_first_token=0.0,
            seconds=0.0,
        )
        yield Piece(
            text=stops.finish(), finish_reason="stop" if stops.found is not None else reason, usage=usage
        )
