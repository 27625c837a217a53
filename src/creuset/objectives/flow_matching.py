"""Flow matching along straight paths: a velocity field that carries noise to data in a unit of time.

    x_t = (1 - t) noise + t data,    velocity = data - noise,    loss = |v(x_t, t) - velocity|^2 / D

`optimal_pairs` deals the noise of a batch to its samples so that the paths are short, which makes them cross
less and the flow straighter. Where a flow is asked for something, noise is dealt among samples that are asked
for the same (`pairs_within`): over a whole batch each class would get the noise that lies nearest to it, and
would be drawn from all noise alike.

Source: Lipman et al. 2023, "Flow Matching for Generative Modeling", eq. 23 with sigma_min = 0; Liu et al.
2023, "Flow Straight and Fast"; pairing: Tong et al. 2024, "Improving and Generalizing Flow-Based Generative
Models with Minibatch Optimal Transport", algorithm 2 without its sigma.

Legend of shapes: B batch, ... the axes of a sample, D its numbers.
"""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def straight_path(noise: Tensor, data: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
    """The place at each time, and the velocity there.

    Args:
        noise: Where paths begin, at time 0, (B, ...).
        data: Where they end, at time 1, (B, ...).
        times: In [0, 1], (B,).

    Returns:
        Places and velocities, (B, ...) each.
    """
    times = times.view(-1, *[1] * (data.ndim - 1))
    return torch.lerp(noise, data, times), data - noise


def optimal_pairs(noise: Tensor, data: Tensor) -> Tensor:
    """The noise in the order that makes the sum of |noise - data|^2 over the batch least.

    Args:
        noise: (B, ...).
        data: (B, ...); it keeps its order, and so do its labels.

    Returns:
        (B, ...), the rows of `noise`.
    """
    costs = torch.cdist(data.flatten(1).float(), noise.flatten(1).float()).square()
    _, columns = linear_sum_assignment(costs.cpu().numpy())
    return noise[torch.from_numpy(columns).to(noise.device)]


def pairs_within(classes: Tensor, noise: Tensor, data: Tensor) -> Tensor:
    """`optimal_pairs` of each class for itself: the noise of a class stays N(0, I).

    Args:
        classes: int64 (B,).
        noise: (B, ...).
        data: (B, ...).

    Returns:
        (B, ...), the rows of `noise`.
    """
    paired = torch.empty_like(noise)
    for number in sorted(set(classes.tolist())):
        of = classes == number
        paired[of] = optimal_pairs(noise[of], data[of])
    return paired
