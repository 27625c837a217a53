"""Heads for classes: what learns, what padding may change, what is dropped, and what is refused."""

from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from creuset.data.token_stream import IGNORED
from creuset.device import BatchGenerator
from creuset.errors import CheckpointError, UsageError
from creuset.models.text_classifier import (
    ClassifierPooling,
    SequenceClassifier,
    TextClassifier,
    TokenClassifier,
)
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import Architecture
from small_transformers import PLAIN

LENGTHS = [9, 1, 4, 6]
ENCODER = replace(
    PLAIN,
    architecture="encoder",
    num_segments=2,
    tied_head=True,
    head="transformed",
    head_bias=True,
    pooler=True,
    dropout=0.2,
)
DECODER = replace(ENCODER, architecture="decoder", num_segments=0, pooler=False)
ALL: list[tuple[Architecture, ClassifierPooling | None]] = [
    *(("encoder", pooling) for pooling in get_args(ClassifierPooling)),
    *(("decoder", pooling) for pooling in ("mean", "last")),
    ("encoder", None),
    ("decoder", None),
]
"""Each form of the body with each pooling that it allows; None for a class a token."""
every_head = pytest.mark.parametrize(("architecture", "pooling"), ALL)


def classifier(
    architecture: Architecture, pooling: ClassifierPooling | None, *, freeze_body: bool = False
) -> TextClassifier:
    body = Transformer(ENCODER if architecture == "encoder" else DECODER)
    if pooling is None:
        return TokenClassifier(body, 5, dropout=0.5, freeze_body=freeze_body)
    return SequenceClassifier(body, 5, pooling=pooling, dropout=0.5, freeze_body=freeze_body)


def texts() -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(0, 31, (length,), generator=generator).tolist() for length in LENGTHS]


def padded(*, left: bool) -> tuple[Tensor, Tensor]:
    """The texts as rows of 10 ids, and where they are."""
    rows, padding = torch.zeros(4, 10, dtype=torch.long), torch.zeros(4, 10, dtype=torch.bool)
    for row, text in enumerate(texts()):
        place = slice(10 - len(text), 10) if left else slice(0, len(text))
        rows[row, place] = torch.tensor(text)
        padding[row, place] = True
    return rows, padding


def labels_of(model: TextClassifier, token_ids: Tensor) -> Tensor:
    shape = token_ids.shape if isinstance(model, TokenClassifier) else token_ids.shape[:1]
    return torch.randint(0, 5, shape, generator=torch.Generator().manual_seed(2))


def draws(seed: int = 0) -> BatchGenerator:
    return BatchGenerator(seed, "test", size=4)


@every_head
@pytest.mark.parametrize("left", [False, True])
@torch.no_grad()
def test_padding_changes_no_logits(
    architecture: Architecture, pooling: ClassifierPooling | None, left: bool
) -> None:
    model = classifier(architecture, pooling)
    rows, padding = padded(left=left)
    logits = model(rows, padding=padding)
    single = [model(torch.tensor([text]))[0] for text in texts()]
    if pooling is None:
        assert logits.shape == (4, 10, 5)
        torch.testing.assert_close(logits[padding], torch.cat(single), rtol=0, atol=1e-5)
    else:
        assert logits.shape == (4, 5)
        torch.testing.assert_close(logits, torch.stack(single), rtol=0, atol=1e-5)


@every_head
def test_gradients_reach_what_learns_and_nothing_else(
    architecture: Architecture, pooling: ClassifierPooling | None
) -> None:
    model = classifier(architecture, pooling)
    rows, padding = padded(left=False)
    model.loss(rows, labels_of(model, rows), padding=padding, generator=draws())["loss"].backward()
    for name, parameter in model.named_parameters():
        unused = name.startswith("body.head.") or (name.startswith("body.pooler.") and pooling != "pooler")
        assert parameter.requires_grad is not unused, name
        assert (parameter.grad is None) is unused, name


