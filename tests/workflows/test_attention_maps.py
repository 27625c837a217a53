"""Which layers of a model a report shows."""

from creuset.workflows.attention_maps import chosen_layers


def test_a_few_layers_are_all_shown() -> None:
    assert chosen_layers(1) == [0]
    assert chosen_layers(4) == [0, 1, 2, 3]


def test_of_many_layers_the_ends_are_among_those_shown() -> None:
    chosen = chosen_layers(12)
    assert len(set(chosen)) == 6
    assert (chosen[0], chosen[-1]) == (0, 11)
