"""Answers drawn while training: seed and place decide, probabilities are the model's."""

import math

import pytest
import torch

from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import SpecialTokens
from creuset.errors import UsageError
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.training.rollouts import Rollout, roll_out
from small_tokenizers import byte_level

END = 2
TOKENIZER = Tokenizer(byte_level(), special=SpecialTokens(eos=(END,)))
PROMPTS = [(40, 41, 42), (50,)]


def model() -> Transformer:
    torch.manual_seed(0)
    config = TransformerConfig(
        architecture="decoder",
        vocab_size=TOKENIZER.vocab_size,
        embed_dim=16,
        num_layers=1,
        num_heads=2,
        num_kv_heads=1,
        head_dim=8,
        feedforward_dim=24,
        context_length=64,
        norm="rms",
        norm_eps=1e-5,
        positions="rotary",
        rope_theta=100.0,
        activation="silu",
        gated=True,
        init_std=0.2,
    )
    return Transformer(config).train()


def drawn(seed: int = 0, label: int = 0, num_each: int = 3, max_tokens: int = 6) -> list[list[Rollout]]:
    return roll_out(
        model(),
        TOKENIZER,
        PROMPTS,
        num_each=num_each,
        max_tokens=max_tokens,
        temperature=1.0,
        eos_ids=[END],
        seed=seed,
        labels=("rollouts", label),
    )


def test_the_seed_decides_and_answers_differ() -> None:
    first = drawn()
    assert [len(group) for group in first] == [3, 3]
    assert drawn() == first
    assert drawn(seed=1) != first
    assert drawn(label=1) != first
    assert len({rollout.text.ids for rollout in first[0]}) > 1
    for prompt, group in zip(PROMPTS, first, strict=True):
        for rollout in group:
            assert rollout.text.ids[: len(prompt)] == prompt
            answer = rollout.text.ids[len(prompt) :]
            assert rollout.text.trained == (False,) * len(prompt) + (True,) * len(answer)
            assert 1 <= len(answer) <= 6
            assert rollout.ended == (answer[-1] == END)
            assert rollout.ended or len(answer) == 6


def test_the_place_in_the_whole_batch_decides_and_not_the_part() -> None:
    def part(prompts: list[tuple[int, ...]], first: int) -> list[list[Rollout]]:
        return roll_out(
            model(),
            TOKENIZER,
            prompts,
            num_each=3,
            max_tokens=6,
            temperature=1.0,
            eos_ids=[END],
            seed=0,
            labels=("rollouts", 0),
            first=first,
        )

    assert part(PROMPTS[:1], 0) + part(PROMPTS[1:], 1) == drawn()
    assert part(PROMPTS[1:], 0) != part(PROMPTS[1:], 1)


def test_first_tokens_come_by_the_models_probabilities() -> None:
    source = model()
    groups = roll_out(
        source,
        TOKENIZER,
        [PROMPTS[0]],
        num_each=600,
        max_tokens=1,
        temperature=1.0,
        eos_ids=[END],
        seed=3,
    )
    assert source.training
    with torch.no_grad():
        wanted = source.eval()(torch.tensor([PROMPTS[0]]))[0, -1].softmax(-1)
    seen = torch.bincount(torch.tensor([each.text.ids[-1] for each in groups[0]]), minlength=len(wanted))
    top = wanted.topk(5).indices
    for token in top.tolist():
        share, expected = float(seen[token]) / 600, float(wanted[token])
        assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / 600)


def test_a_temperature_that_draws_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="teach nothing"):
        roll_out(
            model(), TOKENIZER, PROMPTS, num_each=2, max_tokens=2, temperature=0.0, eos_ids=[END], seed=0
        )
