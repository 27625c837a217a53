"""Masks, written out, and the cheap forms against them."""

import torch

from creuset.layers.masks import (
    AttentionMask,
    cached_attention_mask,
    causal_mask,
    document_lengths,
    document_mask,
    memory_mask,
    padding_is_behind,
    self_attention_mask,
)


def drawn(mask: torch.Tensor | None) -> list[str]:
    assert mask is not None
    return ["".join("x" if cell else "." for cell in row) for row in mask.tolist()]


def test_causal_masks_with_and_without_window() -> None:
    assert drawn(causal_mask(4, 4)) == ["x...", "xx..", "xxx.", "xxxx"]
    assert drawn(causal_mask(2, 5)) == ["xxxx.", "xxxxx"]
    assert drawn(causal_mask(4, 4, window=2)) == ["x...", "xx..", ".xx.", "..xx"]
    assert drawn(causal_mask(2, 5, window=3)) == [".xxx.", "..xxx"]


def test_a_packed_mask_is_block_diagonal() -> None:
    documents = torch.tensor([[4, 4, 9, 4]])
    assert drawn(document_mask(documents)[0, 0]) == ["xx..", "xx..", "..x.", "...x"]
    assert document_lengths(documents) == (2, 1, 1)
    both = torch.tensor([[1, 1, 2], [2, 2, 2]])
    assert document_lengths(both) == (2, 1, 3)
    packed = AttentionMask(causal=True, lengths=(2, 1, 3)).dense(3, 3)
    assert packed is not None
    assert drawn(packed[0, 0]) == ["x..", "xx.", "..x"]
    assert drawn(packed[1, 0]) == ["x..", "xx.", "xxx"]


def test_no_mask_is_made_where_none_is_needed() -> None:
    behind = torch.tensor([[True, True, False], [True, True, True]])
    plain = AttentionMask(causal=True)
    assert self_attention_mask(3, causal=True) == plain
    assert self_attention_mask(3, causal=True, padding=behind) == plain
    assert self_attention_mask(3, causal=True, lengths=(3, 3)).tensor is None
    assert self_attention_mask(3, causal=True, window=3).tensor is None
    assert self_attention_mask(3, causal=False) == AttentionMask()
    assert cached_attention_mask([5, 5], 1) == plain
    assert cached_attention_mask([0, 0], 4) == plain
    assert memory_mask(None) == AttentionMask()
    assert AttentionMask(causal=True).dense(1, 7) is None


def test_padding_is_hidden_and_no_row_is_empty() -> None:
    padding = torch.tensor([[False, True, True], [True, True, False]])
    assert not padding_is_behind(padding)
    mask = self_attention_mask(3, causal=True, padding=padding).tensor
    assert mask is not None
    assert drawn(mask[0, 0]) == ["x..", ".x.", ".xx"]
    assert drawn(mask[1, 0]) == ["x..", "xx.", "xxx"]
    both_ways = self_attention_mask(3, causal=False, padding=padding).tensor
    assert both_ways is not None
    assert drawn(both_ways[:, 0, 0]) == [".xx", "xx."]
    assert torch.equal(memory_mask(padding).tensor, both_ways)  # type: ignore[arg-type]


def test_unequal_rows_of_a_cache() -> None:
    mask = cached_attention_mask([1, 3], 2).tensor
    assert mask is not None
    assert drawn(mask[0, 0]) == ["xx...", "xxx.."]
    assert drawn(mask[1, 0]) == ["xxxx.", "xxxxx"]
    window = cached_attention_mask([1, 3], 2, window=2).tensor
    assert window is not None
    assert drawn(window[0, 0]) == ["xx...", ".xx.."]
    assert drawn(window[1, 0]) == ["..xx.", "...xx"]
    equal = cached_attention_mask([3, 3], 1, window=2).tensor
    assert equal is not None
    assert drawn(equal[0, 0]) == ["..xx"]


def test_biases_stand_where_nothing_is_hidden() -> None:
    bias = torch.arange(9.0).view(1, 1, 3, 3)
    mask = self_attention_mask(3, causal=True, bias=bias).tensor
    assert mask is not None
    assert torch.equal(mask[0, 0].isinf(), ~causal_mask(3, 3))
    assert torch.equal(mask[0, 0].tril().nan_to_num(), bias[0, 0].tril())
    assert self_attention_mask(3, causal=False, bias=bias).tensor is bias
