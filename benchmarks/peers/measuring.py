"""What both sides of a benchmark measure in the same way.

It needs torch alone, since it runs in the environment of either side.
"""

import functools
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_BATCH = 500


class Stopwatch:
    """Adds up the seconds spent inside functions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, on the clock."""

        @functools.wraps(function)
        def wrapper(*arguments: Any, **options: Any) -> Any:
            begin = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds += time.perf_counter() - begin

        return wrapper


def negative_elbo(
    pixels: Tensor,
    encode: Callable[[Tensor], tuple[Tensor, Tensor]],
    decode: Callable[[Tensor], Tensor],
) -> float:
    """-E_q[log p(x|z)] + KL(q(z|x) || N(0, I)) in nats, the mean over binary pictures; one draw of z each.

    Args:
        pixels: 0 or 1, (N, 1, H, W).
        encode: Pixels to mean and log-variance of q(z|x), each (B, L).
        decode: Codes (B, L) to the logits of the pixels, as many numbers for each picture as it has pixels.
    """
    generator = torch.Generator().manual_seed(1)
    total = 0.0
    with torch.no_grad():
        for part in pixels.split(_BATCH):
            mean, log_variance = encode(part)
            noise = torch.randn(mean.shape, generator=generator)
            logits = decode(mean + torch.exp(0.5 * log_variance) * noise)
            reconstruction = functional.binary_cross_entropy_with_logits(
                logits.flatten(1), part.flatten(1), reduction="none"
            ).sum(1)
            kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
            total += float((reconstruction + kl).double().sum())
    return total / len(pixels)


def num_parameters(model: nn.Module) -> int:
    """The trained numbers of a model."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def peak_memory_bytes() -> int:
    """The largest resident set of this program.

    On Linux from /proc: what getrusage says there is also that of the process this one was started by.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def noise_error(pixels: Tensor, predict: Callable[[Tensor, Tensor], Tensor]) -> float:
    """The mean squared error of the noise that a network sees in pictures, at each of DDPM's 1,000 steps
    alike.

    Args:
        pixels: In [-1, 1], (N, 1, H, W).
        predict: Pictures with noise (B, 1, H, W) and their steps, int64 in [0, 1000), to the noise.
    """
    generator = torch.Generator().manual_seed(1)
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0).float()
    total = 0.0
    with torch.no_grad():
        for number, part in enumerate(pixels.split(_BATCH)):
            steps = (
                torch.arange(len(part)) * 619 + number
            ) % 1000  # all of them, in an order of no picture's
            noise = torch.randn(part.shape, generator=generator)
            share = kept[steps].view(-1, 1, 1, 1)
            said = predict(share.sqrt() * part + (1 - share).sqrt() * noise, steps)
            total += float((said - noise).square().flatten(1).mean(1).double().sum())
    return total / len(pixels)


def picture_distance(pictures: Tensor, generate: Callable[[Tensor], Tensor], *, latent_dim: int) -> float:
    """The sliced Wasserstein distance of as many generated pictures: by 512 directions, the same each time.

    Args:
        pictures: In [-1, 1], (N, C, H, W).
        generate: Noise (B, latent_dim) to pictures.
        latent_dim: Numbers of the noise.
    """
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(len(pictures), latent_dim, generator=generator)
    directions = functional.normalize(torch.randn(pictures[0].numel(), 512, generator=generator), dim=0)
    with torch.no_grad():
        drawn = torch.cat([generate(part) for part in noise.split(_BATCH)])
        first, second = (
            (rows.flatten(1) @ directions).sort(dim=0).values for rows in (pictures, drawn.float())
        )
    return float((first - second).abs().mean())
