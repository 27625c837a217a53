"""Dropout whose draws belong to samples.

Source: Srivastava et al. 2014, "Dropout", with the scale 1 / (1 - p) at training time.
Departure: the mask comes from a BatchGenerator, one row a sample, so that it depends neither on how a batch
is cut into parts nor on torch's global state; without a generator nothing is dropped.
"""

from torch import Tensor, nn

from creuset.device import BatchGenerator


class Dropout(nn.Module):
    """Zero each number with probability `p` and scale the others by 1 / (1 - p).

    Args:
        p: In [0, 1).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout probability {p} is outside [0, 1)")
        self.p = p

    def forward(self, x: Tensor, generator: BatchGenerator | None) -> Tensor:
        """`x` (B, ...), its samples being the generator's rows; unchanged where generator is None."""
        if generator is None or self.p == 0:
            return x
        keep = generator.uniform(*x.shape[1:]) >= self.p
        return x * (keep.to(x.dtype) / (1 - self.p))

    def extra_repr(self) -> str:
        return f"p={self.p}"
