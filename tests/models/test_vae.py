"""The variational autoencoder against a closed form, and each of its likelihoods and weights."""

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.distributions import MultivariateNormal

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.models.base import Likelihood
from creuset.models.vae import VAE, VAEConfig
from creuset.objectives.elbo import gaussian_kl

LIKELIHOODS = ("bernoulli", "discretised", "gaussian")


def vae(spec: DataSpec, **settings: Any) -> VAE:
    return VAE(VAEConfig(family="vae", **{"hidden_dims": (64,), "latent_dim": 8, **settings}), spec)


def train(model: VAE, images: Tensor, num_steps: int, learning_rate: float = 3e-3) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    for step in range(num_steps):
        chosen = torch.randperm(len(images))[:100]
        loss = model.loss({"images": images[chosen]}, "model", BatchGenerator(0, step, size=100))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.fixture
def linear_gaussian() -> tuple[VAE, MultivariateNormal]:
    """A VAE without hidden layers whose q is the exact posterior, and its exact p(x).

    With x = A z + b + noise of variance s and the columns of A orthogonal, the posterior is a diagonal
    Gaussian: its precision is 1 + |a_l|^2 / s, its mean A'(x - b) / s over that.
    """
    spec = DataSpec(kind="images", shape=(1, 2, 3), num_levels=256)
    variance = 0.2
    model = vae(spec, hidden_dims=(), latent_dim=2, likelihood="gaussian", variance=variance).double()
    directions = torch.linalg.qr(torch.randn(6, 2, dtype=torch.float64))[0] * torch.tensor([1.5, 0.4])
    offset = torch.randn(6, dtype=torch.float64)
    precision = 1 + directions.square().sum(0) / variance
    encode = (directions / variance / precision).T
    with torch.no_grad():
        decoder, encoder = model.decoder.dense.layers[0], model.encoder.dense.layers[0]
        decoder.weight.copy_(directions)
        decoder.bias.copy_(offset)
        encoder.weight.copy_(torch.cat([encode, torch.zeros_like(encode)]))
        encoder.bias.copy_(torch.cat([-encode @ offset, -precision.log()]))
    covariance = directions @ directions.T + variance * torch.eye(6, dtype=torch.float64)
    return model, MultivariateNormal(offset, covariance)


@pytest.mark.parametrize("num_importance_samples", [1, 7])
def test_bound_is_exact_under_the_exact_posterior(
    linear_gaussian: tuple[VAE, MultivariateNormal], num_importance_samples: int
) -> None:
    model, exact = linear_gaussian
    x = exact.sample((20,))
    values = model.log_likelihood(x.reshape(20, 1, 2, 3), BatchGenerator(0, size=20), num_importance_samples)
    torch.testing.assert_close(values, exact.log_prob(x), rtol=1e-6, atol=1e-6)


def test_bound_rises_to_the_exact_value_under_a_wrong_posterior(
    linear_gaussian: tuple[VAE, MultivariateNormal],
) -> None:
    model, exact = linear_gaussian
    with torch.no_grad():
        model.encoder.dense.layers[0].bias += torch.tensor([0.2, -0.1, 0.5, 0.5], dtype=torch.float64)
    x = exact.sample((500,))
    images = x.reshape(500, 1, 2, 3)
    truth = float(exact.log_prob(x).mean())
    bounds = [
        float(model.log_likelihood(images, BatchGenerator(0, size=500), size).mean()) for size in (1, 5, 200)
    ]
    assert bounds == sorted(bounds)
    assert bounds[0] < truth - 0.2
    assert bounds[-1] == pytest.approx(truth, abs=0.02)
    assert float(model.elbo(images, BatchGenerator(0, size=500)).mean()) == pytest.approx(bounds[0], abs=0.1)


