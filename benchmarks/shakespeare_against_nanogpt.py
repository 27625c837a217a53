"""A character decoder of 0.8 million parameters by creuset and by nanoGPT, an LSTM of that size beside
them.

    .venv/bin/python benchmarks/shakespeare_against_nanogpt.py tiny_shakespeare.txt

nanoGPT cannot be installed, and its own code is not what runs here: its side is a twin, written after it
(peers/shakespeare_nanogpt.py, which says where each part comes from and what is left out). creuset's side are
the shipped recipes decoder-shakespeare, in float32 and in bfloat16, and lstm-shakespeare.

Equal on all sides, and checked where it can differ: the characters, of which the first 90% are trained on;
2,000 steps of 12 blocks of 64; AdamW, its betas, clipping, what decays and by how much, the form of the
schedule, which ends at a tenth of its peak; first weights of one size; the number of parameters, within 2%;
the threads. The peak of the learning rate is in a contender's name: nanoGPT's own setting is 1e-3, the
shipped recipes' 3e-3, and both sides are shown at both. Not equal: creuset's vocabulary has three special
tokens more; nanoGPT draws the places of its blocks, creuset goes through the text in blocks that are shifted
in each epoch.

The loss is that over the whole validation part in blocks of 64, each character but the first predicted once.
The time is that of the steps, from batch to update, with what each side reads of its losses. The seed of a
training is the number of its round.
"""

import sys
from pathlib import Path
from typing import Any

from alternation import (
    Row,
    Rows,
    Spread,
    between,
    heading,
    in_turn,
    machine,
    measure,
    medians,
    parser_of,
    ratio,
    report,
    require_equal,
)

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "shakespeare_against_nanogpt.json"
PEER = "nanoGPT, 1e-3"
CONTENDERS = {
    PEER: ("nanogpt", "1e-3"),
    "nanoGPT, 3e-3": ("nanogpt", "3e-3"),
    "decoder float32, 1e-3": ("creuset", "1e-3", "float32", "decoder-shakespeare"),
    "decoder float32, 3e-3": ("creuset", "3e-3", "float32", "decoder-shakespeare"),
    "decoder bfloat16, 3e-3": ("creuset", "3e-3", "bfloat16", "decoder-shakespeare"),
    "LSTM float32, 3e-3": ("creuset", "3e-3", "float32", "lstm-shakespeare"),
}
"""Whose program trains each, the peak of its learning rate, and for creuset number format and recipe."""
PROMISED = 1.5
"""How many times nanoGPT's tokens a second the decoder trains on, at least, with a loss no higher."""
EQUAL = ("num_steps", "num_targets", "torch")
"""What must be the same in each row, or the comparison would not be one."""
SAME_SIZE = 0.02
"""Share by which numbers of parameters may differ."""


def main() -> None:
    parser = parser_of(__doc__, RESULT, "trains")
    parser.add_argument("corpus", type=Path, help="the text, such as Karpathy's tiny Shakespeare")
    parser.add_argument(
        "--steps",
        type=int,
        default=2000,
        help="steps of each training (default 2000; fewer is for trying)",
    )
    options = parser.parse_args()
    trainings = commands(options.corpus.resolve(), options.steps, options.threads)
    rows = in_turn(
        trainings,
        options.rounds,
        lambda name, number: measure([*trainings[name], str(number)], options.threads),
        progress,
    )
    require_equal(rows, EQUAL)
    require_one_size(rows)
    document = {
        "benchmark": "shakespeare_against_nanogpt",
        "rounds": options.rounds,
        "steps": options.steps,
        "machine": machine(options.threads),
        "versions": {name: rows["decoder float32, 1e-3"][0][key] for name, key in VERSIONS.items()},
        "ratios": ratios(rows),
        "rows": rows,
    }
    report(document, summary(document), options.json)


VERSIONS = {"creuset": "version", "torch": "torch"}


def commands(corpus: Path, num_steps: int, threads: int) -> dict[str, list[str]]:
    """What trains each contender, but for the seed, which is the round's; nanoGPT is the first."""
    numbers = [str(corpus), str(num_steps), str(threads)]
    return {
        name: [sys.executable, str(HERE / "peers" / f"shakespeare_{side}.py"), *settings, *numbers]
        for name, (side, *settings) in CONTENDERS.items()
    }


def progress(row: Row) -> str:
    """What is told of a training while the next one runs."""
    return f"{row['tokens_per_second']:.0f} tokens/s"


def require_one_size(rows: Rows) -> None:
    """Ends the program where the models differ in size."""
    sizes = {contender: of[0]["num_parameters"] for contender, of in rows.items()}
    if max(sizes.values()) > min(sizes.values()) * (1 + SAME_SIZE):
        raise SystemExit(f"not the same work: num_parameters differs: {sizes}")


def ratios(rows: Rows) -> dict[str, Spread]:
    """How many times nanoGPT's tokens a second: the ratios within each round, as median, least and most."""
    return {name: ratio(rows[name], rows[PEER], "tokens_per_second") for name in list(rows)[1:]}


def summary(document: dict[str, Any]) -> str:
    """All figures on a few lines: medians over the rounds, and the ratios."""
    told = [*heading(document), f"{document['steps']:,} steps, rounds {document['rounds']}"]
    for name, found in document["rows"].items():
        loss, speed, memory = medians(
            found, "validation_nats_per_token", "tokens_per_second", "peak_memory_bytes"
        )
        losses = " ".join(f"{row['validation_nats_per_token']:.3f}" for row in found)
        told.append(
            f"{name:22} {found[0]['num_parameters']:,} parameters  validation {loss:.4f} nats/token "
            f"({losses})  {speed:6.0f} tokens/s  peak {memory / 1e6:4.0f} MB"
        )
    for name, of in document["ratios"].items():
        told.append(f"{name} against {PEER}: {of['median']:.2f} times its tokens/s {between(of)}")
    told.append(f"the decoder: at least {PROMISED} times, and a loss no higher, are promised")
    return "\n".join(told)


if __name__ == "__main__":
    main()
