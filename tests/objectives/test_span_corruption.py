"""Span corruption against a slow twin, T5's counts, and what must not depend on how a batch is cut."""

import pytest
import torch
from torch import Tensor

from creuset.device import BatchGenerator
from creuset.objectives.span_corruption import SpanCorruption

START, END, FIRST, IGNORED = 100, 101, 102, -1


def corruption(density: float = 0.15, mean_span: float = 3.0) -> SpanCorruption:
    return SpanCorruption(
        density=density, mean_span=mean_span, start=START, end=END, first_sentinel=FIRST, ignored=IGNORED
    )


def texts(lengths: list[int], width: int) -> tuple[Tensor, Tensor]:
    """Token 1, 2, 3, ... of each text, and rubbish behind it."""
    rows = torch.arange(1, width + 1).repeat(len(lengths), 1)
    sizes = torch.tensor(lengths)
    return rows.masked_fill(torch.arange(width) >= sizes[:, None], 99), sizes


def restored(source: list[int], target: list[int]) -> list[int]:
    """The text that a source and its target stand for: each sentinel replaced by what stands behind it."""
    spans: dict[int, list[int]] = {}
    for token in target:
        if token >= FIRST:
            spans[token] = []
        elif token != END:
            spans[max(spans)].append(token)
    return [token for read in source for token in (spans[read] if read >= FIRST else [read])]


def cut(length: int, hidden: int, spans: int, draws: list[list[float]]) -> list[int]:
    """The lengths of what stays and of spans in turn, by lists: a cut where a draw is among the smallest."""

    def pieces(total: int, number: int, uniform: list[float]) -> list[int]:
        ranked = sorted(range(total - 1), key=lambda place: uniform[place])[: number - 1]
        ends = [*sorted(place + 1 for place in ranked), total]
        return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]

    taken = [*pieces(hidden, spans, draws[0]), 0]
    stays = pieces(length - hidden + 2, spans + 1, draws[1])
    stays[0] -= 1
    stays[-1] -= 1
    return [size for pair in zip(stays, taken, strict=True) for size in pair]


@pytest.mark.parametrize(("density", "mean_span"), [(0.15, 3.0), (0.5, 1.0), (0.3, 10.0), (0.9, 2.0)])
def test_sources_and_targets_are_those_of_a_slow_twin(density: float, mean_span: float) -> None:
    lengths, width = [40, 2, 3, 17, 39, 5], 40
    rows, sizes = texts(lengths, width)
    form = corruption(density, mean_span)
    batch = form.corrupt(rows, sizes, BatchGenerator(3, "x", size=6))
    again = BatchGenerator(3, "x", size=6)
    draws = [again.uniform(width).tolist(), again.uniform(width + 2).tolist()]
    for row, length in enumerate(lengths):
        hidden, spans = form.num_hidden(length)
        sizes_in_turn = cut(length, hidden, spans, [draws[0][row], draws[1][row]])
        source, target, place = [], [], 0
        for number, size in enumerate(sizes_in_turn):
            piece = list(range(place + 1, place + size + 1))
            place += size
            if number % 2 and size:
                sentinel = FIRST + number // 2
                source.append(sentinel)
                target += [sentinel, *piece]
            else:
                source += piece
        target.append(END)
        num_source = int(batch["source_lengths"][row])
        assert batch["source"][row].tolist()[:num_source] == source
        assert not batch["source"][row, num_source:].any()
        rest = batch["targets"].shape[1] - len(target)
        assert batch["targets"][row].tolist() == target + [IGNORED] * rest
        assert batch["tokens"][row].tolist() == [START, *target[:-1], *[0] * rest]
        assert restored(source, target) == list(range(1, length + 1))
        assert len(target) == form.num_targets(length)


def test_counts_are_those_of_t5() -> None:
    """T5's: noise tokens round(L density), spans round(noise / mean), none of them empty."""
    form = corruption()
    assert form.num_hidden(512) == (77, 26)
    assert form.num_hidden(256) == (38, 13)
    assert form.num_hidden(2) == (1, 1)
    assert corruption(0.99).num_hidden(10) == (
        9,
        2,
    )  # T5 has room for one, since its texts begin with what stays


def test_all_ways_to_cut_are_equally_likely() -> None:
    """Of 4 tokens 2 are taken out in 2 spans of 1: what stays lies before, between and behind in 3 ways."""
    rows, sizes = texts([4] * 6000, 4)
    batch = corruption(0.5, 1.0).corrupt(rows, sizes, BatchGenerator(0, "x", size=6000))
    found, counts = batch["source"].unique(dim=0, return_counts=True)
    assert found.tolist() == [[1, FIRST, 3, FIRST + 1], [FIRST, 2, 3, FIRST + 1], [FIRST, 2, FIRST + 1, 4]]
    assert (counts - 2000).abs().max() < 150  # four standard deviations


def test_parts_of_a_batch_are_corrupted_alike() -> None:
    rows, sizes = texts([30] * 8, 30)
    form = corruption()
    whole = form.corrupt(rows, sizes, BatchGenerator(5, "x", size=8))
    draws = BatchGenerator(5, "x", size=8)
    for begin, end in ((0, 3), (3, 8)):
        part = form.corrupt(rows[begin:end], sizes[begin:end], draws.slice(begin, end))
        for name, values in part.items():
            assert torch.equal(values, whole[name][begin:end])
    other = form.corrupt(rows, sizes, BatchGenerator(6, "x", size=8))
    assert not torch.equal(other["source"], whole["source"])
