"""How far two sets of samples are apart.

    sliced Wasserstein   mean over directions d, |d| = 1, of  mean over k of |x_(k) - y_(k)|
    Chamfer              mean over x of min over y of |x - y|, plus mean over y of min over x of |x - y|

with x_(k) the k-th smallest of the numbers x . d: the Wasserstein distance of each pair of projections. The
first tells how whole distributions lie, in any number of dimensions; the second how narrow modes are met,
in few.

Source: Bonneel et al. 2015, "Sliced and Radon Wasserstein Barycenters of Measures", section 3, of order 1;
Fan et al. 2017, "A Point Set Generation Network for 3D Object Reconstruction from a Single Image", eq. 1,
here as means of distances.

Legend of shapes: N, M samples, D numbers of a sample, P directions.
"""

import torch
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


def chamfer_distance(first: Tensor, second: Tensor) -> Tensor:
    """How far samples are from the nearest of the other set, both ways, a scalar from 0.

    Args:
        first: (N, D).
        second: (M, D).
    """
    distances = torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")  # (N, M)
    return distances.amin(1).mean() + distances.amin(0).mean()
