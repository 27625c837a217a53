"""Text out of a model, token by token, for several texts at once.

    prompts -> one step over all of their tokens -> choose a token each -> a step over these -> ...

Texts of a batch do not depend on each other: each has its own settings, its own random numbers and its own
end, and a text that ended takes no part in later steps. Nothing is computed before all requests are found to
fit into the context.

Legend of shapes: B rows, T tokens, S tokens of the encoder, V vocabulary.
"""

import contextlib
from collections.abc import Callable, Generator, Sequence
from typing import Any

import torch
from torch import Tensor

from creuset.data.tokenizer import Tokenizer
from creuset.errors import UsageError
from creuset.generation.fast_decoder import FastDecoder
from creuset.generation.written_text import Output, TextRequest, WrittenText
from creuset.layers.key_value_cache import KeyValueCache
from creuset.models.transformer import Transformer

PREFILL_AT_ONCE = 512
"""Tokens of each prompt that are read in one step; between two steps the texts can be cancelled. Fewer at a
time would not be read as fast."""


class Writer:
    """A model and its tokenizer, ready to write.

    Args:
        model: A decoder, or an encoder with its decoder.
        tokenizer: Turns ids into text; None where ids are all that is wanted.
        eos_ids: The tokens that end a text; those of the tokenizer by default.
        decoder_start: What the decoder beside an encoder begins with; empty for a decoder alone.

    Raises:
        UsageError: The model does not generate, or needs a `decoder_start`.
        DataError: The tokenizer has more tokens than the model.
    """

    def __init__(
        self,
        model: Transformer | FastDecoder,
        tokenizer: Tokenizer | None = None,
        *,
        eos_ids: Sequence[int] | None = None,
        decoder_start: Sequence[int] = (),
    ) -> None:
        config = model.config
        both = config.architecture == "encoder_decoder"
        if config.architecture == "encoder" or config.head == "none":
            raise UsageError("this model does not generate", got=config.architecture, expected="a decoder")
        if both != bool(decoder_start):
            expected = "ids, such as (pad,) of T5" if both else "() for a decoder alone"
            raise UsageError("decoder_start", got=tuple(decoder_start), expected=expected)
        if eos_ids is None:
            eos_ids = () if tokenizer is None else tokenizer.special.eos
        self.model, self.tokenizer = model, tokenizer
        self.eos_ids = frozenset(eos_ids)
        self.decoder_start = tuple(decoder_start)
        self.known = None if tokenizer is None else known_ids(tokenizer, config.vocab_size)

    def write(
        self, requests: Sequence[TextRequest], *, cancelled: Callable[[], bool] = lambda: False
    ) -> Generator[list[Output], None, None]:
        """The texts, step by step: of each step what it added to each text that goes on.

        Args:
            requests: At least one.
            cancelled: Is asked before each step, those over a long prompt's parts among them, whether to end
                all texts.

        Raises:
            UsageError: A request that is impossible, or longer than the context: raised by the call itself,
                before anything is computed.
        """
        if not requests:
            raise UsageError("no request", where="write", expected="at least one")
        for number, request in enumerate(requests):
            self._check(request, f"request {number + 1}")
        if len(requests) > 1 and any(request.lookup for request in requests):
            raise UsageError("guessing works for a single text", where="lookup", expected="0 in a batch")
        texts = [
            WrittenText(
                request,
                number=number,
                start=self.decoder_start or request.prompt,
                tokenizer=self.tokenizer,
                eos_ids=self.eos_ids,
                known=self.known,
            )
            for number, request in enumerate(requests)
        ]
        return self._steps(texts, cancelled)

    def _steps(
        self, rows: list[WrittenText], cancelled: Callable[[], bool]
    ) -> Generator[list[Output], None, None]:
        if cancelled():
            yield [row.end("cancelled") for row in rows]
            return
        cache = self._new_cache(rows)
        logits = self._prefill(rows, cache, cancelled)
        if logits is None:
            yield [row.end("cancelled") for row in rows]
            return
        while True:
            yield [row.add(found) for row, found in zip(rows, logits, strict=True)]
            kept = [place for place, row in enumerate(rows) if row.reason is None]
            if not kept:
                return
            if cancelled():
                yield [rows[place].end("cancelled") for place in kept]
                return
            if len(kept) < len(rows):
                cache.select(kept)
                rows = [rows[place] for place in kept]
            logits = self._next(rows, cache)

    def _new_cache(self, rows: list[WrittenText]) -> KeyValueCache:
        starts = [len(self.decoder_start) or len(row.request.prompt) for row in rows]
        room = max(start + row.request.max_tokens for start, row in zip(starts, rows, strict=True))
        return self.model.new_cache(len(rows), room)

    @torch.inference_mode()
    def _prefill(
        self, rows: list[WrittenText], cache: KeyValueCache, cancelled: Callable[[], bool]
    ) -> Tensor | None:
        """The logits behind each prompt, (B, 1, V); None where the texts were cancelled before its end."""
        prompts = [row.request.prompt for row in rows]
        memory: dict[str, Any] = {}
        if self.decoder_start:
            assert isinstance(self.model, Transformer)
            token_ids, padding, _ = padded_batch(prompts)
            memory = {"memory": self.model.encode(token_ids, padding=padding), "memory_padding": padding}
            prompts = [self.decoder_start] * len(rows)
        token_ids, padding, last = padded_batch(prompts)
        found: Tensor | None = None
        for start in range(0, token_ids.shape[1], PREFILL_AT_ONCE):
            if start and cancelled():
                return None
            part = token_ids[:, start : start + PREFILL_AT_ONCE]
            there = None if padding is None else padding[:, start : start + PREFILL_AT_ONCE]
            at = (last - start).clamp(0, part.shape[1] - 1)
            logits: Tensor = self.model(part, cache=cache, padding=there, at=at, **memory)
            # a row whose prompt ended in an earlier part has its logits from there
            found = logits if found is None else torch.where((last < start)[:, None], found, logits)
        assert found is not None
        return found[:, None]

    @torch.inference_mode()
    def _next(self, rows: list[WrittenText], cache: KeyValueCache) -> Tensor:
        """The logits behind each text's last token, and behind each of a guess, (B, 1 + guess, V)."""
        guess = rows[0].next_guess() if len(rows) == 1 else []
        cache.cut([row.num_read for row in rows])
        token_ids = torch.tensor([[row.ids[-1], *guess] for row in rows])
        logits: Tensor = self.model(token_ids, cache=cache)
        return logits

    def _check(self, request: TextRequest, where: str) -> None:
        config = self.model.config
        if not request.prompt:
            raise UsageError("the prompt has no token", where=where, expected="at least one")
        if request.max_tokens < 1:
            raise UsageError("max_tokens", where=where, got=request.max_tokens, expected="at least 1")
        unknown = [
            token for token in (*request.prompt, *request.sampling.logit_bias) if not self.knows(token)
        ]
        if unknown:
            raise UsageError(
                "no such token",
                where=where,
                got=unknown[0],
                expected=f"ids from 0 to {config.vocab_size - 1}",
            )
        if request.stop and self.tokenizer is None:
            raise UsageError("stop strings need a tokenizer", where=where, got=request.stop)
        given = len(request.prompt)
        if self.decoder_start:
            require_room(given, 0, config.context_length, where)
            given = len(self.decoder_start)
        require_room(given, request.max_tokens, config.context_length, where)

    def knows(self, token: int) -> bool:
        """Whether the model has a row for an id."""
        return 0 <= token < self.model.config.vocab_size


