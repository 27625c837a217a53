"""Each way of storing numbers against the gguf package, and by hand."""

import gguf
import numpy as np
import pytest

from creuset.pretrained.gguf.blocks import BLOCK_TYPES, TYPE_NAMES, dequantize


@pytest.mark.parametrize("name", list(BLOCK_TYPES))
def test_random_blocks_equal_the_gguf_package_s_bit_for_bit(name: str) -> None:
    kind, number = BLOCK_TYPES[name], gguf.GGMLQuantizationType[name]
    assert gguf.GGML_QUANT_SIZES[number] == (kind.numbers, kind.num_bytes)
    data = np.random.default_rng(0).integers(0, 256, (1500, kind.num_bytes), dtype=np.uint8)
    with np.errstate(all="ignore"):  # some scales are infinite or no number
        expected = gguf.quants.dequantize(data, number).reshape(-1)
    found = dequantize(data.reshape(-1), kind)
    assert found.dtype == np.float32
    usual = ~np.isnan(expected)
    assert usual.mean() > 0.9
    np.testing.assert_array_equal(np.isnan(found), ~usual)
    np.testing.assert_array_equal(found[usual].view(np.uint32), expected[usual].view(np.uint32))


@pytest.mark.parametrize("name", ["Q8_0", "Q4_0", "Q4_1"])
def test_numbers_that_were_quantized_come_back_near(name: str) -> None:
    numbers = np.random.default_rng(1).normal(size=(64, 256)).astype(np.float32)
    data = gguf.quants.quantize(numbers, gguf.GGMLQuantizationType[name])
    found = dequantize(data.reshape(-1), BLOCK_TYPES[name]).reshape(numbers.shape)
    assert np.abs(found - numbers).max() < {"Q8_0": 0.02, "Q4_0": 0.4, "Q4_1": 0.3}[name]


def test_a_block_of_q4_1_by_hand() -> None:
    halves = np.array([0.5, -2.0], dtype="<f2").tobytes()
    block = np.frombuffer(halves + bytes(range(16)), dtype=np.uint8)
    found = dequantize(block, BLOCK_TYPES["Q4_1"])
    np.testing.assert_array_equal(found[:16], np.arange(16) * 0.5 - 2)
    np.testing.assert_array_equal(found[16:], np.full(16, -2.0))


def test_all_names_of_types_are_those_of_ggml() -> None:

    assert {int(kind): kind.name for kind in gguf.GGMLQuantizationType} == TYPE_NAMES
