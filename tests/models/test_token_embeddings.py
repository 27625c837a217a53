"""Token embeddings: what they learn of a text whose words are known to belong together."""

import numpy as np
import pytest
import torch

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.token_embeddings import TokenEmbeddings, TokenEmbeddingsConfig

TOPICS, WORDS_OF_TOPIC, CONTEXT = 4, 5, 24
NUM_WORDS = TOPICS * WORDS_OF_TOPIC
SPECIAL = 3


def planted(num_blocks: int = 400) -> torch.Tensor:
    """Blocks of sentences: each holds words of one topic, and one rare special token."""
    draws = np.random.default_rng(0)
    topics = draws.integers(TOPICS, size=(num_blocks, CONTEXT // 8)).repeat(8, axis=1)
    words = SPECIAL + topics * WORDS_OF_TOPIC + draws.integers(WORDS_OF_TOPIC, size=topics.shape)
    words[:, 0] = 2
    return torch.from_numpy(words)


def spec_of(tokens: torch.Tensor) -> DataSpec:
    counts = torch.bincount(tokens.flatten(), minlength=SPECIAL + NUM_WORDS)
    counts[:SPECIAL] = 0
    return DataSpec(
        kind="corpus",
        shape=(),
        num_levels=0,
        context=CONTEXT,
        tokenizer="planted",
        tokenizer_size=len(counts),
        word_counts=tuple(counts.tolist()),
    )


def build(tokens: torch.Tensor, **settings: object) -> TokenEmbeddings:
    config = TokenEmbeddingsConfig.model_validate(
        {"family": "token_embeddings", "embed_dim": 8, "keep_threshold": 0.2, **settings}
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TokenEmbeddings(config, spec_of(tokens))


def test_words_of_a_topic_become_neighbours() -> None:
    tokens = planted()
    model = build(tokens, window=3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    special = model.embeddings()[:SPECIAL].clone()
    for step in range(150):
        chosen = torch.from_numpy(np.random.default_rng(step).integers(len(tokens), size=64))
        loss = model.loss({"tokens": tokens[chosen]}, "model", BatchGenerator(0, step, size=64))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    words = torch.nn.functional.normalize(model.embeddings()[SPECIAL:])
    cosines = words @ words.T
    cosines.fill_diagonal_(-2)
    nearest = cosines.topk(WORDS_OF_TOPIC - 1).indices // WORDS_OF_TOPIC
    own = torch.arange(NUM_WORDS)[:, None] // WORDS_OF_TOPIC
    assert (nearest == own).all()
    assert torch.equal(model.embeddings()[:SPECIAL], special)  # never in a window


def test_special_tokens_count_for_nothing() -> None:
    tokens = planted(8)
    model = build(tokens, keep_threshold=1.0)
    draws = BatchGenerator(0, "x", size=8)
    expected = model.loss({"tokens": tokens}, "model", draws)
    others = tokens.clone()
    others[:, 0] = 0
    assert torch.equal(model.loss({"tokens": others}, "model", draws.slice(0, 8))["loss"], expected["loss"])
    nothing = torch.zeros_like(tokens)
    assert float(model.loss({"tokens": nothing}, "model", draws.slice(0, 8))["loss"].detach()) == 0


def test_noise_never_draws_what_was_not_seen() -> None:
    tokens = planted(8)
    tokens[tokens == SPECIAL + NUM_WORDS - 1] = SPECIAL
    model = build(tokens)
    loss = model.loss({"tokens": tokens}, "model", BatchGenerator(0, "x", size=8))["loss"]
    loss.backward()
    gradient = model.context_embedding.weight.grad
    assert gradient is not None
    assert not gradient[:SPECIAL].any()
    assert not gradient[-1].any()
    assert gradient[SPECIAL:-1].any(1).all()


def test_it_learns_words_alone() -> None:
    spec = DataSpec(kind="corpus", shape=(), num_levels=0, context=8, tokenizer="c", tokenizer_size=5)
    with pytest.raises(UsageError, match=r"token_embeddings learns words(.*\n)*.*data.tokenizer: words"):
        TokenEmbeddings(TokenEmbeddingsConfig(family="token_embeddings"), spec)
