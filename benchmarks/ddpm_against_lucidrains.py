"""A DDPM trained by creuset and by denoising-diffusion-pytorch, in alternation, with equal threads and in
fresh processes.

    .venv/bin/python benchmarks/ddpm_against_lucidrains.py MNIST.npz

The first call sets up the peer's own environment under benchmarks/.venvs. MNIST.npz holds train_images and
test_images, uint8 (N, 28, 28).

Equal on both sides, and checked where it can differ: the pictures, of which the last ones are kept apart;
batches of 64, Adam with a learning rate of 3e-4, the number of steps, float32; 1,000 steps of noise that
grows linearly, noise as what is predicted, and its mean squared error as the loss, each step as likely. The
networks are those that each side has for this, at equal numbers of parameters (within 5%): the peer's Unet
with dim 32 and dim_mults (1, 2, 4), and creuset's with channels 36, 72, 144 and two blocks a stage. The test
loss is the mean squared error of the noise by one formula with the same noise and steps
(peers/measuring.py), of the last weights.

The times are those of the loop: batches, forward, backward, update, and what each side tells of its losses
as it goes. creuset in bfloat16 is a third contender, of another number format than the others.
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

HERE = Path(__file__).resolve().parent
PINNED = ("denoising-diffusion-pytorch==2.3.4", "torch==2.13.0", "torchvision==0.28.0")
RESULT = HERE / "results" / "ddpm_against_lucidrains.json"
PEER = "denoising-diffusion-pytorch"
BATCH_SIZE = 64
EQUAL = ("num_pictures", "num_steps", "torch")
"""What must be the same in each row, or the comparison would not be one."""
MOST_APART = 0.05
"""How far the numbers of parameters may differ, as a share."""
NUM_HELD_OUT, NUM_TESTED = 500, 2000


def main() -> None:
    parser = parser_of(__doc__, RESULT, "trains")
    parser.add_argument("mnist", type=Path, help="an .npz with train_images and test_images")
    parser.add_argument("--steps", type=int, default=1000, help="steps of each training (default 1000)")
    parser.add_argument("--limit", type=int, help="use only the first LIMIT training pictures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = prepare(options.mnist, Path(folder), options.limit)
        trainings = commands(data, options.steps, options.threads)
        rows = in_turn(
            trainings, options.rounds, lambda name, _: measure(trainings[name], options.threads), progress
        )
    require_equal(rows, EQUAL)
    require_near(rows)
    document = {
        "benchmark": "ddpm_against_lucidrains",
        "rounds": options.rounds,
        "steps": options.steps,
        "limit": options.limit,
        "machine": machine(options.threads),
        "versions": versions(rows),
        "ratios": times_as_fast(rows, ("loop",)),
        "rows": rows,
    }
    report(document, summary(document), options.json)


def prepare(source: Path, folder: Path, limit: int | None) -> Path:
    """The one file that both sides read, its last training pictures as the validation split."""
    with np.load(source) as arrays:
        train, test = arrays["train_images"][:limit], arrays["test_images"][:NUM_TESTED]
    if len(train) < NUM_HELD_OUT + BATCH_SIZE:
        least = NUM_HELD_OUT + BATCH_SIZE
        raise SystemExit(f"{source}: {len(train)} training pictures; at least {least} are needed")
    path = folder / "pictures.npz"
    np.savez(
        path,
        train_images=train[:-NUM_HELD_OUT],
        validation_images=train[-NUM_HELD_OUT:],
        test_images=test,
    )
    return path


def commands(data: Path, num_steps: int, threads: int) -> dict[str, list[str]]:
    """What trains each contender; the peer is the first."""
    numbers = [str(data), str(num_steps), str(threads)]
    own = [sys.executable, str(HERE / "peers" / "ddpm_creuset.py")]
    return {
        PEER: [str(peer_python("ddpm", PINNED)), str(HERE / "peers" / "ddpm_lucidrains.py"), *numbers],
        "creuset float32": [*own, "float32", *numbers],
        "creuset bfloat16": [*own, "bfloat16", *numbers],
    }


def require_near(rows: Rows) -> None:
    """Ends the program where the networks are not of one size."""
    sizes = {name: row["num_parameters"] for name, found in rows.items() for row in found}
    if max(sizes.values()) > (1 + MOST_APART) * min(sizes.values()):
        told = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
        raise SystemExit(f"not the same work: the numbers of parameters differ: {told}")


def progress(row: dict[str, Any]) -> str:
    """What is told of a training while the next one runs."""
    return f"{row['steps_per_second']:.2f} steps a second, test loss {row['noise_error']:.4f}"


def versions(rows: Rows) -> dict[str, str]:
    """Of the libraries on both sides."""
    peer, own = rows[PEER][0], rows["creuset float32"][0]
    return {PEER: peer["version"], "creuset": own["version"], "torch": own["torch"]}


def summary(document: dict[str, Any]) -> str:
    """All figures on a few lines: medians over the rounds, and the ratios."""
    row = document["rows"][PEER][0]
    told = [
        *heading(document),
        f"{row['num_pictures']:,} pictures, {row['num_steps']:,} steps of {BATCH_SIZE}, "
        f"rounds {document['rounds']}",
    ]
    for name, found in document["rows"].items():
        speed, memory, loss = medians(found, "steps_per_second", "peak_memory_bytes", "noise_error")
        told.append(
            f"{name:27} {found[0]['num_parameters']:9,} parameters  {speed:6.2f} steps/s  "
            f"peak {memory / 1e6:5.0f} MB  test loss {loss:.4f}"
        )
    return "\n".join([*told, *lines_of_times(document["ratios"], PEER)])


if __name__ == "__main__":
    main()
