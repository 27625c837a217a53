"""The networks of gan_steps.py in torch's modules alone, as creuset's recipe makes them, and their data.

Generator: a dense layer to 256 maps of 4 x 4, then transposed convolutions of 4 x 4 with stride 2 to 128, 64
and 3 maps, batch norm and ReLU between them, tanh at the end. Critic: convolutions of 4 x 4 with stride 2 to
64, 128 and 256 maps, leaky ReLU, batch norm behind all but the first (dcgan) or none (wgan_gp), and a dense
layer.
"""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

LATENT_DIM = 64
CHANNELS = (64, 128, 256)
BATCH_SIZE = 64
LEARNING_RATE = 2e-4
BETAS = {"dcgan": (0.5, 0.999), "wgan_gp": (0.0, 0.9)}
CRITIC_STEPS = {"dcgan": 1, "wgan_gp": 5}
PENALTY_WEIGHT = 10.0


def make_generator() -> nn.Sequential:
    """Noise (B, 64) to pictures (B, 3, 32, 32)."""
    smallest = CHANNELS[-1]
    layers = [
        nn.Linear(LATENT_DIM, smallest * 16),
        nn.Unflatten(1, (smallest, 4, 4)),
        nn.BatchNorm2d(smallest),
        nn.ReLU(),
    ]
    for channels_in, channels_out in pairwise(reversed(CHANNELS)):
        layers += [
            nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.ConvTranspose2d(CHANNELS[0], 3, 4, stride=2, padding=1), nn.Tanh())


def make_critic(kind: str) -> nn.Sequential:
    """Pictures (B, 3, 32, 32) to scores (B, 1)."""
    layers: list[nn.Module] = []
    for number, (channels_in, channels_out) in enumerate(pairwise((3, *CHANNELS))):
        layers.append(nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1))
        if kind == "dcgan" and number:
            layers.append(nn.BatchNorm2d(channels_out))
        layers.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(CHANNELS[-1] * 16, 1, bias=kind == "dcgan"))


def read(path: str, split: str) -> Tensor:
    """The pictures of a split in [-1, 1], (N, 3, 32, 32)."""
    with np.load(path) as arrays:
        images = torch.from_numpy(arrays[f"{split}_images"])
    return images.permute(0, 3, 1, 2).float().contiguous() / 127.5 - 1
