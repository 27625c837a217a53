import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.data.batches import BatchOrder
from creuset.device import stream
from creuset.errors import UsageError


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_each_sample_comes_once_an_epoch(data: st.DataObject) -> None:
    num_samples = data.draw(st.integers(1, 40))
    batch_size = data.draw(st.integers(1, num_samples))
    order = BatchOrder(num_samples, batch_size, seed=3)
    positions = range(4 * num_samples)
    drawn = torch.cat([order.indices(position) for position in positions])
    for epoch in range(len(drawn) // num_samples):
        seen = drawn[epoch * num_samples : (epoch + 1) * num_samples]
        assert sorted(seen.tolist()) == list(range(num_samples))


def test_an_epoch_is_the_permutation_of_its_stream() -> None:
    drawn = torch.cat([BatchOrder(10, 5, seed=7).indices(position) for position in range(4)])
    for epoch in range(2):
        expected = torch.randperm(10, generator=stream(7, "order", epoch))
        assert torch.equal(drawn[10 * epoch : 10 * epoch + 10], expected)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=20))
def test_positions_can_be_asked_in_any_order(positions: list[int]) -> None:
    kept = BatchOrder(23, 7, seed=1)
    for position in positions:
        assert torch.equal(kept.indices(position), BatchOrder(23, 7, seed=1).indices(position))


def test_a_batch_runs_across_the_end_of_an_epoch() -> None:
    order = BatchOrder(5, 3, seed=0)
    first = torch.randperm(5, generator=stream(0, "order", 0))
    second = torch.randperm(5, generator=stream(0, "order", 1))
    assert torch.equal(order.indices(1), torch.cat([first[3:], second[:1]]))
    assert [order.epoch_of(position) for position in range(4)] == [0, 0, 1, 1]


def test_epochs_and_seeds_differ() -> None:
    order = BatchOrder(50, 50, seed=0)
    assert not torch.equal(order.indices(0), order.indices(1))
    assert not torch.equal(order.indices(0), BatchOrder(50, 50, seed=1).indices(0))


def test_what_is_handed_out_can_be_changed_without_harm() -> None:
    order = BatchOrder(8, 8, seed=0)
    whole = order.indices(0).clone()
    order.indices(0).zero_()
    assert torch.equal(order.indices(0), whole)


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(UsageError, match=r"data\.batch_size: a batch cannot be larger") as raised:
        BatchOrder(100, 128, seed=0)
    assert "got: 128" in str(raised.value)
    assert "at most 100" in str(raised.value)
