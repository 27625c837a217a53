"""The driver for folders of ONNX: a decoder that onnxruntime computes on the processor.

Limits: the file keeps no keys and values of earlier tokens, so that each new token reads the whole text
again: it is for certificates and short answers. No JSON schemas, no grammars and no vectors.

Legend of shapes: T tokens, V vocabulary.
"""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import CONFIG_FILE, read_settings
from creuset.engines.answer_pieces import StopSignal, answer_pieces
from creuset.engines.base import Ability, Description, Piece, TextLogProbs
from creuset.engines.native_scoring import scored
from creuset.engines.request import Request
from creuset.engines.token_engine import TokenEngine, context_length_of
from creuset.errors import DataError, NotFoundError
from creuset.generation.decoding import known_ids
from creuset.generation.written_text import Output, TextRequest, WrittenText
from creuset.pretrained.folder import FORMATS, MODEL_CONFIG, ids_of, read_generation
from creuset.pretrained.hub_format import read_config
from creuset.pretrained.onnx_writing import INPUT, MODEL_FILE, OUTPUT, require_onnx

_ERRORS_ALONE = 3
"""onnxruntime's word for: errors are logged, warnings are not."""


class OnnxRuntime(TokenEngine):
    """A folder of ONNX, as `creuset export --to onnx` writes it.

    Args:
        folder: The folder.
        context_length: Tokens of prompt and answer together; None: what the model was trained for, 4,096 at
            most.

    Raises:
        UsageError: A package is missing, or a context longer than the model was trained for.
        NotFoundError: There is no such folder, or no model in it.
        DataError: A file is damaged, or the model reads or gives something else.
    """

    def __init__(self, folder: Path, *, context_length: int | None = None) -> None:
        require_onnx()
        for name in (MODEL_FILE, MODEL_CONFIG):
            if not (folder / name).is_file():
                raise NotFoundError(f"no {name} in this folder", where=folder)
        values = read_settings(folder / MODEL_CONFIG)
        config = read_config(values, FORMATS)[1]
        self._tokenizer = Tokenizer.from_folder(folder)
        self._known = known_ids(self._tokenizer, config.vocab_size)
        ends = ids_of(read_generation(folder, values), "eos_token_id")
        self._eos_ids = frozenset((*ends, *self._tokenizer.special.eos))
        self._session: Any = open_session(folder / MODEL_FILE, config.vocab_size)
        has_template = "chat_template" in read_settings(folder / CONFIG_FILE)
        template = ChatTemplate.from_folder(folder) if has_template else None
        abilities: set[Ability] = {"log_probs"} if template is None else {"log_probs", "chat"}
        description = Description(
            name=folder.name,
            driver="onnxruntime",
            context_length=context_length_of(config.context_length, context_length, where=folder.name),
            vocab_size=config.vocab_size,
            precision="float32",
            abilities=frozenset(abilities),
        )
        super().__init__(description, template)

    def logits(self, token_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The scores of all tokens behind each token, int64 (B, T) -> float32 (B, T, V)."""
        if self._session is None:
            raise self._closed()
        found: NDArray[np.float32] = self._session.run([OUTPUT], {INPUT: token_ids})[0]
        return found

    def _encode(self, text: str, *, whole: bool = True) -> list[int]:
        return self._tokenizer.encode(text, add_special=whole)

    def _answer(
        self, request: Request, prompt: list[int], max_tokens: int, started: float
    ) -> Generator[Piece, None, None]:
        text_request = TextRequest(
            prompt=prompt,
            max_tokens=max_tokens,
            sampling=request.sampling,
            stop=request.stop,
            num_alternatives=request.num_logprobs or None,
        )
        signal = StopSignal()
        self._track(signal)
        outputs = self._steps(text_request, signal)
        return answer_pieces(outputs, self._tokenizer, num_prompt_tokens=len(prompt), started=started)

    def _steps(self, request: TextRequest, signal: StopSignal) -> Generator[Output, None, None]:
        text = WrittenText(
            request,
            number=0,
            start=request.prompt,
            tokenizer=self._tokenizer,
            eos_ids=self._eos_ids,
            known=self._known,
        )
        while text.reason is None:
            yield text.end("cancelled") if signal.is_set() else text.add(self._behind(text.ids)[-1:])

    def _score(self, ids: list[int], start: int, num_top: int) -> TextLogProbs:
        parts = [self._behind(ids[:-1])] if len(ids) > 1 else []
        return scored(parts, ids, start, num_top)

    def _behind(self, ids: list[int]) -> Tensor:
        """Logits behind each token of a text, (T, V)."""
        return torch.from_numpy(self.logits(np.array([ids], np.int64))[0])

    def _vectors(self, all_ids: list[list[int]]) -> NDArray[np.float32]:  # noqa: ARG002
        self.refuse("embeddings", "vectors of texts")

    def _free(self) -> None:
        self._session = None


def open_session(path: Path, vocab_size: int) -> Any:
    """A file of ONNX, opened by onnxruntime: token ids int64 (B, T) to logits float32 (B, T, V).

    Raises:
        DataError: It is damaged, or reads or gives something else.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = _ERRORS_ALONE
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no other class in common
        raise DataError(
            "damaged: onnxruntime cannot open this file", where=path, got=str(error).splitlines()[0][:200]
        ) from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    found = [(each.name, each.type) for each in (*inputs, *outputs)]
    wanted = [(INPUT, "tensor(int64)"), (OUTPUT, "tensor(float)")]
    if found != wanted or len(outputs[0].shape) != 3 or outputs[0].shape[2] != vocab_size:
        raise DataError(
            "this model reads or gives something else than token ids and logits",
            where=path,
            got=", ".join(f"{each.name} {each.shape}" for each in (*inputs, *outputs))[:200],
            expected=f"{INPUT} [batch, tokens] and {OUTPUT} [batch, tokens, {vocab_size}]",
        )
    return session
