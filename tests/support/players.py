"""A model of two players, smaller than any family, to train in the loop on one process or on several.

Run by torchrun as a program it trains in the way that its arguments say and writes what it found:

    players.py STRATEGY OUT [HOW]

HOW is a way to go wrong: "fail" raises on the second process alone, "ruined" makes a gradient NaN that lies
in the second process's shard, "unsaved" cannot keep a checkpoint on the first process. OUT.RANK then says how
each of them ended. "share" trains nothing and writes what each process was told by the first.
"""

import gc
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from creuset.data.dataset import Dataset
from creuset.data.load import load_data
from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import CreusetError, ResourceError, UsageError
from creuset.models.base import Batch, Family, Model
from creuset.progress import Silent
from creuset.recipe.resolve import Recipe, parse_recipe
from creuset.recipe.sections import DataConfig, FamilyConfig
from creuset.runs.checkpoint import Checkpoint
from creuset.runs.journal import Event
from creuset.training.distributed import Processes
from creuset.training.loop import Loop
from creuset.training.recorder import Recorder
from creuset.training.session import Session

RECIPE = """
model: {family: players}
data: {source: digits, batch_size: 60}
training: {num_steps: 20, learning_rate: 1e-3, precision: float64, ema_decay: 0.9, log_every: 3,
           validate_every: 5, sample_every: 10, checkpoint_every: 4, device: cpu}
players: {critic: {num_steps: 2, learning_rate: 2e-3, betas: [0.0, 0.9]}}
"""
LATENT_DIM = 3


class PlayersConfig(FamilyConfig):
    """The `model` section: nothing to choose."""


class Players(Model):
    """A generator and a critic that is to tell its pictures from real ones (Arjovsky et al. 2017)."""

    players = ("critic", "generator")

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        num_pixels = spec.shape[1] * spec.shape[2]
        self.shape = spec.shape
        self.generator = nn.Sequential(
            nn.Linear(LATENT_DIM, 16), nn.ReLU(), nn.Linear(16, num_pixels), nn.Tanh()
        )
        self.critic = nn.Sequential(nn.Linear(num_pixels, 16), nn.ReLU(), nn.Linear(16, 1))

    def player_parameters(self, player: str) -> Iterator[tuple[str, nn.Parameter]]:
        side = self.critic if player == "critic" else self.generator
        return ((f"{player}.{name}", value) for name, value in side.named_parameters())

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        real = batch["images"].flatten(1)
        of_fakes = self.critic(self.generator(generator.normal(LATENT_DIM).to(real.dtype))).mean()
        if player == "generator":
            return {"loss": -of_fakes}
        of_reals = self.critic(real).mean()
        return {"loss": of_fakes - of_reals, "critic_of_reals": of_reals.detach()}

    def sample(self, num_samples: int, generator: BatchGenerator) -> Tensor:
        drawn: Tensor = self.generator(generator.normal(LATENT_DIM).to(self.dtype))
        return drawn.reshape(num_samples, *self.shape)


def family(build: Any = None) -> Family:
    """The family of these models, or of what `build` makes of the data's form."""
    make = Players if build is None else build
    return Family(
        name="players",
        config=PlayersConfig,
        build=lambda _config, spec: make(spec),
        traits=frozenset({"gradient", "samples"}),
    )


class Listener(Recorder):
    """Keeps what a training tells."""

    def __init__(self) -> None:
        super().__init__(None, None, step=0, progress=Silent())
        self.told: list[tuple[int, str, str | None, dict[str, float | str]]] = []

    def record(
        self,
        step: int,
        event: Event,
        values: Mapping[str, float | str],
        *,
        clock: Mapping[str, float],
        player: str | None = None,
    ) -> None:
        self.told.append((step, event, player, dict(values)))


@cache
def digits() -> Dataset:
    """scikit-learn's digits, split as for each run."""

    def resolve(name: str) -> Path:
        raise AssertionError(f"{name} is no path")

    return load_data(DataConfig(source="digits"), seed=0, resolve=resolve)


def recipe(settings: tuple[str, ...] = ()) -> Recipe:
    return parse_recipe(
        RECIPE, "players.yaml", settings=settings, families={"players": lambda: PlayersConfig}
    )


