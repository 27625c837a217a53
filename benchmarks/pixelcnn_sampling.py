"""Pictures drawn by a PixelCNN: creuset's way against the naive loop, in alternation and in fresh processes.

    .venv/bin/python benchmarks/pixelcnn_sampling.py

The naive loop passes all pictures through the whole network for each pixel and takes that pixel's output.
creuset keeps what the network computed of earlier pixels (layers/raster_cache.py).

Equal on both sides, and checked where it can differ: the network, which is that of the recipe pixelcnn-mnist
on pictures of 28 x 28 with its first weights of seed 0, the uniform numbers that decide the pixels, threads,
float32, torch's version, and every pixel of the pictures that come out. On the clock is the drawing alone.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from alternation import (
    Row,
    heading,
    in_turn,
    lines_of_times,
    machine,
    measure,
    medians,
    parser_of,
    report,
    require_equal,
    times_as_fast,
)

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "pixelcnn_sampling.json"
REFERENCE = "naive loop"
CONTENDERS = {REFERENCE: "naive", "creuset": "creuset"}
EQUAL = ("torch", "threads", "num_parameters", "num_pictures", "side", "pictures_sha256")
"""What must be the same in each row, or the comparison would not be one."""
TIMES = ("drawing",)
PROMISED = 20
"""How many times as fast, at least."""


def main() -> None:
    parser = parser_of(__doc__, RESULT, "draws")
    parser.add_argument("--pictures", type=int, default=64, help="drawn side by side (default 64)")
    parser.add_argument("--side", type=int, default=28, help="their height and width (default 28)")
    options = parser.parse_args()
    document = compare(options)
    report(document, summary(document), options.json)


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    rows = in_turn(
        CONTENDERS,
        options.rounds,
        lambda name, _: measure(command(name, options), options.threads),
        lambda row: f"{row['drawing_seconds']:.2f} s",
    )
    require_equal(rows, EQUAL)
    first = rows[REFERENCE][0]
    return {
        "benchmark": "pixelcnn_sampling",
        "rounds": options.rounds,
        "machine": machine(options.threads),
        "versions": {"creuset": first["version"], "torch": first["torch"]},
        "ratios": times_as_fast(rows, TIMES),
        "rows": rows,
    }


def command(name: str, options: argparse.Namespace) -> list[str]:
    """What draws for a contender."""
    numbers = (options.pictures, options.side, options.threads)
    return [sys.executable, str(HERE / "peers" / "pixelcnn.py"), CONTENDERS[name], *map(str, numbers)]


def summary(document: dict[str, Any]) -> str:
    """All figures on a few lines: medians over the rounds, the ratio, and what creuset promises."""
    first: Row = document["rows"][REFERENCE][0]
    told = [
        *heading(document),
        f"{first['num_pictures']} pictures of {first['side']} x {first['side']} by a network of "
        f"{first['num_parameters']:,} parameters, the same pixels, rounds {document['rounds']}",
    ]
    for name, found in document["rows"].items():
        seconds, memory = medians(found, "drawing_seconds", "peak_memory_bytes")
        told.append(f"{name:12} {seconds:8.2f} s  peak {memory / 1e6:5.0f} MB")
    told += lines_of_times(document["ratios"], REFERENCE)
    told.append(f"at least {PROMISED} times are promised")
    return "\n".join(told)


if __name__ == "__main__":
    main()
