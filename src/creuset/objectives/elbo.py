"""The evidence lower bound and its tighter relative, for a Gaussian posterior and a standard normal prior.

    log p(x)  >=  E_q[log p(x|z)] - KL(q(z|x) || p(z))                    the ELBO
    log p(x)  >=  E[log 1/S sum_s p(x|z_s) p(z_s) / q(z_s|x)]             with S importance samples

Source: Kingma & Welling 2014, "Auto-Encoding Variational Bayes", eq. 3 and appendix B; beta: Higgins et al.
2017, eq. 4; free bits: Kingma et al. 2016, "Improved Variational Inference with Inverse Autoregressive Flow",
eq. 16; importance samples: Burda et al. 2016, "Importance Weighted Autoencoders", eq. 8.
Departure: free bits hold for each dimension of each sample, where Kingma et al. take the mean over a
minibatch first; a maximum of batch means would depend on how a batch is cut into parts.

Legend of shapes: B batch, L latent dimensions, S importance samples.
"""

import math

import torch
from torch import Tensor


def gaussian_kl(mean: Tensor, log_variance: Tensor, *, free_nats: float = 0.0) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, I)) = 1/2 sum_l (mean^2 + exp(log_variance) - 1 - log_variance).

    Args:
        mean: (B, L).
        log_variance: (B, L), natural logarithm of the variance.
        free_nats: What each dimension may cost at least; below it, a dimension costs this and its gradient is
            zero. 0 gives the KL divergence itself.

    Returns:
        Nats of each sample, (B,).
    """
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
    if free_nats:
        kl = kl.clamp(min=free_nats)
    return kl.sum(-1)


def log_prior_over_posterior(codes: Tensor, noise: Tensor, log_variance: Tensor) -> Tensor:
    """log N(z; 0, I) - log N(z; mean, exp(log_variance)) for z = mean + exp(log_variance / 2) noise, in nats.

    The constants of the two densities cancel, and the posterior's quadratic form is that of the noise.

    Args:
        codes: z, (..., L).
        noise: (..., L), standard normal.
        log_variance: broadcastable to (..., L).

    Returns:
        (...).
    """
    return 0.5 * (noise.square() - codes.square() + log_variance).sum(-1)


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    """log 1/S sum_s exp(log_weights_s): at S = 1 an ELBO, at S -> infinity log p(x).

    Args:
        log_weights: log p(x|z_s) + log p(z_s) - log q(z_s|x), (B, S).

    Returns:
        Nats, (B,).
    """
    return torch.logsumexp(log_weights, dim=1) - math.log(log_weights.shape[1])
