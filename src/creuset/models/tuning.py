"""Tuning a Transformer that others trained: which of its numbers are trained, and what its answers cost.

    full        every number
    lora        low-rank updates of some linear layers (adapters/lora.py); all else is frozen
    head        the head alone: a copy of its own where it shared the embedding's weights is not made
    last        the last blocks, the last norm, and the head where it has weights of its own

What is not trained gets no gradient, and is not stored: a checkpoint holds what was trained, and the base is
named beside it.

Legend of shapes: B texts, T tokens, N tokens that are asked for, E features, V vocabulary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from creuset.adapters.lora import LoraForm, attach, drawing
from creuset.adapters.targets import target_layers
from creuset.data.token_stream import IGNORED
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.transformer import Transformer
from creuset.objectives.linear_cross_entropy import sum_of_nats

Weights = Literal["full", "lora", "head", "last"]
ADAPTER = "tuned"
"""What the adapter of a tuning is called within the model."""
_TOKENS_AT_ONCE = 1024
"""Tokens whose scores of the whole vocabulary are in memory together."""


@dataclass(frozen=True, kw_only=True)
class TuningForm:
    """What is trained.

    Args:
        weights: See the head of this file.
        lora: "lora": the form of the updates.
        targets: "lora": which layers have one, as `target_layers` takes them.
        num_last: "last": how many blocks.
    """

    weights: Weights
    lora: LoraForm = field(default_factory=lambda: LoraForm(rank=8, alpha=16))
    targets: tuple[str, ...] | str = ("q", "v")
    num_last: int = 1


def prepare(body: Transformer, form: TuningForm, theirs: Mapping[str, str] | None = None) -> None:
    """Freezes what is not trained, and attaches what is, under a forked global generator with a seed.

    Args:
        body: With weights.
        form: What is trained.
        theirs: What Hugging Face's model calls each of our layers, for targets by these names.

    Raises:
        UsageError: A target that matches nothing, more blocks than there are, or no head to train.
    """
    body.requires_grad_(form.weights == "full")
    if form.weights == "lora":
        layers = target_layers(body, form.targets, theirs)
        attach(body, dict.fromkeys(layers, form.lora), ADAPTER)
    elif form.weights in ("head", "last"):
        for part in _last_parts(body, 0 if form.weights == "head" else form.num_last):
            part.requires_grad_()


def _last_parts(body: Transformer, num_blocks: int) -> list[nn.Module]:
    """The last blocks with the norm behind them, and the head where it has weights."""
    stack = body.encoder if body.decoder is None else body.decoder
    assert stack is not None
    if num_blocks > len(stack.blocks):
        raise UsageError(
            "more blocks are to be trained than there are",
            where="adapter.num_last",
            got=num_blocks,
            expected=f"at most {len(stack.blocks)}",
        )
    parts: list[nn.Module] = list(stack.blocks)[len(stack.blocks) - num_blocks :]
    if num_blocks and stack.norm is not None:
        parts.append(stack.norm)
    if body.head is not None and any(True for _ in body.head.parameters()):
        parts.append(body.head)
    if not parts:
        raise UsageError(
            "this model has no head of its own to train: it shares the embedding's weights",
            where="adapter.kind",
            got="head",
            expected="lora, full, or last with the number of blocks",
        )
    return parts


def trained_state(module: nn.Module) -> dict[str, Tensor]:
    """What was trained of a model, by the names of its parameters."""
    return {name: value for name, value in module.named_parameters() if value.requires_grad}


def asked_nats(
    body: Transformer, batch: Mapping[str, Tensor], generator: BatchGenerator | None = None
) -> tuple[Tensor, int]:
    """What the tokens of a batch that are asked for cost together, and how many they are.

    The head sees their states alone, and its scores are made part by part.

    Args:
        body: A decoder with a head.
        batch: "tokens", "targets" and "documents" int64 (B, T), as `TrainedRows.batch` gives them; without
            "documents" each row is a text, padded where "padding", bool (B, T), is False.
        generator: Draws the dropout of updates and of the body; nothing is dropped without.

    Returns:
        The nats, (), float32 at least, and N.
    """
    targets = batch["targets"]
    asked = targets != IGNORED
    with drawing(body, generator):
        states = body.hidden(
            batch["tokens"],
            documents=batch.get("documents"),
            padding=batch.get("padding"),
            generator=generator,
        )
    return _nats(body, states[asked], targets[asked]), int(asked.sum())


@torch.no_grad()
def token_nats(body: Transformer, tokens: Tensor, targets: Tensor) -> Tensor:
    """-log p of each target, in nats, float32 (B, T); 0 where it is IGNORED.

    Args:
        body: A decoder with a head.
        tokens: int64 (B, T), each row a text.
        targets: int64 (B, T).
    """
    asked = targets != IGNORED
    found = torch.zeros(targets.shape, device=targets.device)
    found[asked] = -token_log_probs(body, body.hidden(tokens)[asked], targets[asked]).float()
    return found


def answer_log_probs(
    body: Transformer, batch: Mapping[str, Tensor], num_texts: int, generator: BatchGenerator | None = None
) -> Tensor:
    """The log-probability of what is asked for of each text, together, (num_texts,), in nats.

    Args:
        body: A decoder with a head.
        batch: "tokens", "targets" and "documents", the documents numbered from 0 in one row.
        num_texts: How many documents.
        generator: As for `asked_nats`.
    """
    asked = batch["targets"] != IGNORED
    log_probs = token_log_probs(body, asked_states(body, batch, generator), batch["targets"][asked])
    sums = log_probs.new_zeros(num_texts)
    return sums.index_add(0, batch["documents"][asked], log_probs)


def asked_states(
    body: Transformer, batch: Mapping[str, Tensor], generator: BatchGenerator | None = None
) -> Tensor:
    """What the head reads where a token is asked for, (N, E); arguments as for `answer_log_probs`."""
    with drawing(body, generator):
        states = body.hidden(batch["tokens"], documents=batch["documents"], generator=generator)
    return states[batch["targets"] != IGNORED]


def token_log_probs(
    body: Transformer, states: Tensor, targets: Tensor, *, temperature: float = 1.0
) -> Tensor:
    """The log-probability of each target, (N,), in nats, in float32 at least: log softmax(scores / T).

    Args:
        body: Whose head scores.
        states: As of `asked_states`, (N, E).
        targets: int64 (N,).
        temperature: T, above 0: that at which the targets were drawn.
    """
    parts = zip(torch.split(states, _TOKENS_AT_ONCE), torch.split(targets, _TOKENS_AT_ONCE), strict=True)
    # the scores of a part are made again for its gradient: those of all parts would not fit into memory
    nats = [
        checkpoint(_each_nats, body, part, wanted, temperature, use_reentrant=False) for part, wanted in parts
    ]
    return -torch.cat(nats)


def _each_nats(body: Transformer, states: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """What each target costs, (N,), in float32 at least."""
    logits = body.logits(states)
    precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
    scores = precise if temperature == 1 else precise / temperature
    return functional.cross_entropy(scores, targets, reduction="none")


def _nats(body: Transformer, states: Tensor, targets: Tensor) -> Tensor:
    config = body.config
    plain = config.head == "linear" and not config.head_bias and config.logit_softcap is None
    if not plain or config.head_scale != 1 or body.head is None:
        return -token_log_probs(body, states, targets).sum()
    own = body.head.weight
    weight = body.token_embedding.weight if own is None else own
    return sum_of_nats(states, weight.to(states.dtype), targets)


def split_rows(batch: Mapping[str, Tensor], lengths: Sequence[int]) -> list[dict[str, Tensor]]:
    """A row of packed texts as a row for each, (1, T) each, with their targets.

    Args:
        batch: "tokens", "targets" and "documents", int64 (1, T).
        lengths: Tokens of each text.
    """
    parts = {name: torch.split(batch[name][0], list(lengths)) for name in ("tokens", "targets", "documents")}
    return [{name: texts[number][None] for name, texts in parts.items()} for number in range(len(lengths))]


def padded_rows(batch: Mapping[str, Tensor], lengths: Sequence[int], filling: int) -> dict[str, Tensor]:
    """A row of packed texts as a batch of padded ones: "tokens", "targets" and "padding", (B, T).

    Args:
        batch: "tokens", "targets" and "documents", int64 (1, T).
        lengths: Tokens of each text.
        filling: The id that stands at padding.
    """
    rows = split_rows(batch, lengths)
    longest = max(lengths)

    def wide(name: str, value: int) -> Tensor:
        return torch.cat(
            [functional.pad(row[name], (0, longest - row[name].shape[1]), value=value) for row in rows]
        )

    places = torch.arange(longest, device=batch["tokens"].device)
    padding = places < torch.tensor(lengths, device=places.device)[:, None]
    return {"tokens": wide("tokens", filling), "targets": wide("targets", IGNORED), "padding": padding}
