"""The same VAE (784-500-500-40 dense, batch 100, Adam 1e-3) trained by creuset and by pythae, in alternation.

    .venv/bin/python benchmarks/vae_against_pythae.py MNIST.npz

Sets up pythae's own environment under benchmarks/.venvs, then runs pythae, creuset in float32 and creuset in
bfloat16 in turn, each in a fresh process with the same threads, and prints the median ratios. Timed is the
training itself, without loading; the loss is -ELBO on the same binary test pictures, of all three by the same
formula. creuset validates, checkpoints and draws its sheet once within the timed part.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
PEER = HERE / ".venvs" / "pythae"
PINNED = ("pythae==0.1.2", "torch==2.13.0")


def peer_python() -> Path:
    """The interpreter of pythae's environment, which is made on first use."""
    python = PEER / "bin" / "python"
    if not (PEER / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", PEER], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PINNED], check=True)
        (PEER / "ready").touch()
    return python


def prepare(source: Path, folder: Path) -> Path:
    """The data both sides read: the training pictures, and the test pictures binarised once (seed 0)."""
    arrays = np.load(source)
    test = arrays["test_images"]
    binary = (np.random.default_rng(0).random(test.shape) < test / 255).astype(np.uint8)
    path = folder / "mnist.npz"
    np.savez(path, train_images=arrays["train_images"], test_images=test)
    np.save(folder / "test_binary.npy", binary)
    return path


def measure(command: list[str], threads: int) -> dict[str, float]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("mnist", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = prepare(arguments.mnist, Path(folder))
        numbers = [str(data), str(arguments.epochs), str(arguments.threads)]
        commands = {
            "pythae": [str(peer_python()), str(HERE / "peers" / "vae_pythae.py"), *numbers],
            "creuset float32": [sys.executable, str(HERE / "peers" / "vae_creuset.py"), *numbers, "float32"],
            "creuset bfloat16": [
                sys.executable,
                str(HERE / "peers" / "vae_creuset.py"),
                *numbers,
                "bfloat16",
            ],
        }
        rows: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
        for number in range(arguments.rounds):
            for name, command in commands.items():
                rows[name].append(measure(command, arguments.threads))
                last = rows[name][-1]
                print(f"round {number + 1} {name}: {last['images_per_second']:.0f} images/s", file=sys.stderr)
    print(f"{platform.processor() or platform.machine()}, {arguments.threads} threads, {PINNED}")
    for name, found in rows.items():
        rate = statistics.median(row["images_per_second"] for row in found)
        memory = statistics.median(row["peak_memory_bytes"] for row in found)
        loss = statistics.median(row["test_loss"] for row in found)
        print(f"{name:17} {rate:8.0f} images/s  {memory / 1e6:7.0f} MB  test loss {loss:.2f} nats")
    for name in list(rows)[1:]:
        ratios = [
            own["images_per_second"] / peer["images_per_second"]
            for own, peer in zip(rows[name], rows["pythae"], strict=True)
        ]
        middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
        print(f"{name} / pythae: median ratio {middle:.2f} ({low:.2f}-{high:.2f})")
    if arguments.json:
        arguments.json.write_text(json.dumps({"arguments": numbers[1:], "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
