"""Trains a shipped recipe on a text with `creuset.train`; prints a JSON line
(shakespeare_against_nanogpt.py).

    shakespeare_creuset.py LEARNING_RATE PRECISION RECIPE CORPUS STEPS THREADS SEED

The loop is `Loop.take_step` and the journal lines of the losses. Validations, checkpoints and samples are
outside of it.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
from measuring import Stopwatch, num_parameters, peak_memory_bytes

import creuset
from creuset.runs.journal import read_journal
from creuset.training.loop import Loop
from creuset.workflows.load import load


def main(
    learning_rate: float, precision: str, recipe: str, corpus: str, num_steps: int, threads: int, seed: int
) -> None:
    torch.set_num_threads(threads)
    loop = Stopwatch()
    for name in ("take_step", "_log"):
        setattr(Loop, name, loop.timed(getattr(Loop, name)))
    settings = {
        "data.source": corpus,
        "training.num_steps": num_steps,
        "training.learning_rate": learning_rate,
        "training.threads": threads,
        "training.precision": precision,
        "training.validate_every": num_steps,
        "training.checkpoint_every": num_steps,
        "training.sample_every": num_steps,
        "training.warmup_steps": min(100, num_steps // 2),  # a short trial has no room for more
    }
    with tempfile.TemporaryDirectory() as folder:
        run = creuset.train(recipe, name=Path(folder) / "run", seed=seed, settings=settings, measure=False)
        loaded = load(run.folder, checkpoint="last")
        validation = [line for line in read_journal(run.folder.journal_path) if line["event"] == "validation"]
        counts = run.folder.manifest().data_report["corpus"]["validation"]
    data = loaded.recipe.data
    row = {
        "version": creuset.__version__,
        "torch": torch.__version__,
        "num_steps": run.outcome.step,
        "num_parameters": num_parameters(loaded.model),
        "num_targets": counts["num_tokens"] - 1,
        "loop_seconds": loop.seconds,
        "tokens_per_second": num_steps * data.batch_size * data.context / loop.seconds,
        "validation_nats_per_token": validation[-1]["values"]["loss"],
        "peak_memory_bytes": peak_memory_bytes(),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main(float(sys.argv[1]), *sys.argv[2:5], *map(int, sys.argv[5:8]))
