"""What a critic can see of a batch as a whole: how like its samples are to each other.

Source: minibatch discrimination: Salimans et al. 2016, "Improved Techniques for Training GANs", section 3.2;
minibatch standard deviation: Karras et al. 2018, "Progressive Growing of GANs", section 3.
Departures: a sample is not compared with itself, which would add 1 to every feature. The standard deviation
is of each group divided by its size, with 1e-8 within the root, as in the authors' program.

Legend of shapes: B samples, F features, K kernels, D numbers of a kernel, C channels, H height, W width, G
samples of a group.
"""

import torch
from torch import Tensor, nn

from creuset.errors import UsageError

_LEAST_VARIANCE = 1e-8


class MinibatchDiscrimination(nn.Module):
    """Adds K features to each sample: the sum over the others of exp(-|M_i - M_j|), M = x T, by L1 distance.

    Args:
        num_features: F.
        num_kernels: K.
        kernel_dim: D.
    """

    def __init__(self, num_features: int, num_kernels: int, kernel_dim: int) -> None:
        super().__init__()
        self.projection = nn.Parameter(torch.empty(num_features, num_kernels, kernel_dim))
        nn.init.normal_(self.projection, std=num_features**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F) -> (B, F + K)."""
        projected = torch.einsum("bf,fkd->bkd", x, self.projection)
        kernels = projected.transpose(0, 1)  # (K, B, D)
        # torch.cdist has no second derivative, which penalties on the critic's gradient need
        distances = (kernels[:, :, None] - kernels[:, None]).abs().sum(-1)  # (K, B, B)
        likeness = torch.exp(-distances)
        to_others = likeness.sum(2) - likeness.diagonal(dim1=1, dim2=2)  # (K, B)
        return torch.cat([x, to_others.T], dim=1)


def with_minibatch_deviation(maps: Tensor, group: int) -> Tensor:
    """One more channel: how much a group's samples differ, the same number everywhere.

    That number is the standard deviation of each channel and place over the group, averaged over both. A
    group is samples whose numbers are congruent: 0, B/G, 2B/G and so on.

    Args:
        maps: (B, C, H, W).
        group: G, which divides B.

    Returns:
        (B, C + 1, H, W).

    Raises:
        UsageError: The group does not divide the batch.
    """
    num_samples, channels, height, width = maps.shape
    if num_samples % group:
        raise UsageError(
            "a batch that groups do not fill",
            where="minibatch deviation",
            got=f"{num_samples} samples, groups of {group}",
            expected="a batch that is a multiple of the group",
        )
    groups = maps.view(group, -1, channels, height, width)
    deviation = (groups.var(0, unbiased=False) + _LEAST_VARIANCE).sqrt().mean((1, 2, 3))  # (B / G,)
    channel = deviation.repeat(group).view(num_samples, 1, 1, 1).expand(-1, 1, height, width)
    return torch.cat([maps, channel], dim=1)
