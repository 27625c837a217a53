"""The autoencoder: its losses, its noise, and that it learns to remove noise."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.autoencoder import Autoencoder, AutoencoderConfig


def autoencoder(spec: DataSpec, **settings: Any) -> Autoencoder:
    return Autoencoder(AutoencoderConfig(family="autoencoder", **{"hidden_dims": (32,), **settings}), spec)


def train(model: Autoencoder, images: Tensor, num_steps: int, learning_rate: float = 3e-3) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    for step in range(num_steps):
        chosen = torch.randperm(len(images))[:64]
        loss = model.loss({"images": images[chosen]}, "model", BatchGenerator(0, step, size=64))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_mse_is_the_mean_over_pixels(digits: dict[str, Tensor], digit_spec: DataSpec) -> None:
    model, images = autoencoder(digit_spec), digits["images"][:10]
    report = model.loss({"images": images}, "model", BatchGenerator(0, size=10))
    output = model.decoder(model.encoder(images)).detach()
    torch.testing.assert_close(report["loss"].detach(), functional.mse_loss(output, images))
    assert torch.equal(report["mean_squared_error"], report["loss"].detach())


def test_bernoulli_is_the_cross_entropy_summed_over_pixels(
    digits: dict[str, Tensor], digit_spec: DataSpec
) -> None:
    model, images = autoencoder(digit_spec, reconstruction="bernoulli"), digits["images"][:10]
    report = model.loss({"images": images}, "model", BatchGenerator(0, size=10))
    logits = model.decoder(model.encoder(images)).detach()
    expected = functional.binary_cross_entropy_with_logits(logits, (images + 1) / 2, reduction="sum") / 10
    torch.testing.assert_close(report["cross_entropy_nats"], expected)
    torch.testing.assert_close(model.reconstruct(images), 2 * torch.sigmoid(logits) - 1)


def test_gaussian_noise_has_its_level(digit_spec: DataSpec) -> None:
    model = autoencoder(digit_spec, noise="gaussian", noise_level=0.3)
    noisy = model.disturb(torch.zeros(500, 1, 8, 8), BatchGenerator(0, size=500))
    assert float(noisy.std()) == pytest.approx(0.3, rel=0.02)
    assert float(noisy.mean()) == pytest.approx(0, abs=0.01)


def test_masking_blackens_its_share_in_all_channels() -> None:
    spec = DataSpec(kind="images", shape=(3, 8, 8), num_levels=256)
    model = autoencoder(spec, noise="masking", noise_level=0.3)
    masked = model.disturb(torch.ones(500, 3, 8, 8), BatchGenerator(0, size=500))
    assert masked.unique().tolist() == [-1, 1]
    assert float((masked < 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert torch.equal(masked[:, :1].expand_as(masked), masked)


@pytest.mark.parametrize(("noise", "level"), [("gaussian", 0.6), ("masking", 0.4)])
def test_denoising_brings_pictures_nearer_to_the_clean_ones(
    digits: dict[str, Tensor], digit_spec: DataSpec, noise: str, level: float
) -> None:
    model = autoencoder(digit_spec, noise=noise, noise_level=level, hidden_dims=(128,), latent_dim=32)
    assert model.removes_noise
    train(model, digits["images"][:1500], 300)
    clean = digits["images"][1500:]
    noisy = model.disturb(clean, BatchGenerator(1, size=len(clean)))
    error = (model.denoise(noisy) - clean).square().mean()
    assert error < 0.5 * (noisy - clean).square().mean()


def test_linear_autoencoder_does_no_better_than_principal_components(
    digits: dict[str, Tensor], digit_spec: DataSpec
) -> None:
    """Without hidden layers the best is the projection on the first components (Baldi & Hornik 1989)."""
    images = digits["images"][:1500]
    model = autoencoder(digit_spec, hidden_dims=(), latent_dim=4)
    train(model, images, 1500, learning_rate=1e-2)
    rows = images.flatten(1)
    centred = (rows - rows.mean(0)).double()
    spectrum = torch.linalg.svdvals(centred).square()
    best = float(spectrum[4:].sum() / centred.numel())
    output = model.decoder(model.encoder(images)).detach()
    error = float((output - images).square().mean())
    assert best <= error < 1.1 * best


def test_a_plain_autoencoder_refuses_to_denoise(digits: dict[str, Tensor], digit_spec: DataSpec) -> None:
    assert not autoencoder(digit_spec).removes_noise
    with pytest.raises(UsageError, match=r"not learned to remove noise\n(.|\n)*next: train with model.noise"):
        autoencoder(digit_spec).denoise(digits["images"][:3])


def test_codes_of_another_length_are_refused(digit_spec: DataSpec) -> None:
    with pytest.raises(UsageError, match=r"got: \(2, 5\)\n  expected: \(batch, 32\)"):
        autoencoder(digit_spec).decode(torch.zeros(2, 5))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise_level": 0.5}, "noise_level\n.*has no effect without noise"),
        ({"noise": "gaussian"}, "noise_level\n.*needs a level above 0"),
        ({"noise": "masking", "noise_level": 1.0}, "noise_level\n.*must be below 1"),
        ({"latent_dim": 0}, "latent_dim\n.*greater than or equal to 1"),
        ({"hidden_dims": (10, 0)}, r"hidden_dims.1\n.*greater than or equal to 1"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AutoencoderConfig(family="autoencoder", **settings)
