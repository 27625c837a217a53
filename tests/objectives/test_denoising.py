"""The three predictions stand for the same data and noise, and for each other."""

from itertools import product

import pytest
import torch

from creuset.errors import UsageError
from creuset.objectives.denoising import (
    Prediction,
    converted,
    data_of,
    disturbed,
    noise_of,
    prediction_target,
)

PREDICTIONS: tuple[Prediction, ...] = ("epsilon", "x0", "v")
DATA, NOISE = (
    torch.randn(4, 1, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    for seed in (0, 1)
)
ANGLE = torch.tensor([0.1, 0.7, 1.2, 1.5], dtype=torch.float64).view(-1, 1, 1, 1)
ALPHA, SIGMA = ANGLE.cos(), ANGLE.sin()
PLACE = disturbed(DATA, NOISE, ALPHA, SIGMA)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_right_prediction_tells_data_and_noise(prediction: Prediction) -> None:
    said = prediction_target(prediction, DATA, NOISE, ALPHA, SIGMA)
    torch.testing.assert_close(data_of(prediction, said, PLACE, ALPHA, SIGMA), DATA)
    torch.testing.assert_close(noise_of(prediction, said, PLACE, ALPHA, SIGMA), NOISE)


@pytest.mark.parametrize(("given", "wanted"), list(product(PREDICTIONS, PREDICTIONS)))
def test_conversions_hold_for_wrong_predictions_too(given: Prediction, wanted: Prediction) -> None:
    said = torch.randn(4, 1, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    other = converted(said, PLACE, ALPHA, SIGMA, given=given, wanted=wanted)
    for told in (data_of, noise_of):
        torch.testing.assert_close(
            told(wanted, other, PLACE, ALPHA, SIGMA), told(given, said, PLACE, ALPHA, SIGMA)
        )
    back = converted(other, PLACE, ALPHA, SIGMA, given=wanted, wanted=given)
    torch.testing.assert_close(back, said)


def test_v_is_the_speed_along_the_circle() -> None:
    """v = dx_t / d angle where alpha and sigma are cosine and sine of it (Salimans & Ho 2022, appendix D)."""
    step = 1e-6
    ahead = disturbed(DATA, NOISE, (ANGLE + step).cos(), (ANGLE + step).sin())
    speed = (ahead - PLACE) / step
    torch.testing.assert_close(prediction_target("v", DATA, NOISE, ALPHA, SIGMA), speed, rtol=1e-4, atol=1e-4)


def test_an_unknown_prediction_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no such prediction\n  got: score\n  expected: epsilon, x0, v"):
        prediction_target("score", DATA, NOISE, ALPHA, SIGMA)  # type: ignore[arg-type]
