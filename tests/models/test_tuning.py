"""What is trained and what is frozen; packed, padded and single texts cost the same and pull the same way."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from creuset.adapters.lora import LoraForm
from creuset.adapters.switch import switched
from creuset.data.trained_rows import TrainedRows, TrainedText
from creuset.errors import UsageError
from creuset.models.transformer import Transformer
from creuset.models.tuning import (
    TuningForm,
    answer_log_probs,
    asked_nats,
    padded_rows,
    prepare,
    split_rows,
    token_log_probs,
    token_nats,
    trained_state,
)
from small_transformers import MODERN, PLAIN

LENGTHS = (9, 4, 7)


def rows() -> TrainedRows:
    generator = torch.Generator().manual_seed(0)
    texts = []
    for length in LENGTHS:
        ids = torch.randint(0, 31, (length,), generator=generator).tolist()
        texts.append(
            TrainedText(ids=tuple(ids), trained=tuple(place >= length // 2 for place in range(length)))
        )
    return TrainedRows.of(texts)


def batch() -> dict[str, Tensor]:
    return rows().batch(torch.arange(3))


def tuned(form: TuningForm, config=MODERN) -> Transformer:
    torch.manual_seed(0)
    body = Transformer(config)
    prepare(body, form)
    body.double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in trained_state(body).values():
            value += 0.1 * torch.randn(value.shape, generator=generator)
    return body


LORA = TuningForm(weights="lora", lora=LoraForm(rank=3, alpha=6))


def gradients(body: Transformer, batches: list[dict[str, Tensor]]) -> tuple[float, dict[str, Tensor]]:
    """Of the mean over all tokens that are asked for."""
    body.zero_grad(set_to_none=True)
    number = sum(asked_nats(body, each)[1] for each in batches)
    total = 0.0
    for each in batches:
        nats, _ = asked_nats(body, each)
        (nats / number).backward()
        total += float(nats.detach()) / number
    return total, {
        name: value.grad.clone() for name, value in trained_state(body).items() if value.grad is not None
    }


@pytest.mark.parametrize("form", [LORA, TuningForm(weights="full")], ids=["lora", "full"])
@pytest.mark.parametrize("config", [MODERN, replace(PLAIN, context_length=16)], ids=["modern", "plain"])
def test_packed_padded_and_single_texts_are_one(form: TuningForm, config: object) -> None:
    body = tuned(form, config)
    packed = gradients(body, [batch()])
    for other in (
        gradients(body, split_rows(batch(), LENGTHS)),
        gradients(body, [padded_rows(batch(), LENGTHS, filling=0)]),
        gradients(body, [rows().batch(torch.tensor([2])), rows().batch(torch.tensor([0, 1]))]),
    ):
        assert other[0] == pytest.approx(packed[0], rel=1e-9)
        assert other[1].keys() == packed[1].keys() == trained_state(body).keys()
        for name, value in packed[1].items():
            assert torch.allclose(other[1][name], value, rtol=1e-6, atol=1e-9), name


def test_the_cost_is_that_of_each_token() -> None:
    body = tuned(LORA)
    nats, number = asked_nats(body, batch())
    slow = 0.0
    for row in split_rows(batch(), LENGTHS):
        logits = body(row["tokens"])[0].log_softmax(-1)
        for place, target in enumerate(row["targets"][0].tolist()):
            if target >= 0:
                slow -= float(logits[place, target].detach())
    assert number == sum(-(-length // 2) for length in LENGTHS)
    assert float(nats.detach()) == pytest.approx(slow)
    row = split_rows(batch(), LENGTHS)[0]
    assert float(token_nats(body, row["tokens"], row["targets"]).sum()) == pytest.approx(
        float(asked_nats(body, row)[0].detach()), rel=1e-5
    )


@pytest.mark.parametrize("change", [{"logit_softcap": 3.0}, {"tied_head": False}, {"head_scale": 0.5}])
def test_heads_of_other_forms_cost_as_their_scores_say(change: dict[str, object]) -> None:
    body = tuned(TuningForm(weights="full"), replace(MODERN, **change))
    nats, _ = asked_nats(body, batch())
    slow = sum(token_nats(body, row["tokens"], row["targets"]).sum() for row in split_rows(batch(), LENGTHS))
    assert float(nats.detach()) == pytest.approx(float(slow), rel=1e-5)


@pytest.mark.parametrize("change", [{"logit_softcap": 3.0}, {"tied_head": False}, {"head_scale": 0.5}])
def test_scores_of_many_tokens_are_never_together(
    change: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = tuned(TuningForm(weights="full"), replace(MODERN, **change))
    whole = gradients(body, [batch()])
    seen: list[int] = []
    score = body.logits

    def counted(states: Tensor) -> Tensor:
        seen.append(len(states))
        return score(states)

    monkeypatch.setattr(body, "logits", counted)
    monkeypatch.setattr("creuset.models.tuning._TOKENS_AT_ONCE", 4)
    parts = gradients(body, [batch()])
    token_nats(body, batch()["tokens"], batch()["targets"])
    assert max(seen) == 4
    assert parts[0] == pytest.approx(whole[0], rel=1e-12)
    for name, value in whole[1].items():
        assert torch.allclose(parts[1][name], value, rtol=1e-9, atol=1e-12), name


def test_log_probs_at_a_temperature() -> None:
    body = tuned(LORA)
    states, targets = torch.randn(7, 16, generator=torch.Generator().manual_seed(0)).double(), torch.arange(7)
    expected = (body.logits(states) / 0.7).log_softmax(-1).gather(1, targets[:, None])[:, 0]
    found = token_log_probs(body, states, targets, temperature=0.7)
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, token_log_probs(body, states, targets))


def test_log_probs_of_answers() -> None:
    body = tuned(LORA)
    found = answer_log_probs(body, batch(), 3)
    expected = [-float(asked_nats(body, row)[0].detach()) for row in split_rows(batch(), LENGTHS)]
    assert found.tolist() == pytest.approx(expected)
    with switched(body, ()):
        assert answer_log_probs(body, batch(), 3).tolist() != pytest.approx(expected)


def test_what_is_trained() -> None:
    assert {name.rpartition(".updates.")[0].rpartition(".")[2] for name in trained_state(tuned(LORA))} == {
        "query",
        "value",
    }
    full = tuned(TuningForm(weights="full"))
    assert trained_state(full).keys() == dict(full.named_parameters()).keys()
    last = trained_state(tuned(TuningForm(weights="last", num_last=2)))
    assert {name.split(".")[2] for name in last if name.startswith("decoder.blocks")} == {"1", "2"}
    assert "decoder.norm.weight" in last
    head = trained_state(tuned(TuningForm(weights="head"), replace(MODERN, tied_head=False)))
    assert list(head) == ["head.weight"]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (TuningForm(weights="head"), "no head of its own"),
        (TuningForm(weights="last", num_last=4), "more blocks"),
        (TuningForm(weights="lora", targets=("c_attn",)), "no linear layer"),
    ],
)
def test_what_cannot_be_trained_is_named(form: TuningForm, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tuned(form)
