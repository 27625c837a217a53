"""Pictures' maps in the order of memory in which convolutions on a processor are quickest.

The channels of a pixel lie beside each other, and what follows keeps that order. How fast GANs' steps are
with it: benchmarks/gan_steps.py. The weights stay as they are.
"""

import torch
from torch import Tensor, nn


class ChannelsLast(nn.Module):
    """The same maps, (B, C, H, W), with the channels of a pixel beside each other in memory."""

    def forward(self, x: Tensor) -> Tensor:
        return x.contiguous(memory_format=torch.channels_last)
