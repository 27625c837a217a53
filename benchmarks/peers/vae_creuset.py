"""Trains the benchmark's VAE with `creuset.train`; prints a JSON line (vae_against_pythae.py)."""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

RECIPE = """
model: {{family: vae, latent_dim: 40, hidden_dims: [500, 500], activation: relu, likelihood: bernoulli}}
data: {{source: {data}, batch_size: 100, validation_share: 0.0001}}
training:
  num_steps: {steps}
  learning_rate: 1e-3
  threads: {threads}
  precision: {precision}
  validate_every: {steps}
  checkpoint_every: {steps}
  sample_every: {steps}
evaluation: {{suite: none}}
"""


def main(data: str, num_epochs: int, threads: int, precision: str) -> None:
    from creuset.device import BatchGenerator
    from creuset.workflows.train import train

    folder = Path(tempfile.mkdtemp())
    recipe = folder / "vae.yaml"
    arrays = np.load(data)
    num_steps = num_epochs * len(arrays["train_images"]) // 100
    recipe.write_text(RECIPE.format(data=data, steps=num_steps, threads=threads, precision=precision))
    begin = time.perf_counter()
    run = train(recipe, name=folder / "run", measure=False)
    with_loading = time.perf_counter() - begin
    seconds = run.outcome.seconds
    loaded = run.model()
    test = torch.from_numpy(np.load(Path(data).with_name("test_binary.npy"))).float()[:, None] * 2 - 1
    losses = []
    with torch.no_grad():
        for number, part in enumerate(test.split(500)):
            draws = BatchGenerator(1, "benchmark", number, size=len(part))
            losses.append(float(loaded.model.validation_loss({"images": part}, draws)["loss"]))
    print(
        json.dumps(
            {
                "seconds": seconds,
                "seconds_with_loading": with_loading,
                "images_per_second": num_steps * 100 / seconds,
                "test_loss": float(np.mean(losses)),
                "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
