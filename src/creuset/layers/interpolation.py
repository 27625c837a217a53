"""Ways from one code to another.

Legend of shapes: B batch, L latent dimensions.
"""

from typing import Literal

import torch
from torch import Tensor

from creuset.errors import UsageError

Path = Literal["linear", "spherical"]


def interpolate_codes(first: Tensor, second: Tensor, num_steps: int, path: Path = "linear") -> Tensor:
    """Codes on the way from `first` to `second`, both ends included, at even shares t of the way.

    linear: (1 - t) a + t b. spherical: (sin((1 - t) w) a + sin(t w) b) / sin(w) with the angle w between a
    and b, which keeps the norm near that of the ends, where a Gaussian prior has its mass; where the two
    point the same way or in opposite ones it is the linear path.

    Args:
        first: (B, L).
        second: (B, L).
        num_steps: At least 2.
        path: "linear" or "spherical".

    Returns:
        (B, num_steps, L).

    Source: spherical: White 2016, "Sampling Generative Networks", section 2.1.
    """
    if num_steps < 2:
        raise UsageError(
            "too few steps to interpolate", got=num_steps, expected="at least 2, the ends being two of them"
        )
    shares = torch.linspace(0, 1, num_steps, dtype=first.dtype, device=first.device)[:, None]
    start, end = first[:, None], second[:, None]  # (B, 1, L)
    linear = (1 - shares) * start + shares * end
    if path == "linear":
        return linear
    angle = torch.acos(torch.cosine_similarity(start, end, dim=-1).clamp(-1, 1))[..., None]  # (B, 1, 1)
    sine = torch.sin(angle)
    flat = sine < 1e-4
    arc = (torch.sin((1 - shares) * angle) * start + torch.sin(shares * angle) * end) / sine.where(~flat, 1.0)
    return torch.where(flat, linear, arc)
