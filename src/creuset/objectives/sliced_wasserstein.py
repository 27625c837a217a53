"""How far two sets of samples are apart, seen along many directions.

    mean over directions d, |d| = 1, of  mean over k of |x_(k) - y_(k)|

with x_(k) the k-th smallest of the numbers x . d: the Wasserstein distance of each pair of projections.

Source: Bonneel et al. 2015, "Sliced and Radon Wasserstein Barycenters of Measures", section 3; of order 1.

Legend of shapes: N samples, D numbers of a sample, P directions.
"""

from torch import Tensor
from torch.nn.functional import normalize


def sliced_wasserstein(first: Tensor, second: Tensor, directions: Tensor) -> Tensor:
    """The distance of two sets of as many samples, in the units of their numbers, a scalar from 0.

    Args:
        first, second: (N, D).
        directions: (D, P), of any length.
    """
    directions = normalize(directions, dim=0)
    ordered = [(samples @ directions).sort(dim=0).values for samples in (first, second)]  # (N, P)
    return (ordered[0] - ordered[1]).abs().mean()
