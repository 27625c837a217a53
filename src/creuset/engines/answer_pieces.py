"""An answer that this process writes, token by token, as the pieces that an engine streams."""

import threading
import time
from collections.abc import Generator, Iterable

from creuset.data.tokenizer import Tokenizer
from creuset.engines.base import Piece, TokenLogProb, Usage
from creuset.engines.native_scoring import token_bytes
from creuset.generation.sampling import TokenScore
from creuset.generation.written_text import Output


class StopSignal:
    """Tells an answer under way to end."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def stop(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()


def answer_pieces(
    outputs: Iterable[Output], tokenizer: Tokenizer, *, num_prompt_tokens: int, started: float
) -> Generator[Piece, None, None]:
    """The pieces of one answer.

    Args:
        outputs: What each step adds to it; the last one has a reason.
        tokenizer: The model's.
        num_prompt_tokens: Tokens that were read.
        started: When it was asked for, by time.perf_counter.
    """
    num_tokens, first = 0, started
    for output in outputs:
        now = time.perf_counter()
        first = first if num_tokens or not output.token_ids else now
        num_tokens += len(output.token_ids)
        usage = None
        if output.reason is not None:
            usage = Usage(
                num_prompt_tokens=num_prompt_tokens,
                num_completion_tokens=num_tokens,
                seconds_to_first_token=(first if num_tokens else now) - started,
                seconds=now - started,
            )
        yield Piece(
            text=output.text,
            token_ids=output.token_ids,
            log_probs=tuple(_with_bytes(tokenizer, score) for score in output.scores),
            finish_reason=output.reason,
            usage=usage,
        )


def _with_bytes(tokenizer: Tokenizer, score: TokenScore) -> TokenLogProb:
    return TokenLogProb(
        token_id=score.token_id,
        token_bytes=token_bytes(tokenizer, score.token_id),
        log_prob=score.log_prob,
        alternatives=tuple(
            TokenLogProb(token_id=token, token_bytes=token_bytes(tokenizer, token), log_prob=log_prob)
            for token, log_prob in zip(score.top_ids, score.top_log_probs, strict=True)
        ),
    )
