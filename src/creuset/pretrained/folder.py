"""Folders of Hugging Face's transformers: a model with its tokenizer, read strictly and written.

config.json               the form of the model (settings.py, hub_format.py and a file a family)
model.safetensors         the weights, or shards with an index (safetensors_file.py)
tokenizer.json            with tokenizer_config.json: the tokenizer (creuset.data.tokenizer)
generation_config.json    the ids that end and begin generation, and the model's own defaults for drawing
chat_template.jinja       how a conversation is written (creuset.data.chat_template)

Weights in pickle are refused: reading them runs whatever the file says.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import (
    CONFIG_FILE,
    GENERATION_FILE,
    TOKENIZER_FILE,
    as_json,
    read_settings,
)
from creuset.errors import BlockedError, CheckpointError, DataError, NotFoundError, UsageError, did_you_mean
from creuset.files import atomic_folder, write_atomic
from creuset.layers.form_only import form_only
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained import decoders, tensor_links
from creuset.pretrained.bart import BART
from creuset.pretrained.bert import BERT, DISTILBERT, ROBERTA
from creuset.pretrained.hub_format import read_config, write_config
from creuset.pretrained.safetensors_file import INDEX, SINGLE, read_weights, write_weights
from creuset.pretrained.settings import Json
from creuset.pretrained.t5 import T5

FORMATS = (*decoders.FORMATS, BERT, ROBERTA, DISTILBERT, T5, BART)
"""The families that can be read and written; of several that fit a form, the first is written."""

MODEL_CONFIG = "config.json"
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_DTYPE_WORDS = ("dtype", "torch_dtype")
_TOKEN_IDS = (
    *("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"),
    *("forced_bos_token_id", "forced_eos_token_id"),
)
"""Settings of generation that older models have in config.json."""
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
"""How files of weights end that are not read: pickle, and the formats of other frameworks."""


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A model out of a folder.

    Args:
        config: Its form.
        state: Its tensors, as a Transformer's `state_dict` names them; where no number format was asked for
            they lie in mapped memory, and a change in place leaves the file as it is.
        model_type: The family, as config.json names it.
        tokenizer: Of the folder; None where it has no tokenizer.json.
        generation: The settings of generation_config.json, with the ids of special tokens that only
            config.json has.
        chat_template: The one that is called default, or None.
    """

    config: TransformerConfig
    state: Mapping[str, Tensor]
    model_type: str
    tokenizer: Tokenizer | None = None
    generation: Mapping[str, Any] = field(default_factory=dict)
    chat_template: ChatTemplate | None = None

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """The ids that end generation, of one or of a list; empty where none is known."""
        return ids_of(self.generation, "eos_token_id")

    def model(self) -> Transformer:
        """The Transformer, in evaluation mode, with these tensors for its own.

        Raises:
            CheckpointError: A tensor has another shape than the form asks for.
        """
        return Transformer.from_weights(self.config, self.state)


def load_folder(path: Path | str, *, dtype: torch.dtype | None = None) -> Pretrained:
    """A model's folder, as transformers or creuset wrote it.

    Args:
        path: The folder.
        dtype: The number format of the weights; None for the one that config.json names, else as stored.

    Raises:
        NotFoundError: There is no such folder, no config.json or no weights.
        BlockedError: The weights are in pickle.
        UsageError: Another family, or a setting that is not known or not supported; it is named.
        DataError: A damaged file, or a tokenizer with more ids than the model has.
        CheckpointError: Tensors are missing, left over or of another shape; they are named.
    """
    folder = Path(path)
    values = _read_model_config(folder)
    if not (folder / SINGLE).is_file() and not (folder / INDEX).is_file():
        _refuse_pickle(folder)
    weights = read_weights(folder)
    family, config = read_config(values, FORMATS, weights.tensors.keys())
    state = decoders.read_tensors(weights.tensors, config, family)
    _require_shapes(state, config, folder)
    wanted = dtype if dtype is not None else _named_dtype(values, folder)
    if wanted is not None:
        state = {name: _in_format(tensor, wanted) for name, tensor in state.items()}
    tokenizer = Tokenizer.from_folder(folder) if (folder / TOKENIZER_FILE).is_file() else None
    if tokenizer is not None:
        tokenizer.check_fits(config.vocab_size)
    found = Pretrained(
        config=config,
        state=state,
        model_type=family.model_type,
        tokenizer=tokenizer,
        generation=read_generation(folder, values),
        chat_template=_read_template(folder),
    )
    for number in found.eos_ids:
        _require_id(number, config.vocab_size, folder)
    return found


