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

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.device import machine_facts

HERE = Path(__file__).resolve().parent
PEER = HERE / ".venvs" / "pythae"
PINNED = ("pythae==0.1.2", "torch==2.13.0")
RESULT = HERE / "results" / "vae_against_pythae.json"
BATCH_SIZE = 100
EQUAL = ("num_pictures", "num_steps", "num_parameters", "torch")
"""What must be the same in each row, or the comparison would not be one."""
TIMES = ("loop", "whole")

Row = dict[str, Any]
Rows = dict[str, list[Row]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("mnist", type=Path, help="an .npz with train_images and test_images")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side trains (default 3)")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of each training (default 3)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: one a processor")
    parser.add_argument("--limit", type=int, help="use only the first LIMIT training pictures")
    parser.add_argument(
        "--json", type=Path, nargs="?", const=RESULT, help="write all figures to a file (default results/)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = prepare(options.mnist, Path(folder), options.limit)
        rows = measure_all(commands(data, options.epochs, options.threads), options.rounds, options.threads)
    require_equal(rows)
    document = {
        "benchmark": "vae_against_pythae",
        "rounds": options.rounds,
        "epochs": options.epochs,
        "limit": options.limit,
        "machine": machine(options.threads),
        "versions": versions(rows),
        "ratios": ratios(rows),
        "rows": rows,
    }
    print(summary(document))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document, indent=1) + "\n")


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
        "pythae": [str(peer_python()), str(HERE / "peers" / "vae_pythae.py"), *numbers],
        "creuset float32": [*own, "float32"],
        "creuset bfloat16": [*own, "bfloat16"],
    }


def peer_python() -> Path:
    """The interpreter of pythae's environment, which is made on first use."""
    python = PEER / "bin" / "python"
    if not (PEER / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", PEER], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PINNED], check=True)
        (PEER / "ready").touch()
    return python


def measure_all(trainings: dict[str, list[str]], num_rounds: int, threads: int) -> Rows:
    """A row for each contender and round, one after another, each second round in the opposite order."""
    rows: Rows = {name: [] for name in trainings}
    for number in range(num_rounds):
        names = list(trainings) if number % 2 == 0 else list(reversed(trainings))
        for name in names:
            row = _measure(trainings[name], threads)
            rows[name].append(row)
            print(
                f"round {number + 1} {name}: loop {row['loop_seconds']:.2f} s, "
                f"whole {row['whole_seconds']:.2f} s",
                file=sys.stderr,
            )
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


def ratios(rows: Rows) -> dict[str, dict[str, dict[str, float]]]:
    """How many times as fast as pythae: the ratios within each round, as their median, least and most."""
    peer, *others = rows
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in others:
        found[name] = {}
        for time in TIMES:
            key = f"{time}_seconds"
            paired = [theirs[key] / own[key] for own, theirs in zip(rows[name], rows[peer], strict=True)]
            found[name][time] = {
                "median": statistics.median(paired),
                "least": min(paired),
                "most": max(paired),
            }
    return found


def machine(threads: int) -> dict[str, object]:
    """What the times depend on."""
    facts = machine_facts()
    return {**{name: facts[name] for name in ("processor", "system", "python")}, "threads": threads}


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
    about, row = document["machine"], document["rows"]["pythae"][0]
    told = [
        f"{about['processor']}, threads {about['threads']}, {about['system']}, Python {about['python']}",
        ", ".join(f"{name} {version}" for name, version in document["versions"].items()),
        f"{row['num_parameters']:,} parameters, {row['num_pictures']:,} binary pictures, "
        f"{row['num_steps']:,} steps of {BATCH_SIZE}, rounds {document['rounds']}",
    ]
    for name, found in document["rows"].items():
        loop, whole, memory, loss = (
            statistics.median(row[key] for row in found)
            for key in ("loop_seconds", "whole_seconds", "peak_memory_bytes", "test_loss_nats")
        )
        speed = row["num_steps"] * BATCH_SIZE / loop
        told.append(
            f"{name:17} loop {loop:7.2f} s ({speed:6.0f} pictures/s)  whole {whole:7.2f} s  "
            f"peak {memory / 1e6:5.0f} MB  test loss {loss:.2f} nats"
        )
    for name, by_time in document["ratios"].items():
        told += [
            f"{name} against pythae, {time}: {of['median']:.2f} times as fast "
            f"({of['least']:.2f} to {of['most']:.2f})"
            for time, of in by_time.items()
        ]
    return "\n".join(told)


if __name__ == "__main__":
    main()
