"""What all drivers share: a request becomes token ids, what cannot be is refused, and answers can be stopped.

A driver says how it cuts texts, and computes: `_encode`, `_answer`, `_score`, `_vectors`.
"""

import threading
import time
import weakref
from abc import abstractmethod
from collections.abc import Generator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from creuset.data.chat_template import ChatTemplate
from creuset.engines.base import (
    Ability,
    Description,
    Engine,
    Piece,
    TextLogProbs,
    require_fits,
    room_for,
)
from creuset.engines.request import Request
from creuset.errors import UsageError

DEFAULT_CONTEXT_LENGTH = 4096
"""Where nothing else is asked: keys and values of a longer context take memory that few need."""


class Stoppable(Protocol):
    """An answer under way."""

    def stop(self) -> None:
        """Ends it, from any thread."""


class TokenEngine(Engine):
    """An engine over tokens.

    Args:
        description: What it is; what it cannot do is refused by it.
        template: How a chat is written for the model; None where it knows none.
    """

    def __init__(self, description: Description, template: ChatTemplate | None) -> None:
        self._description, self._template = description, template
        self._is_open = True
        self._running: weakref.WeakSet[Stoppable] = weakref.WeakSet()
        self._lock = threading.Lock()

    def describe(self) -> Description:
        return self._description

    def stream(self, request: Request) -> Generator[Piece, None, None]:
        started = time.perf_counter()
        self._require_open()
        if request.json_schema is not None:
            self._require_able("json_schema", "answers that fit a JSON schema")
        if request.grammar is not None:
            self._require_able("grammar", "answers that fit a grammar")
        prompt = self.prompt_ids(request)
        description = self._description
        max_tokens = room_for(
            len(prompt),
            request.max_tokens,
            context_length=description.context_length,
            where=description.name,
        )
        return self._answer(request, prompt, max_tokens, started)

    def prompt_ids(self, request: Request) -> list[int]:
        """The tokens of a request's prompt, one at least.

        Raises:
            UsageError: A chat for a model without a template, or a token that the model does not know.
        """
        if request.messages is not None:
            if self._template is None:
                self.refuse("chat", "chat without a template of the model's")
            turns = [{"role": turn.role, "content": turn.content} for turn in request.messages]
            ids = self._encode(self._template.render(turns, add_generation_prompt=True), whole=False)
        elif isinstance(request.prompt, str):
            ids = self._encode(request.prompt)
        else:
            ids = list(request.prompt or ())
        if not ids:
            raise UsageError("the prompt has no token", where="prompt", expected="at least one")
        self._require_known([*ids, *request.sampling.logit_bias])
        return ids

    def count_tokens(self, request: Request) -> int:
        self._require_open()
        return len(self.prompt_ids(request))

    def cancel(self) -> None:
        with self._lock:
            for answer in self._running:
                answer.stop()

    def close(self) -> None:
        with self._lock:  # no answer begins behind those that are ended
            self._is_open = False
            for answer in self._running:
                answer.stop()
        if self._template is not None:
            self._template.close()
        self._free()

    def log_probs(self, text: str | Sequence[int], *, start: int = 1, num_top: int = 0) -> TextLogProbs:
        self._require_open()
        ids = self._encode(text) if isinstance(text, str) else list(text)
        self._require_known(ids)
        self._require_fits(ids, self._description.name)
        if not 1 <= start <= len(ids):
            raise UsageError(
                "no token of the text that has one before it",
                where="start",
                got=f"{start} of {len(ids)} tokens",
                expected="at least 1, and no more than there are",
            )
        return self._score(ids, start, min(num_top, self._description.vocab_size))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self._require_open()
        self._require_able("embeddings", "vectors of texts unless it is opened with a pooling")
        if isinstance(texts, str) or not texts:
            raise UsageError("no list of texts", where="embed", got=repr(texts)[:80], expected='["a text"]')
        all_ids = [self._encode(text) for text in texts]
        for number, ids in enumerate(all_ids):
            where = f"{self._description.name}, text {number + 1}"
            if not ids:
                raise UsageError("a text without a token has no vector", where=where)
            self._require_fits(ids, where)
        return self._vectors(all_ids)

    @abstractmethod
    def _encode(self, text: str, *, whole: bool = True) -> list[int]:
        """Ids of a text, special tokens read; a `whole` text gets the tokens that stand before every text."""

    @abstractmethod
    def _answer(
        self, request: Request, prompt: list[int], max_tokens: int, started: float
    ) -> Generator[Piece, None, None]:
        """The pieces of an answer that fits; `started` is when it was asked for, by time.perf_counter."""

    @abstractmethod
    def _score(self, ids: list[int], start: int, num_top: int) -> TextLogProbs:
        """`log_probs` of ids that fit."""

    @abstractmethod
    def _vectors(self, all_ids: list[list[int]]) -> NDArray[np.float32]:
        """`embed` of texts that fit, each with a token at least."""

    @abstractmethod
    def _free(self) -> None:
        """Lets go of the model."""

    def _track(self, answer: Stoppable) -> None:
        """`cancel` ends this answer too, as long as somebody holds it.

        Raises:
            UsageError: The engine was closed before it began.
        """
        with self._lock:
            self._require_open()
            self._running.add(answer)

    def _require_open(self) -> None:
        if not self._is_open:
            raise self._closed()

    def _closed(self) -> UsageError:
        return UsageError("this engine is closed", where=self._description.name, next_step="open it again")

    def _require_able(self, ability: Ability, what: str) -> None:
        if ability not in self._description.abilities:
            self.refuse(ability, what)

    def _require_known(self, ids: Sequence[int]) -> None:
        size, where = self._description.vocab_size, self._description.name
        for token in ids:
            if not 0 <= token < size:
                raise UsageError(
                    "no such token", where=where, got=token, expected=f"ids from 0 to {size - 1}"
                )

    def _require_fits(self, ids: Sequence[int], where: str) -> None:
        require_fits(len(ids), context_length=self._description.context_length, where=where)


def context_length_of(trained: int | None, asked: int | None, *, where: str) -> int:
    """Tokens of prompt and answer together: what is asked, else what the model was trained for, within
    DEFAULT_CONTEXT_LENGTH.

    Raises:
        UsageError: The model was not trained for so many.
    """
    if asked is None:
        return DEFAULT_CONTEXT_LENGTH if trained is None else min(trained, DEFAULT_CONTEXT_LENGTH)
    if asked < 1 or (trained is not None and asked > trained):
        raise UsageError(
            "a context that the model was not trained for",
            where=where,
            got=f"context_length {asked}",
            expected="at least 1" if trained is None else f"1 to {trained}",
        )
    return asked
