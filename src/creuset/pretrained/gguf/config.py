"""The metadata of a GGUF file as a TransformerConfig.

Source: llama.cpp, gguf-py/gguf/constants.py (the keys) and llama-model.cpp (what holds where one is missing).

What the architecture's own keys say is read or refused: one that nobody asks for may change what is computed.

Traps: the head is the token embedding where output.weight is missing; the stretched rotations of Llama 3.1
are stored as a tensor of factors, rope_freqs; gains of "gemma3" are stored as 1 + weight.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from creuset.errors import DataError
from creuset.layers.gated_feedforward import FeedForwardActivation
from creuset.layers.positions import RotaryScaling, rotary_frequencies
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.gguf.file import GgufFile

_ARCHITECTURE = "general.architecture"
_ALIGNMENT = "general.alignment"
SAMPLING = "general.sampling."
"""How keys begin that say how tokens are best chosen."""
ROPE_FREQS = "rope_freqs.weight"
HEAD = "output.weight"


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What llama.cpp means by a name of "general.architecture" that no key says.

    Args:
        permuted: Whether rows of queries and keys are permuted.
        activation: Of the feed-forward part.
        sandwich: Whether there are norms behind attention and feed-forward too.
        plus_one: Whether gains are 1 + weight; they are stored as the sum.
        scaled_embedding: Whether token embeddings are multiplied by sqrt(E).
        window_period: Every so many layers one without sliding window; 0 where no layer has one.
        num_layers_of_query_by_embedding: A model of so many layers scales queries by sqrt(H / E).
    """

    permuted: bool = False
    activation: FeedForwardActivation = "silu"
    sandwich: bool = False
    plus_one: bool = False
    scaled_embedding: bool = False
    window_period: int = 0
    num_layers_of_query_by_embedding: int | None = None


ARCHITECTURES = {
    "llama": Architecture(permuted=True),
    "qwen2": Architecture(),
    "qwen3": Architecture(),
    "gemma3": Architecture(
        activation="gelu_tanh",
        sandwich=True,
        plus_one=True,
        scaled_embedding=True,
        window_period=6,
        num_layers_of_query_by_embedding=62,
    ),
}
_WITHOUT_EFFECT = frozenset(
    {
        "attention.layer_norm_epsilon",  # all of these models have another norm
        "expert_used_count",  # experts themselves are refused
        "pooling_type",  # of vectors of texts, which whoever asks for them says
        "rope.freq_base_swa",  # read where a layer has a window
        "rope.scaling.finetuned",
        "rope.scaling.original_context_length",  # of stretched rotations that are refused
        "tensor_data_layout",
        "vocab_size",  # the table of embeddings says it
    }
)
"""Keys of an architecture that do not change what the models here compute."""
_SLIDING_THETA = 10_000.0
"""llama.cpp's base of rotations in layers with a sliding window, where the file does not say."""
_HEAD_DIMS = (
    *("attention.value_length", "rope.dimension_count", "attention.key_length_swa"),
    *("attention.value_length_swa", "rope.dimension_count_swa"),
)
"""What else is as long as a head here, in layers with a window too."""
_LLAMA_3_CONTEXT = 8192
"""Tokens that Llama 3 learned from before its rotations were stretched, of which GGUF keeps no record."""


def read_config(file: GgufFile) -> TransformerConfig:
    """The form of a file's model.

    Raises:
        DataError: An architecture that is not read, a key that is missing or of another type, experts,
            rotations that are stretched in an unknown way, sizes that contradict the tensors, or a key of the
            architecture that is not known; it is named.
        UsageError: A form that no Transformer can have.
    """
    keys = _Keys(file)
    config = keys.config()
    keys.require_all_read()
    return config


def passed_over(file: GgufFile) -> tuple[str, ...]:
    """The keys of a file that say nothing of the computation, the tokenizer or the choice of tokens."""
    name = file.metadata.text(_ARCHITECTURE)
    read = (_ARCHITECTURE, _ALIGNMENT, f"{name}.", "tokenizer.", SAMPLING)
    return tuple(sorted(key for key in file.metadata if not key.startswith(read)))


def architecture_of(file: GgufFile) -> Architecture:
    """What llama.cpp means by the file's architecture; raises DataError for one that is not read."""
    name = file.metadata.text(_ARCHITECTURE)
    if name not in ARCHITECTURES:
        raise DataError(
            f"{_ARCHITECTURE}: a model that is not read",
            where=file.path,
            got=name,
            expected=", ".join(ARCHITECTURES),
        )
    return ARCHITECTURES[name]


