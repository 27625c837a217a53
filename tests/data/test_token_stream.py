"""Blocks of a token stream: each token once an epoch, at another offset in each, decided by the seed."""

import torch

from creuset.data.batches import BatchOrder
from creuset.data.token_stream import IGNORED, Document, EpochOffsets, TokenStream, block_batch, block_padding


def stream(*lengths: int, context: int = 4, separator: int | None = None) -> TokenStream:
    first, documents = 0, []
    for number, length in enumerate(lengths):
        ids = torch.arange(first, first + length, dtype=torch.int32)
        documents.append(Document(name=str(number), text="x" * length, ids=ids))
        first += length
    return TokenStream.of(documents, context=context, separator=separator)


def test_each_token_but_the_first_is_a_target_once() -> None:
    for length in range(2, 20):
        batch = block_batch(stream(length).all_blocks())
        targets = batch["targets"][batch["targets"] != IGNORED]
        assert targets.tolist() == list(range(1, length))
        inputs = batch["tokens"][batch["targets"] != IGNORED]
        assert (inputs + 1).tolist() == targets.tolist()


def test_padding_is_where_a_block_holds_no_token() -> None:
    for length in range(2, 20):
        rows = stream(length).all_blocks()
        assert torch.equal(block_padding(block_batch(rows)["targets"]), rows[:, :-1] != IGNORED)


def test_documents_stand_behind_their_separator() -> None:
    assert stream(2, 3, separator=99).ids.tolist() == [99, 0, 1, 99, 2, 3, 4]
    assert stream(2, 3).ids.tolist() == [0, 1, 2, 3, 4]


def test_an_epoch_is_the_same_number_of_blocks_at_each_offset() -> None:
    one = stream(23, context=5)
    assert one.num_training_blocks == 3
    blocks = torch.arange(3)
    for offset in range(5):
        rows = one.at(blocks, torch.full((3,), offset))
        targets = rows[:, 1:].flatten()
        assert targets.tolist() == list(range(offset + 1, offset + 16))
    torch.testing.assert_close(one.at(blocks, torch.zeros(3, dtype=torch.int64)), one.training_blocks())
    assert stream(9, context=5).num_training_blocks == 0


def test_offsets_follow_from_seed_and_epoch() -> None:
    epochs = torch.arange(200)
    drawn = EpochOffsets(64, seed=3).of(epochs)
    again = EpochOffsets(64, seed=3)
    assert [int(again.of(torch.tensor([epoch]))) for epoch in (199, 0, 7)] == drawn[[199, 0, 7]].tolist()
    assert not torch.equal(drawn, EpochOffsets(64, seed=4).of(epochs))
    assert int(drawn.min()) >= 0
    assert int(drawn.max()) < 64
    assert len(drawn.unique()) > 40


def test_a_batch_says_the_epoch_of_each_sample() -> None:
    order = BatchOrder(5, 3, seed=0)
    assert [order.epochs(position).tolist() for position in range(4)] == [
        [0, 0, 0],
        [0, 0, 1],
        [1, 1, 1],
        [1, 2, 2],
    ]


def test_a_shortened_stream_keeps_its_first_tokens() -> None:
    short = stream(4, 6).shortened(7)
    assert short.ids.tolist() == list(range(7))
    assert [document.text for document in short.documents] == ["xxxx", "xxx"]
