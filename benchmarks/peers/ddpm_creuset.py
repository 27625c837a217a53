"""Trains the benchmark's diffusion with `creuset.train`; prints a JSON line (ddpm_against_lucidrains.py).

    ddpm_creuset.py PRECISION DATA STEPS THREADS

The loop is `Loop.take_step` and the journal lines of the losses. The validation, the checkpoint and the
sheet of samples at the end are outside of it.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from measuring import Stopwatch, noise_error, num_parameters, peak_memory_bytes
from torch import Tensor

import creuset
from creuset.training.loop import Loop
from creuset.workflows.load import load
from creuset.workflows.train import train

RECIPE = """
model:
  family: diffusion
  channels: [36, 72, 144]
  num_blocks: 2
  embed_dim: 128
  prediction: epsilon
  schedule: linear
  num_sampling_steps: 50
data: {{source: {data}, batch_size: 64}}
training:
  num_steps: {steps}
  learning_rate: 3e-4
  optimizer: adam
  schedule: constant
  threads: {threads}
  precision: {precision}
  validate_every: {steps}
  checkpoint_every: {steps}
  sample_every: {steps}
  seed: 0
evaluation: {{suite: none}}
"""


def main(precision: str, data: str, num_steps: int, threads: int) -> None:
    torch.set_num_threads(threads)
    loop = Stopwatch()
    for name in ("take_step", "_log"):
        setattr(Loop, name, loop.timed(getattr(Loop, name)))
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "ddpm.yaml"
        recipe.write_text(RECIPE.format(data=data, steps=num_steps, threads=threads, precision=precision))
        run = train(recipe, name=Path(folder) / "run", measure=False)
        peak = peak_memory_bytes()
        model = load(run.folder, checkpoint="last").model
        report = run.folder.manifest().data_report
    with np.load(data) as arrays:
        test = torch.from_numpy(arrays["test_images"]).float()[:, None] / 127.5 - 1

    def predict(x: Tensor, steps: Tensor) -> Tensor:
        said: Tensor = model.denoiser(x, (steps + 1) / 1000, None)
        return said

    row = {
        "version": creuset.__version__,
        "torch": torch.__version__,
        "num_pictures": report["num_samples"]["train"],
        "num_steps": run.outcome.step,
        "num_parameters": num_parameters(model),
        "loop_seconds": loop.seconds,
        "steps_per_second": num_steps / loop.seconds,
        "peak_memory_bytes": peak,
        "noise_error": noise_error(test, predict),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:5]))