def test_elbo_of_the_exact_posterior_is_the_likelihood_on_average(
    linear_gaussian: tuple[VAE, MultivariateNormal],
) -> None:
    model, exact = linear_gaussian
    x = exact.sample((1,)).expand(20_000, 6)
    values = model.elbo(x.reshape(-1, 1, 2, 3), BatchGenerator(0, size=20_000))
    error = float(values.std()) / math.sqrt(20_000)
    assert abs(float(values.mean()) - float(exact.log_prob(x[0]))) < 4 * error


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_importance_samples_in_parts_are_those_of_one_part(
    digits: dict[str, Tensor], digit_spec: DataSpec, monkeypatch: pytest.MonkeyPatch, likelihood: str
) -> None:
    model = vae(digit_spec, likelihood=likelihood, channels=(4,))
    images = digits["images"][:10]
    seen: list[int] = []
    decode = model.decoder.forward
    monkeypatch.setattr(model.decoder, "forward", lambda codes: seen.append(len(codes)) or decode(codes))
    model.log_likelihood(images, BatchGenerator(0, size=10), 9)
    monkeypatch.setattr("creuset.models.vae._CHUNK_NUMBERS", 4 * images.numel())
    values = model.log_likelihood(images, BatchGenerator(0, size=10), 9)
    assert seen == [90, 40, 40, 10]
    assert torch.isfinite(values).all()


def test_pixels_are_on_as_often_as_they_are_grey(digit_spec: DataSpec) -> None:
    model = vae(digit_spec)
    grey = torch.linspace(-1, 1, 64).reshape(1, 1, 8, 8)
    observed = model.observe(grey.expand(20_000, 1, 8, 8), BatchGenerator(0, size=20_000))
    assert observed.unique().tolist() == [-1, 1]
    torch.testing.assert_close(observed.mean(0, keepdim=True), grey, rtol=0, atol=0.03)
    assert torch.equal(observed[:, 0, 0, 0].unique(), torch.tensor([-1.0]))
    assert torch.equal(observed[:, 0, 7, 7].unique(), torch.tensor([1.0]))


def test_pixels_are_drawn_anew_at_each_step(digits: dict[str, Tensor], digit_spec: DataSpec) -> None:
    model, images = vae(digit_spec), digits["images"][:10]
    first = model.observe(images, BatchGenerator(0, "step", 1, size=10))
    assert not torch.equal(first, model.observe(images, BatchGenerator(0, "step", 2, size=10)))


def test_discretised_pixels_are_brought_to_their_levels(
    digits: dict[str, Tensor], digit_spec: DataSpec
) -> None:
    model, images = vae(digit_spec, likelihood="discretised"), digits["images"][:10]
    generator = BatchGenerator(0, size=10)
    torch.testing.assert_close(model.observe(images, generator), images)
    torch.testing.assert_close(model.observe((images + 0.05).clamp(-1, 1), generator), images)


@pytest.mark.parametrize(
    ("likelihood", "form"),
    [
        ("bernoulli", Likelihood(num_levels=2, binarisation="dynamic", bound=True)),
        ("discretised", Likelihood(num_levels=17, bound=True)),
        ("gaussian", Likelihood(num_levels=0, bound=True)),
    ],
)
def test_says_what_its_likelihood_is_of(digit_spec: DataSpec, likelihood: str, form: Likelihood) -> None:
    assert vae(digit_spec, likelihood=likelihood).likelihood == form


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_loss_is_minus_the_elbo_and_its_parts_add_up(
    digits: dict[str, Tensor], digit_spec: DataSpec, likelihood: str
) -> None:
    model, images = vae(digit_spec, likelihood=likelihood), digits["images"][:50]
    report = model.loss({"images": images}, "model", BatchGenerator(0, size=50))
    torch.testing.assert_close(report["loss"].detach(), report["reconstruction_nats"] + report["kl_nats"])
    bound = model.elbo(images, BatchGenerator(0, size=50)).mean()
    torch.testing.assert_close(report["loss"].detach(), -bound)


def test_beta_weighs_the_kl_term(digits: dict[str, Tensor], digit_spec: DataSpec) -> None:
    model, images = vae(digit_spec, beta=4.0), digits["images"][:50]
    report = model.loss({"images": images}, "model", BatchGenerator(0, size=50))
    expected = report["reconstruction_nats"] + 4 * report["kl_nats"]
    torch.testing.assert_close(report["loss"].detach(), expected)


def test_free_bits_are_bits_of_each_dimension(digits: dict[str, Tensor], digit_spec: DataSpec) -> None:
    model, images = vae(digit_spec, free_bits=0.5), digits["images"][:50]
    report = model.loss({"images": images}, "model", BatchGenerator(0, size=50))
    pixels = (model.observe(images, BatchGenerator(0, size=50)) + 1) / 2
    mean, log_variance = model.encoder(pixels).detach().chunk(2, dim=1)
    charged = gaussian_kl(mean, log_variance, free_nats=0.5 * math.log(2)).mean()
    torch.testing.assert_close(report["loss"].detach(), report["reconstruction_nats"] + charged)
    torch.testing.assert_close(report["kl_nats"], gaussian_kl(mean, log_variance).mean())
    assert float(charged) >= 8 * 0.5 * math.log(2) - 1e-5


