"""What a network of denoising diffusion learns: noise, data, or the velocity between them.

    x_t = alpha x + sigma noise,    alpha^2 + sigma^2 = 1
    epsilon   the noise
    x0        the data
    v         alpha noise - sigma x

Given x_t, each of the three says what the other two are. The loss is the mean squared error of what is
predicted, all times alike.

Source: Ho et al. 2020, "Denoising Diffusion Probabilistic Models", eq. 14; v: Salimans & Ho 2022,
"Progressive Distillation for Fast Sampling of Diffusion Models", appendix D.

Legend of shapes: B batch, ... the axes of a sample. alpha and sigma broadcast: (B, 1, ..., 1) or ().
"""

from typing import Literal, get_args

from torch import Tensor

from creuset.errors import UsageError

Prediction = Literal["epsilon", "x0", "v"]


def disturbed(data: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """x_t, the data with noise: (B, ...)."""
    return alpha * data + sigma * noise


def prediction_target(
    prediction: Prediction, data: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor
) -> Tensor:
    """What the network is to say, (B, ...).

    Raises:
        UsageError: There is no such prediction.
    """
    match prediction:
        case "epsilon":
            return noise
        case "x0":
            return data
        case "v":
            return alpha * noise - sigma * data
    raise _unknown(prediction)


def data_of(prediction: Prediction, said: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """The data that a prediction at x_t stands for, (B, ...); alpha is above 0 for "epsilon".

    Raises:
        UsageError: There is no such prediction.
    """
    match prediction:
        case "epsilon":
            return (x - sigma * said) / alpha
        case "x0":
            return said
        case "v":
            return alpha * x - sigma * said
    raise _unknown(prediction)


def noise_of(prediction: Prediction, said: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """The noise that a prediction at x_t stands for, (B, ...); sigma is above 0 for "x0".

    Raises:
        UsageError: There is no such prediction.
    """
    match prediction:
        case "epsilon":
            return said
        case "x0":
            return (x - alpha * said) / sigma
        case "v":
            return sigma * x + alpha * said
    raise _unknown(prediction)


def converted(
    said: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor, *, given: Prediction, wanted: Prediction
) -> Tensor:
    """A prediction at x_t in another form, (B, ...)."""
    data = data_of(given, said, x, alpha, sigma)
    noise = noise_of(given, said, x, alpha, sigma)
    return prediction_target(wanted, data, noise, alpha, sigma)


def _unknown(prediction: str) -> UsageError:
    return UsageError(
        "no such prediction", where="prediction", got=prediction, expected=", ".join(get_args(Prediction))
    )