@every_head
def test_a_frozen_body_stays_as_it_is(
    architecture: Architecture, pooling: ClassifierPooling | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = classifier(architecture, pooling, freeze_body=True).train()
    assert model.training
    assert not any(module.training for module in model.body.modules())
    seen: list[tuple[bool, object]] = []
    hidden = model.body.hidden

    def watched(*args: Tensor, **inputs: object) -> Tensor:
        seen.append((torch.is_grad_enabled(), inputs["generator"]))
        return hidden(*args, **inputs)  # type: ignore[arg-type]

    monkeypatch.setattr(model.body, "hidden", watched)
    rows, padding = padded(left=False)
    before = {name: tensor.clone() for name, tensor in model.body.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = model.loss(rows, labels_of(model, rows), padding=padding, generator=draws())["loss"]
    loss.backward()
    optimizer.step()
    assert seen == [(False, None)]
    learning = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert learning == {"output.weight", "output.bias"}
    assert learning == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.body.state_dict().items())


@pytest.mark.parametrize("freeze_body", [False, True])
@every_head
def test_the_generator_alone_decides_what_is_dropped(
    architecture: Architecture, pooling: ClassifierPooling | None, freeze_body: bool
) -> None:
    model = classifier(architecture, pooling, freeze_body=freeze_body).train()
    rows, padding = padded(left=False)
    first, again, other = (
        model(rows, padding=padding, generator=generator)[padding if pooling is None else ...]
        for generator in (draws(), draws(), draws(1))
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    plain = model(rows, padding=padding)
    assert torch.equal(plain, model.eval()(rows, padding=padding))
    whole = draws()
    parts = [
        model(rows[cut], padding=padding[cut], generator=whole.slice(cut.start, cut.stop))
        for cut in (slice(0, 1), slice(1, 4))
    ]
    together = torch.cat(parts)[padding if pooling is None else ...]
    torch.testing.assert_close(together, first, rtol=0, atol=1e-5)


@torch.no_grad()
def test_losses_leave_out_what_has_no_label() -> None:
    rows, padding = padded(left=False)
    tokens = classifier("encoder", None)
    labels = labels_of(tokens, rows)
    labels[0, :3] = IGNORED
    counted = padding & (labels != IGNORED)
    logits = tokens(rows, padding=padding)[counted]
    found = tokens.loss(rows, labels, padding=padding)
    torch.testing.assert_close(found["loss"], functional.cross_entropy(logits, labels[counted]))
    hits = (logits.argmax(-1) == labels[counted]).float().mean()
    torch.testing.assert_close(found["accuracy"], hits)
    changed = torch.where(padding, labels, 4)
    assert tokens.loss(rows, changed, padding=padding)["loss"] == found["loss"]

    whole = classifier("encoder", "mean")
    labels = torch.tensor([2, IGNORED, 0, 4])
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    found = whole.loss(rows, labels, padding=padding, class_weights=weights, label_smoothing=0.1)
    costs = functional.cross_entropy(
        whole(rows, padding=padding), labels.clamp(min=0), label_smoothing=0.1, reduction="none"
    )
    torch.testing.assert_close(found["loss"], (costs[[0, 2, 3]] * weights[[2, 0, 4]]).mean())


@torch.no_grad()
def test_segments_reach_the_body() -> None:
    model = classifier("encoder", "pooler")
    rows = torch.tensor([[3, 4, 5]])
    kinds = torch.tensor([[0, 1, 1]])
    assert not torch.allclose(model(rows), model(rows, segments=kinds))
    expected = model.output(model.body.pool(model.body.hidden(rows, segments=kinds)))
    torch.testing.assert_close(model(rows, segments=kinds), expected)


def test_first_weights_are_spread_as_those_of_the_body() -> None:
    torch.manual_seed(0)
    model = SequenceClassifier(Transformer(replace(ENCODER, init_std=0.7)), 2000, pooling="cls")
    assert float(model.output.weight.detach().std()) == pytest.approx(0.7, rel=0.03)
    assert not model.output.bias.any()


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["mean", "pooler", None])
def test_the_layer_is_float32_on_a_body_of_bfloat16(pooling: ClassifierPooling | None) -> None:
    body = Transformer(ENCODER).bfloat16()
    model = TokenClassifier(body, 3) if pooling is None else SequenceClassifier(body, 3, pooling=pooling)
    rows, padding = padded(left=False)
    assert model.output.weight.dtype == model(rows, padding=padding).dtype == torch.float32
    assert body.token_embedding.weight.dtype == torch.bfloat16


def test_a_head_alone_is_saved_and_loaded() -> None:
    first, second = (classifier("encoder", "mean") for _ in range(2))
    state = first.head_state()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == {
        "output.weight": (5, 12),
        "output.bias": (5,),
    }
    second.load_head_state(state)
    assert torch.equal(second.output.weight, first.output.weight)
    with torch.no_grad():
        second.output.weight.zero_()
        first.output.weight.zero_()
    assert state["output.weight"].any()


@pytest.mark.parametrize(
    "changes",
    [
        {"output.bias": None},
        {"output.more": torch.zeros(5)},
        {"output.bias": torch.zeros(6)},
        {"output.bias": torch.zeros(5, dtype=torch.long)},
    ],
)
def test_a_head_that_does_not_fit_changes_nothing(changes: dict[str, Tensor | None]) -> None:
    model = classifier("encoder", "mean")
    before = model.head_state()
    state = {"output.weight": torch.ones(5, 12), "output.bias": torch.ones(5), **changes}
    with pytest.raises(CheckpointError, match=r"not those of this head[^$]*expected: output\.bias \(5,\)"):
        model.load_head_state({name: tensor for name, tensor in state.items() if tensor is not None})
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.head_state().items())


