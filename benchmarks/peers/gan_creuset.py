"""Trains the benchmark's GAN with `creuset.train`; prints a JSON line (gan_steps.py).

    gan_creuset.py PRECISION KIND DATA STEPS THREADS SEED

The loop is `Loop.take_step` and the journal lines of the losses. The validation, the checkpoint and the
sheet of samples at the end are outside of it.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
from gan_networks import BATCH_SIZE, BETAS, CHANNELS, CRITIC_STEPS, LATENT_DIM, LEARNING_RATE, read
from measuring import Stopwatch, num_parameters, peak_memory_bytes, picture_distance

import creuset
from creuset.models.gan import GAN
from creuset.training.loop import Loop
from creuset.workflows.load import load
from creuset.workflows.train import train

RECIPE = """
model:
  family: gan
  latent_dim: {latent_dim}
  channels: {channels}
  generator_norm: batch
  critic_norm: {critic_norm}
objective: {{name: {objective}}}
players: {{critic: {{num_steps: {critic_steps}}}}}
data: {{source: {data}, batch_size: {batch_size}}}
training:
  num_steps: {steps}
  learning_rate: {learning_rate}
  betas: {betas}
  threads: {threads}
  precision: {precision}
  log_every: 50
  validate_every: {steps}
  checkpoint_every: {steps}
  sample_every: {steps}
  seed: {seed}
evaluation: {{suite: none}}
"""


def main(precision: str, kind: str, data: str, num_steps: int, threads: int, seed: int) -> None:
    torch.set_num_threads(threads)
    loop = Stopwatch()
    for name in ("take_step", "_log"):
        setattr(Loop, name, loop.timed(getattr(Loop, name)))
    text = RECIPE.format(
        latent_dim=LATENT_DIM,
        channels=list(CHANNELS),
        critic_norm="batch" if kind == "dcgan" else "none",
        objective="non_saturating" if kind == "dcgan" else "wgan_gp",
        critic_steps=CRITIC_STEPS[kind],
        data=data,
        batch_size=BATCH_SIZE,
        steps=num_steps,
        learning_rate=LEARNING_RATE,
        betas=list(BETAS[kind]),
        threads=threads,
        precision=precision,
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "gan.yaml"
        recipe.write_text(text)
        run = train(recipe, name=Path(folder) / "run", measure=False)
        peak = peak_memory_bytes()
        model = load(run.folder, checkpoint="last").model
        report = run.folder.manifest().data_report
    assert isinstance(model, GAN)
    row = {
        "version": creuset.__version__,
        "torch": torch.__version__,
        "num_pictures": report["num_samples"]["train"],
        "num_steps": run.outcome.step,
        "num_parameters": num_parameters(model),
        "loop_seconds": loop.seconds,
        "steps_per_second": num_steps / loop.seconds,
        "peak_memory_bytes": peak,
        "picture_distance": picture_distance(
            read(data, "test"), model.generator.eval(), latent_dim=LATENT_DIM
        ),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], *map(int, sys.argv[4:7]))
