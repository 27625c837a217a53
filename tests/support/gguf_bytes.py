"""GGUF files made by hand, so that each of their bytes can be made wrong."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

Tensor = tuple[str, Sequence[int], int, bytes]
"""Name, lengths of the axes with the fastest first, type, data."""


def string(text: str | bytes) -> bytes:
    content = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(content)) + content


def value(found: Any) -> bytes:
    """A type's number and the value: u32 for whole numbers, f32 for others, arrays of strings or i32."""
    if isinstance(found, bool):
        return struct.pack("<IB", 7, found)
    if isinstance(found, int):
        return struct.pack("<II", 4, found)
    if isinstance(found, float):
        return struct.pack("<If", 6, found)
    if isinstance(found, str):
        return struct.pack("<I", 8) + string(found)
    if isinstance(found[0], str):
        return struct.pack("<IIQ", 9, 8, len(found)) + b"".join(map(string, found))
    return struct.pack(f"<IIQ{len(found)}i", 9, 5, len(found), *found)


def gguf_bytes(
    metadata: Mapping[str, Any],
    tensors: Sequence[Tensor],
    *,
    version: int = 3,
    num_tensors: int | None = None,
    num_keys: int | None = None,
    offsets: Sequence[int] | None = None,
    raw_pairs: Sequence[bytes] = (),
    alignment: int = 32,
) -> bytes:
    """A GGUF file; what is given beside metadata and tensors makes it wrong.

    Args:
        metadata: Values by key, see `value`.
        tensors: See `Tensor`.
        version: The version it states.
        num_tensors: The number it states; None: the true one.
        num_keys: The number it states; None: the true one.
        offsets: Of the tensors; None: one behind the other.
        raw_pairs: Further pairs as bytes.
        alignment: What the data are aligned to.
    """
    pairs = [string(key) + value(found) for key, found in metadata.items()] + list(raw_pairs)
    infos, data = b"", b""
    for number, (name, lengths, kind, content) in enumerate(tensors):
        offset = len(data) if offsets is None else offsets[number]
        infos += string(name) + struct.pack("<I", len(lengths)) + struct.pack(f"<{len(lengths)}Q", *lengths)
        infos += struct.pack("<IQ", kind, offset)
        data += content + b"\0" * (-len(content) % alignment)
    head = b"GGUF" + struct.pack(
        "<IQQ",
        version,
        len(tensors) if num_tensors is None else num_tensors,
        len(pairs) if num_keys is None else num_keys,
    )
    before = head + b"".join(pairs) + infos
    return before + b"\0" * (-len(before) % alignment) + data
