"""Two processes train what one trains: DDP and FSDP2 over gloo against one process, on real digits.

    python benchmarks/distributed_equality.py [--json]

The same recipe and the same global batch, on one process and under torchrun on two, with a fixed number of
parts of a batch and with gradients accumulated over eight. Prints, for each way of training,

    losses          largest relative difference of a step's loss over 50 steps, in float64 and in float32
    last loss       relative difference of the loss of step 50
    gradients       relative difference of the whole first gradient (2-norm), and the ratio of the two norms,
                    which a sum in place of a mean would make 2
    checkpoints     the same for losses and last weights after a checkpoint of step 25, of each of the ways,
                    was read and trained on by each other one

and ends with 1 where a difference is above its limit.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from creuset.training.loop import Loop

RECIPE = """
model: {family: vae, size: tiny}
data: {source: digits, batch_size: 64}
training: {num_steps: 50, learning_rate: 2e-3, schedule: cosine, warmup_steps: 5, clip_norm: 5.0,
           ema_decay: 0.99}
"""
NUM_STEPS, SAVED = 50, 25
LIMITS = {
    "float64 losses": 1e-9,
    "float64 gradients": 1e-9,
    "float64 gradient norms": 1e-9,
    "float32 gradients": 1e-5,
    "float32 gradient norms": 1e-5,
    "float32 last loss": 1e-3,
    "float64 losses, accumulated": 1e-9,
    "float32 last loss, accumulated": 1e-3,
    "float64 losses after a checkpoint": 1e-9,
    "float64 weights after a checkpoint": 1e-9,
}


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far one way of training is from the one it is compared with."""

    what: str
    way: str
    difference: float

    @property
    def limit(self) -> float:
        return LIMITS[self.what]

    @property
    def holds(self) -> bool:
        return self.difference <= self.limit


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--work", nargs=3, metavar=("WAY", "FOLDER", "TASKS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", CREUSET_OFFLINE="1")
    if arguments.work:
        way, folder, tasks = arguments.work
        work(way, Path(folder), tasks.split(","))
        # A thread of gloo may still be giving up a tensor, for which it wants Python's lock: at an ordinary
        # exit that aborts the process (https://github.com/pytorch/pytorch/pull/179291).
        os._exit(0)
    with tempfile.TemporaryDirectory() as folder:
        agreements = list(compare(Path(folder)))
    if arguments.json:
        rows = [{**vars(one), "limit": one.limit, "holds": one.holds} for one in agreements]
        print(json.dumps({"agreements": rows}, indent=1))
    else:
        print(f"{'relative difference of':<36} {'way':<28} {'found':>9}  limit")
        for one in agreements:
            mark = "" if one.holds else "  ABOVE"
            print(f"{one.what:<36} {one.way:<28} {one.difference:9.1e}  {one.limit:.0e}{mark}")
    return 0 if all(one.holds for one in agreements) else 1


def compare(folder: Path) -> Iterator[Agreement]:
    """Trains in each way, each with each other's checkpoints, and compares."""
    (folder / "recipe.yaml").write_text(RECIPE)
    os.environ.update(CREUSET_HOME=str(folder / "home"), CREUSET_WORKSPACE=str(folder))
    train = "float64,float32,float64+parts,float32+parts"
    work("one", folder, train.split(","))
    _launch("ddp", folder, f"{train},from one")
    _launch("fsdp", folder, f"{train},from one,from ddp")
    _launch("ddp", folder, "from fsdp")
    work("one", folder, ["from ddp", "from fsdp"])
    one = {task: _read(folder, "one", task) for task in train.split(",")}
    for way in ("ddp", "fsdp"):
        for precision in ("float64", "float32"):
            found, wanted = _read(folder, way, precision), one[precision]
            names = {"gradients": "gradient", "gradient norms": "gradient_norm"}
            for what, key in names.items():
                yield _agreement(f"{precision} {what}", way, found[key], wanted[key])
            what = "losses" if precision == "float64" else "last loss"
            yield _agreement(f"{precision} {what}", way, _losses(found, what), _losses(wanted, what))
    for way in ("one", "ddp", "fsdp"):
        for precision in ("float64", "float32"):
            what = "losses" if precision == "float64" else "last loss"
            found = _read(folder, way, f"{precision}+parts")
            name = f"{way}, 8 parts"
            yield _agreement(
                f"{precision} {what}, accumulated", name, _losses(found, what), _losses(one[precision], what)
            )
    for way in ("one", "ddp", "fsdp"):
        for source in ("one", "ddp", "fsdp"):
            if way != source:
                found, wanted = _read(folder, way, f"from {source}"), _read(folder, source, "float64")
                for what, key in {"losses": "losses", "weights": "weights"}.items():
                    rest = wanted[key][SAVED:] if key == "losses" else wanted[key]
                    name = f"{way}, checkpoint of {source}"
                    yield _agreement(f"float64 {what} after a checkpoint", name, found[key], rest)


