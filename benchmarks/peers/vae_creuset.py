"""Trains the benchmark's VAE with `creuset.train`; prints a JSON line (vae_against_pythae.py).

The loop is `Loop.take_step` and the journal lines of the losses. Validation and the checkpoint after each
epoch and the sheet of samples at the end are outside of it, and inside the whole call.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from measuring import Stopwatch, negative_elbo, num_parameters, peak_memory_bytes
from torch import Tensor

import creuset
from creuset.training.loop import Loop
from creuset.workflows.load import load
from creuset.workflows.train import train

RECIPE = """
model: {{family: vae, latent_dim: 40, hidden_dims: [500, 500], activation: relu, likelihood: bernoulli}}
data: {{source: {data}, batch_size: 100}}
training:
  num_steps: {steps}
  learning_rate: 1e-3
  optimizer: adam
  schedule: constant
  threads: {threads}
  precision: {precision}
  validate_every: {epoch}
  checkpoint_every: {epoch}
  sample_every: {steps}
  seed: 0
evaluation: {{suite: none}}
"""


def main(data: str, num_epochs: int, threads: int, precision: str) -> None:
    torch.set_num_threads(threads)
    loop = Stopwatch()
    for name in ("take_step", "_log"):
        setattr(Loop, name, loop.timed(getattr(Loop, name)))
    with np.load(data) as arrays:
        epoch = len(arrays["train_images"]) // 100
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "vae.yaml"
        recipe.write_text(
            RECIPE.format(
                data=data, steps=num_epochs * epoch, epoch=epoch, threads=threads, precision=precision
            )
        )
        begin = time.perf_counter()
        run = train(recipe, name=Path(folder) / "run", measure=False)
        whole_seconds = time.perf_counter() - begin
        peak = peak_memory_bytes()
        model = load(run.folder, checkpoint="last").model
        report = run.folder.manifest().data_report
    with np.load(data) as arrays:
        test = torch.from_numpy(arrays["test_images"]).float()[:, None] / 255

    def encode(pixels: Tensor) -> tuple[Tensor, Tensor]:
        return model.encoder(pixels).chunk(2, dim=1)

    row = {
        "version": creuset.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "num_pictures": report["num_samples"]["train"],
        "num_steps": run.outcome.step,
        "num_parameters": num_parameters(model),
        "loop_seconds": loop.seconds,
        "whole_seconds": whole_seconds,
        "peak_memory_bytes": peak,
        "test_loss_nats": negative_elbo(test, encode, model.decoder),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
