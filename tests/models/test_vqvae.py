"""The VQ-VAE: its losses, its codes, and what its section refuses."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from creuset.data.spec import CodeForm, DataSpec
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models import family, family_names
from creuset.models.pixelcnn import PixelCNN, PixelCNNConfig
from creuset.models.vqvae import VQVAE, VQVAEConfig

SPEC = DataSpec(kind="images", shape=(1, 9, 14), num_levels=256)
CODES = DataSpec(
    kind="images",
    shape=(1, 4, 4),
    num_levels=300,
    codes=CodeForm(run="first", checkpoint="ab" * 32),
    class_names=("a", "b"),
    class_counts=(5, 5),
)


def vqvae(spec: DataSpec = SPEC, **settings: Any) -> VQVAE:
    defaults = {"channels": (8, 8), "code_dim": 4, "num_codes": 16}
    return VQVAE(VQVAEConfig(family="vqvae", **{**defaults, **settings}), spec)


def images(size: int = 6) -> torch.Tensor:
    return torch.rand(size, 1, 9, 14, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_a_picture_becomes_a_map_a_quarter_as_high_and_wide() -> None:
    model = vqvae()
    codes = model.encode(images())
    assert codes.shape == (6, 3, 4)
    assert codes.dtype == torch.int64
    assert int(codes.max()) < 16
    pictures = model.decode(codes)
    assert pictures.shape == (6, 1, 9, 14)
    assert pictures.abs().max() <= 1
    torch.testing.assert_close(model.decode(codes.to(torch.int16)), pictures)


@pytest.mark.parametrize("codebook", ["ema", "loss"])
def test_the_loss_is_that_of_the_paper(codebook: str) -> None:
    """Equation 3 of van den Oord et al. 2017, of means over numbers."""
    model = vqvae(codebook=codebook, commitment_weight=0.7)
    report = model.loss({"images": images()}, "model", BatchGenerator(0, size=6))
    encoded = model.encoder(images())
    codes = model.quantiser.look_up(model.encode(images()))
    distance = functional.mse_loss(model.decoder(codes), images())
    apart = functional.mse_loss(encoded, codes)
    expected = distance + 0.7 * apart + (apart if codebook == "loss" else 0.0)
    torch.testing.assert_close(report["loss"], expected)
    torch.testing.assert_close(report["mean_squared_error"], distance.detach())
    torch.testing.assert_close(report["commitment"], apart.detach())
    assert ("codebook" in report) == (codebook == "loss")


def test_with_bernoulli_all_is_summed_over_a_picture() -> None:
    model = vqvae(reconstruction="bernoulli", commitment_weight=2.0)
    report = model.loss({"images": images()}, "model", BatchGenerator(0, size=6))
    encoded, codes = model.encoder(images()), model.quantiser.look_up(model.encode(images()))
    nats = functional.binary_cross_entropy_with_logits(
        model.decoder(codes), (images() + 1) / 2, reduction="sum"
    )
    apart = functional.mse_loss(encoded, codes, reduction="sum")
    torch.testing.assert_close(report["loss"], (nats + 2 * apart) / 6)
    torch.testing.assert_close(report["cross_entropy_nats"], nats.detach() / 6)


def test_training_uses_most_of_the_codebook() -> None:
    model = vqvae(restart_below=0.05)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    given = images(32)
    for step in range(30):
        model.begin_step(step, 30)
        report = model.loss({"images": given}, "model", BatchGenerator(0, step, size=32))
        optimizer.zero_grad()
        report["loss"].backward()
        optimizer.step()
        model.end_update("model")
    assert float(report["code_perplexity"]) > 8
    assert len(model.encode(given).unique()) > 8


def test_what_are_no_codes_is_refused() -> None:
    model = vqvae()
    with pytest.raises(UsageError, match=r"another shape.*\n  got: \(2, 4, 4\)\n  expected: \(batch, 3, 4\)"):
        model.decode(torch.zeros(2, 4, 4, dtype=torch.int64))
    with pytest.raises(UsageError, match=r"no codes\n  got: int64 from 0 to 16\n.*from 0 to 15"):
        model.decode(torch.tensor([0, 16, 3] * 4).reshape(1, 3, 4))
    with pytest.raises(UsageError, match="no codes\n  got: float32"):
        model.decode(torch.zeros(1, 3, 4))


def test_a_setting_without_effect_is_refused() -> None:
    with pytest.raises(ValidationError, match="restart_below has no effect with codebook: loss"):
        VQVAEConfig(family="vqvae", codebook="loss", restart_below=0.1)
    assert VQVAEConfig(family="vqvae", codebook="loss").least_use == 0
    assert VQVAEConfig(family="vqvae").least_use == 0.05
    with pytest.raises(ValidationError, match="channels"):
        VQVAEConfig(family="vqvae", channels=())


def test_pictures_too_small_for_its_stages_are_refused() -> None:
    with pytest.raises(UsageError, match=r"too small for 2 stages"):
        vqvae(DataSpec(kind="images", shape=(1, 3, 8), num_levels=2))


@pytest.mark.parametrize(
    "name", [name for name in family_names() if name != "pixelcnn" and "tune" not in name]
)
def test_other_families_refuse_code_maps(name: str) -> None:
    found = family(name)
    section = found.config(family=name, **({"size": "tiny"} if found.config.sizes else {}))
    with pytest.raises(UsageError, match=r"does not take code maps.*\n  got: the codes of first"):
        found.build(section, CODES)


def test_a_pixelcnn_of_codes_is_categorical() -> None:
    with pytest.raises(UsageError, match=r"model.likelihood: codes are no shades of grey"):
        PixelCNN(PixelCNNConfig(family="pixelcnn", num_layers=1, channels=4), CODES)
    model = PixelCNN(
        PixelCNNConfig(family="pixelcnn", num_layers=1, channels=4, likelihood="categorical"), CODES
    )
    batch = {"images": torch.zeros(2, 1, 4, 4)}
    assert set(model.loss(batch, "model", BatchGenerator(0, size=2))) == {"loss", "bits_per_code"}