def test_free_bits_keep_the_code_in_use(digits: dict[str, Tensor], digit_spec: DataSpec) -> None:
    """Under a heavy beta the posterior collapses to the prior; with free bits it keeps them."""
    used = []
    for free_bits in (0.0, 0.5):
        model = vae(digit_spec, beta=50.0, free_bits=free_bits)
        train(model, digits["images"][:1500], 150)
        report = model.loss({"images": digits["images"][:500]}, "model", BatchGenerator(0, size=500))
        used.append(float(report["kl_nats"]))
    assert used[0] < 0.1
    assert used[1] > 0.25 * 8 * 0.5 * math.log(2)


def test_variance_is_learned_unless_given(digits: dict[str, Tensor], digit_spec: DataSpec) -> None:
    fixed = vae(digit_spec, likelihood="gaussian", variance=0.3)
    assert "pixel_likelihood.log_variance" not in fixed.state_dict()
    learned = vae(digit_spec, likelihood="gaussian")
    train(learned, digits["images"][:1500], 300, learning_rate=1e-2)
    images = digits["images"][:1500]
    square = float((learned.reconstruct(images) - images).square().mean())
    variance = float(dict(learned.named_parameters())["pixel_likelihood.log_variance"].detach().exp())
    assert variance == pytest.approx(square, rel=0.35)


def test_binarised_code_is_that_of_the_picture_when_it_is_binary(digit_spec: DataSpec) -> None:
    model = vae(digit_spec)
    binary = torch.where(torch.randn(5, 1, 8, 8) > 0, 1.0, -1.0)
    expected = model.encoder((binary + 1) / 2).detach().chunk(2, dim=1)[0]
    torch.testing.assert_close(model.encode(binary), expected)


def test_loss_is_finite_under_bfloat16(digits: dict[str, Tensor], digit_spec: DataSpec) -> None:
    for likelihood in LIKELIHOODS:
        model = vae(digit_spec, likelihood=likelihood)
        batch = {"images": digits["images"][:50]}
        with torch.autocast("cpu", dtype=torch.bfloat16):
            low = model.loss(batch, "model", BatchGenerator(0, size=50))["loss"]
        low.backward()
        exact = model.loss(batch, "model", BatchGenerator(0, size=50))["loss"]
        assert low.dtype == torch.float32
        torch.testing.assert_close(low.detach(), exact.detach(), rtol=0.02, atol=0)


def test_samples_need_a_generator_of_as_many_rows(digit_spec: DataSpec) -> None:
    with pytest.raises(ValueError, match="5 samples asked of a generator of 4 rows"):
        vae(digit_spec).sample(5, BatchGenerator(0, size=4))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latent_dim": 0}, "latent_dim\n.*greater than or equal to 1"),
        ({"variance": 0.1}, "variance\n.*has no effect without likelihood: gaussian"),
        ({"likelihood": "gaussian", "variance": 0.0}, "variance\n.*greater than 0"),
        ({"beta": -1.0}, "beta\n.*greater than or equal to 0"),
        ({"free_bits": -0.1}, "free_bits\n.*greater than or equal to 0"),
        ({"likelihood": "poisson"}, "likelihood\n.*'bernoulli', 'discretised' or 'gaussian'"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        VAEConfig(family="vae", **settings)


@pytest.mark.slow
def test_learns_more_of_digits_than_a_mixture_of_their_classes(
    digits: dict[str, Tensor], digit_spec: DataSpec
) -> None:
    """One independent-pixel model a class gives 99.5 nats on these test digits, all independent 106.3."""
    model = vae(digit_spec, likelihood="discretised", hidden_dims=(200,), latent_dim=16)
    train(model, digits["images"][:1000], 1000, learning_rate=1e-3)
    test = digits["images"][1350:]
    values = model.log_likelihood(test, BatchGenerator(0, size=len(test)), 100)
    assert 60 < -float(values.mean()) < 95
