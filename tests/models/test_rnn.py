"""The recurrent classifier reads rows from the top, all channels of a row at once, or a text's tokens."""

import pytest
import torch
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.rnn import RNN, RNNConfig


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_scores_are_read_from_the_state_after_the_last_row(cell: str) -> None:
    spec = DataSpec(
        kind="images", shape=(3, 5, 4), num_levels=256, class_names=("a", "b"), class_counts=(1, 1)
    )
    model = RNN(RNNConfig(family="rnn", cell=cell, hidden_dim=6, num_layers=1), spec)  # type: ignore[arg-type]
    images = torch.randn(2, 3, 5, 4)
    cells = {"gru": torch.nn.GRUCell, "lstm": torch.nn.LSTMCell}[cell](12, 6)
    layer = model.recurrent.layers[0].state_dict()
    cells.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.items()})
    state: Tensor | tuple[Tensor, Tensor] | None = None
    for row in range(5):
        values = torch.cat([images[:, channel, row] for channel in range(3)], dim=1)
        state = cells(values, state)
    assert state is not None
    last = state[0] if isinstance(state, tuple) else state
    torch.testing.assert_close(model.logits(images), model.output(last).detach())


def test_dropout_acts_in_training_alone(digits: dict[str, Tensor], digit_spec: DataSpec) -> None:
    model = RNN(RNNConfig(family="rnn", hidden_dim=16, num_layers=2, dropout=0.5), digit_spec)
    batch = {name: values[:16] for name, values in digits.items()}
    losses = [float(model.loss(batch, "model", BatchGenerator(s, size=16))["loss"].detach()) for s in (0, 1)]
    assert losses[0] != losses[1]
    held = [float(model.validation_loss(batch, BatchGenerator(s, size=16))["loss"].detach()) for s in (0, 1)]
    assert held[0] == held[1]


def text_spec(vocab_size: int = 9) -> DataSpec:
    return DataSpec(
        kind="texts",
        shape=(),
        num_levels=0,
        class_names=("a", "b"),
        class_counts=(4, 4),
        tokens="words",
        max_tokens=12,
        vocabulary=("<padding>", "<unknown>", *(f"word{number}" for number in range(2, vocab_size))),
    )


def reader(cell: str = "gru", **settings: object) -> RNN:
    fields = {"embedding_dim": 5, "hidden_dim": 6, "num_layers": 2, "cell": cell, **settings}
    return RNN(RNNConfig(family="rnn", **fields), text_spec())  # type: ignore[arg-type]


def texts(lengths: list[int], num_steps: int) -> dict[str, Tensor]:
    """Random texts of these lengths, padded to `num_steps`."""
    tokens = torch.randint(1, 9, (len(lengths), num_steps))
    tokens[torch.arange(num_steps) >= torch.tensor(lengths)[:, None]] = 0
    return {"tokens": tokens, "lengths": torch.tensor(lengths), "labels": torch.arange(len(lengths)) % 2}


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_padding_changes_nothing(cell: str) -> None:
    model = reader(cell).double()
    batch = texts([3, 7, 1], 7)
    padded = {**batch, "tokens": torch.nn.functional.pad(batch["tokens"], (0, 5))}
    torch.testing.assert_close(model.logits(padded["tokens"]), model.logits(batch["tokens"]))
    for row, length in enumerate((3, 7, 1)):
        alone = model.logits(batch["tokens"][row : row + 1, :length])
        torch.testing.assert_close(alone, model.logits(batch["tokens"])[row : row + 1])
    losses = []
    for given in (batch, padded):
        model.zero_grad()
        loss = model.loss(given, "model", BatchGenerator(3, size=3))["loss"]  # dropout drawn alike for both
        loss.backward()
        gradient = model.steps.embedding.weight.grad
        assert gradient is not None
        assert not gradient[0].any()
        losses.append((loss.detach(), gradient.clone()))
    torch.testing.assert_close(losses[0], losses[1])


def test_scores_of_a_text_are_read_after_its_own_last_token() -> None:
    model = reader(num_layers=1)
    batch = texts([4, 2], 4)
    states = model.recurrent(model.steps.embedding(batch["tokens"]), None)
    expected = model.output(torch.stack([states[0, 3], states[1, 1]])).detach()
    torch.testing.assert_close(model.logits(batch["tokens"]), expected)


def test_each_parameter_is_reached_by_the_loss_of_texts() -> None:
    model = reader()
    report = model.loss(texts([3, 7, 1, 12], 12), "model", BatchGenerator(0, size=4))
    report["loss"].backward()
    for name, value in model.named_parameters():
        assert value.grad is not None, name
        assert value.grad.abs().max() > 0, name


def test_the_loss_of_texts_is_the_mean_of_its_parts() -> None:
    """Also where a part is padded less than the whole: the masks of dropout do not depend on it."""
    model = reader(dropout=0.5).double()
    batch = texts([2, 1, 9, 4], 9)
    whole = model.loss(batch, "model", BatchGenerator(0, size=4))["loss"]
    draws = BatchGenerator(0, size=4)
    first = {name: values[:2] for name, values in batch.items()} | {"tokens": batch["tokens"][:2, :2]}
    second = {name: values[2:] for name, values in batch.items()}
    parts = [
        model.loss(part, "model", draws.slice(start, start + 2))["loss"]
        for part, start in ((first, 0), (second, 2))
    ]
    torch.testing.assert_close(sum(parts) / 2, whole)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_it_learns_which_word_came_first(cell: str) -> None:
    """No bag of words tells the classes apart."""
    model = reader(cell, embedding_dim=16, hidden_dim=16, num_layers=1, dropout=0.0)
    tokens = torch.randint(4, 9, (256, 8))
    tokens[:, 1], tokens[:, 4] = 2, 3
    swapped = torch.arange(256) % 2 == 1
    tokens[swapped, 1], tokens[swapped, 4] = 3, 2
    batch = {"tokens": tokens, "labels": swapped.long()}
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    for step in range(60):
        optimizer.zero_grad()
        model.loss(batch, "model", BatchGenerator(step, size=256))["loss"].backward()
        optimizer.step()
    assert (model.logits(tokens).argmax(1) == batch["labels"]).float().mean() > 0.95


def test_other_inputs_are_refused() -> None:
    with pytest.raises(UsageError, match=r"got: \(2, 3, 4\)\n  expected: \(batch, tokens\), whole numbers"):
        reader().logits(torch.zeros(2, 3, 4))
    table = DataSpec(kind="table", shape=(4,), num_levels=0, class_names=("a", "b"), class_counts=(1, 1))
    with pytest.raises(UsageError, match="rnn takes pictures or texts\n  got: a table with 4 columns"):
        RNN(RNNConfig(family="rnn"), table)


def test_features_are_the_state_that_the_last_layer_reads(
    digits: dict[str, Tensor], digit_spec: DataSpec
) -> None:
    model = RNN(RNNConfig(family="rnn", hidden_dim=16, num_layers=2, dropout=0.5), digit_spec)
    features = model.features(digits["images"][:5])
    assert features.shape == (5, model.num_features) == (5, 16)
    torch.testing.assert_close(model.output(features), model.logits(digits["images"][:5]))
