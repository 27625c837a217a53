"""What the native driver needs of a model, read from a GGUF file or from a folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import TOKENIZER_FILE
from creuset.engines.own_sampling import sampling_of_folder, sampling_of_gguf
from creuset.errors import DataError, NotFoundError
from creuset.generation.sampling import Sampling
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.folder import load_folder
from creuset.pretrained.gguf.config import passed_over, read_config
from creuset.pretrained.gguf.file import GgufFile
from creuset.pretrained.gguf.tokenizer import read_chat_template, read_tokenizer
from creuset.pretrained.gguf.weights import read_model_weights


@dataclass(frozen=True, kw_only=True)
class NativeModel:
    """A decoder with all that it takes to talk to it.

    Args:
        config: Its form.
        weights: Its tensors, as a Transformer's `state_dict` names them.
        tokenizer: Its tokenizer.
        eos_ids: The tokens that end an answer.
        chat_template: How a chat is written for it; None where it knows none.
        sampling: How its makers advise to choose tokens; None where its files say nothing of it.
        passed_over: Settings of its files that have no effect here.
    """

    config: TransformerConfig
    weights: Mapping[str, Tensor]
    tokenizer: Tokenizer
    eos_ids: tuple[int, ...]
    chat_template: ChatTemplate | None = None
    sampling: Sampling | None = None
    passed_over: tuple[str, ...] = ()


def load_native(path: Path, *, dtype: torch.dtype) -> NativeModel:
    """The model of a GGUF file, or of a folder that transformers or creuset wrote.

    Args:
        path: The file or the folder.
        dtype: The number format of the weights.

    Raises:
        NotFoundError: There is nothing.
        DataError: It is damaged, or has no tokenizer.
    """
    if not path.exists():
        raise NotFoundError("no such file or folder", where=path, expected="a GGUF file or a model's folder")
    return _from_folder(path, dtype) if path.is_dir() else _from_gguf(path, dtype)


def _from_folder(folder: Path, dtype: torch.dtype) -> NativeModel:
    found = load_folder(folder, dtype=dtype)
    if found.tokenizer is None:
        raise DataError("a model without a tokenizer cannot answer", where=folder, expected=TOKENIZER_FILE)
    sampling, without_effect = sampling_of_folder(found.generation, where=folder)
    return NativeModel(
        config=found.config,
        weights=found.state,
        tokenizer=found.tokenizer,
        eos_ids=tuple(dict.fromkeys((*found.eos_ids, *found.tokenizer.special.eos))),
        chat_template=found.chat_template,
        sampling=sampling,
        passed_over=without_effect,
    )


def _from_gguf(path: Path, dtype: torch.dtype) -> NativeModel:
    file = GgufFile(path)
    tokenizer = read_tokenizer(file.metadata)
    sampling, without_effect = sampling_of_gguf(file.metadata)
    return NativeModel(
        config=read_config(file),
        weights=read_model_weights(file, dtype=dtype),
        tokenizer=tokenizer,
        eos_ids=tokenizer.special.eos,
        chat_template=read_chat_template(file.metadata),
        sampling=sampling,
        passed_over=(*passed_over(file), *without_effect),
    )
