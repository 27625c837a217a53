"""The tensors of a GGUF file by the names of a Transformer's parameters.

Source: llama.cpp, gguf-py/gguf/constants.py (the names), and its conversion from Hugging Face's folders, of
which two steps are turned back here: rows of queries and keys of "llama" are permuted, since llama.cpp
rotates feature 2i with 2i + 1 there; 1 is added to the gains of "gemma3".

Legend of shapes: V vocabulary, E features of a token, F hidden features, H heads, K heads of keys, D features
of a head.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from creuset.errors import DataError
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.gguf.config import HEAD, ROPE_FREQS, architecture_of, read_config
from creuset.pretrained.gguf.file import GgufFile

_BLOCK = {
    "attn_norm.weight": ("attention_norm.weight", "E"),
    "attn_q.weight": ("attention.query.weight", "HE"),
    "attn_k.weight": ("attention.key.weight", "KE"),
    "attn_v.weight": ("attention.value.weight", "KE"),
    "attn_output.weight": ("attention.output.weight", "EH"),
    "ffn_norm.weight": ("feedforward_norm.weight", "E"),
    "ffn_gate.weight": ("feedforward.gate.weight", "FE"),
    "ffn_up.weight": ("feedforward.up.weight", "FE"),
    "ffn_down.weight": ("feedforward.down.weight", "EF"),
}
"""A block's tensors, our names and their axes; H and K stand for H * D and K * D."""
_QKV_BIAS = {
    "attn_q.bias": ("attention.query.bias", "H"),
    "attn_k.bias": ("attention.key.bias", "K"),
    "attn_v.bias": ("attention.value.bias", "K"),
}
_OUTPUT_BIAS = {"attn_output.bias": ("attention.output.bias", "E")}
_QK_NORM = {
    "attn_q_norm.weight": ("attention.query_norm.weight", "D"),
    "attn_k_norm.weight": ("attention.key_norm.weight", "D"),
}
_SANDWICH = {
    "post_attention_norm.weight": ("attention_post_norm.weight", "E"),
    "post_ffw_norm.weight": ("feedforward_post_norm.weight", "E"),
}


def read_model_weights(file: GgufFile, *, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """The tensors by the names of a Transformer's parameters, for `Transformer.from_weights`.

    Args:
        file: A file with a model that `read_config` reads.
        dtype: The number format that each tensor is turned into as soon as it is read.

    Raises:
        DataError: Tensors are missing, too many, or of another shape; or as `read_config`.
    """
    config, architecture = read_config(file), architecture_of(file)
    expected = dict(expected_tensors(config))
    missing = sorted(expected.keys() - file.tensors.keys())
    extra = sorted(file.tensors.keys() - expected.keys() - {ROPE_FREQS})
    if missing or extra:
        findings = (("missing", missing), ("not of this model", extra))
        raise DataError(
            f"these are not the tensors of a model of this form, of {config.num_layers} layers",
            where=file.path,
            got="; ".join(f"{word}: {', '.join(names[:3])}" for word, names in findings if names),
            expected=f"exactly its {len(expected)} tensors",
        )
    found = {}
    for name, (ours, shape) in expected.items():
        if file.tensors[name].shape != shape:
            raise DataError(
                f"tensor {name} has a shape that contradicts the metadata",
                where=file.path,
                got=list(file.tensors[name].shape),
                expected=list(shape),
            )
        tensor = file.tensor(name)
        if architecture.permuted and ".attn_q." in name:
            tensor = _unpermuted(tensor, config.num_heads)
        elif architecture.permuted and ".attn_k." in name:
            tensor = _unpermuted(tensor, config.num_kv_heads)
        elif architecture.plus_one and name.endswith("norm.weight"):
            tensor = tensor - 1
        found[ours] = tensor.to(dtype)
    return found


def expected_tensors(config: TransformerConfig) -> Iterator[tuple[str, tuple[str, tuple[int, ...]]]]:
    """Each tensor's name in the file, ours, and its shape."""
    axes = {
        "V": config.vocab_size,
        "E": config.embed_dim,
        "F": config.feedforward_dim,
        "H": config.num_heads * config.head_dim,
        "K": config.num_kv_heads * config.head_dim,
        "D": config.head_dim,
    }
    parts = dict(_BLOCK)
    for used, more in (
        (config.qkv_bias, _QKV_BIAS),
        (config.output_bias, _OUTPUT_BIAS),
        (config.qk_norm, _QK_NORM),
        (config.norm_placement == "sandwich", _SANDWICH),
    ):
        parts.update(more if used else {})
    yield "token_embd.weight", ("token_embedding.weight", (axes["V"], axes["E"]))
    for layer in range(config.num_layers):
        for theirs, (ours, letters) in parts.items():
            shape = tuple(axes[letter] for letter in letters)
            yield f"blk.{layer}.{theirs}", (f"decoder.blocks.{layer}.{ours}", shape)
    yield "output_norm.weight", ("decoder.norm.weight", (axes["E"],))
    if not config.tied_head:
        yield HEAD, ("head.weight", (axes["V"], axes["E"]))


def _unpermuted(tensor: Tensor, num_heads: int) -> Tensor:
    """Rows in which feature i of a head is rotated with i + D/2, out of those with 2i beside 2i + 1.

    Args:
        tensor: A weight (H * D, E) or a bias (H * D,).
        num_heads: H.
    """
    half = len(tensor) // num_heads // 2
    pairs = tensor.reshape(num_heads, half, 2, *tensor.shape[1:])
    return pairs.transpose(1, 2).reshape(tensor.shape)
