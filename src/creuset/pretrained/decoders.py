"""Decoders of other people: config.json and tensors of Hugging Face folders into ours, and back.

GPT-2, Llama (and SmolLM2), Mistral, Qwen2, Qwen3 and the text model of Gemma 3. Pure functions on mappings;
which file the mappings come from, and in which number format, is the caller's business.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from creuset.errors import CheckpointError
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained import tensor_links
from creuset.pretrained.gemma import GEMMA3
from creuset.pretrained.gpt2 import GPT2
from creuset.pretrained.hub_format import HubFormat, read_config, write_config
from creuset.pretrained.llama import LLAMA, MISTRAL
from creuset.pretrained.qwen import QWEN2, QWEN3
from creuset.pretrained.settings import Json

FORMATS = (LLAMA, MISTRAL, QWEN2, QWEN3, GEMMA3, GPT2)


def config_from(config_json: Json) -> TransformerConfig:
    """The form that a config.json describes.

    Raises:
        UsageError: Another family, a setting that is not known, or a value that is not supported.
    """
    return read_config(config_json, FORMATS)[1]


def theirs_config(config: TransformerConfig) -> dict[str, Any]:
    """The config.json of a form, in the words of the first family that can say all of it.

    Raises:
        UsageError: No family of FORMATS computes what this form computes.
    """
    return write_config(config, FORMATS)[1]


def to_ours(tensors: Mapping[str, Tensor], config: TransformerConfig) -> dict[str, Tensor]:
    """The state dict of a Transformer from their tensors.

    A file of the body alone, without the family's prefix, is read too, and so is a file that holds a tied
    head's weights a second time.

    Raises:
        CheckpointError: Tensors are missing, left over or not as tied as `config` says; they are named.
        UsageError: No family of FORMATS computes what this form computes.
    """
    return read_tensors(tensors, config, write_config(config, FORMATS)[0])


def to_theirs(state: Mapping[str, Tensor], config: TransformerConfig) -> dict[str, Tensor]:
    """Their tensors from the state dict of a Transformer; a tied head is written once.

    Raises:
        CheckpointError: Tensors are missing or left over; they are named.
        UsageError: No family of FORMATS computes what this form computes.
    """
    links = write_config(config, FORMATS)[0].links(config)
    return tensor_links.to_theirs(state, links, where="the Transformer's weights")


def read_tensors(
    tensors: Mapping[str, Tensor], config: TransformerConfig, format: HubFormat
) -> dict[str, Tensor]:
    """`to_ours` for one format."""
    links = format.links(config)
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(format.without_weights)}
    found: dict[str, Tensor] = {}
    for name, tensor in kept.items():
        today = _today(name, format.older_endings)
        if today in found:
            raise CheckpointError(
                f'two tensors for "{today}": one has the name of older files',
                where="the weights",
                got=name,
                expected="each tensor once",
            )
        found[today] = tensor
    if not any(name.startswith(format.prefix) for name in found):
        heads = set(format.copies)
        found = {name if name in heads else format.prefix + name: found[name] for name in found}
    needed = {link.theirs for link in links}
    for copy, original in format.copies.items():
        if copy in found and copy not in needed and original in found:
            if not torch.equal(found[copy], found[original]):
                raise CheckpointError(
                    f'"{copy}" is tied to "{original}", and differs from it',
                    where="the weights",
                    expected="equal tensors, or tie_word_embeddings false",
                )
            del found[copy]
    return tensor_links.to_ours(found, links, where="the weights")


def _today(name: str, older_endings: Mapping[str, str]) -> str:
    """A tensor's name as files end it today."""
    for older, newer in older_endings.items():
        if name.endswith(older):
            return name.removesuffix(older) + newer
    return name