class _Keys:
    """The metadata of a file's model, read with what each architecture leaves unsaid."""

    def __init__(self, file: GgufFile) -> None:
        self.file = file
        self.metadata = file.metadata
        self.name = self.metadata.text(_ARCHITECTURE)
        self.architecture = architecture_of(file)
        self._asked: set[str] = set()

    def require_all_read(self) -> None:
        """Refuses keys of the architecture that nobody asked for, by name."""
        own = {key for key in self.metadata if key.startswith(f"{self.name}.")}
        unread = sorted(own - self._asked - {f"{self.name}.{key}" for key in _WITHOUT_EFFECT})
        if unread:
            got = f"{self.metadata[unread[0]]!r}"[:80]
            raise self._refused(unread[0], "a setting that is not known", got, "none that is not read")

    def config(self) -> TransformerConfig:
        if self._has("expert_count") and self._whole("expert_count"):
            key = self._key("expert_count")
            raise self._refused(key, "a mixture of experts is not read", self._whole("expert_count"), "0")
        if self._has("attention.causal") and not self.metadata.flag(self._key("attention.causal")):
            raise self._refused(self._key("attention.causal"), "no decoder", False, "true")
        vocab_size, embed_dim = self._embedding()
        num_layers = self._size("block_count", at_most=len(self.file.tensors))
        num_heads = self._size("attention.head_count", at_most=embed_dim)
        num_kv_heads = self._size("attention.head_count_kv", at_most=num_heads, usual=num_heads)
        head_dim = self._head_dim(embed_dim, num_heads)
        theta = self._real("rope.freq_base", usual=10_000.0)
        sliding = self._sliding_layers(num_layers)
        scale = (num_heads / embed_dim) ** 0.5
        by_embedding = num_layers == self.architecture.num_layers_of_query_by_embedding
        return TransformerConfig(
            architecture="decoder",
            vocab_size=vocab_size,
            embed_dim=embed_dim,
            num_layers=num_layers,
            num_heads=num_heads,
            num_kv_heads=num_kv_heads,
            head_dim=head_dim,
            feedforward_dim=self._size("feed_forward_length"),
            context_length=self._size("context_length"),
            norm="rms",
            norm_eps=self._real("attention.layer_norm_rms_epsilon"),
            norm_plus_one=self.architecture.plus_one,
            norm_placement="sandwich" if self.architecture.sandwich else "pre",
            embedding_scale=math.sqrt(embed_dim) if self.architecture.scaled_embedding else 1.0,
            positions="rotary",
            rope_theta=theta,
            rope_scaling=self._scaling(head_dim, theta),
            sliding_rope_theta=self._real("rope.freq_base_swa", usual=_SLIDING_THETA) if sliding else None,
            sliding_window=self._size("attention.sliding_window") if sliding else None,
            sliding_layers=sliding,
            query_scale=scale if by_embedding else None,
            qk_norm="blk.0.attn_q_norm.weight" in self.file.tensors,
            qkv_bias="blk.0.attn_q.bias" in self.file.tensors,
            output_bias="blk.0.attn_output.bias" in self.file.tensors,
            activation=self.architecture.activation,
            gated=True,
            tied_head=HEAD not in self.file.tensors,
            logit_softcap=self._real("final_logit_softcapping")
            if self._has("final_logit_softcapping")
            else None,
        )

    def _embedding(self) -> tuple[int, int]:
        info = self.file.tensors.get("token_embd.weight")
        embed_dim = self._size("embedding_length")
        if info is None or len(info.shape) != 2 or info.shape[1] != embed_dim:
            got = "no such tensor" if info is None else list(info.shape)
            raise self._refused("token_embd.weight", "no table of token embeddings", got, f"(V, {embed_dim})")
        return info.shape[0], embed_dim

    def _head_dim(self, embed_dim: int, num_heads: int) -> int:
        head_dim = self._size("attention.key_length", usual=embed_dim // num_heads)
        for key in _HEAD_DIMS:
            other = self._size(key, usual=head_dim)
            if other != head_dim:
                raise self._refused(self._key(key), "a form of heads that is not read", other, str(head_dim))
        info = self.file.tensors.get("blk.0.attn_q.weight")
        if info is None or info.shape != (num_heads * head_dim, embed_dim):
            got = "no such tensor" if info is None else list(info.shape)
            expected = f"({num_heads} heads of {head_dim}, {embed_dim})"
            raise self._refused("blk.0.attn_q.weight", "the queries contradict the metadata", got, expected)
        return head_dim

    def _sliding_layers(self, num_layers: int) -> tuple[int, ...]:
        """The layers with a sliding window: each but the last of a period, or as the file lists them."""
        period = self.architecture.window_period
        if not period:
            if self._has("attention.sliding_window") and self._whole("attention.sliding_window"):
                key = self._key("attention.sliding_window")
                raise self._refused(key, f"no window is known for {self.name}", "one", "none")
            return ()
        key = self._key("attention.sliding_window_pattern")
        self._key("attention.sliding_window")  # it has no effect where no layer has a window
        listed = self.metadata.get(key)
        if isinstance(listed, np.ndarray):
            if listed.dtype != np.bool_ or len(listed) != num_layers:
                raise self._refused(key, "not a truth value for each layer", len(listed), str(num_layers))
            return tuple(int(layer) for layer in np.flatnonzero(listed))
        if listed is not None:
            period = self._size("attention.sliding_window_pattern")
        return tuple(layer for layer in range(num_layers) if layer % period < period - 1)

    def _scaling(self, head_dim: int, theta: float) -> RotaryScaling | None:
        key = "rope.scaling.type"
        kind = self.metadata.text(self._key(key)) if self._has(key) else "none"
        if self._has(key) and kind == "none":
            self._key("rope.scaling.factor")  # it has no effect then
        stored = self.file.tensors.get(ROPE_FREQS)
        if stored is not None and kind == "none":
            return self._llama_3_scaling(head_dim, theta)
        if kind == "none" and not self._has("rope.scale_linear"):
            return None
        if stored is not None or kind not in ("none", "linear"):
            raise self._refused(
                self._key(key), "rotations stretched in a way that is not read", kind, "none, linear"
            )
        factor = self._real("rope.scaling.factor" if kind == "linear" else "rope.scale_linear")
        return None if factor in (0.0, 1.0) else RotaryScaling(kind="linear", factor=factor)

    def _llama_3_scaling(self, head_dim: int, theta: float) -> RotaryScaling:
        """The scaling whose factors are those that the file stores, (D/2,)."""
        factors = self.file.tensor(ROPE_FREQS)
        largest = float(factors.max())
        scaling = RotaryScaling(
            kind="llama3",
            factor=largest if math.isfinite(largest) and largest >= 1 else 1.0,
            original_context_length=_LLAMA_3_CONTEXT,
        )
        plain, stretched = (rotary_frequencies(head_dim, theta, how) for how in (None, scaling))
        if factors.shape != plain.shape or not torch.allclose(factors, plain / stretched, rtol=1e-3):
            raise self._refused(
                ROPE_FREQS,
                "rotations stretched in a way that is not read",
                f"factors up to {largest}",
                f"those of Llama 3, for {_LLAMA_3_CONTEXT} tokens",
            )
        return scaling

    def _key(self, key: str) -> str:
        """The whole key, which counts as read."""
        self._asked.add(f"{self.name}.{key}")
        return f"{self.name}.{key}"

    def _has(self, key: str) -> bool:
        return self._key(key) in self.metadata

    def _whole(self, key: str) -> int:
        return self.metadata.whole(self._key(key))

    def _size(self, key: str, *, at_most: int | None = None, usual: int | None = None) -> int:
        """A number of things from 1; `usual` where the file does not say."""
        if usual is not None and not self._has(key):
            return usual
        found = self._whole(key)
        if found < 1 or (at_most is not None and found > at_most):
            expected = "at least 1" if at_most is None else f"from 1 to {at_most}"
            raise self._refused(self._key(key), "a number that cannot be", found, expected)
        return found

    def _real(self, key: str, *, usual: float | None = None) -> float:
        """A number above 0, as its shortest decimal: 1e-05, not the nearest float32's 9.99999975e-06."""
        if usual is not None and not self._has(key):
            return usual
        found = float(str(np.float32(self.metadata.real(self._key(key)))))
        if not 0 < found < math.inf:
            raise self._refused(self._key(key), "a number that cannot be", found, "above 0")
        return found

    def _refused(self, key: str, message: str, got: object, expected: str) -> DataError:
        return DataError(f"{key}: {message}", where=self.file.path, got=got, expected=expected)
