"""Trains the benchmark's GAN with torch-mimicry; prints a JSON line (gan_steps.py).

    gan_mimicry.py KIND DATA STEPS THREADS SEED

Its `Trainer` and the steps of its base classes (`nets.gan`, `nets.wgan_gp`), with the benchmark's networks in
them. It writes and prints its losses every 50 steps as it does, draws no sheets and makes no checkpoint
before the last step.
"""

import importlib.metadata
import json
import sys
import tempfile
from contextlib import redirect_stdout
from types import ModuleType
from typing import Any

import torch
from gan_networks import (
    BATCH_SIZE,
    BETAS,
    CRITIC_STEPS,
    LATENT_DIM,
    LEARNING_RATE,
    PENALTY_WEIGHT,
    make_critic,
    make_generator,
    read,
)
from measuring import Stopwatch, num_parameters, peak_memory_bytes, picture_distance
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

# torchvision, which the peer imports for its sheets of pictures, asks for operators that it does not bring to
# a torch without CUDA; their names are enough, since nothing here calls them
OPERATORS = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    OPERATORS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
# its data sets ask for a part of torch that is gone, and its measures for TensorFlow; neither is used
for name in ("datasets", "metrics"):
    sys.modules[f"torch_mimicry.{name}"] = ModuleType(name)

from torch_mimicry.nets.gan import gan  # noqa: E402
from torch_mimicry.nets.wgan_gp import wgan_gp_base  # noqa: E402
from torch_mimicry.training import Trainer  # noqa: E402

LOG_EVERY = 50


def networks(kind: str) -> tuple[Any, Any]:
    """The peer's generator and critic, with the benchmark's layers."""
    if kind == "dcgan":
        bases: tuple[Any, Any] = (gan.BaseGenerator, gan.BaseDiscriminator)
        settings: dict[str, Any] = {"loss_type": "ns"}
    else:
        bases = (wgan_gp_base.WGANGPBaseGenerator, wgan_gp_base.WGANGPBaseDiscriminator)
        settings = {"loss_type": "wasserstein"}

    class OwnGenerator(bases[0]):
        def __init__(self) -> None:
            super().__init__(nz=LATENT_DIM, ngf=0, bottom_width=4, **settings)
            self.layers = make_generator()

        def forward(self, noise: Tensor) -> Tensor:
            return self.layers(noise)

    class OwnCritic(bases[1]):
        def __init__(self) -> None:
            weight = {} if kind == "dcgan" else {"gp_scale": PENALTY_WEIGHT}
            super().__init__(ndf=0, **settings, **weight)
            self.layers = make_critic(kind)

        def forward(self, pictures: Tensor) -> Tensor:
            return self.layers(pictures)

    return OwnGenerator(), OwnCritic()


def main(kind: str, data: str, num_steps: int, threads: int, seed: int) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    train = read(data, "train")
    pairs = TensorDataset(train, torch.zeros(len(train), dtype=torch.int64))
    generator, critic = networks(kind)
    optimizers = [
        torch.optim.Adam(net.parameters(), lr=LEARNING_RATE, betas=BETAS[kind]) for net in (critic, generator)
    ]
    loop = Stopwatch()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        trainer = Trainer(
            netD=critic,
            netG=generator,
            optD=optimizers[0],
            optG=optimizers[1],
            dataloader=DataLoader(pairs, batch_size=BATCH_SIZE, shuffle=True, drop_last=True),
            num_steps=num_steps,
            n_dis=CRITIC_STEPS[kind],
            log_dir=folder,
            device=torch.device("cpu"),
            print_steps=LOG_EVERY,
            log_steps=LOG_EVERY,
            vis_steps=num_steps + 1,
            save_steps=num_steps + 1,
        )
        loop.timed(trainer.train)()
        peak = peak_memory_bytes()
    row = {
        "version": importlib.metadata.version("torch-mimicry"),
        "torch": torch.__version__,
        "num_pictures": len(train),
        "num_steps": num_steps,
        "num_parameters": num_parameters(generator) + num_parameters(critic),
        "loop_seconds": loop.seconds,
        "steps_per_second": num_steps / loop.seconds,
        "peak_memory_bytes": peak,
        "picture_distance": picture_distance(read(data, "test"), generator.eval(), latent_dim=LATENT_DIM),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]))
