"""A whole model of texts that others trained: its form, its weights with a head, how it reads and writes.

It lies in a GGUF file or in a folder of Hugging Face's transformers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from creuset.data.text_side import TextSide
from creuset.data.tokenizer_files import read_settings
from creuset.errors import NotFoundError
from creuset.files import sha256_of
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained import decoders
from creuset.pretrained.folder import FORMATS, MODEL_CONFIG, load_folder
from creuset.pretrained.gguf.config import read_config
from creuset.pretrained.gguf.file import GgufFile
from creuset.pretrained.gguf.weights import read_model_weights
from creuset.pretrained.hub_format import write_config
from creuset.pretrained.text_side import open_text_side

_WEIGHT = ".weight"


@dataclass(frozen=True, kw_only=True)
class WholeBase:
    """A Transformer with its head, where it has one.

    Args:
        config: Its form.
        weights: Its tensors, in float32, as a Transformer's `state_dict` names them.
        text: How it reads and writes.
        model_type: Its family, as config.json names it.
        theirs: What Hugging Face's model calls each of our layers.
    """

    config: TransformerConfig
    weights: Mapping[str, Tensor]
    text: TextSide
    model_type: str
    theirs: Mapping[str, str]


def load_whole_base(path: Path) -> WholeBase:
    """The model of a GGUF file or a folder.

    Raises:
        NotFoundError: There is nothing, or no tokenizer beside the weights.
        DataError, CheckpointError: It is damaged.
        UsageError: A model of a family that is not read.
    """
    if not path.exists():
        raise NotFoundError("no such file or folder", where=path, expected="a GGUF file or a model's folder")
    if path.is_dir():
        found = load_folder(path, dtype=torch.float32)
        config, weights, model_type = found.config, found.state, found.model_type
    else:
        file = GgufFile(path)
        config, weights = read_config(file), read_model_weights(file)
        model_type = write_config(config, FORMATS)[0].model_type
    family = next(each for each in FORMATS if each.model_type == model_type)
    theirs = {
        link.ours.removesuffix(_WEIGHT): link.theirs.removesuffix(_WEIGHT)
        for link in family.links(config)
        if link.ours.endswith(_WEIGHT)
    }
    return WholeBase(
        config=config, weights=weights, text=open_text_side(path), model_type=model_type, theirs=theirs
    )


def is_decoder(path: Path) -> bool:
    """Whether a base is a decoder, as far as its file or its config.json says."""
    if not path.is_dir():
        return True
    return read_settings(path / MODEL_CONFIG).get("model_type") in {
        each.model_type for each in decoders.FORMATS
    }


def weights_hash(path: Path) -> str:
    """SHA-256 of a base's weights: of its file, or of its folder's files of weights in their order.

    Raises:
        NotFoundError: The folder holds no weights.
    """
    if not path.is_dir():
        return sha256_of(path)
    shards = sorted(path.glob("*.safetensors"))
    if not shards:
        raise NotFoundError("no weights in this folder", where=path, expected="*.safetensors")
    return ",".join(sha256_of(shard) for shard in shards)
