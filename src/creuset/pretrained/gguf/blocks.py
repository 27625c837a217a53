"""The ways in which GGUF stores numbers, and how each is turned back into float32.

A tensor's numbers lie row by row in blocks of 32 or 256, each with its own scale. "half" is a float16, "low
nibbles" are the lower four bits of each byte, "high nibbles" the upper four. The result equals that of the
reference implementation bit for bit, since each formula has its order of operations.

Source: ggml, ggml-common.h (block_q4_0 and so on) and ggml-quants.c (dequantize_row_q4_0 and so on).

Legend of shapes: N blocks, b bytes of a block, n numbers of a block.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from creuset.errors import DataError

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_NUMBERS_AT_ONCE = 1 << 16
"""So few that what is worked on stays in the processor's caches."""


@dataclass(frozen=True, kw_only=True)
class BlockType:
    """A way to store numbers.

    Args:
        name: Its name in ggml.
        numbers: Numbers in a block (n).
        num_bytes: Bytes of a block (b).
        decode: Fills float32 (N, n) from uint8 (N, b).
    """

    name: str
    numbers: int
    num_bytes: int
    decode: Callable[[Bytes, Floats], None]


def dequantize(data: Bytes, kind: BlockType) -> Floats:
    """The numbers of whole blocks, float32 (N * n,).

    Args:
        data: uint8 (N * b,), little-endian.
        kind: How they are stored. F32 comes back as a view of `data`.
    """
    if kind.name == "F32":
        return data.view("<f4").astype(np.float32, copy=False)
    blocks = data.reshape(-1, kind.num_bytes)
    found = np.empty((len(blocks), kind.numbers), dtype=np.float32)
    step = max(1, _NUMBERS_AT_ONCE // kind.numbers)
    with np.errstate(all="ignore"):  # a scale may be infinite or no number, and so is then what it scales
        for start in range(0, len(blocks), step):
            kind.decode(blocks[start : start + step], found[start : start + step])
    return found.reshape(-1)


def block_type(number: int, tensor: str, where: Path) -> BlockType:
    """The type that ggml gives this number.

    Raises:
        DataError: It is not read, with its name.
    """
    name = TYPE_NAMES.get(number)
    kind = None if name is None else BLOCK_TYPES.get(name)
    if kind is None:
        raise DataError(
            f"tensor {tensor}: a type of numbers that is not read",
            where=where,
            got=f"type {number}" if name is None else f"{name} (type {number})",
            expected=", ".join(BLOCK_TYPES),
            next_step="use a file of the same model in one of these",
        )
    return kind


def _halves(blocks: Bytes, start: int) -> Floats:
    """The half at byte `start` of each block, float32 (N, 1)."""
    return np.ascontiguousarray(blocks[:, start : start + 2]).view("<f2").astype(np.float32)


def _f32(blocks: Bytes, out: Floats) -> None:
    """4 bytes: a float32."""
    out[:] = np.ascontiguousarray(blocks).view("<f4")


def _f16(blocks: Bytes, out: Floats) -> None:
    """2 bytes: a half."""
    out[:] = np.ascontiguousarray(blocks).view("<f2")


def _bf16(blocks: Bytes, out: Floats) -> None:
    """2 bytes: the upper half of a float32."""
    upper = np.ascontiguousarray(blocks).view("<u2").astype(np.uint32)
    out.view(np.uint32)[:] = upper << np.uint32(16)


def _q8_0(blocks: Bytes, out: Floats) -> None:
    """34 bytes for 32 numbers: a half d; 32 int8 q. Number i is q_i d."""
    out[:] = blocks[:, 2:].view(np.int8)
    out *= _halves(blocks, 0)


def _nibbles(packed: Bytes, out: Floats) -> None:
    """The low nibbles of (..., h) bytes, then their high nibbles: (..., 2, h)."""
    out[..., 0, :] = packed & np.uint8(15)
    out[..., 1, :] = packed >> np.uint8(4)


def _q4_0(blocks: Bytes, out: Floats) -> None:
    """18 bytes for 32 numbers: a half d; 16 bytes, whose low nibbles q are numbers 0 to 15 and whose high
    nibbles 16 to 31. A number is (q - 8) d.
    """
    _nibbles(blocks[:, 2:], out.reshape(-1, 2, 16))
    out -= np.float32(8)
    out *= _halves(blocks, 0)


def _q4_1(blocks: Bytes, out: Floats) -> None:
    """20 bytes for 32 numbers: halves d and m; 16 bytes as in Q4_0. A number is q d + m."""
    _nibbles(blocks[:, 4:], out.reshape(-1, 2, 16))
    out *= _halves(blocks, 0)
    out += _halves(blocks, 2)


def _scales_and_lows(packed: Bytes) -> tuple[Floats, Floats]:
    """Eight 6-bit scales and eight 6-bit minima out of 12 bytes, each float32 (N, 8).

    Bytes 0 to 3 hold scales 0 to 3 in their lower six bits, bytes 4 to 7 minima 0 to 3. Bytes 8 to 11 hold
    the lower four bits of scales 4 to 7 (low nibbles) and of minima 4 to 7 (high nibbles), whose upper two
    bits are the upper two of bytes 0 to 3 and 4 to 7.
    """
    first, second, third = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    six, upper = np.uint8(0x3F), np.uint8(0x30)
    late_scales = (third & np.uint8(15)) | ((first >> np.uint8(2)) & upper)
    late_lows = (third >> np.uint8(4)) | ((second >> np.uint8(2)) & upper)
    scales = np.concatenate([first & six, late_scales], axis=1)
    lows = np.concatenate([second & six, late_lows], axis=1)
    return scales.astype(np.float32), lows.astype(np.float32)


def _scale_eighths(blocks: Bytes, out: Floats) -> None:
    """Turns q into (d scale_j) q - dmin minimum_j in place, j being the eighth of the block.

    The block begins with halves d and dmin and the 12 bytes of `_scales_and_lows`.
    """
    scales, lows = _scales_and_lows(blocks[:, 4:16])
    eighths = out.reshape(-1, 8, 32)
    eighths *= (_halves(blocks, 0) * scales)[:, :, None]
    eighths -= (_halves(blocks, 2) * lows)[:, :, None]


def _q4_k(blocks: Bytes, out: Floats) -> None:
    """144 bytes for 256 numbers: halves d and dmin; 12 bytes of scales and minima; 128 bytes. Of each 32
    bytes the low nibbles q are the next 32 numbers, the high nibbles the 32 after. See `_scale_eighths`.
    """
    _nibbles(blocks[:, 16:].reshape(-1, 4, 32), out.reshape(-1, 4, 2, 32))
    _scale_eighths(blocks, out)


def _q5_k(blocks: Bytes, out: Floats) -> None:
    """176 bytes for 256 numbers: as Q4_K, with 32 bytes between the scales and the nibbles. Their bit j is
    the fifth bit of q, for the numbers of eighth j.
    """
    _nibbles(blocks[:, 48:].reshape(-1, 4, 32), out.reshape(-1, 4, 2, 32))
    shifts = np.arange(8, dtype=np.uint8)[None, :, None]
    fifth = (blocks[:, None, 16:48] >> shifts) & np.uint8(1)  # (N, 8, 32)
    out.reshape(-1, 8, 32)[:] += fifth << np.uint8(4)
    _scale_eighths(blocks, out)


def _q6_k(blocks: Bytes, out: Floats) -> None:
    """210 bytes for 256 numbers: 128 bytes of nibbles; 64 bytes of pairs of bits; 16 int8 scales; a half d.

    For each half of the block: 64 bytes, whose low nibbles are the lower four bits of numbers 0 to 63 and
    whose high nibbles those of 64 to 127; 32 bytes, whose bit pairs from the lowest up are the upper two bits
    of numbers 0 to 31, 32 to 63, 64 to 95, 96 to 127. A number is (d scale_j) (q - 32), j its sixteenth.
    """
    _nibbles(blocks[:, :128].reshape(-1, 2, 64), out.reshape(-1, 2, 2, 64))
    shifts = np.array([0, 2, 4, 6], dtype=np.uint8)[:, None]
    upper = (blocks[:, 128:192].reshape(-1, 2, 1, 32) >> shifts) & np.uint8(3)  # (N, 2, 4, 32)
    out.reshape(-1, 2, 4, 32)[:] += upper << np.uint8(4)
    out -= np.float32(32)
    scales = blocks[:, 192:208].view(np.int8).astype(np.float32)
    out.reshape(-1, 16, 16)[:] *= (_halves(blocks, 208) * scales)[:, :, None]


BLOCK_TYPES = {
    kind.name: kind
    for kind in (
        BlockType(name="F32", numbers=1, num_bytes=4, decode=_f32),
        BlockType(name="F16", numbers=1, num_bytes=2, decode=_f16),
        BlockType(name="BF16", numbers=1, num_bytes=2, decode=_bf16),
        BlockType(name="Q8_0", numbers=32, num_bytes=34, decode=_q8_0),
        BlockType(name="Q4_0", numbers=32, num_bytes=18, decode=_q4_0),
        BlockType(name="Q4_1", numbers=32, num_bytes=20, decode=_q4_1),
        BlockType(name="Q4_K", numbers=256, num_bytes=144, decode=_q4_k),
        BlockType(name="Q5_K", numbers=256, num_bytes=176, decode=_q5_k),
        BlockType(name="Q6_K", numbers=256, num_bytes=210, decode=_q6_k),
    )
}
"""Those that are read, by name."""

TYPE_NAMES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    9: "Q8_1",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    15: "Q8_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    20: "IQ4_NL",
    21: "IQ3_S",
    22: "IQ2_S",
    23: "IQ4_XS",
    24: "I8",
    25: "I16",
    26: "I32",
    27: "I64",
    28: "F64",
    29: "IQ1_M",
    30: "BF16",
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
    40: "NVFP4",
    41: "Q1_0",
}
"""All that ggml knows, for errors that name what is not read."""
