"""Trains the benchmark's VAE with pythae's own pipeline; prints a JSON line (vae_against_pythae.py).

The loop is `BaseTrainer.train_step`, an epoch of steps. Evaluation, the copy of the best model, saving a
checkpoint after each epoch and the final model are outside of it, and inside the whole call.
"""

import importlib.metadata
import json
import logging
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from measuring import Stopwatch, negative_elbo, num_parameters, peak_memory_bytes
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.pipelines import TrainingPipeline
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor, nn


class Encoder(BaseEncoder):
    def __init__(self) -> None:
        BaseEncoder.__init__(self)
        self.body = nn.Sequential(nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 500), nn.ReLU())
        self.mean = nn.Linear(500, 40)
        self.log_variance = nn.Linear(500, 40)

    def forward(self, x: Tensor) -> ModelOutput:
        hidden = self.body(x.flatten(1))
        return ModelOutput(embedding=self.mean(hidden), log_covariance=self.log_variance(hidden))


class Decoder(BaseDecoder):
    def __init__(self) -> None:
        BaseDecoder.__init__(self)
        self.logits = nn.Sequential(
            nn.Linear(40, 500), nn.ReLU(), nn.Linear(500, 500), nn.ReLU(), nn.Linear(500, 784)
        )

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=torch.sigmoid(self.logits(z)).reshape(-1, 1, 28, 28))


class StepCounter(TrainingCallback):
    def __init__(self) -> None:
        self.steps = 0

    def on_train_step_end(self, *_: object, **__: object) -> None:
        self.steps += 1


def main(data: str, num_epochs: int, threads: int) -> None:
    torch.set_num_threads(threads)
    logging.disable(logging.INFO)
    loop, counter = Stopwatch(), StepCounter()
    BaseTrainer.train_step = loop.timed(BaseTrainer.train_step)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        train, validation = (_pixels(data, f"{split}_images") for split in ("train", "validation"))
        torch.manual_seed(0)
        model = VAE(
            VAEConfig(input_dim=(1, 28, 28), latent_dim=40, reconstruction_loss="bce"),
            encoder=Encoder(),
            decoder=Decoder(),
        )
        config = BaseTrainerConfig(
            output_dir=folder,
            learning_rate=1e-3,
            per_device_train_batch_size=100,
            per_device_eval_batch_size=100,
            num_epochs=num_epochs,
            optimizer_cls="Adam",
            steps_saving=1,
            no_cuda=True,
            seed=0,
        )
        pipeline = TrainingPipeline(model=model, training_config=config)
        pipeline(train_data=train, eval_data=validation, callbacks=[counter])
        whole_seconds = time.perf_counter() - begin
    peak = peak_memory_bytes()
    model.eval()

    def encode(pixels: Tensor) -> tuple[Tensor, Tensor]:
        output = model.encoder(pixels)
        return output.embedding, output.log_covariance

    row = {
        "version": importlib.metadata.version("pythae"),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "num_pictures": len(train),
        "num_steps": counter.steps,
        "num_parameters": num_parameters(model),
        "loop_seconds": loop.seconds,
        "whole_seconds": whole_seconds,
        "peak_memory_bytes": peak,
        "test_loss_nats": negative_elbo(_pixels(data, "test_images"), encode, model.decoder.logits),
    }
    print(json.dumps(row))


def _pixels(data: str, name: str) -> Tensor:
    """The stored 0 and 255 as 0 and 1, float32 (N, 1, 28, 28)."""
    with np.load(Path(data)) as arrays:
        return torch.from_numpy(arrays[name]).float()[:, None] / 255


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
