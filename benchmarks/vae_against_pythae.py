"""The same VAE trained by creuset and by pythae, in alternation, with equal threads and in fresh processes.

    .venv/bin/python benchmarks/vae_against_pythae.py MNIST.npz

The first call sets up pythae's own environment under benchmarks/.venvs. MNIST.npz holds train_images and
test_images, uint8 (N, 28, 28).

Equal on both sides, and checked where it can differ: the pictures, binarised once (numpy, seed 0) into one
file of 0 and 255 that both read; 784-500-500-40 dense with relu both ways, and the number of parameters;
batches of 100, Adam with a learning rate of 1e-3, the number of steps; 100 pictures kept apart, on which both
are validated after each epoch; a checkpoint after each epoch. The test loss is -ELBO of the last weights, by
one formula with the same noise (peers/measuring.py). creuset still draws a uniform number for each pixel,
which decides nothing at 0 and 255, and draws a sheet of samples at the end; pythae does neither.

Two times are compared: the loop (batches, forward, backward, update, and what each side tells of its losses
as it goes), and the whole call (from reading the file to the saved model, after the imports). creuset in
bfloat16 is a third contender, of another number format than the others.
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
PINNED = ("pythae==0.1.2", "torch==2.13.0")
RESULT = HERE / "results" / "vae_against_pythae.json"
BATCH_SIZE = 100
EQUAL = ("num_pictures", "num_steps", "num_parameters", "torch")
"""What must be the same in each row, or the comparison would not be one."""
TIMES = ("loop", "whole")


def main() -> None:
    parser = parser_of(__doc__, RESULT, "trains")
    parser.add_argument("mnist", type=Path, help="an .npz with train_images and test_images")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of each training (default 3)")
    parser.add_argument("--limit", type=int, help="use only the first LIMIT training pictures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = prepare(options.mnist, Path(folder), options.limit)
        trainings = commands(data, options.epochs, options.threads)
        rows = in_turn(
            trainings, options.rounds, lambda name, _: measure(trainings[name], options.threads), progress
        )
    require_equal(rows, EQUAL)
    document = {
        "benchmark": "vae_against_pythae",
        "rounds": options.rounds,
        "epochs": options.epochs,
        "limit": options.limit,
        "machine": machine(options.threads),
        "versions": versions(rows),
        "ratios": times_as_fast(rows, TIMES),
        "rows": rows,
    }
    report(document, summary(document), options.json)


def prepare(source: Path, folder: Path, limit: int | None) -> Path:
    """The one file that both sides read: pictures of 0 and 255 in whole batches, split for both of them.

    The last batch of the training pictures is the validation split; what is left over is not used.
    """
    with np.load(source) as arrays:
        train, test = arrays["train_images"][:limit], arrays["test_images"]
    generator = np.random.default_rng(0)
    train, test = _binarised(train, generator), _binarised(test, generator)
    num_batches = len(train) // BATCH_SIZE
    if num_batches < 2:
        raise SystemExit(f"{source}: {len(train)} training pictures; at least {2 * BATCH_SIZE} are needed")
    train = train[: num_batches * BATCH_SIZE]
    path = folder / "binary.npz"
    np.savez(path, train_images=train[:-BATCH_SIZE], validation_images=train[-BATCH_SIZE:], test_images=test)
    return path


def _binarised(images: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Each pixel 255 with its grey value as probability, else 0."""
    uniform = generator.random(images.shape, dtype=np.float32)
    return np.where(uniform < images / np.float32(255), 255, 0).astype(np.uint8)


def commands(data: Path, num_epochs: int, threads: int) -> dict[str, list[str]]:
    """What trains each contender; pythae is the first."""
    numbers = [str(data), str(num_epochs), str(threads)]
    own = [sys.executable, str(HERE / "peers" / "vae_creuset.py"), *numbers]
    return {
        "pythae": [str(peer_python("pythae", PINNED)), str(HERE / "peers" / "vae_pythae.py"), *numbers],
        "creuset float32": [*own, "float32"],
        "creuset bfloat16": [*own, "bfloat16"],
    }


def progress(row: dict[str, Any]) -> str:
    """What is told of a training while the next one runs."""
    return f"loop {row['loop_seconds']:.2f} s, whole {row['whole_seconds']:.2f} s"


def versions(rows: Rows) -> dict[str, str]:
    """Of the libraries on both sides."""
    pythae, own = rows["pythae"][0], rows["creuset float32"][0]
    return {
        "pythae": pythae["version"],
        "creuset": own["version"],
        "torch": own["torch"],
        "numpy (pythae)": pythae["numpy"],
        "numpy (creuset)": own["numpy"],
    }


def summary(document: dict[str, Any]) -> str:
    """All figures on a few lines: medians over the rounds, and the ratios."""
    row = document["rows"]["pythae"][0]
    told = [
        *heading(document),
        f"{row['num_parameters']:,} parameters, {row['num_pictures']:,} binary pictures, "
        f"{row['num_steps']:,} steps of {BATCH_SIZE}, rounds {document['rounds']}",
    ]
    for name, found in document["rows"].items():
        loop, whole, memory, loss = medians(
            found, "loop_seconds", "whole_seconds", "peak_memory_bytes", "test_loss_nats"
        )
        speed = row["num_steps"] * BATCH_SIZE / loop
        told.append(
            f"{name:17} loop {loop:7.2f} s ({speed:6.0f} pictures/s)  whole {whole:7.2f} s  "
            f"peak {memory / 1e6:5.0f} MB  test loss {loss:.2f} nats"
        )
    return "\n".join([*told, *lines_of_times(document["ratios"], "pythae")])


if __name__ == "__main__":
    main()
