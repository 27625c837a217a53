"""A DCGAN and a WGAN-GP trained by creuset, by torch-mimicry and by a plain loop of torch, in alternation,
with equal threads and in fresh processes.

    .venv/bin/python benchmarks/gan_steps.py MNIST.npz

The first call sets up torch-mimicry's own environment under benchmarks/.venvs. MNIST.npz holds train_images
and test_images, uint8 (N, 28, 28).

Equal on all sides, and checked where it can differ: the pictures, brought to 3 x 32 x 32 (the peer's penalty
takes three channels only), the last ones kept apart; the networks (peers/gan_networks.py), by their number of
parameters; batches of 64, Adam with a learning rate of 2e-4, the number of steps, five updates of the critic
a step for WGAN-GP. The plain loop is that of PyTorch's DCGAN tutorial, which draws one batch of pictures for
both players; the other two draw one for each. First weights are torch's on all sides.

What stands beside the speed is how far generated pictures are from test pictures after these steps: the
sliced Wasserstein distance by one formula with the same directions and noise (peers/measuring.py), of the
last weights. Each round has a seed of its own, the same on all sides, so the distances of the rounds say how
much of a difference is luck.

The times are those of the loop: batches, forward, backward, update, and what each side tells of its losses as
it goes, every 50 steps; of torch-mimicry also its checkpoint behind the last step. creuset in bfloat16 is
another contender, of another number format than the others.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from alternation import (
    Rows,
    heading,
    in_turn,
    lines_of_times,
    machine,
    measure,
    medians,
    parser_of,
    peer_python,
    report,
    require_equal,
    times_as_fast,
)
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
PINNED = ("torch-mimicry==0.1.16", "torch==2.13.0", "tensorboard==2.21.0")
RESULT = HERE / "results" / "gan_steps.json"
PEER = "torch-mimicry"
STEPS = {"dcgan": 600, "wgan_gp": 120}
"""Steps of each training, one of wgan_gp being six updates."""
EQUAL = ("num_pictures", "num_steps", "num_parameters", "torch")
"""What must be the same in each row, or the comparison would not be one."""
NUM_TRAINING, NUM_HELD_OUT, NUM_TESTED = 5000, 500, 2000


def main() -> None:
    parser = parser_of(__doc__, RESULT, "trains")
    parser.add_argument("mnist", type=Path, help="an .npz with train_images and test_images")
    parser.add_argument("--kind", choices=STEPS, help="only this GAN (default: both)")
    parser.add_argument(
        "--share", type=float, default=1.0, help="share of the steps, for a first look (default 1)"
    )
    options = parser.parse_args()
    kinds = list(STEPS) if options.kind is None else [options.kind]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        data = prepare(options.mnist, Path(folder))
        for kind in kinds:
            num_steps = max(1, round(STEPS[kind] * options.share))
            found[kind] = compared(kind, data, num_steps, options.rounds, options.threads)
    document = {
        "benchmark": "gan_steps",
        "rounds": options.rounds,
        "machine": machine(options.threads),
        "versions": versions(found[kinds[0]]),
        "ratios": {kind: times_as_fast(rows, ("loop",)) for kind, rows in found.items()},
        "rows": found,
    }
    report(document, summary(document), options.json)


def prepare(source: Path, folder: Path) -> Path:
    """The one file that all sides read: pictures of 3 x 32 x 32, split for all of them."""
    with np.load(source) as arrays:
        train, test = arrays["train_images"][: NUM_TRAINING + NUM_HELD_OUT], arrays["test_images"]
    if len(train) < NUM_TRAINING + NUM_HELD_OUT:
        least = NUM_TRAINING + NUM_HELD_OUT
        raise SystemExit(f"{source}: {len(train)} training pictures; at least {least} are needed")
    train, test = _in_colour(train), _in_colour(test[:NUM_TESTED])
    path = folder / "pictures.npz"
    np.savez(
        path,
        train_images=train[:NUM_TRAINING],
        validation_images=train[NUM_TRAINING:],
        test_images=test,
    )
    return path


def _in_colour(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, 28, 28) with a black margin and three equal channels, (N, 32, 32, 3)."""
    return np.repeat(np.pad(images, ((0, 0), (2, 2), (2, 2)))[..., None], 3, axis=3)


def commands(kind: str, data: Path, num_steps: int, threads: int, seed: int) -> dict[str, list[str]]:
    """What trains each contender; the peer is the first."""
    numbers = [kind, str(data), str(num_steps), str(threads), str(seed)]
    own = [sys.executable, str(HERE / "peers" / "gan_creuset.py")]
    return {
        PEER: [str(peer_python("mimicry", PINNED)), str(HERE / "peers" / "gan_mimicry.py"), *numbers],
        "plain torch": [sys.executable, str(HERE / "peers" / "gan_plain.py"), *numbers],
        "creuset float32": [*own, "float32", *numbers],
        "creuset bfloat16": [*own, "bfloat16", *numbers],
    }


def compared(kind: str, data: Path, num_steps: int, num_rounds: int, threads: int) -> Rows:
    """The rows of all contenders, which did the same work; the seed of a round is its number, from 0."""

    def trained(name: str, seed: int) -> dict[str, Any]:
        return measure(commands(kind, data, num_steps, threads, seed)[name], threads)

    rows = in_turn(commands(kind, data, num_steps, threads, seed=0), num_rounds, trained, progress)
    require_equal(rows, EQUAL)
    return rows


def progress(row: dict[str, Any]) -> str:
    """What is told of a training while the next one runs."""
    return f"{row['steps_per_second']:.2f} steps a second, distance {row['picture_distance']:.4f}"


def versions(rows: Rows) -> dict[str, str]:
    """Of the libraries on both sides."""
    peer, own = rows[PEER][0], rows["creuset float32"][0]
    return {PEER: peer["version"], "creuset": own["version"], "torch": own["torch"]}


def summary(document: dict[str, Any]) -> str:
    """All figures on a few lines: medians over the rounds, and the ratios."""
    told = heading(document)
    for kind, rows in document["rows"].items():
        row = rows[PEER][0]
        told.append(
            f"{kind}: {row['num_parameters']:,} parameters, {row['num_pictures']:,} pictures, "
            f"{row['num_steps']:,} steps, rounds {document['rounds']}"
        )
        for name, found in rows.items():
            speed, memory = medians(found, "steps_per_second", "peak_memory_bytes")
            distances = ", ".join(f"{row['picture_distance']:.4f}" for row in found)
            told.append(
                f"  {name:17} {speed:6.2f} steps/s  peak {memory / 1e6:5.0f} MB  "
                f"distance of samples, by seed: {distances}"
            )
        told += [f"  {line}" for line in lines_of_times(document["ratios"][kind], PEER)]
    return "\n".join(told)


if __name__ == "__main__":
    main()
