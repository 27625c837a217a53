"""The driver for creuset's own models: a Transformer in this process, computed by torch.

A decoder is brought into its fast form (generation/fast_decoder.py); where its form has none, or a model is
handed over to be used as it is, the Transformer itself computes, and `Native.computes_by` says which and why.

Limits: no JSON schemas and no grammars. Numbers depend in their last digits on how many tokens are computed
at once, so in bfloat16 a batch, or guessed tokens, may part from a single text where two tokens are as good
as equally likely.
"""

import threading
import time
import weakref
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from creuset.engines.base import (
    Ability,
    Description,
    Engine,
    Piece,
    TextLogProbs,
    TokenLogProb,
    Usage,
    require_fits,
    room_for,
)
from creuset.engines.native_loading import NativeModel, load_native
from creuset.engines.native_scoring import NativePooling, pooled, score_text, text_states, token_bytes
from creuset.engines.request import Request
from creuset.errors import UsageError
from creuset.generation.decoding import Writer
from creuset.generation.fast_decoder import FastDecoder, obstacle
from creuset.generation.sampling import Sampling, TokenScore
from creuset.generation.weight_formats import WeightFormat
from creuset.generation.written_text import TextRequest
from creuset.models.transformer import Transformer

DEFAULT_CONTEXT_LENGTH = 4096
"""Where nothing else is asked: keys and values of a longer context take memory that few need."""


