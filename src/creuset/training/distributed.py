"""One training on several processes: DDP (copies of the model) or FSDP2 (its parameters sharded).

Started by torchrun; gloo between processors, nccl between GPUs. Each process takes a part of the global
batch; random draws are made for the whole batch and sliced (creuset/device.py), so a recipe gives the same
numbers on one process and on several, up to the order of floating-point sums.

Gradients are *summed* over processes, since each process already divides its part of the loss by the global
batch. DDP averages, so its loss is multiplied by the number of processes; FSDP2 is told to sum, which gloo
can do where it has no average.
"""

import gc
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from creuset.device import BatchGenerator
from creuset.errors import CreusetError
from creuset.models.base import Model

_CONNECTION_LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")
"""How gloo says that the other end of a collective is gone."""

LossFunction = Callable[[dict[str, Tensor], str, BatchGenerator], dict[str, Tensor]]


def world_size() -> int:
    """How many processes torchrun started; 1 where it started none."""
    return int(os.environ.get("WORLD_SIZE", "1"))


class Processes:
    """The processes of this training, seen from one of them; alone where torchrun started none."""

    def __init__(self, strategy: Literal["ddp", "fsdp"], device: torch.device) -> None:
        self.strategy = strategy
        self.device = device
        self.world_size = world_size()
        self.rank = int(os.environ.get("RANK", "0"))
        self._owns_group = False
        self._joined: list[JoinedLoss] = []
        if self.distributed and not torch.distributed.is_initialized():
            if device.type == "cuda":
                torch.cuda.set_device(device)
            torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
            self._owns_group = True

    @property
    def distributed(self) -> bool:
        return self.world_size > 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and reports."""
        return self.rank == 0

    @property
    def loss_factor(self) -> float:
        """What turns the gradient that this strategy computes into a sum over processes."""
        return float(self.world_size) if self.distributed and self.strategy == "ddp" else 1.0

    def prepare(self, model: Model) -> None:
        """Shards the model in place, before its optimizers are made; DDP needs nothing here."""
        if not self.distributed or self.strategy != "fsdp":
            return
        fully_shard(model)
        assert isinstance(model, FSDPModule)
        model.set_gradient_divide_factor(1.0)
        model.set_force_sum_reduction_for_comms(True)
        register_fsdp_forward_method(model, "loss")

    @contextmanager
    def unsharded(self, model: nn.Module) -> Iterator[None]:
        """Within the block a sharded model can be used as any other, without gradients, on every process.

        Its parameters are gathered anew for the block and given up after it, so that neither the block nor
        the next training step sees parameters from before a change.
        """
        if not isinstance(model, FSDPModule):
            yield
            return
        model.reshard()
        model.unshard()
        try:
            yield
        finally:
            model.reshard()

    def wrap(self, model: nn.Module, loss: LossFunction, *, several_players: bool) -> "JoinedLoss":
        """The loss function to call, with gradients joined over the processes in its backward pass.

        Several models can be wrapped, and be trained side by side.
        """
        if not self.distributed or self.strategy == "fsdp":
            return JoinedLoss(model, loss)
        ddp = DistributedDataParallel(
            _LossModule(model, loss), find_unused_parameters=several_players, gradient_as_bucket_view=True
        )
        joined = JoinedLoss(model, ddp)
        self._joined.append(joined)
        return joined

    def largest(self, *values: int) -> list[int]:
        """The largest of each value over all processes."""
        if not self.distributed:
            return list(values)
        box = torch.tensor(values, dtype=torch.int64, device=self.device)
        torch.distributed.all_reduce(box, torch.distributed.ReduceOp.MAX)
        return [int(value) for value in box]

    def sum_tensor(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.distributed:
            values = values.clone()
            torch.distributed.all_reduce(values)
        return values

    def share(self, value: Any) -> Any:
        """The first process's value, on every process.

        Args:
            value: What JSON can say, on the first process; on others it is not looked at. Floats keep each of
                their bits, NaN and infinities too; tuples become lists.
        """
        if not self.distributed:
            return value
        text = json.dumps(value).encode() if self.first else b""
        size = torch.tensor([len(text)], dtype=torch.int64, device=self.device)
        torch.distributed.broadcast(size, src=0)
        box = torch.tensor(list(text), dtype=torch.uint8, device=self.device)
        if not self.first:
            box = torch.empty(int(size), dtype=torch.uint8, device=self.device)
        torch.distributed.broadcast(box, src=0)
        return json.loads(bytes(box.tolist()))

    def share_result(self, work: Callable[[], Any]) -> Any:
        """What `work` returns on the first process, which alone does it, on every process.

        Raises:
            CreusetError: What the first process raised, there; elsewhere that it did, so that nobody waits
                for it.
        """
        if not self.distributed:
            return work()
        if not self.first:
            document = self.share(None)
            if "error" in document:
                raise CreusetError(
                    f"the first process failed: {document['error']}", next_step="see what it reported"
                )
            return document["result"]
        try:
            result = work()
        except Exception as error:
            self.share({"error": str(error) or type(error).__name__})
            raise
        return self.share({"result": result})["result"]

    @contextmanager
    def losing_none(self) -> Iterator[None]:
        """Within the block, a collective that fails because another process ended says so.

        Raises:
            CreusetError: Another process ended.
        """
        try:
            yield
        except RuntimeError as error:
            if not self.distributed or not any(sign in str(error) for sign in _CONNECTION_LOST):
                raise
            raise CreusetError(
                "another process of this training has ended",
                where=f"process {self.rank}",
                got=str(error).splitlines()[0],
                next_step="see what the other process reported",
            ) from error

    def wait(self) -> None:
        """Until every process is here."""
        if self.distributed:
            torch.distributed.barrier()

    def close(self) -> None:
        """Leaves the other processes; no collective can be called any more.

        DDP goes first, and at once: were it the last to hold the process group, it would wait for the group's
        threads with Python's global lock in its hands, and they wait for that lock.
        """
        if self._joined:
            for joined in self._joined:
                joined.give_up()
            self._joined.clear()
            gc.collect()
        if self._owns_group:
            torch.distributed.destroy_process_group()


class JoinedLoss:
    """A loss function of one model, whose backward pass joins gradients over the processes of a training.

    Args:
        model: Whose loss it is.
        loss: The model's own loss where it is alone or sharded, else DDP around it.
    """

    def __init__(self, model: nn.Module, loss: LossFunction | DistributedDataParallel) -> None:
        self._model = model
        self._loss: LossFunction | DistributedDataParallel | None = loss

    def __call__(self, batch: dict[str, Tensor], player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        assert self._loss is not None
        report: dict[str, Tensor] = self._loss(batch, player, generator)
        return report

    @contextmanager
    def joined(self, join: bool) -> Iterator[None]:
        """Within the block, gradients are only added up here where `join` is False (accumulation)."""
        if isinstance(self._model, FSDPModule):
            self._model.set_requires_gradient_sync(join)
        ddp = self._loss
        with ddp.no_sync() if isinstance(ddp, DistributedDataParallel) and not join else nullcontext():
            yield

    def give_up(self) -> None:
        """Lets go of DDP, whoever still holds this; it cannot be called any more."""
        self._loss = None


class _LossModule(nn.Module):
    """Makes a loss function a forward pass, which is what DDP wraps."""

    def __init__(self, model: nn.Module, loss: LossFunction) -> None:
        super().__init__()
        self.model = model
        self._loss = loss

    def forward(self, batch: dict[str, Tensor], player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        return self._loss(batch, player, generator)


def whole(tensor: Tensor) -> Tensor:
    """The full tensor of a shard, on the CPU; every process must call it."""
    if isinstance(tensor, DTensor):
        tensor = tensor.full_tensor()
    return tensor.detach().cpu()


def shard_like(full: Tensor, like: Tensor) -> Tensor:
    """This process's shard of `full`, placed as `like` is; `full` itself where nothing is sharded."""
    full = full.to(like.device)
    if isinstance(like, DTensor):
        return distribute_tensor(full, like.device_mesh, like.placements)
    return full
