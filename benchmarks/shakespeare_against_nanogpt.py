"""A character decoder of 0.8 million parameters by creuset and by nanoGPT, an LSTM of that size beside
them.

    .venv/bin/python benchmarks/shakespeare_against_nanogpt.py tiny_shakespeare.txt

nanoGPT cannot be installed: its side is a twin (peers/shakespeare_nanogpt.py), which says where it comes
from. creuset's side are the shipped recipes decoder-shakespeare, in float32 and in bfloat16, and
lstm-shakespeare.

Equal on all sides, and checked where it can differ: the characters, of which the first 90% are trained on;
2,000 steps of 12 blocks of 64; AdamW, its betas, clipping and the form of its schedule; the number of
parameters, within 2%; the threads. Not equal: the recipes' learning rate is 3e-3, nanoGPT's own 1e-3;
creuset's vocabulary has three special tokens more; its decay acts on the gains of norms as well. The loss is
that over the whole validation part in blocks of 64, each character but the first predicted once. The time is
that of the steps, from batch to update, with what each side reads of its losses.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from creuset.device import machine_facts

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "shakespeare_against_nanogpt.json"
PEER = "nanoGPT"
EQUAL = ("num_steps", "num_targets", "torch")
"""What must be the same in each row, or the comparison would not be one."""
SAME_SIZE = 0.02
"""Share by which numbers of parameters may differ."""

Row = dict[str, Any]
Rows = dict[str, list[Row]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("corpus", type=Path, help="the text, such as Karpathy's tiny Shakespeare")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side trains (default 3)")
    parser.add_argument("--steps", type=int, default=2000, help="steps of each training (default 2000)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: one a processor")
    parser.add_argument(
        "--json", type=Path, nargs="?", const=RESULT, help="write all figures to a file (default results/)"
    )
    options = parser.parse_args()
    trainings = commands(options.corpus.resolve(), options.steps, options.threads)
    rows = measure_all(trainings, options.rounds, options.threads)
    require_equal(rows)
    document = {
        "benchmark": "shakespeare_against_nanogpt",
        "rounds": options.rounds,
        "steps": options.steps,
        "machine": machine(options.threads),
        "ratios": ratios(rows),
        "rows": rows,
    }
    print(summary(document))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document, indent=1) + "\n")


def commands(corpus: Path, num_steps: int, threads: int) -> dict[str, list[str]]:
    """What trains each contender, but for the seed, which is the round's; nanoGPT is the first."""
    numbers = [str(corpus), str(num_steps), str(threads)]
    own = [sys.executable, str(HERE / "peers" / "shakespeare_creuset.py")]
    return {
        PEER: [sys.executable, str(HERE / "peers" / "shakespeare_nanogpt.py"), *numbers],
        "decoder float32": [*own, "float32", "decoder-shakespeare", *numbers],
        "decoder bfloat16": [*own, "bfloat16", "decoder-shakespeare", *numbers],
        "LSTM float32": [*own, "float32", "lstm-shakespeare", *numbers],
    }


def measure_all(trainings: dict[str, list[str]], num_rounds: int, threads: int) -> Rows:
    """A row for each contender and round, one after another, each second round in the opposite order."""
    rows: Rows = {name: [] for name in trainings}
    for number in range(num_rounds):
        names = list(trainings) if number % 2 == 0 else list(reversed(trainings))
        for name in names:
            row = _measure([*trainings[name], str(number)], threads)
            rows[name].append(row)
            print(f"round {number + 1} {name}: {row['tokens_per_second']:.0f} tokens/s", file=sys.stderr)
    return rows


def _measure(command: list[str], threads: int) -> Row:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    row: Row = json.loads(done.stdout.strip().splitlines()[-1])
    return row


def require_equal(rows: Rows) -> None:
    """Stops where the contenders did not do the same work."""
    for name in EQUAL:
        found = {contender: {row[name] for row in of} for contender, of in rows.items()}
        if len(set().union(*found.values())) != 1:
            told = ", ".join(f"{contender} {values}" for contender, values in found.items())
            raise SystemExit(f"not the same work: {name} differs: {told}")
    sizes = {contender: of[0]["num_parameters"] for contender, of in rows.items()}
    if max(sizes.values()) > min(sizes.values()) * (1 + SAME_SIZE):
        raise SystemExit(f"not the same work: num_parameters differs: {sizes}")


def ratios(rows: Rows) -> dict[str, dict[str, float]]:
    """How many times nanoGPT's tokens a second: the ratios within each round, as median, least and most."""
    found = {}
    for name in list(rows)[1:]:
        pairs = zip(rows[name], rows[PEER], strict=True)
        paired = [own["tokens_per_second"] / theirs["tokens_per_second"] for own, theirs in pairs]
        found[name] = {"median": statistics.median(paired), "least": min(paired), "most": max(paired)}
    return found


def machine(threads: int) -> dict[str, object]:
    """What the times depend on."""
    facts = machine_facts()
    return {**{name: facts[name] for name in ("processor", "system", "python", "torch")}, "threads": threads}


def summary(document: dict[str, Any]) -> str:
    """All figures on a few lines: medians over the rounds, and the ratios."""
    about = document["machine"]
    told = [
        f"{about['processor']}, threads {about['threads']}, {about['system']}, Python {about['python']}, "
        f"torch {about['torch']}",
        f"{document['steps']:,} steps, rounds {document['rounds']}",
    ]
    for name, found in document["rows"].items():
        loss, speed, memory = (
            statistics.median(row[key] for row in found)
            for key in ("validation_nats_per_token", "tokens_per_second", "peak_memory_bytes")
        )
        told.append(
            f"{name:17} {found[0]['num_parameters']:,} parameters  validation {loss:.4f} nats/token  "
            f"{speed:6.0f} tokens/s  peak {memory / 1e6:4.0f} MB"
        )
    for name, of in document["ratios"].items():
        told.append(
            f"{name} against nanoGPT: {of['median']:.2f} times its tokens/s "
            f"({of['least']:.2f} to {of['most']:.2f})"
        )
    return "\n".join(told)


if __name__ == "__main__":
    main()
