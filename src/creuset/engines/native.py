"""The driver for creuset's own models: a Transformer in this process, computed by torch.

A decoder is brought into its fast form (generation/fast_decoder.py); where its form has none, or a model is
handed over to be used as it is, the Transformer itself computes, and `Native.computes_by` says which and why.

Limits: no JSON schemas and no grammars. Numbers depend in their last digits on how many tokens are computed
at once, so in bfloat16 a batch, or guessed tokens, may part from a single text where two tokens are as good
as equally likely.
"""

from collections.abc import Generator
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from creuset.data.chat_template import ChatTemplate
from creuset.engines.answer_pieces import StopSignal, answer_pieces
from creuset.engines.base import Ability, Description, Piece, TextLogProbs
from creuset.engines.native_loading import NativeModel, load_native
from creuset.engines.native_scoring import NativePooling, pooled, score_text, text_states
from creuset.engines.request import Request
from creuset.engines.token_engine import TokenEngine, context_length_of
from creuset.errors import UsageError
from creuset.generation.decoding import Writer
from creuset.generation.fast_decoder import FastDecoder, obstacle
from creuset.generation.weight_formats import WeightFormat
from creuset.generation.written_text import TextRequest
from creuset.models.transformer import Transformer


class Native(TokenEngine):
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
        UsageError: The model is no decoder, was not trained for so long a context, or `lookup` is below 0.
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
        self._pooling, self._lookup = pooling, lookup
        self._tokenizer = model.tokenizer
        config = model.config
        if config.architecture != "decoder":
            raise UsageError(
                "only decoders answer prompts", where=name, got=config.architecture, expected="decoder"
            )
        if lookup < 0:
            raise UsageError("no number of tokens", where="lookup", got=lookup, expected="0 or more")
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
        description = Description(
            name=name,
            driver="native",
            context_length=context_length_of(config.context_length, context_length, where=name),
            vocab_size=config.vocab_size,
            precision=stored,
            abilities=_abilities(model.chat_template, pooling),
            sampling=model.sampling,
            passed_over=model.passed_over,
        )
        super().__init__(description, model.chat_template)

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

    def _answer(
        self, request: Request, prompt: list[int], max_tokens: int, started: float
    ) -> Generator[Piece, None, None]:
        writer = self._writer
        if writer is None:
            raise self._closed()
        text_request = TextRequest(
            prompt=prompt,
            max_tokens=max_tokens,
            sampling=request.sampling,
            stop=request.stop,
            num_alternatives=request.num_logprobs or None,
            lookup=self._lookup,
        )
        signal = StopSignal()
        self._track(signal)
        outputs = (output for (output,) in writer.write([text_request], cancelled=signal.is_set))
        return answer_pieces(outputs, self._tokenizer, num_prompt_tokens=len(prompt), started=started)

    def _score(self, ids: list[int], start: int, num_top: int) -> TextLogProbs:
        return score_text(self._open_decoder(), ids, start, num_top)

    def _vectors(self, all_ids: list[list[int]]) -> NDArray[np.float32]:
        decoder, pooling = self._open_decoder(), self._pooling
        assert pooling is not None
        rows = [pooled(text_states(decoder, ids), pooling) for ids in all_ids]
        return functional.normalize(torch.stack(rows), dim=-1).numpy()

    def _encode(self, text: str, *, whole: bool = True) -> list[int]:
        return self._tokenizer.encode(text, add_special=whole)

    def _free(self) -> None:
        self._writer, self._decoder = None, None

    def _open_decoder(self) -> Transformer | FastDecoder:
        decoder = self._decoder
        if decoder is None:
            raise self._closed()
        return decoder


def _abilities(template: ChatTemplate | None, pooling: NativePooling | None) -> frozenset[Ability]:
    found: set[Ability] = {"log_probs"}
    if template is not None:
        found.add("chat")
    if pooling is not None:
        found.add("embeddings")
    return frozenset(found)