class Native(Engine):
    """One of creuset's own decoders, ready to answer.

    Args:
        model: The model, its tokenizer and its chat template.
        name: What it is called in messages.
        precision: How weights are stored: float32, bfloat16, or int8 with all else in bfloat16; None to use
            the Transformer as it is.
        context_length: Tokens of prompt and answer together; None: what the model was trained for, 4,096 at
            most.
        pooling: How `embed` makes one vector of a text; None: no vectors.
        lookup: So many tokens are guessed from the text itself and verified in one step, 0 for none: faster
            where answers repeat their prompt.

    Raises:
        UsageError: The model is no decoder, or was not trained for so long a context.
        DataError: The tokenizer does not fit the model.
    """

    def __init__(
        self,
        model: NativeModel,
        *,
        name: str,
        precision: WeightFormat | None = "bfloat16",
        context_length: int | None = None,
        pooling: NativePooling | None = None,
        lookup: int = 0,
    ) -> None:
        self._name, self._pooling, self._lookup = name, pooling, lookup
        self._tokenizer, self._template = model.tokenizer, model.chat_template
        config = model.config
        if config.architecture != "decoder":
            raise UsageError(
                "only decoders answer prompts", where=name, got=config.architecture, expected="decoder"
            )
        reason = "it is used as it was given" if precision is None else obstacle(config)
        self._decoder: Transformer | FastDecoder | None
        if precision is None or reason is not None:
            self._decoder = Transformer.from_weights(config, model.weights)
            self.computes_by = f"Transformer: {reason}"
            stored = str(self._decoder.token_embedding.weight.dtype).removeprefix("torch.")
        else:
            self._decoder = FastDecoder(config, model.weights, precision=precision)
            self.computes_by = "FastDecoder"
            stored = precision
        self._writer: Writer | None = Writer(self._decoder, self._tokenizer, eos_ids=model.eos_ids)
        self._description = Description(
            name=name,
            driver="native",
            context_length=_context_length(config.context_length, context_length, name),
            vocab_size=config.vocab_size,
            precision=stored,
            abilities=self._abilities(),
        )
        self._running: weakref.WeakSet[threading.Event] = weakref.WeakSet()
        self._lock = threading.Lock()

    @classmethod
    def open(
        cls,
        place: Path | str,
        *,
        name: str | None = None,
        precision: WeightFormat = "bfloat16",
        context_length: int | None = None,
        pooling: NativePooling | None = None,
        lookup: int = 0,
    ) -> Self:
        """The model of a GGUF file, or of a folder that transformers or creuset wrote.

        Args:
            place: The file or the folder.
            name: What it is called in messages; None: the file's name.
            precision: As for the class, as are the others.
            context_length: Tokens of prompt and answer together.
            pooling: How `embed` makes one vector of a text.
            lookup: Tokens that are guessed from the text itself.

        Raises:
            NotFoundError: There is nothing.
            DataError: It is damaged, has no tokenizer, or one that does not fit.
            UsageError: As for the class.
        """
        path = Path(place)
        dtype = torch.float32 if precision == "float32" else torch.bfloat16
        return cls(
            load_native(path, dtype=dtype),
            name=path.name if name is None else name,
            precision=precision,
            context_length=context_length,
            pooling=pooling,
            lookup=lookup,
        )

    def describe(self) -> Description:
        return self._description

    def count_tokens(self, request: Request) -> int:
        return len(self._prompt_ids(request))

    def stream(self, request: Request) -> Generator[Piece, None, None]:
        started = time.perf_counter()
        writer, text_request = self._asked(request)
        stopped = threading.Event()
        with self._lock:
            self._running.add(stopped)
        return self._pieces(writer, text_request, stopped, started)

    def cancel(self) -> None:
        with self._lock:
            for event in self._running:
                event.set()

    def close(self) -> None:
        self.cancel()
        self._writer, self._decoder = None, None

    def log_probs(self, text: str | Sequence[int], *, start: int = 1, num_top: int = 0) -> TextLogProbs:
        decoder = self._open_decoder()
        ids = self._tokenizer.encode(text) if isinstance(text, str) else list(text)
        self._require_known(ids)
        require_fits(len(ids), context_length=self._description.context_length, where=self._name)
        if not 1 <= start <= len(ids):
            raise UsageError(
                "no token of the text that has one before it",
                where="start",
                got=f"{start} of {len(ids)} tokens",
                expected="at least 1, and no more than there are",
            )
        return score_text(decoder, ids, start, min(num_top, self._description.vocab_size))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        decoder = self._open_decoder()
        if self._pooling is None:
            self.refuse("embeddings", "vectors of texts unless it is opened with a pooling")
        if isinstance(texts, str) or not texts:
            raise UsageError("no list of texts", where="embed", got=repr(texts)[:80], expected='["a text"]')
        all_ids = [self._tokenizer.encode(text) for text in texts]
        for number, ids in enumerate(all_ids):
            where = f"{self._name}, text {number + 1}"
            if not ids:
                raise UsageError("a text without a token has no vector", where=where)
            require_fits(len(ids), context_length=self._description.context_length, where=where)
        rows = [pooled(text_states(decoder, ids), self._pooling) for ids in all_ids]
        return functional.normalize(torch.stack(rows), dim=-1).numpy()

    def _abilities(self) -> frozenset[Ability]:
        found: set[Ability] = {"log_probs"}
        if self._template is not None:
            found.add("chat")
        if self._pooling is not None:
            found.add("embeddings")
        return frozenset(found)

    def _asked(self, request: Request) -> tuple[Writer, TextRequest]:
        """What the writer is asked; refuses what is impossible before anything is computed."""
        self._open_decoder()
        assert self._writer is not None
        if request.json_schema is not None:
            self.refuse("json_schema", "answers that fit a JSON schema")
        if request.grammar is not None:
            self.refuse("grammar", "answers that fit a grammar")
        prompt = self._prompt_ids(request)
        max_tokens = room_for(
            len(prompt),
            request.max_tokens,
            context_length=self._description.context_length,
            where=self._name,
        )
        return self._writer, _text_request(request, prompt, max_tokens, self._lookup)

    def _pieces(
        self, writer: Writer, request: TextRequest, stopped: threading.Event, started: float
    ) -> Generator[Piece, None, None]:
        num_tokens, first = 0, started
        for (output,) in writer.write([request], cancelled=stopped.is_set):
            now = time.perf_counter()
            first = first if num_tokens or not output.token_ids else now
            num_tokens += len(output.token_ids)
            usage = None
            if output.reason is not None:
                usage = Usage(
                    num_prompt_tokens=len(request.prompt),
                    num_completion_tokens=num_tokens,
                    seconds_to_first_token=(first if num_tokens else now) - started,
                    seconds=now - started,
                )
            yield Piece(
                text=output.text,
                token_ids=output.token_ids,
                log_probs=tuple(self._with_bytes(score) for score in output.scores),
                finish_reason=output.reason,
                usage=usage,
            )

    def _prompt_ids(self, request: Request) -> list[int]:
        if request.messages is not None:
            if self._template is None:
                self.refuse("chat", "chat without a chat template")
            turns = [{"role": turn.role, "content": turn.content} for turn in request.messages]
            chat = self._template.render(turns, add_generation_prompt=True)
            ids = self._tokenizer.encode(chat, add_special=False)
        elif isinstance(request.prompt, str):
            ids = self._tokenizer.encode(request.prompt)
        else:
            ids = list(request.prompt or ())
        if not ids:
            raise UsageError("the prompt has no token", where="prompt", expected="at least one")
        self._require_known([*ids, *request.logit_bias])
        return ids

    def _require_known(self, ids: Sequence[int]) -> None:
        size = self._description.vocab_size
        for token in ids:
            if not 0 <= token < size:
                raise UsageError(
                    "no such token", where=self._name, got=token, expected=f"ids from 0 to {size - 1}"
                )

    def _open_decoder(self) -> Transformer | FastDecoder:
        if self._decoder is None:
            raise UsageError("this engine is closed", where=self._name, next_step="open it again")
        return self._decoder

    def _with_bytes(self, score: TokenScore) -> TokenLogProb:
        return TokenLogProb(
            token_id=score.token_id,
            token_bytes=token_bytes(self._tokenizer, score.token_id),
            log_prob=score.log_prob,
            alternatives=tuple(
                TokenLogProb(
                    token_id=token, token_bytes=token_bytes(self._tokenizer, token), log_prob=log_prob
                )
                for token, log_prob in zip(score.top_ids, score.top_log_probs, strict=True)
            ),
        )


def _context_length(trained: int | None, asked: int | None, name: str) -> int:
    if asked is None:
        return DEFAULT_CONTEXT_LENGTH if trained is None else min(trained, DEFAULT_CONTEXT_LENGTH)
    if asked < 1 or (trained is not None and asked > trained):
        raise UsageError(
            "a context that the model was not trained for",
            where=name,
            got=f"context_length {asked}",
            expected="at least 1" if trained is None else f"1 to {trained}",
        )
    return asked


def _text_request(request: Request, prompt: list[int], max_tokens: int, lookup: int) -> TextRequest:
    sampling = Sampling(
        temperature=request.temperature,
        top_k=request.top_k,
        top_p=request.top_p,
        min_p=request.min_p,
        repeat_penalty=request.repeat_penalty,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        penalty_window=request.penalty_window,
        logit_bias=request.logit_bias,
        seed=request.seed,
    )
    return TextRequest(
        prompt=prompt,
        max_tokens=max_tokens,
        sampling=sampling,
        stop=request.stop,
        num_alternatives=request.num_logprobs or None,
        lookup=lookup,
    )
