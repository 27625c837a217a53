"""A decoder as a GGUF file that llama.cpp answers from: metadata, tokenizer, chat template and weights.

Numbers are stored as f32, f16, or in blocks of 32 with a scale each: q8_0, q4_0, q4_1. What has one axis
(gains and biases) stays f32, as llama.cpp has it, and so do weights whose rows are no whole blocks in f16.
The file is read again before it is in its place: it must be a model of the same form.

Source: llama.cpp, convert_hf_to_gguf.py (which keys and names it writes) and gguf-py, which writes the bytes
and makes the blocks. What reading turns back is done here: rows of queries and keys of "llama" are permuted,
and 1 is added to the gains of "gemma3".

Legend of shapes: H heads, D features of a head, E features of a token.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.errors import CheckpointError, UsageError
from creuset.files import disk_errors, sync_file, sync_folder
from creuset.layers.positions import rotary_frequencies
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.gguf.config import ARCHITECTURES, ROPE_FREQS, Architecture, read_config
from creuset.pretrained.gguf.file import GgufFile
from creuset.pretrained.gguf.tokenizer_writing import tokenizer_keys
from creuset.pretrained.gguf.weights import expected_tensors

Stored = Literal["f32", "f16", "q8_0", "q4_0", "q4_1"]
STORED: Mapping[Stored, tuple[str, int]] = {
    "f32": ("F32", 0),
    "f16": ("F16", 1),
    "q4_0": ("Q4_0", 2),
    "q4_1": ("Q4_1", 3),
    "q8_0": ("Q8_0", 7),
}
"""Each way to store numbers: its name in gguf-py, and its number as general.file_type."""
_BLOCK = 32
"""Numbers that share a scale."""
_F16 = 65504.0
_LARGEST: Mapping[Stored, float] = {"f16": _F16, "q8_0": 127 * _F16, "q4_0": 8 * _F16, "q4_1": _F16}
"""No larger number fits: scales of blocks, and the least number of a block of q4_1, are float16."""
_QUANTIZATION_VERSION = 2


def write_gguf(
    path: Path,
    config: TransformerConfig,
    state: Mapping[str, Tensor],
    tokenizer: Tokenizer,
    *,
    chat_template: ChatTemplate | None,
    stored: Stored,
    name: str,
    eos_ids: Sequence[int] | None = None,
) -> None:
    """Writes the file, complete or not at all.

    Args:
        path: The file; what is there is replaced.
        config: The model's form.
        state: Its tensors, as a Transformer's `state_dict` names them.
        tokenizer: Its tokenizer.
        chat_template: How chats are written for it; None where it knows none.
        stored: How numbers are stored.
        name: What people call the model.
        eos_ids: The tokens that end an answer; None for those of the tokenizer.

    Raises:
        UsageError: No architecture of GGUF files read here computes what this model computes, or llama.cpp
            knows no name for how the tokenizer cuts texts.
        CheckpointError: A tensor of the form is missing.
        ResourceError: The disk is full.
    """
    architecture = architecture_for(config)
    with new_gguf(
        path, architecture, lambda place: _require_same_form(place, config, architecture)
    ) as writer:
        writer.add_string("general.name", name)
        writer.add_uint32("general.file_type", STORED[stored][1])
        writer.add_uint32("general.quantization_version", _QUANTIZATION_VERSION)
        for key, value in _keys(config, ARCHITECTURES[architecture]).items():
            _add(writer, f"{architecture}.{key}", value)
        ends = tokenizer.special.eos if eos_ids is None else eos_ids
        for key, value in tokenizer_keys(tokenizer, config.vocab_size, chat_template, ends).items():
            _add(writer, key, value)
        for tensor_name, tensor in _tensors(config, state, ARCHITECTURES[architecture]):
            data, kind = _stored(tensor_name, tensor, stored)
            writer.add_tensor(tensor_name, data, raw_dtype=kind)


@contextmanager
def new_gguf(path: Path, architecture: str, check: Callable[[Path], None] | None = None) -> Iterator[Any]:
    """gguf-py's writer, whose keys and tensors are at `path` when the block ends, all of them or none.

    Args:
        path: The file; what is there is replaced.
        architecture: The value of general.architecture.
        check: Looks at the file before it is in its place; what it raises leaves nothing. None for no look.

    Raises:
        ResourceError: The disk is full.
    """
    from gguf import GGUFWriter

    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp") as folder:
            place = Path(folder) / "new.gguf"
            writer = GGUFWriter(place, architecture)
            yield writer
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            if check is not None:
                check(place)
            sync_file(place)
            place.chmod(0o644)
            place.replace(path)
        sync_folder(path.parent)


def architecture_for(config: TransformerConfig) -> str:
    """The value of general.architecture under which llama.cpp computes what a model of this form does.

    Raises:
        UsageError: There is none among those that are read here.
    """
    if config.architecture != "decoder" or config.norm != "rms" or config.positions != "rotary":
        raise UsageError(
            "only decoders with RMSNorm and rotary positions are written as GGUF",
            where="TransformerConfig",
            got=f"{config.architecture}, norm {config.norm}, positions {config.positions}",
            expected="a model of the families llama, mistral, qwen2, qwen3 or gemma3",
        )
    if config.norm_placement == "sandwich":
        return "gemma3"
    if config.qk_norm:
        return "qwen3"
    return "qwen2" if config.qkv_bias and not config.output_bias else "llama"


def permuted(tensor: Tensor, num_heads: int) -> Tensor:
    """Rows in which feature 2i of a head is rotated with 2i + 1, out of those with i beside i + D/2.

    Args:
        tensor: A weight (H * D, E) or a bias (H * D,).
        num_heads: H.
    """
    half = len(tensor) // num_heads // 2
    halves = tensor.reshape(num_heads, 2, half, *tensor.shape[1:])
    return halves.transpose(1, 2).reshape(tensor.shape)


def _keys(config: TransformerConfig, architecture: Architecture) -> dict[str, Any]:
    """The keys of the architecture's own."""
    if config.context_length is None or config.rope_theta is None:
        raise UsageError(
            "a model without a longest text cannot be written as GGUF", got="context_length null"
        )
    keys: dict[str, Any] = {
        "block_count": config.num_layers,
        "context_length": config.context_length,
        "embedding_length": config.embed_dim,
        "feed_forward_length": config.feedforward_dim,
        "vocab_size": config.vocab_size,
        "attention.head_count": config.num_heads,
        "attention.head_count_kv": config.num_kv_heads,
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
        "attention.layer_norm_rms_epsilon": config.norm_eps,
        "rope.dimension_count": config.head_dim,
        "rope.freq_base": config.rope_theta,
    }
    scaling = config.rope_scaling
    if scaling is not None and scaling.kind == "linear":
        keys |= {"rope.scaling.type": "linear", "rope.scaling.factor": float(scaling.factor)}
    if architecture.window_period and config.sliding_window is not None:
        keys["attention.sliding_window"] = config.sliding_window
        keys["attention.sliding_window_pattern"] = [
            layer in config.sliding_layers for layer in range(config.num_layers)
        ]
        if config.sliding_rope_theta is not None:
            keys["rope.freq_base_swa"] = config.sliding_rope_theta
    if config.logit_softcap is not None:
        keys["final_logit_softcapping"] = config.logit_softcap
    return keys


