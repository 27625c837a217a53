"""A conversation with a language model: it remembers what was said, and hands out answers as they come."""

from collections.abc import Generator
from dataclasses import replace

from creuset.engines.base import Engine, Piece
from creuset.engines.request import Message, Request
from creuset.errors import UsageError


class Conversation:
    """A chat with one model.

    Args:
        engine: The model, which stays open.
        settings: How answers are chosen and how long they are; its prompt is not used.
        system: What the model is told before the first turn; None for nothing (its template may add words
            of its own).

    Raises:
        UsageError: The model has no chat template.
    """

    def __init__(self, engine: Engine, settings: Request, *, system: str | None = None) -> None:
        if "chat" not in engine.describe().abilities:
            raise UsageError(
                "this model has no chat template",
                where=engine.describe().name,
                next_step="use a model that was tuned on chats",
            )
        self._engine, self._settings = engine, settings
        self._system = () if system is None else (Message(role="system", content=system),)
        self.turns: tuple[Message, ...] = ()
        """What was said, without the system's words; a turn is kept with its whole answer."""

    def say(self, text: str) -> Generator[Piece, None, None]:
        """The answer to a turn, piece by piece.

        The turn is remembered once the answer is whole: an error, or a stream that is closed before, leaves
        the conversation as it was.

        Raises:
            UsageError: The conversation is longer than the context: raised by the call itself.
        """
        said = (*self.turns, Message(role="user", content=text))
        request = replace(self._settings, prompt=None, messages=(*self._system, *said))
        return self._answer(said, self._engine.stream(request))

    def clear(self) -> None:
        """Forgets all turns."""
        self.turns = ()

    def _answer(
        self, said: tuple[Message, ...], pieces: Generator[Piece, None, None]
    ) -> Generator[Piece, None, None]:
        text, whole = "", False
        for piece in pieces:
            text += piece.text
            whole = piece.finish_reason in ("stop", "length")
            yield piece
        if not whole:  # it was cancelled
            return
        self.turns = (*said, Message(role="assistant", content=text))
