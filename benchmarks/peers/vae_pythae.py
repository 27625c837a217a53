"""Trains the benchmark's VAE with pythae's own pipeline; prints a JSON line (vae_against_pythae.py)."""

import json
import logging
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.pipelines import TrainingPipeline
from pythae.trainers import BaseTrainerConfig
from torch import nn


class Encoder(BaseEncoder):
    def __init__(self) -> None:
        BaseEncoder.__init__(self)
        self.body = nn.Sequential(nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 500), nn.ReLU())
        self.mean = nn.Linear(500, 40)
        self.log_variance = nn.Linear(500, 40)

    def forward(self, x):
        hidden = self.body(x.flatten(1))
        return ModelOutput(embedding=self.mean(hidden), log_covariance=self.log_variance(hidden))


class Decoder(BaseDecoder):
    def __init__(self) -> None:
        BaseDecoder.__init__(self)
        self.body = nn.Sequential(
            nn.Linear(40, 500), nn.ReLU(), nn.Linear(500, 500), nn.ReLU(), nn.Linear(500, 784), nn.Sigmoid()
        )

    def forward(self, z):
        return ModelOutput(reconstruction=self.body(z).reshape(-1, 1, 28, 28))


def main(data: str, num_epochs: int, threads: int) -> None:
    torch.set_num_threads(threads)
    logging.disable(logging.INFO)
    arrays = np.load(data)
    train = torch.from_numpy(arrays["train_images"]).float()[:, None] / 255
    torch.manual_seed(0)
    model = VAE(
        VAEConfig(input_dim=(1, 28, 28), latent_dim=40, reconstruction_loss="bce"),
        encoder=Encoder(),
        decoder=Decoder(),
    )
    config = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(),
        learning_rate=1e-3,
        per_device_train_batch_size=100,
        num_epochs=num_epochs,
        optimizer_cls="Adam",
        no_cuda=True,
        seed=0,
    )
    pipeline = TrainingPipeline(model=model, training_config=config)
    begin = time.perf_counter()
    pipeline(train_data=train)
    seconds = time.perf_counter() - begin
    test = torch.from_numpy(np.load(Path(data).with_name("test_binary.npy"))).float()[:, None]
    model.eval()
    torch.manual_seed(1)
    with torch.no_grad():
        losses = [float(model({"data": part}).loss) for part in test.split(500)]
    print(
        json.dumps(
            {
                "seconds": seconds,
                "images_per_second": num_epochs * len(train) / seconds,
                "test_loss": float(np.mean(losses)),
                "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
