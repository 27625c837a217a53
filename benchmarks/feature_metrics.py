"""Frechet and kernel distance, precision, recall, density and coverage beside torch-fidelity, scipy and prdc.

    .venv/bin/python benchmarks/feature_metrics.py                          10,000 x 1,280, and the peers
    .venv/bin/python benchmarks/feature_metrics.py --num 100000 --no-peers  creuset alone
    .venv/bin/python benchmarks/feature_metrics.py --only few-samples       N < d against scipy's sqrtm
    .venv/bin/python benchmarks/feature_metrics.py --num 50000 --dims 2048 --only distances

Each measure runs in a fresh process over the same float32 features, which are mapped from files; time is that
of the call alone, memory the process's peak with everything it has loaded. Features are correlated and of
unequal variance, as a network's are. The line "few-samples" has 500 x 2,048 features.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray

SUPPORT = Path(__file__).resolve().parent.parent / "tests" / "support"
Values = dict[str, float]
Measure = Callable[[NDArray[np.float32], NDArray[np.float32]], Values]


def creuset_fd(generated: NDArray[np.float32], real: NDArray[np.float32]) -> Values:
    from creuset.metrics import frechet_distance

    return {"fd": frechet_distance(generated, real).value}


def creuset_intercept(generated: NDArray[np.float32], real: NDArray[np.float32]) -> Values:
    from creuset.metrics import frechet_intercept

    return {"fd_intercept": frechet_intercept(generated, real).value}


def creuset_kd(generated: NDArray[np.float32], real: NDArray[np.float32]) -> Values:
    from creuset.metrics import kernel_distance

    return {"kd": kernel_distance(generated, real).value}


def creuset_balls(generated: NDArray[np.float32], real: NDArray[np.float32]) -> Values:
    from creuset.metrics import BallCounts, precision_recall_scores

    balls = BallCounts.from_features(generated, real)
    return {score.metric: score.value for score in precision_recall_scores(balls)}


def fidelity_fd(generated: NDArray[np.float32], real: NDArray[np.float32]) -> Values:
    import torch

    sys.path.insert(0, str(SUPPORT))
    from fidelity import fidelity

    fid = fidelity("metric_fid")
    # In float64, as torch-fidelity's own extractor hands its features over.
    rows = [torch.from_numpy(np.asarray(part, dtype=np.float64)) for part in (generated, real)]
    statistics = [fid.fid_features_to_statistics(part) for part in rows]
    return {"fd": fid.fid_statistics_to_metric(*statistics, verbose=False)[fid.KEY_METRIC_FID]}


def sqrtm_fd(generated: NDArray[np.float32], real: NDArray[np.float32]) -> Values:
    """The formula as pytorch-fid computes it, without its offset on the diagonal."""
    first, second = (np.asarray(part, dtype=np.float64) for part in (generated, real))
    left, right = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = scipy.linalg.sqrtm(left @ right)
    gap = first.mean(axis=0) - second.mean(axis=0)
    return {"fd": float(gap @ gap + np.trace(left) + np.trace(right) - 2 * np.trace(root).real)}


def prdc_balls(generated: NDArray[np.float32], real: NDArray[np.float32]) -> Values:
    from prdc import compute_prdc

    found = compute_prdc(real_features=real, fake_features=generated, nearest_k=5)
    return {name: float(value) for name, value in found.items()}


MEASURES: dict[str, Measure] = {
    "creuset fd": creuset_fd,
    "torch-fidelity fd": fidelity_fd,
    "sqrtm fd": sqrtm_fd,
    "creuset intercept": creuset_intercept,
    "creuset kd": creuset_kd,
    "creuset balls": creuset_balls,
    "prdc balls": prdc_balls,
}


def make_features(folder: Path, num: int, dims: int) -> None:
    """Two files of float32 features, written a block at a time."""
    rng = np.random.default_rng(0)
    mixing = (rng.normal(size=(dims, dims)) / np.sqrt(dims) * np.linspace(0.1, 2, dims)).astype(np.float32)
    for name, shift in (("generated", 0.05), ("real", 0.0)):
        shape = (num, dims)
        rows = np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.float32, shape=shape)
        for start in range(0, num, 4096):
            size = min(4096, num - start)
            rows[start : start + size] = rng.standard_normal((size, dims), dtype=np.float32) @ mixing + shift
        rows.flush()


def run_one(name: str, folder: Path) -> None:
    generated, real = (np.load(folder / f"{part}.npy", mmap_mode="r") for part in ("generated", "real"))
    start = time.perf_counter()
    values = MEASURES[name](generated, real)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": seconds, "peak_memory_bytes": peak, "values": values}))


def measure(names: list[str], num: int, dims: int) -> dict[str, dict[str, float]]:
    """Seconds of each measure, printed with its values and peak memory."""
    results = {}
    print(f"{num} x {dims} features a set")
    with tempfile.TemporaryDirectory() as folder:
        make_features(Path(folder), num, dims)
        for name in names:
            command = [sys.executable, __file__, "--run", name, "--folder", folder]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"{name}: {done.stderr[-3000:]}")
            result = json.loads(done.stdout.strip().splitlines()[-1])
            results[name] = result
            values = ", ".join(f"{key} {value:.6f}" for key, value in result["values"].items())
            megabytes = result["peak_memory_bytes"] / 1e6
            print(f"  {name:18} {result['seconds']:8.2f} s {megabytes:7.0f} MB  {values}")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--num", type=int, default=10_000, help="samples in each set")
    parser.add_argument("--dims", type=int, default=1280)
    parser.add_argument("--no-peers", action="store_true", help="creuset alone")
    parser.add_argument("--only", choices=("many-samples", "few-samples", "distances"))
    parser.add_argument("--run", choices=MEASURES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        run_one(arguments.run, arguments.folder)
        return
    threads = os.environ.get("OMP_NUM_THREADS", f"all {os.cpu_count()}")
    print(f"{platform.platform()}, numpy {np.__version__}, scipy {scipy.__version__}, threads: {threads}")
    if arguments.only != "few-samples":
        names = ["creuset fd", "creuset intercept", "creuset kd"]
        if arguments.only != "distances":
            names.append("creuset balls")
        if not arguments.no_peers and arguments.only != "distances":
            names += ["torch-fidelity fd", "prdc balls"]
        measure(names, arguments.num, arguments.dims)
    if arguments.only in (None, "few-samples") and not arguments.no_peers:
        results = measure(["creuset fd", "torch-fidelity fd", "sqrtm fd"], 500, 2048)
        ratio = results["sqrtm fd"]["seconds"] / results["creuset fd"]["seconds"]
        print(f"  creuset is {ratio:.0f} times as fast as sqrtm")


if __name__ == "__main__":
    main()