def save_folder(
    path: Path | str,
    pretrained: Pretrained,
    *,
    model_type: str | None = None,
    max_shard_bytes: int = 5_000_000_000,
) -> None:
    """Writes a folder that transformers reads, complete or not at all.

    A tied head is written once. The family is that of the model; another one can be named, which must
    compute the same.

    Args:
        path: The folder; it must not exist.
        pretrained: What is written; `model_type` "" lets the first family be taken that fits.
        model_type: The family to be written, as config.json names it; None for `pretrained.model_type`.
        max_shard_bytes: The most bytes of tensors in one file.

    Raises:
        UsageError: The folder exists, or the family cannot say what this model computes.
        CheckpointError: Tensors are missing or left over; they are named.
        ResourceError: The disk is full.
    """
    folder, config = Path(path), pretrained.config
    if folder.exists():
        raise UsageError(
            "there is something at this place already", where=folder, next_step="name a folder that is new"
        )
    wanted = pretrained.model_type if model_type is None else model_type
    formats = [each for each in FORMATS if wanted in ("", each.model_type)]
    if not formats:
        known = [each.model_type for each in FORMATS]
        raise UsageError(f'no model of type "{wanted}" can be written here{did_you_mean(wanted, known)}')
    family, values = write_config(config, formats)
    tensors = tensor_links.to_theirs(
        pretrained.state, family.links(config), where="the Transformer's weights"
    )
    dtype = _stored_dtype(tensors)
    ids = {name: pretrained.generation[name] for name in _TOKEN_IDS if name in pretrained.generation}
    with atomic_folder(folder) as place:
        settings = {**ids, **values, "torch_dtype": str(dtype).removeprefix("torch.")}
        write_atomic(place / MODEL_CONFIG, as_json(settings))
        write_weights(place, tensors, max_shard_bytes=max_shard_bytes)
        if pretrained.generation:
            write_atomic(place / GENERATION_FILE, as_json(pretrained.generation))
        if pretrained.tokenizer is not None:
            pretrained.tokenizer.save(place)
        if pretrained.chat_template is not None:
            pretrained.chat_template.save(place)
            _drop_template(place / CONFIG_FILE)


def _read_model_config(folder: Path) -> Json:
    if not folder.is_dir():
        raise NotFoundError("no such folder of a model", where=folder)
    path = folder / MODEL_CONFIG
    if not path.is_file():
        raise NotFoundError(
            f"no {MODEL_CONFIG} in this folder",
            where=folder,
            next_step="name a folder that transformers or creuset saved",
        )
    return read_settings(path)


def _refuse_pickle(folder: Path) -> None:
    """BlockedError where the weights are there, but only in a format that is not read."""
    others = sorted(item.name for item in folder.iterdir() if item.suffix in _PICKLES)
    if others:
        raise BlockedError(
            "weights in pickle or in another framework's format are not read: a pickle runs what it says",
            where=folder / others[0],
            got=", ".join(others[:3]),
            expected=f"{SINGLE}, or shards with {INDEX}",
            next_step="take the safetensors files of this model; or, where you trust it, have transformers "
            "load it and save_pretrained it again, which writes them",
        )


def _require_shapes(state: Mapping[str, Tensor], config: TransformerConfig, folder: Path) -> None:
    """CheckpointError that names tensors of another shape than the form asks for."""
    with form_only():
        wanted = Transformer(config).state_dict()
    wrong = [name for name, tensor in state.items() if tensor.shape != wanted[name].shape]
    if wrong:
        shown = [f"{name} {tuple(state[name].shape)}, not {tuple(wanted[name].shape)}" for name in wrong[:3]]
        raise CheckpointError(
            f"{len(wrong)} tensors of another shape than {MODEL_CONFIG} asks for",
            where=folder,
            got="; ".join(shown),
            next_step="take configuration and weights from the same model",
        )


def _named_dtype(values: Json, folder: Path) -> torch.dtype | None:
    """The number format that config.json names, in the newer word or the older."""
    named = [values[word] for word in _DTYPE_WORDS if values.get(word) is not None]
    if not named:
        return None
    word = named[0]
    if not isinstance(word, str) or word.removeprefix("torch.") not in _DTYPES:
        raise UsageError(
            "a number format that models do not compute in",
            where=f"{folder / MODEL_CONFIG}: dtype",
            got=repr(word)[:80],
            expected=", ".join(_DTYPES),
            next_step="name another format when loading" if isinstance(word, str) else None,
        )
    return _DTYPES[word.removeprefix("torch.")]


def _in_format(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _stored_dtype(tensors: Mapping[str, Tensor]) -> torch.dtype:
    """The number format that most numbers are in."""
    counts: Counter[torch.dtype] = Counter()
    for tensor in tensors.values():
        counts[tensor.dtype] += tensor.numel()
    return counts.most_common(1)[0][0]


def read_generation(folder: Path, values: Json) -> dict[str, Any]:
    """generation_config.json, with the ids of special tokens that only config.json has.

    Args:
        folder: The model's.
        values: What its config.json says.
    """
    older = {name: values[name] for name in _TOKEN_IDS if values.get(name) is not None}
    newer = read_settings(folder / GENERATION_FILE)
    return {**older, **{name: value for name, value in newer.items() if value is not None}}


def ids_of(settings: Mapping[str, Any], name: str) -> tuple[int, ...]:
    """An id or a list of them; empty where there is none.

    Raises:
        DataError: It is neither.
    """
    value = settings.get(name)
    if value is None:
        return ()
    numbers = value if isinstance(value, list) else [value]
    if not all(type(number) is int for number in numbers):
        raise DataError(f"{name} is no id", got=repr(value)[:80], expected="an id or a list of ids")
    return tuple(numbers)


def _require_id(number: int, vocab_size: int, folder: Path) -> None:
    if not 0 <= number < vocab_size:
        raise DataError(
            "eos_token_id is no token of this model",
            where=folder,
            got=number,
            expected=f"0 to {vocab_size - 1}",
            next_step=f"take {MODEL_CONFIG} and {GENERATION_FILE} from the same model",
        )


def _read_template(folder: Path) -> ChatTemplate | None:
    try:
        return ChatTemplate.from_folder(folder)
    except NotFoundError:
        return None


def _drop_template(path: Path) -> None:
    """Leaves one template in a folder: that of chat_template.jinja."""
    settings = read_settings(path)
    if isinstance(settings.get("chat_template"), str):
        write_atomic(path, as_json({name: settings[name] for name in settings if name != "chat_template"}))