def work(way: str, folder: Path, tasks: list[str]) -> None:
    """Does tasks in one way; what they found goes into files of the first process."""
    from creuset.progress import Silent
    from creuset.workflows.plan import Plan, read

    for task in tasks:
        number_format = "float32" if task.startswith("float32") else "float64"
        strategy = "ddp" if way == "one" else way
        settings = {"training.distributed": strategy, "training.precision": number_format}
        if task.endswith("+parts"):
            settings["training.accumulate"] = str(8 // int(os.environ.get("WORLD_SIZE", "1")))
        chosen = [f"{key}={value}" for key, value in settings.items()]
        plan = Plan.make(read(folder / "recipe.yaml", chosen), Silent())
        source = task.removeprefix("from ") if task.startswith("from ") else None
        results = _train(plan, folder / "checkpoints" / f"{way} {task}", folder, source)
        if plan.processes.first:
            import torch

            torch.save(results, _file(folder, way, task))
    plan.processes.wait()


def _train(plan: Any, kept: Path, folder: Path, source: str | None) -> dict[str, "Tensor"]:
    """All steps from the first one, or from another way's checkpoint; losses, first gradient, weights."""
    import torch

    from creuset.progress import Silent
    from creuset.runs.checkpoint import checkpoint_name, load_checkpoint, save_checkpoint
    from creuset.training.recorder import Recorder
    from creuset.training.session import Session

    session = Session.prepare(plan.recipe, plan.family, plan.dataset, plan.precision, plan.processes)
    recorder = Recorder(None, None, step=0, progress=Silent())
    loop: Loop = session.loop(recorder, sample=None, save=lambda _checkpoint, _best: "")
    if source is not None:
        path = folder / "checkpoints" / f"{source} float64" / checkpoint_name(SAVED)
        loop.restore(load_checkpoint(path), path)
    gradient = norm = torch.zeros(0)
    losses = []
    while loop.step < NUM_STEPS:
        values = loop.take_step()["model"]
        losses.append(values["loss"])
        if loop.step == 1:
            gradient = _gradient(loop)
            norm = torch.tensor(values["gradient_norm"], dtype=torch.float64)
        if loop.step == SAVED and source is None:
            checkpoint = loop.checkpoint()
            if plan.processes.first:
                save_checkpoint(kept, checkpoint)
    weights = loop.checkpoint().weights
    return {
        "losses": torch.tensor(losses, dtype=torch.float64),
        "gradient": gradient,
        "gradient_norm": norm,
        "weights": torch.cat([value.double().flatten() for value in weights.values()]),
    }


def _gradient(loop: "Loop") -> "Tensor":
    """The gradient of the step just made, over all parameters, as one vector."""
    import torch

    from creuset.training.distributed import whole

    parts = [whole(value.grad) for value in loop.players[0].parameters.values() if value.grad is not None]
    return torch.cat([part.double().flatten() for part in parts])


def _launch(way: str, folder: Path, tasks: str) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [__file__, "--work", way, str(folder), tasks]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(f"torchrun for {way} ended with {finished.returncode}:\n{finished.stderr}")


def _file(folder: Path, way: str, task: str) -> Path:
    return folder / f"{way} {task}.pt"


def _read(folder: Path, way: str, task: str) -> dict[str, "Tensor"]:
    import torch

    found: dict[str, Tensor] = torch.load(_file(folder, way, task), weights_only=True)
    return found


def _losses(found: dict[str, "Tensor"], what: str) -> "Tensor":
    return found["losses"] if what == "losses" else found["losses"][-1:]


def _agreement(what: str, way: str, found: "Tensor", wanted: "Tensor") -> Agreement:
    """Vectors are compared as a whole, a row of losses step by step."""
    if "losses" in what or "last loss" in what or "norms" in what:
        difference = float(((found - wanted).abs() / wanted.abs()).max())
    else:
        difference = float((found - wanted).norm() / wanted.norm())
    return Agreement(what=what, way=way, difference=difference)


if __name__ == "__main__":
    sys.exit(main())
