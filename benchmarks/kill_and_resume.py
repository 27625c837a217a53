"""Kills trainings with SIGKILL at random moments, resumes them, and compares with one that was never killed.

    python benchmarks/kill_and_resume.py --runs 50 --recipes vae,cnn,rnn,collapse

The runs are spread evenly over the recipes, each compared with an uninterrupted run of its own recipe. Each
run is killed one to three times: at a moment drawn uniformly over a whole run (loading, steps, saves,
samples, evaluation, report), or, each third time, just after a checkpoint's temporary folder has appeared.
Then it is resumed to its end. Afterwards must be equal to the uninterrupted run: each tensor of each
checkpoint byte by byte, the journal without `clock` and without resume and stop events, the sample sheets,
the scores; and no temporary file may be left. Prints a line a run; the exit code is 1 on any difference.

A run costs no start of Python: it is forked from a parent that has imported everything and computed nothing.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

_NUM_STEPS = 150
_EVENTS = "log_every: 7, validate_every: 11, checkpoint_every: 13"
RECIPES = {
    "vae": f"""
model: {{family: vae, size: tiny}}
data: {{source: digits, batch_size: 64}}
training: {{num_steps: {_NUM_STEPS}, learning_rate: 2e-3, schedule: cosine, warmup_steps: 10, clip_norm: 5.0,
           ema_decay: 0.99, accumulate: 2, sample_every: 40, {_EVENTS}}}
evaluation: {{num_importance_samples: 2}}
""",
    "cnn": f"""
model: {{family: cnn, size: tiny, dropout: 0.2}}
data: {{source: digits, batch_size: 64, augmentation: {{shift: 1}}}}
training: {{num_steps: {_NUM_STEPS}, learning_rate: 3e-3, optimizer: sgd, schedule: linear, {_EVENTS}}}
""",
    "rnn": f"""
model: {{family: rnn, size: tiny, dropout: 0.1}}
data: {{source: digits, batch_size: 64}}
training: {{num_steps: {_NUM_STEPS}, learning_rate: 4e-3, optimizer: adamw, weight_decay: 0.01,
           clip_norm: 1.0, {_EVENTS}}}
""",
    "collapse": f"""
model: {{family: vae, size: tiny, beta: 500.0}}
data: {{source: digits, batch_size: 50}}
training: {{num_steps: {_NUM_STEPS}, learning_rate: 3e-3, sample_every: 40, {_EVENTS}}}
collapse: {{on_collapse: rollback, check_every: 5, patience: 2}}
evaluation: {{num_importance_samples: 2}}
""",
}
_HANGS_SECONDS = 300.0
"""A training that takes so long hangs."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=50, help="how many trainings are killed (default 50)")
    parser.add_argument(
        "--recipes",
        default=",".join(RECIPES),
        help=f"which are trained, with commas between (default {','.join(RECIPES)})",
    )
    parser.add_argument("--seed", type=int, default=0, help="decides the moments (default 0)")
    arguments = parser.parse_args()
    names = arguments.recipes.split(",")
    unknown = sorted(set(names) - RECIPES.keys())
    if unknown:
        parser.error(f"--recipes: no recipe {', '.join(unknown)}; there is: {', '.join(RECIPES)}")
    os.environ.update(OMP_NUM_THREADS="1", CREUSET_OFFLINE="1")
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        failures = compare_all(Path(place), names, arguments.runs, random.Random(arguments.seed))
    seconds = time.monotonic() - begin
    print(f"{arguments.runs} runs, {failures} differ from the uninterrupted one, {seconds:.0f} s")
    return 1 if failures else 0


