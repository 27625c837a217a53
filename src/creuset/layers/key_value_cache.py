"""Keys and values of tokens already read, so that each new token costs one step.

The memory is taken once, for the longest text there may be. Rows hold as many tokens as they have: a batch of
unequal prompts is written with its padding behind, and later tokens are written over that padding.

Legend of shapes: L layers, B rows, G key-value heads, C capacity, S tokens there, T new tokens, D features.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from creuset.errors import UsageError


class KeyValueCache:
    """Keys and values of each layer for each row, (L, B, G, C, D) each.

    Args:
        num_layers: L.
        num_rows: B.
        num_kv_heads: G.
        head_dim: D.
        capacity: C, tokens of a row at most.
        dtype: The number format of keys and values.
        device: Where they are.
    """

    def __init__(
        self,
        *,
        num_layers: int,
        num_rows: int,
        num_kv_heads: int,
        head_dim: int,
        capacity: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        shape = (num_layers, num_rows, num_kv_heads, capacity, head_dim)
        # zeros: what is hidden is still multiplied, and must be a number
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.lengths = [0] * num_rows
        """Tokens that each row holds."""
        self.memory_padding: Tensor | None = None
        """Of an encoder's output, bool (B, S), True where a token is; None where there is no padding."""
        self.layers = tuple(LayerCache(self, layer) for layer in range(num_layers))

    @property
    def capacity(self) -> int:
        """Tokens that a row can hold."""
        return self.keys.shape[3]

    @property
    def holds_memory(self) -> bool:
        """Whether it holds the keys and values of an encoder's output."""
        return self.layers[0].memory is not None

    @property
    def num_bytes(self) -> int:
        """Memory of keys and values."""
        return 2 * self.keys.nbytes

    def require_room(self, num_tokens: int) -> None:
        """UsageError where the longest row has no room for so many tokens more."""
        needed = max(self.lengths) + num_tokens
        if needed > self.capacity:
            raise UsageError(
                "more tokens than the cache has room for",
                got=f"{max(self.lengths)} tokens in the longest row, and {num_tokens} more",
                expected=f"at most {self.capacity}",
                next_step="make the cache larger, or generate fewer tokens",
            )

    def advance(self, counts: Sequence[int]) -> None:
        """Count what all layers were given: so many tokens of each row; those behind are forgotten."""
        self.lengths = [length + count for length, count in zip(self.lengths, counts, strict=True)]

    def cut(self, lengths: Sequence[int]) -> None:
        """Forget the tokens of each row from a place on."""
        if any(not 0 <= new <= old for new, old in zip(lengths, self.lengths, strict=True)):
            raise UsageError(
                "a row of the cache cannot be cut there",
                got=f"lengths {list(lengths)}",
                expected=f"for each row at most what it holds, {self.lengths}",
            )
        self.lengths = list(lengths)

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows in this order; a row may come twice, as in a beam search, or be left out."""
        index = torch.tensor(rows, device=self.keys.device)
        self.keys, self.values = self.keys[:, index], self.values[:, index]
        self.lengths = [self.lengths[row] for row in rows]
        if self.memory_padding is not None:
            self.memory_padding = self.memory_padding[index]
        for layer in self.layers:
            layer.select(index)


class LayerCache:
    """The part of one layer: keys and values of its own tokens, and those of an encoder's output.

    Args:
        whole: The cache that it is a part of.
        index: The layer.
    """

    def __init__(self, whole: KeyValueCache, index: int) -> None:
        self._whole = whole
        self._index = index
        self.memory: tuple[Tensor, Tensor] | None = None
        """Keys and values of an encoder's output, (B, G, S, D) each, once they were made."""

    def write(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Put new tokens (B, G, T, D) behind those of each row; returns all up to the longest row's end."""
        keys, values = self._whole.keys[self._index], self._whole.values[self._index]  # (B, G, C, D)
        lengths, num_tokens = self._whole.lengths, key.shape[2]
        stop = max(lengths) + num_tokens
        if min(lengths) == max(lengths):
            keys[:, :, lengths[0] : stop] = key
            values[:, :, lengths[0] : stop] = value
        else:
            places = torch.tensor(lengths, device=key.device)[:, None] + torch.arange(
                num_tokens, device=key.device
            )
            rows = torch.arange(len(lengths), device=key.device)[:, None]
            keys[rows, :, places] = key.transpose(1, 2)  # (B, T, G, D)
            values[rows, :, places] = value.transpose(1, 2)
        return keys[:, :, :stop], values[:, :, :stop]

    def select(self, index: Tensor) -> None:
        """Keep these rows of what belongs to an encoder's output; int64 (rows,)."""
        if self.memory is not None:
            keys, values = self.memory
            self.memory = keys[index], values[index]
