"""The interface through which everything talks to a language model.

An engine streams an answer piece by piece, measures the probability of a given text, and turns texts into
vectors. What a driver cannot do it refuses by name; what does not fit into its context it refuses with both
numbers, and never cuts.

Legend of shapes: N texts, D dimensions, T tokens of a text, S of them scored, K alternatives.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from creuset.engines.request import Request
from creuset.errors import UsageError
from creuset.generation.sampling import Sampling

FinishReason = Literal["stop", "length", "cancelled"]
"""Why an answer ended: by itself or at a stop string, at max_tokens, or because somebody stopped it."""

Ability = Literal["chat", "json_schema", "grammar", "log_probs", "embeddings"]


@dataclass(frozen=True, kw_only=True)
class TokenLogProb:
    """A token and how likely the model found it.

    Args:
        token_id: Its number.
        token_bytes: What it stands for; empty for special tokens, and it may be part of a character.
        log_prob: In nats.
        alternatives: The likeliest tokens in its place, falling, perhaps with itself among them.
    """

    token_id: int
    token_bytes: bytes
    log_prob: float
    alternatives: tuple["TokenLogProb", ...] = ()


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What an answer took.

    Args:
        num_prompt_tokens: Tokens of the prompt.
        num_completion_tokens: Tokens that were generated, with the one that ended the answer.
        seconds_to_first_token: From the request to the first token.
        seconds: From the request to the end.
    """

    num_prompt_tokens: int
    num_completion_tokens: int
    seconds_to_first_token: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of an answer as it arrives.

    Args:
        text: Whole characters only, and nothing that may belong to a stop string; often empty. A character
            that the end of the answer left unfinished is left out.
        token_ids: The tokens that came with it. They may run ahead of the text, and end with the token that
            ended the answer or with those of the stop string.
        log_probs: One for each of `token_ids`, where they were asked for.
        finish_reason: None but in the last piece.
        usage: In the last piece alone.
    """

    text: str
    token_ids: tuple[int, ...] = ()
    log_probs: tuple[TokenLogProb, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


@dataclass(frozen=True, kw_only=True)
class Completion:
    """A whole answer: its pieces, joined (see Piece)."""

    text: str
    token_ids: tuple[int, ...]
    log_probs: tuple[TokenLogProb, ...]
    finish_reason: FinishReason
    usage: Usage


@dataclass(frozen=True, kw_only=True)
class TextLogProbs:
    """How likely a model finds the tokens of a given text, each after all that are before it.

    Args:
        token_ids: All tokens of the text, int64 (T,).
        start: The first token that is scored; S = T - start.
        log_probs: Of the tokens from `start` on, in nats, float64 (S,).
        top_ids: The K likeliest tokens in the place of each, falling, int64 (S, K).
        top_log_probs: Theirs, float64 (S, K).
    """

    token_ids: NDArray[np.int64]
    start: int
    log_probs: NDArray[np.float64]
    top_ids: NDArray[np.int64]
    top_log_probs: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Description:
    """What an engine is.

    Args:
        name: The model's name.
        driver: What computes: native, llamacpp, onnxruntime.
        context_length: The most tokens of prompt and answer together.
        vocab_size: How many tokens it knows.
        precision: The number format of its weights: float32, bfloat16, Q4_1.
        abilities: What it can do beside streaming text.
        sampling: How its makers advise to choose tokens; None where its files say nothing of it. A request's
            own sampling is what counts: `creuset chat` begins with this one.
        passed_over: Settings of its files that have no effect here, by name.
    """

    name: str
    driver: str
    context_length: int
    vocab_size: int
    precision: str
    abilities: frozenset[Ability]
    sampling: Sampling | None = None
    passed_over: tuple[str, ...] = ()


class Engine(ABC):
    """A language model that is ready to answer. Use it in a `with`, or call `close`."""

    @abstractmethod
    def describe(self) -> Description:
        """What it is and what it can do."""

    @abstractmethod
    def stream(self, request: Request) -> Generator[Piece, None, None]:
        """The answer, piece by piece; the last has a finish_reason. Closing the generator stops the model.

        Raises:
            UsageError: The request is impossible here, or longer than the context: raised by the call itself,
                before anything is computed.
        """

    @abstractmethod
    def count_tokens(self, request: Request) -> int:
        """How many tokens the request's prompt has, template and special tokens among them."""

    @abstractmethod
    def cancel(self) -> None:
        """Ends the answers that are under way, from any thread: their last piece says cancelled."""

    @abstractmethod
    def close(self) -> None:
        """Cancels what is under way and frees all memory. What is asked afterwards is refused."""

    def complete(self, request: Request) -> Completion:
        """The whole answer at once.

        Raises:
            UsageError: As for `stream`.
        """
        pieces = list(self.stream(request))
        last = pieces[-1]
        assert last.finish_reason is not None
        assert last.usage is not None
        return Completion(
            text="".join(piece.text for piece in pieces),
            token_ids=tuple(token for piece in pieces for token in piece.token_ids),
            log_probs=tuple(log_prob for piece in pieces for log_prob in piece.log_probs),
            finish_reason=last.finish_reason,
            usage=last.usage,
        )

    @abstractmethod
    def log_probs(self, text: str | Sequence[int], *, start: int = 1, num_top: int = 0) -> TextLogProbs:
        """How likely the model finds a text, token by token.

        Args:
            text: A text, which the tokenizer cuts as it does a prompt, or token ids. It is at most as long as
                the context.
            start: The first token that is scored, at least 1: the first token has nothing before it.
            num_top: How many of the likeliest tokens are told for each place, 0 for none.

        Raises:
            UsageError: The driver cannot do it, or the text is longer than the context.
        """

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """A vector of length 1 for each text, float32 (N, D).

        Raises:
            UsageError: The model gives no vectors, or a text is longer than its context.
        """

    def refuse(self, ability: Ability, what: str) -> NoReturn:
        """Says that this engine lacks an ability, and which it has.

        Raises:
            UsageError: Always.
        """
        description = self.describe()
        raise UsageError(
            f"{description.driver} gives no {what} here",
            where=description.name,
            got=ability,
            expected=", ".join(sorted(description.abilities)) or "text alone",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def room_for(num_prompt_tokens: int, max_tokens: int | None, *, context_length: int, where: str) -> int:
    """How many tokens may be generated: `max_tokens`, or where it is None all that the context has room for.

    Raises:
        UsageError: Prompt and answer together are longer than the context.
    """
    needed = num_prompt_tokens + (1 if max_tokens is None else max_tokens)
    if needed > context_length:
        asked = "at least 1" if max_tokens is None else f"max_tokens {max_tokens}"
        raise UsageError(
            "longer than the model's context; nothing was cut",
            where=where,
            got=f"{num_prompt_tokens} tokens of prompt and {asked}: {needed}",
            expected=f"at most {context_length} tokens together",
            next_step="shorten the prompt, lower max_tokens, or open the model with a longer context",
        )
    return context_length - num_prompt_tokens if max_tokens is None else max_tokens


def require_fits(num_tokens: int, *, context_length: int, where: str) -> None:
    """Refuses a text that is longer than the context.

    Raises:
        UsageError: It is, with both numbers.
    """
    if num_tokens > context_length:
        raise UsageError(
            "longer than the model's context; nothing was cut",
            where=where,
            got=f"{num_tokens} tokens",
            expected=f"at most {context_length}",
            next_step="split the text, or open the model with a longer context",
        )
