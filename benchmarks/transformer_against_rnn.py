"""A Transformer against an LSTM and a GRU of the same size, as language models on one text.

    .venv/bin/python benchmarks/transformer_against_rnn.py tiny_shakespeare.txt --out comparison

The three are the shipped recipes decoder-shakespeare, lstm-shakespeare and gru-shakespeare. What runs are
`creuset train` for each, one after another in a process of its own, and `creuset compare` with a page: loss
against seconds, against steps and against the length of what was read before, scores with verdicts on a part
of the text that none was trained or chosen on, parameters, tokens a second, memory, and texts side by side.

Equal on all sides, and checked: the text and its parts, steps, batches, the learning rate and its schedule
(by a test of the recipes), the numbers of parameters within 2%, the threads. Not equal is what each makes of
its seconds: the page shows both axes. One seed decides all draws; `--seed` takes another.
"""

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path

RECIPES = ("decoder-shakespeare", "lstm-shakespeare", "gru-shakespeare")
"""The first is what the others are compared with."""
TEST_SHARE = 0.1
WARMUP_SHARE = 0.05
"""Of the steps: 100 of the recipes' 2,000."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("text", type=Path, help="plain text, such as Karpathy's tiny Shakespeare")
    parser.add_argument("--steps", type=int, default=2000, help="steps of each training (default 2000)")
    parser.add_argument("--seed", type=int, default=0, help="decides all draws (default 0)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: one a processor")
    parser.add_argument(
        "--out", type=Path, default=Path("comparison"), help="a new folder for the runs and the page"
    )
    options = parser.parse_args()
    if not options.text.is_file():
        parser.error(f"no such text: {options.text}")
    if options.steps < 1:
        parser.error(f"no number of steps: {options.steps}")
    for words in commands(options.text.resolve(), options.out, options.steps, options.seed):
        print("$", shlex.join(["creuset", *words]), flush=True)
        run(words, options.threads)


def commands(text: Path, out: Path, num_steps: int, seed: int) -> list[list[str]]:
    """The words behind `creuset` that train, measure and compare."""
    often = max(1, num_steps // 20)
    settings = {
        "data.source": str(text),
        "data.test_share": TEST_SHARE,
        "training.num_steps": num_steps,
        "training.warmup_steps": round(WARMUP_SHARE * num_steps),
        "training.validate_every": often,
        "training.log_every": often,
        "training.checkpoint_every": num_steps,
        "training.sample_every": num_steps,
        "training.precision": "float32",
    }
    changed = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    runs = [str(out / recipe) for recipe in RECIPES]
    trainings = [
        ["train", recipe, "--name", run, "--seed", str(seed), *changed]
        for recipe, run in zip(RECIPES, runs, strict=True)
    ]
    return [*trainings, ["compare", *runs, "--report", str(out / "report.html")]]


def run(words: list[str], threads: int) -> None:
    """One command of creuset in a process of its own, so that its memory is its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run([sys.executable, "-m", "creuset", *words], env=environment, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
