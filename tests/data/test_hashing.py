import hashlib
import json

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from creuset.data.hashing import content_hash, groups, keyed_order, sample_hashes
from creuset.data.spec import DataSpec

SPEC = DataSpec(kind="images", shape=(1, 2, 2), num_levels=256, class_names=("a", "b"))
PICTURES_HASH = "950ae6a39600fe598167688e839e4e63b07e0ef881a18f7d43e03d4ca30fc9c5"


def test_a_hash_is_the_first_half_of_sha256_over_form_and_bytes() -> None:
    pictures = np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2)
    for picture, (high, low) in zip(pictures, sample_hashes(pictures).tolist(), strict=True):
        content = json.dumps([[1, 2, 2], "uint8"]).encode() + picture.tobytes()
        expected = hashlib.sha256(content).digest()[:16]
        assert high.to_bytes(8, "big") + low.to_bytes(8, "big") == expected


def test_equal_bytes_of_another_form_or_type_hash_otherwise() -> None:
    square = np.zeros((1, 1, 2, 2), dtype=np.uint8)
    line = np.zeros((1, 1, 1, 4), dtype=np.uint8)
    row = np.zeros((1, 1), dtype=np.float32)
    hashes = {tuple(sample_hashes(inputs)[0].tolist()) for inputs in (square, line, row)}
    assert len(hashes) == 3


def test_memory_layout_and_the_sign_of_zero_do_not_matter() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 5), dtype=np.uint8)
    turned = np.ascontiguousarray(pictures.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert not turned.flags.c_contiguous
    assert np.array_equal(sample_hashes(pictures), sample_hashes(turned))
    zeros = np.array([[0.0], [-0.0]], dtype=np.float32)
    assert len(np.unique(sample_hashes(zeros), axis=0)) == 1
    assert np.array_equal(sample_hashes(zeros), sample_hashes(zeros.astype(">f4")))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_groups_hold_equal_hashes(pairs: list[tuple[int, int]]) -> None:
    unique, members = groups(np.array(pairs, dtype=np.uint64))
    assert [tuple(row) for row in unique.tolist()] == sorted(set(pairs))
    assert [tuple(unique[member].tolist()) for member in members] == pairs


def test_the_keyed_order_depends_on_seed_and_hashes_only() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**63, (50, 2)).astype(np.uint64)
    ordered = hashes[keyed_order(hashes, 0)]
    shuffled = hashes[np.random.default_rng(1).permutation(50)]
    assert np.array_equal(shuffled[keyed_order(shuffled, 0)], ordered)
    assert not np.array_equal(hashes[keyed_order(hashes, 1)], ordered)


def test_the_content_hash_of_pictures_stays_what_it_was() -> None:
    labels = torch.tensor([0, 1, 0, 1])
    hashes = sample_hashes(np.arange(16, dtype=np.uint8).reshape(4, 1, 2, 2))
    assert content_hash(SPEC, {"train": (hashes, labels)}) == PICTURES_HASH


def test_the_content_hash_changes_with_all_that_counts() -> None:
    hashes = np.arange(8, dtype=np.uint64).reshape(4, 2)
    labels = torch.tensor([0, 1, 0, 1])
    plain = content_hash(SPEC, {"train": (hashes, labels), "test": (hashes[:2], labels[:2])})
    others = [
        content_hash(SPEC, {"train": (hashes, labels)}),
        content_hash(SPEC, {"train": (hashes, labels), "test": (hashes[2:], labels[2:])}),
        content_hash(SPEC, {"train": (hashes, 1 - labels), "test": (hashes[:2], labels[:2])}),
        content_hash(SPEC, {"train": (hashes[:2], labels[:2]), "test": (hashes, labels)}),
        content_hash(
            DataSpec(kind="images", shape=(1, 2, 2), num_levels=17, class_names=("a", "b")),
            {"train": (hashes, labels), "test": (hashes[:2], labels[:2])},
        ),
    ]
    assert len({plain, *others}) == 6
    assert len(plain) == 64
    assert plain == content_hash(SPEC, {"test": (hashes[:2], labels[:2]), "train": (hashes, labels)})
