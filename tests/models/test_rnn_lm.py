"""The recurrent language model is torch's stacked LSTM or GRU between an embedding and a head."""

import pytest
import torch
from torch import nn

from creuset.data.spec import DataSpec
from creuset.models.decoder import Decoder, DecoderConfig
from creuset.models.rnn_lm import RNNLanguageModel, RNNLanguageModelConfig
from small_transformers import corpus_spec


def spec(vocab_size: int = 68, context: int = 64) -> DataSpec:
    return corpus_spec(vocab_size, context)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_it_is_torch_s_stack(cell: str) -> None:
    torch.manual_seed(0)
    config = RNNLanguageModelConfig(family="rnn_lm", cell=cell, num_layers=2, embed_dim=6, hidden_dim=7)  # type: ignore[arg-type]
    model = RNNLanguageModel(config, spec()).eval()
    stack = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](6, 7, num_layers=2, batch_first=True)
    weights = {}
    for depth, layer in enumerate(model.recurrent.layers):
        for name, value in layer.state_dict().items():
            weights[name.replace("_l0", f"_l{depth}")] = value
    stack.load_state_dict(weights)
    tokens = torch.randint(68, (3, 10), generator=torch.Generator().manual_seed(0))
    expected = model.head(stack(model.token_embedding(tokens))[0])
    torch.testing.assert_close(model.scores(model.states(tokens, None)), expected)


def test_the_small_sizes_have_equal_parameters() -> None:
    models = (
        RNNLanguageModel(RNNLanguageModelConfig(family="rnn_lm"), spec()),
        Decoder(DecoderConfig(family="decoder"), spec()),
    )
    first, second = (sum(parameter.numel() for parameter in model.parameters()) for model in models)
    assert first == pytest.approx(second, rel=0.01)


def test_a_state_goes_on_beyond_the_context() -> None:
    torch.manual_seed(0)
    model = RNNLanguageModel(RNNLanguageModelConfig(family="rnn_lm", size="tiny"), spec(context=4)).eval()
    tokens = torch.randint(68, (2, 11), generator=torch.Generator().manual_seed(0))
    reader = model.reader(2)
    for place in range(11):
        found = reader.read(tokens[:, place : place + 1])
    expected = model.scores(model.recurrent(model.token_embedding(tokens), None))[:, -1].detach()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
