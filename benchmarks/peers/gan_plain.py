"""Trains the benchmark's GAN by a plain loop of torch alone; prints a JSON line (gan_steps.py).

    gan_plain.py KIND DATA STEPS THREADS SEED

As in PyTorch's DCGAN tutorial: a DataLoader, binary cross entropy, one batch of generated pictures for both
players; and with KIND wgan_gp the loop of Gulrajani et al. 2017, algorithm 1. The losses are read every 50
steps.
"""

import json
import sys
from collections.abc import Iterator

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
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

LOG_EVERY = 50


class Players:
    """The networks, their optimizers and the two kinds of step."""

    def __init__(self, kind: str, batches: Iterator[Tensor]) -> None:
        self.kind, self.batches = kind, batches
        self.generator, self.critic = make_generator(), make_critic(kind)
        self.criterion = nn.BCEWithLogitsLoss()
        self.of_generator, self.of_critic = (
            torch.optim.Adam(net.parameters(), lr=LEARNING_RATE, betas=BETAS[kind])
            for net in (self.generator, self.critic)
        )

    def take_step(self, step: int) -> None:
        losses = self.dcgan_step() if self.kind == "dcgan" else self.wgan_gp_step()
        if (step + 1) % LOG_EVERY == 0:
            print(f"{step + 1}: {[loss.item() for loss in losses]}", file=sys.stderr)

    def dcgan_step(self) -> tuple[Tensor, Tensor]:
        real = next(self.batches)
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        self.critic.zero_grad()
        on_real = self.criterion(self.critic(real), ones)
        on_real.backward()
        fake = self.generator(torch.randn(len(real), LATENT_DIM))
        on_fake = self.criterion(self.critic(fake.detach()), zeros)
        on_fake.backward()
        self.of_critic.step()
        self.generator.zero_grad()
        loss = self.criterion(self.critic(fake), ones)
        loss.backward()
        self.of_generator.step()
        return on_real + on_fake, loss

    def wgan_gp_step(self) -> tuple[Tensor, Tensor]:
        for _ in range(CRITIC_STEPS["wgan_gp"]):
            real = next(self.batches)
            fake = self.generator(torch.randn(len(real), LATENT_DIM)).detach()
            weights = torch.rand(len(real), 1, 1, 1)
            between = (weights * real + (1 - weights) * fake).requires_grad_()
            (gradient,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
            penalty = ((gradient.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
            loss = self.critic(fake).mean() - self.critic(real).mean() + PENALTY_WEIGHT * penalty
            self.critic.zero_grad()
            loss.backward()
            self.of_critic.step()
        self.generator.zero_grad()
        of_generator = -self.critic(self.generator(torch.randn(len(real), LATENT_DIM))).mean()
        of_generator.backward()
        self.of_generator.step()
        return loss, of_generator


def endless(loader: DataLoader[tuple[Tensor, ...]]) -> Iterator[Tensor]:
    """Batches, epoch after epoch."""
    while True:
        for (images,) in loader:
            yield images


def main(kind: str, data: str, num_steps: int, threads: int, seed: int) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    train = read(data, "train")
    loader = DataLoader(TensorDataset(train), batch_size=BATCH_SIZE, shuffle=True, drop_last=True)
    players = Players(kind, endless(loader))
    loop = Stopwatch()
    timed = loop.timed(players.take_step)
    for step in range(num_steps):
        timed(step)
    peak = peak_memory_bytes()
    row = {
        "version": torch.__version__,
        "torch": torch.__version__,
        "num_pictures": len(train),
        "num_steps": num_steps,
        "num_parameters": num_parameters(players.generator) + num_parameters(players.critic),
        "loop_seconds": loop.seconds,
        "steps_per_second": num_steps / loop.seconds,
        "peak_memory_bytes": peak,
        "picture_distance": picture_distance(
            read(data, "test"), players.generator.eval(), latent_dim=LATENT_DIM
        ),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]))