def compare_all(place: Path, names: list[str], num_runs: int, moments: random.Random) -> int:
    """Trains each recipe once without and `num_runs` in all with kills, below `place`; how many differ."""
    os.environ.update(CREUSET_HOME=str(place / "home"), CREUSET_WORKSPACE=str(place))
    _import_everything()
    seconds: dict[str, float] = {}
    for name in names:
        (place / f"{name}.yaml").write_text(RECIPES[name])
        begin = time.monotonic()
        Training(place / f"{name}.yaml", place / "runs" / name).finish()
        seconds[name] = time.monotonic() - begin
        print(f"{name}, uninterrupted: {seconds[name]:.2f} s", flush=True)
    failures = 0
    for number in range(num_runs):
        name = names[number % len(names)]
        recipe, victim = place / f"{name}.yaml", place / "runs" / f"{name}-{number:03d}"
        kills = []
        for index in range(moments.randint(1, 3)):
            inside = (number // len(names) + index) % 3 == 0
            kills.append(_kill_once(recipe, victim, moments, seconds[name], inside_a_save=inside))
        Training(recipe, victim).finish()
        found = differences(place / "runs" / name, victim)
        failures += bool(found)
        print(f"{victim.name}: killed {', '.join(kills)}: {'; '.join(found) or 'equal'}", flush=True)
    return failures


def differences(reference: Path, victim: Path) -> list[str]:
    """What of a run is not as in the reference."""
    found = []
    for what, read in _COMPARED.items():
        wanted, got = read(reference), read(victim)
        if wanted != got:
            found.append(f"{what} differ ({_first_difference(wanted, got)})")
    left = [path.name for path in victim.rglob("*.tmp")]
    if left:
        found.append(f"left behind: {', '.join(left)}")
    return found


def _checkpoints(run: Path) -> dict[str, bytes]:
    return {
        f"{path.parent.name}/{path.name}": path.read_bytes()
        for path in run.glob("checkpoints/step-*/*.safetensors")
    }


def _facts(run: Path) -> dict[str, Any]:
    documents = {}
    for path in run.glob("checkpoints/step-*/manifest.json"):
        facts = json.loads(path.read_text())["facts"]
        documents[path.parent.name] = {
            key: value
            for key, value in facts.items()
            if key not in ("seconds", "seconds_of_checks", "journal_bytes")
        }
    return documents


def _journal(run: Path) -> dict[int, Any]:
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    kept = [
        {key: value for key, value in line.items() if key != "clock"}
        for line in lines
        if line["event"] not in ("resume", "stop")
    ]
    return dict(enumerate(kept))


def _state(run: Path) -> dict[str, Any]:
    manifest = json.loads((run / "manifest.json").read_text())
    keys = ("status", "stop_reason", "step", "last", "previous", "best", "best_validation_loss")
    return {key: manifest[key] for key in keys}


def _samples(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.glob("samples/*.png")}


def _scores(run: Path) -> dict[str, Any]:
    documents = {path.name: json.loads(path.read_text()) for path in run.glob("evaluation/*.json")}
    return {name: {**document, "run": None} for name, document in documents.items()}


_COMPARED: dict[str, Callable[[Path], dict[Any, Any]]] = {
    "tensors": _checkpoints,
    "checkpoint facts": _facts,
    "journals": _journal,
    "manifests": _state,
    "samples": _samples,
    "scores": _scores,
}


def _first_difference(wanted: dict[Any, Any], got: dict[Any, Any]) -> str:
    for key in [*wanted, *got]:
        if key not in got:
            return f"{key} is missing"
        if key not in wanted:
            return f"{key} is new"
        if wanted[key] != got[key]:
            return f"at {key}"
    return "in order"


class Training:
    """A process that trains a folder from its recipe, or resumes it where there is something."""

    def __init__(self, recipe: Path, folder: Path) -> None:
        self.folder = folder
        self._code: int | None = None
        folder.parent.mkdir(exist_ok=True)
        self._said = folder.with_suffix(".stderr")
        sys.stdout.flush()
        self._process = os.fork()
        if not self._process:
            _train(recipe, folder, self._said)

    def ended(self) -> int | None:
        """The exit code, or None while it runs."""
        if self._code is None:
            found, status = os.waitpid(self._process, os.WNOHANG)
            if found:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def wait(self, seconds: float) -> None:
        """Until it ends, but no longer than so many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.ended() is None:
            time.sleep(0.001)

    def wait_for_save(self, number: int) -> None:
        """Until the `number`-th temporary folder of a checkpoint has appeared, or the process has ended."""
        seen: set[str] = set()
        end = time.monotonic() + _HANGS_SECONDS
        while len(seen) < number and time.monotonic() < end and self.ended() is None:
            seen.update(path.name for path in self.folder.glob("checkpoints/.step-*.tmp"))
            time.sleep(0.0002)

    def kill(self) -> str:
        """Kills it; returns how far it had come."""
        if self.ended() is not None:
            return "after its end"
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        self._code = -signal.SIGKILL
        if not (self.folder / "manifest.json").exists():
            return "before its folder"
        if any(self.folder.glob("checkpoints/.*.tmp")):
            return "in a save"
        state = json.loads((self.folder / "manifest.json").read_text())
        if state["status"] == "finished":
            return "while measured"
        return f"after {state['last'] or 'no checkpoint'}"

    def finish(self) -> None:
        """Waits for its end; SystemExit where it fails or hangs."""
        self.wait(_HANGS_SECONDS)
        if self.ended() != 0:
            raise SystemExit(f"{self.folder.name} ended with {self.ended()}:\n{self._said.read_text()}")


def _kill_once(
    recipe: Path, folder: Path, moments: random.Random, seconds: float, *, inside_a_save: bool
) -> str:
    """Starts or resumes a run and kills it; returns where it was."""
    left = seconds * (1 - _done(folder))
    training = Training(recipe, folder)
    if inside_a_save:
        training.wait_for_save(moments.randint(1, 8))
        time.sleep(moments.uniform(0, 0.004))
    else:
        training.wait(moments.uniform(0, left))
    return training.kill()


def _done(folder: Path) -> float:
    """The share of a run's steps that need not be done again."""
    manifest = folder / "manifest.json"
    return json.loads(manifest.read_text())["step"] / _NUM_STEPS if manifest.exists() else 0.0


def _train(recipe: Path, folder: Path, said: Path) -> NoReturn:
    """What a forked process does."""
    code = 1
    try:
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        from creuset.workflows.train import resume, train

        if folder.exists():
            resume(folder)
        else:
            train(recipe, name=folder)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _import_everything() -> None:
    import sklearn.datasets  # noqa: F401
    import torch

    import creuset.models.cnn
    import creuset.models.rnn
    import creuset.models.vae
    import creuset.workflows.train  # noqa: F401

    torch.set_num_threads(1)


if __name__ == "__main__":
    sys.exit(main())