def padded_batch(prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor | None, Tensor]:
    """Ids (B, T) with padding behind, where tokens are (None without padding), and each row's last place."""
    lengths = torch.tensor([len(ids) for ids in prompts])
    longest = int(lengths.max())
    token_ids = torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids in prompts])
    padding = torch.arange(longest) < lengths[:, None]
    return token_ids, None if bool(padding.all()) else padding, lengths - 1


def known_ids(tokenizer: Tokenizer, num_rows: int) -> Tensor | None:
    """Bool (V,): where a token has the id; None where all have one.

    Args:
        tokenizer: Whose tokens they are.
        num_rows: V, rows of the model's token embedding.

    Raises:
        DataError: The tokenizer has more tokens than the model.
    """
    tokenizer.check_fits(num_rows)
    known = torch.zeros(num_rows, dtype=torch.bool)
    for number in range(tokenizer.vocab_size):
        with contextlib.suppress(UsageError):
            tokenizer.token(number)
            known[number] = True
    return None if bool(known.all()) else known


def require_room(given: int, max_tokens: int, context_length: int | None, where: str) -> None:
    """Refuses a text that may become longer than the context; UsageError with both numbers."""
    if context_length is not None and given + max_tokens > context_length:
        raise UsageError(
            "longer than the model's context; nothing was cut",
            where=where,
            got=f"{given} tokens of prompt and max_tokens {max_tokens}: {given + max_tokens}",
            expected=f"at most {context_length} tokens together",
            next_step="shorten the prompt, or lower max_tokens",
        )