def _add(writer: Any, key: str, value: Any) -> None:
    """One key, in the type that llama.cpp reads."""
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


def _tensors(
    config: TransformerConfig, state: Mapping[str, Tensor], architecture: Architecture
) -> Iterator[tuple[str, Tensor]]:
    """Each tensor of the file by its name, as llama.cpp computes with it."""
    scaling = config.rope_scaling
    if scaling is not None and scaling.kind == "llama3":
        assert config.rope_theta is not None
        plain, stretched = (
            rotary_frequencies(config.head_dim, config.rope_theta, each) for each in (None, scaling)
        )
        yield ROPE_FREQS, plain / stretched
    for theirs, (ours, _) in expected_tensors(config):
        if ours not in state:
            raise CheckpointError("a tensor of the model is missing", got="nothing", expected=ours)
        tensor = state[ours].detach().float()
        if architecture.permuted and ".attn_q." in theirs:
            tensor = permuted(tensor, config.num_heads)
        elif architecture.permuted and ".attn_k." in theirs:
            tensor = permuted(tensor, config.num_kv_heads)
        elif architecture.plus_one and theirs.endswith("norm.weight"):
            tensor = tensor + 1
        yield theirs, tensor


def _stored(name: str, tensor: Tensor, stored: Stored) -> tuple[NDArray[Any], Any]:
    """A tensor's numbers as they are written, and the type's number in gguf-py; None for plain numbers."""
    from gguf import GGMLQuantizationType, quants

    numbers = tensor.contiguous().cpu().numpy()
    if numbers.ndim == 1 or stored == "f32":
        return numbers, None
    as_f16 = stored == "f16" or numbers.shape[-1] % _BLOCK != 0
    largest, limit = float(np.abs(numbers).max()), _LARGEST["f16" if as_f16 else stored]
    if not largest <= limit:  # NaN is not
        raise UsageError(
            f"a number of {name} cannot be stored as {stored}",
            where="--stored",
            got=f"{largest:.4g}",
            expected=f"at most {limit:.4g}",
            next_step="store numbers as f32" if np.isfinite(largest) else "look at the model's weights",
        )
    if as_f16:
        return numbers.astype(np.float16), None
    kind = GGMLQuantizationType[STORED[stored][0]]
    return quants.quantize(numbers, kind), kind


def _require_same_form(path: Path, config: TransformerConfig, architecture: str) -> None:
    """Refuses what would be read as another model."""
    wanted = replace(config, dropout=0.0, attention_dropout=0.0, init_std=1.0)
    again = replace(read_config(GgufFile(path)), init_std=1.0)
    differing = [
        f"{name}={value!r}" for name, value in vars(wanted).items() if not _equal(value, getattr(again, name))
    ]
    if differing:
        raise UsageError(
            f'GGUF\'s architecture "{architecture}" cannot say what this model computes',
            where="TransformerConfig",
            got=", ".join(differing[:5]),
            expected="a form that llama.cpp knows",
        )


def _equal(first: object, second: object) -> bool:
    """Numbers are stored in float32."""
    if isinstance(first, float) and isinstance(second, float):
        return bool(torch.isclose(torch.tensor(first), torch.tensor(second), rtol=1e-6))
    return first == second