def test_forms_without_meaning_are_refused() -> None:
    encoder, decoder = Transformer(replace(ENCODER, pooler=False)), Transformer(DECODER)
    both = Transformer(replace(DECODER, architecture="encoder_decoder"))
    with pytest.raises(UsageError, match="no pooler"):
        SequenceClassifier(encoder, 2, pooling="pooler")
    with pytest.raises(UsageError, match="first token of a decoder"):
        SequenceClassifier(decoder, 2, pooling="cls")
    with pytest.raises(UsageError, match="two kinds of states"):
        TokenClassifier(both, 2)
    with pytest.raises(UsageError, match=r"too few classes[^$]*got: 1"):
        TokenClassifier(encoder, 1)
    with pytest.raises(UsageError, match=r"a probability[^$]*got: 1\.0"):
        TokenClassifier(encoder, 2, dropout=1.0)
    with pytest.raises(TypeError, match="frozen"):
        TokenClassifier(encoder, 2, frozen=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="paddings"):
        TokenClassifier(encoder, 2)(torch.tensor([[1]]), paddings=None)


def test_texts_and_labels_that_do_not_fit_are_refused() -> None:
    tokens, whole = classifier("encoder", None), classifier("encoder", "cls")
    rows = torch.tensor([[1, 2], [3, 4]])
    for model in (tokens, whole):
        with pytest.raises(UsageError, match="without tokens"):
            model(rows, padding=torch.tensor([[True, True], [False, False]]))
    with pytest.raises(UsageError, match=r"another shape[^$]*\(2,\)[^$]*\(2, 2\)"):
        tokens.loss(rows, torch.tensor([0, 1]))
    with pytest.raises(UsageError, match=r"another shape[^$]*\(2, 2\)[^$]*\(2,\)"):
        whole.loss(rows, rows)
    for wrong in (5, -2):
        with pytest.raises(UsageError, match=rf"no class[^$]*got: {wrong}[^$]*0 to 4, or -1"):
            whole.loss(rows, torch.tensor([0, wrong]))
    with pytest.raises(UsageError, match="nothing to learn"):
        whole.loss(rows, torch.tensor([IGNORED, IGNORED]))
