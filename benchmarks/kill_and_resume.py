"""Kills trainings with SIGKILL at random moments, resumes them, and compares with one that was never killed.

    python benchmarks/kill_and_resume.py --runs 50

Each run is killed one to three times: at a moment drawn uniformly over a whole run (loading, steps, saves,
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
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECIPE = """
model: {family: vae, size: tiny}
data: {source: digits, batch_size: 64}
training: {num_steps: 150, learning_rate: 2e-3, schedule: cosine, warmup_steps: 10, clip_norm: 5.0,
           ema_decay: 0.99, accumulate: 2, log_every: 7, validate_every: 11, sample_every: 40,
           checkpoint_every: 13}
evaluation: {num_importance_samples: 2}
"""
_DIED_SECONDS = 300.0
"""A training that takes so long hangs."""


@dataclass
class Victim:
    """One run that is killed, and what became of it."""

    folder: Path
    kills: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=50, help="how many trainings are killed (default 50)")
    parser.add_argument("--seed", type=int, default=0, help="decides the moments (default 0)")
    arguments = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", CREUSET_OFFLINE="1")
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        failures = compare_all(Path(place), arguments.runs, random.Random(arguments.seed))
    print(
        f"{arguments.runs} runs, {failures} differ from the uninterrupted one, {time.monotonic() - begin:.0f} s"
    )
    return 1 if failures else 0


def compare_all(place: Path, num_runs: int, moments: random.Random) -> int:
    """Trains once without and `num_runs` times with kills below `place`; returns how many runs differ."""
    os.environ.update(CREUSET_HOME=str(place / "home"), CREUSET_WORKSPACE=str(place))
    recipe = place / "small.yaml"
    recipe.write_text(RECIPE)
    _import_everything()
    begin = time.monotonic()
    reference = place / "runs" / "reference"
    _expect_success(_start(recipe, reference), reference)
    seconds = time.monotonic() - begin
    print(f"uninterrupted: {seconds:.2f} s")
    failures = 0
    for number in range(num_runs):
        victim = Victim(place / "runs" / f"run-{number:03d}")
        for _ in range(moments.randint(1, 3)):
            _kill_once(recipe, victim, moments, seconds, inside_a_save=len(victim.kills) % 3 == number % 3)
        _expect_success(_start(recipe, victim.folder), victim.folder)
        victim.differences = differences(reference, victim.folder)
        failures += bool(victim.differences)
        outcome = "; ".join(victim.differences) or "equal"
        print(f"{victim.folder.name}: killed {', '.join(victim.kills)}: {outcome}", flush=True)
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
            key: value for key, value in facts.items() if key not in ("seconds", "journal_bytes")
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


def _kill_once(
    recipe: Path, victim: Victim, moments: random.Random, seconds: float, inside_a_save: bool
) -> None:
    """Starts or resumes a run, and kills it; notes where it was."""
    process = _start(recipe, victim.folder)
    if inside_a_save:
        _wait_for_save(process, victim.folder, moments.randint(1, 12))
        time.sleep(moments.uniform(0, 0.004))
    else:
        _wait(process, moments.uniform(0, seconds))
    if _ended(process) is not None:
        victim.kills.append("after its end")
        return
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    victim.kills.append(_where(victim.folder))


def _where(folder: Path) -> str:
    """How far a killed run had come."""
    if not (folder / "manifest.json").exists():
        return "before its folder"
    if any(folder.glob("checkpoints/.*.tmp")):
        return "in a save"
    state = json.loads((folder / "manifest.json").read_text())
    if state["status"] == "finished":
        return "while measured"
    return f"after {state['last'] or 'no checkpoint'}"


def _wait_for_save(process: int, folder: Path, number: int) -> None:
    """Until the `number`-th temporary folder of a checkpoint has appeared, or the process has ended."""
    seen: set[str] = set()
    end = time.monotonic() + _DIED_SECONDS
    while len(seen) < number and time.monotonic() < end:
        seen.update(path.name for path in folder.glob("checkpoints/.step-*.tmp"))
        if _ended(process) is not None:
            return
        time.sleep(0.0002)


def _wait(process: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and _ended(process) is None:
        time.sleep(0.001)


_EXIT_CODES: dict[int, int] = {}
"""Of the processes that have been waited for."""


def _ended(process: int) -> int | None:
    """The exit code of a process that has ended, None of one that runs."""
    if process not in _EXIT_CODES:
        found, status = os.waitpid(process, os.WNOHANG)
        if found == 0:
            return None
        _EXIT_CODES[process] = os.waitstatus_to_exitcode(status)
    return _EXIT_CODES[process]


def _expect_success(process: int, folder: Path) -> None:
    _wait(process, _DIED_SECONDS)
    code = _ended(process)
    if code != 0:
        said = folder.with_suffix(".stderr").read_text()
        raise SystemExit(f"{folder.name} ended with {code}:\n{said}")


def _start(recipe: Path, folder: Path) -> int:
    """A process that trains `folder` from its recipe, or resumes it where there is something."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        folder.parent.mkdir(exist_ok=True)
        said = os.open(folder.with_suffix(".stderr"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(said, 2)
        from creuset.workflows.train import resume, train

        if folder.exists():
            resume(folder)
        else:
            train(recipe, name=folder)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _import_everything() -> None:
    import sklearn.datasets  # noqa: F401
    import torch

    import creuset.models.vae
    import creuset.workflows.train  # noqa: F401

    torch.set_num_threads(1)


if __name__ == "__main__":
    sys.exit(main())
