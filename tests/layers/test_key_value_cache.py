"""The cache holds what each row was given, and nothing else is read."""

import pytest
import torch
from torch import Tensor

from creuset.errors import UsageError
from creuset.layers.key_value_cache import KeyValueCache


def cache_of(*lengths: int, capacity: int = 6) -> KeyValueCache:
    cache = KeyValueCache(num_layers=2, num_rows=len(lengths), num_kv_heads=1, head_dim=1, capacity=capacity)
    cache.advance(lengths)
    return cache


def numbers(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32)[:, None, :, None]


def test_new_tokens_stand_behind_those_of_each_row() -> None:
    cache = cache_of(0, 0)
    cache.layers[1].write(numbers([1, 2, 3], [4, 5, 0]), -numbers([1, 2, 3], [4, 5, 0]))
    cache.advance([3, 2])
    keys, values = cache.layers[1].write(numbers([6], [7]), -numbers([6], [7]))
    assert keys[:, 0, :, 0].tolist() == [[1, 2, 3, 6], [4, 5, 7, 0]]
    assert torch.equal(values, -keys)
    assert cache.keys[0].abs().sum() == 0
    assert cache.lengths == [3, 2]


def test_rows_are_chosen_repeated_and_left_out() -> None:
    cache = cache_of(0, 0, 0)
    cache.layers[0].write(numbers([1, 2], [3, 4], [5, 6]), numbers([1, 2], [3, 4], [5, 6]))
    cache.advance([2, 1, 2])
    cache.layers[0].memory = (numbers([1], [2], [3]), numbers([4], [5], [6]))
    cache.memory_padding = torch.tensor([[True], [False], [True]])
    cache.select([2, 0])
    assert cache.keys[0, :, 0, :2, 0].tolist() == [[5, 6], [1, 2]]
    assert cache.lengths == [2, 2]
    assert cache.layers[0].memory[1].flatten().tolist() == [6, 4]
    assert cache.memory_padding.tolist() == [[True], [True]]
    keys, _ = cache.layers[0].write(numbers([8], [9]), numbers([8], [9]))
    assert keys[:, 0, :, 0].tolist() == [[5, 6, 8], [1, 2, 9]]


def test_tokens_are_forgotten_from_a_place_on() -> None:
    cache = cache_of(4, 3)
    cache.cut([2, 3])
    assert cache.lengths == [2, 3]
    with pytest.raises(UsageError, match=r"cannot be cut there[^$]*\[2, 3\]"):
        cache.cut([3, 3])


def test_a_full_cache_says_both_numbers() -> None:
    cache = cache_of(2, 4)
    cache.require_room(2)
    with pytest.raises(UsageError, match="4 tokens in the longest row, and 3 more\n  expected: at most 6"):
        cache.require_room(3)


def test_its_memory_is_what_it_says() -> None:
    cache = KeyValueCache(
        num_layers=2, num_rows=3, num_kv_heads=4, head_dim=5, capacity=7, dtype=torch.bfloat16
    )
    assert cache.num_bytes == 2 * (2 * 3 * 4 * 7 * 5) * 2
    assert not cache.holds_memory
