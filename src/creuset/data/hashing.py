"""Content hashes: of a sample, to find exact duplicates and to decide splits; of a data set, to name it.

A sample's hash is the first 16 bytes of SHA-256 over its form and its bytes, without its label. It is kept
as two big-endian whole numbers, so that the order of the numbers is the order of the bytes.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from creuset.data.spec import TUNING, DataSpec

Hashes = NDArray[np.uint64]
"""(N, 2): one row a sample."""


def sample_hashes(inputs: NDArray[Any]) -> Hashes:
    """The hash of each sample of `inputs` (N, ...): equal where form, number type and values are.

    Texts come as objects (N,) of str, and are equal where each character is.
    """
    if inputs.dtype == object:
        return _text_hashes(inputs)
    if inputs.dtype.kind == "f":
        inputs = inputs + 0.0  # -0.0 equals 0.0, and must hash as it does
    little = np.ascontiguousarray(inputs, dtype=inputs.dtype.newbyteorder("<"))
    form = hashlib.sha256(json.dumps([list(inputs.shape[1:]), inputs.dtype.name]).encode())
    digests = bytearray()
    for row in little.reshape(len(little), math.prod(little.shape[1:])):
        digest = form.copy()
        digest.update(row.data)
        digests += digest.digest()[:16]
    return np.frombuffer(bytes(digests), dtype=">u8").reshape(-1, 2).astype(np.uint64)


def _text_hashes(texts: NDArray[np.object_]) -> Hashes:
    form = hashlib.sha256(json.dumps([[], "utf-8"]).encode())
    digests = bytearray()
    for text in texts:
        digest = form.copy()
        digest.update(text.encode())
        digests += digest.digest()[:16]
    return np.frombuffer(bytes(digests), dtype=">u8").reshape(-1, 2).astype(np.uint64)


def keyed_order(hashes: Hashes, seed: int) -> NDArray[np.int64]:
    """An order of different hashes that is random to look at, and decided by `seed` and the hashes alone."""
    key = hashlib.sha256(f"split {seed} ".encode())
    keys = bytearray()
    for row in np.ascontiguousarray(hashes, dtype=">u8"):
        digest = key.copy()
        digest.update(row.data)
        keys += digest.digest()[:8]
    drawn = np.frombuffer(bytes(keys), dtype=">u8")
    return np.lexsort((hashes[:, 1], hashes[:, 0], drawn)).astype(np.int64)


def groups(hashes: Hashes) -> tuple[Hashes, NDArray[np.int64]]:
    """The different hashes in their order, and the place of each sample's hash among them."""
    order = np.lexsort((hashes[:, 1], hashes[:, 0]))
    ordered = hashes[order]
    begins = np.ones(len(ordered), dtype=bool)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    members = np.empty(len(hashes), dtype=np.int64)
    members[order] = np.cumsum(begins) - 1
    return ordered[begins], members


def content_hash(spec: DataSpec, splits: Mapping[str, tuple[Hashes, Tensor | None]]) -> str:
    """SHA-256, 64 hexadecimal digits, of what a data set is: its form, each split's samples and labels.

    Args:
        spec: The form. What is derived from the samples (counts, means, a vocabulary) is left out, since a
            last digit may differ between machines, and so is how texts are read: the samples are the same. A
            corpus is hashed as blocks of tokens, and its tokenizer belongs to its form; so it does of pairs,
            since it decides which are too long. Code maps have the hashes of their pictures, and the weights
            that made them belong to their form.
        splits: Name -> (hashes, labels), each split in the order of its hashes.
    """
    form: dict[str, Any] = {
        "format": 2 if spec.kind == "table" else 1,  # 2: rows are hashed as float64
        "kind": spec.kind,
        "shape": list(spec.shape),
        "num_levels": spec.num_levels,
        "class_names": list(spec.class_names),
        "feature_names": list(spec.feature_names),
        "splits": {name: len(hashes) for name, (hashes, _) in sorted(splits.items())},
    }
    if spec.sound is not None:
        form["sound"] = asdict(spec.sound)
    if spec.codes is not None:
        form["codes"] = spec.codes.checkpoint
    if spec.kind in ("corpus", "pairs", *TUNING):
        form |= {"context": spec.context, "tokenizer": spec.tokenizer}
    digest = hashlib.sha256(json.dumps(form, sort_keys=True).encode())
    for _, (hashes, labels) in sorted(splits.items()):
        digest.update(hashes.astype(">u8").tobytes())
        if labels is not None:
            digest.update(labels.numpy().astype(">i8").tobytes())
    return digest.hexdigest()