def session(settings: tuple[str, ...] = (), build: Any = None) -> Session:
    """A training that is ready to run."""
    chosen = recipe(settings)
    processes = Processes(chosen.training.distributed, torch.device("cpu"))
    precision = chosen.training.precision
    assert precision != "auto"
    return Session.prepare(chosen, family(build), digits(), precision, processes)


def loop(
    listener: Recorder,
    kept: list[tuple[Checkpoint, bool]],
    settings: tuple[str, ...] = (),
    build: Any = None,
) -> Loop:
    """The loop of such a training; what it saves is kept in a list."""
    made = session(settings, build)

    def save(checkpoint: Checkpoint, best: bool) -> str:
        copied = {part: _copies(getattr(checkpoint, part)) for part in ("weights", "optimizer", "state")}
        kept.append(
            (Checkpoint(step=checkpoint.step, family="players", facts=dict(checkpoint.facts), **copied), best)
        )
        return checkpoint.name

    def sample(_step: int) -> None:
        made.model.sample(4, BatchGenerator(0, "sample", size=4))

    return made.loop(listener, sample=sample, save=save)


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in tensors.items()}


class FailsOnOneProcess(Players):
    """Its loss is refused on the second process, in the third step."""

    calls = 0

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        self.calls += 1
        if generator.start > 0 and self.calls > 7:
            raise ValueError("this process has had enough")
        return super().loss(batch, player, generator)


class RuinedOnOneShard(Players):
    """From the third step on, a gradient of the critic's last row is NaN: in the second process's shard."""

    calls = 0

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        self.calls += 1
        losses = super().loss(batch, player, generator)
        if self.calls > 7:
            last = self.critic[0].bias[-1]
            losses["loss"] = losses["loss"] + (last - last.detach()).abs().sqrt()  # an infinite slope at 0
        return losses


SHARED = [None, "runs/é", ["float64", "as asked"], {"loss": 0.1, "kl_nats": math.inf, "bits": math.nan}, {}]
"""What a process is to be told, of each kind that trainings share."""


def share(strategy: str, out: str) -> None:
    """Writes what this process was told, and how it ended when the first one failed."""
    processes = Processes("fsdp" if strategy == "fsdp" else "ddp", torch.device("cpu"))
    told = [processes.share(value if processes.first else None) for value in SHARED]

    def refuse() -> None:
        raise UsageError("there is a run of this name already", where="runs/a")

    told.append(processes.share_result(lambda: 3))
    try:
        processes.share_result(refuse)
    except CreusetError as error:
        told.append([type(error).__name__, str(error)])
    Path(f"{out}.{processes.rank}").write_text(json.dumps(told))
    processes.close()


def main(strategy: str, out: str, how: str | None = None) -> None:
    if how == "share":
        share(strategy, out)
        return
    listener, kept = Listener(), []  # type: ignore[var-annotated]
    settings = (f"training.distributed={strategy}",)
    builds = {"fail": FailsOnOneProcess, "ruined": RuinedOnOneShard}
    training = loop(listener, kept, settings, builds.get(how or ""))
    if how == "unsaved":
        training._save = _refuse_to_save
    try:
        with training.processes.losing_none():
            training.run()
    except CreusetError as error:
        Path(f"{out}.{training.processes.rank}").write_text(str(error))
        raise
    weights = training.checkpoint().weights
    if training.processes.first:
        told = [[step, event, player, values] for step, event, player, values in listener.told]
        torch.save({"told": told, "weights": weights, "best": [best for _, best in kept]}, out)
    training.processes.close()
    # what holds the process group at exit waits for threads that wait for it
    assert not [thing for thing in gc.get_objects() if isinstance(thing, DistributedDataParallel)]


def _refuse_to_save(_checkpoint: Checkpoint, _best: bool) -> str:
    raise ResourceError("the disk is full", where="runs/a/checkpoints")


if __name__ == "__main__":
    main(*sys.argv[1:])
    # A thread of gloo may still be giving up a tensor, for which it wants Python's lock: at an ordinary exit
    # that aborts the process (https://github.com/pytorch/pytorch/pull/179291).
    os._exit(0)
