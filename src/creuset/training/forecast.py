"""What a tuning will take, told before its first step: the most memory, and how long.

One batch goes forward and backward, in the number format of the training: what it keeps for its gradient, and
how long it takes, grow with its tokens, and so do those of the heaviest part and of the whole training.

    memory    what the process holds now + what the heaviest part keeps + gradients and their moments
    seconds   of all tokens at the speed of this batch; validations go forward alone, a third of it

Kept storages are counted as autograd keeps them (torch.autograd.graph.saved_tensors_hooks), each once; what
is made and thrown away within a layer is not, so memory is predicted from below.

Where blocks are made once more for the gradient (training.checkpoint_blocks), what they keep together is
known from a pass that keeps it; one block's share of that is added, which is there while it is made again.

Legend of shapes: T tokens of a batch.
"""

import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from creuset.data.spec import TUNING
from creuset.device import BatchGenerator, memory_bytes
from creuset.models.transformer_stack import TransformerStack, recompute_blocks
from creuset.training.batches import to_device
from creuset.training.schedule import Schedule
from creuset.training.session import Session

_PROBED_TOKENS = 1024
_BYTES_OF_UPDATE = 12
"""Of a trained number: its gradient and the two moments of Adam, in float32."""
_FORWARD_SHARE = 1 / 3
"""Of a forward and a backward pass."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a tuning will take.

    Args:
        memory_bytes: The most that the process will hold.
        seconds: Of training, with its validations, without samples and checkpoints.
        num_tokens: That are read in training.
        heaviest_tokens: Of the part of a batch with the most of them, whose batch comes first.
    """

    memory_bytes: int
    seconds: float
    num_tokens: int
    heaviest_tokens: int

    def to_json(self) -> dict[str, Any]:
        """All numbers, for the manifest."""
        return asdict(self)


def forecast(session: Session) -> Forecast | None:
    """What the training of a session will take; None where no texts of known length are read.

    Args:
        session: Before its first step; nothing of it is changed.
    """
    tokens, heaviest = session.batches.num_tokens, session.batches.most_tokens
    if session.dataset.spec.kind not in TUNING or not tokens or session.policy is not None:
        return None
    tuning = session.dataset.split("train").tuning
    assert tuning is not None
    order = session.batches.indices(0)
    ends = tuning.lengths[order].cumsum(0)
    places = order[: max(1, int((ends <= _PROBED_TOKENS).sum()))]
    batch = to_device(tuning.batch(places), session.processes.device, session.model.dtype)
    read = int(batch["tokens"].numel())
    _pass(session, batch, len(places))  # the first one is slower
    before = memory_bytes(session.processes.device)
    begin = time.monotonic()
    kept = _pass(session, batch, len(places))
    seconds_per_token = (time.monotonic() - begin) / read
    if session.recipe.training.checkpoint_blocks:
        kept += _one_block(session, batch, len(places), kept)
    trained = sum(value.numel() for _, value in session.model.player_parameters("model"))
    schedule = Schedule.of(session.recipe.training)
    validations = sum(
        schedule.due(step, schedule.validate_every) for step in range(1, schedule.num_steps + 1)
    )
    held_out = session.dataset.splits.get("validation")
    validated = 0 if held_out is None or held_out.tuning is None else int(held_out.tuning.lengths.sum())
    work = sum(tokens) + _FORWARD_SHARE * validations * validated
    return Forecast(
        memory_bytes=before + int(kept * heaviest / read) + _BYTES_OF_UPDATE * trained,
        seconds=work * seconds_per_token,
        num_tokens=sum(tokens),
        heaviest_tokens=heaviest,
    )


def _one_block(session: Session, batch: dict[str, Tensor], size: int, kept: int) -> int:
    """What a block keeps while it is made again, in bytes, on average over all of them."""
    stacks = [part for part in session.model.modules() if isinstance(part, TransformerStack)]
    recompute_blocks(session.model, False)
    everything = _pass(session, batch, size)
    recompute_blocks(session.model)
    return (everything - kept) // sum(len(stack.blocks) for stack in stacks)


def _pass(session: Session, batch: dict[str, Tensor], size: int) -> int:
    """One pass forward and backward, whose gradients are taken away; the bytes that it kept."""
    model, device = session.model, session.processes.device
    weights = {value.untyped_storage().data_ptr() for value in model.parameters()}
    kept: dict[int, int] = {}

    def keep(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return value

    draws = BatchGenerator(session.recipe.training.seed, "forecast", size=size, device=device)
    is_half = session.precision == "bfloat16"
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_half):
            loss = model.loss(batch, "model", draws)["loss"]
        loss.backward()  # type: ignore[no-untyped-call]
    for _, value in model.player_parameters("model"):
        value.grad = None
    return sum(kept.values())
