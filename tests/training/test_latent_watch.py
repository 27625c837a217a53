"""Codes that say nothing: by definition, and in a posterior that is made to collapse."""

from pathlib import Path

import pytest
import torch

import creuset
from creuset.objectives.elbo import gaussian_kl
from creuset.recipe.collapse import CollapseConfig
from creuset.runs.journal import read_journal
from creuset.training.collapse import CollapseWatch
from creuset.training.latent_watch import PosteriorWatch, active_units, live_units

VAE = """
model: {family: vae, size: tiny, beta: BETA}
data: {source: digits, batch_size: 50}
training: {num_steps: 60, learning_rate: 3.0e-3}
collapse: {check_every: 5, patience: 2, on_collapse: WHAT}
evaluation: {suite: none}
"""


def test_units_are_counted_by_their_definitions() -> None:
    wide, narrow = torch.linspace(-1, 1, 40), torch.linspace(-0.15, 0.15, 40)
    assert float(narrow.var()) < 0.01 < float(wide.var())
    assert active_units(torch.stack([wide, narrow, wide, torch.zeros(40)], dim=1)) == 0.5
    assert live_units(torch.stack([wide, 0.1 * wide, 1e-3 * wide, torch.ones(40)], dim=1)) == 0.5
    assert live_units(torch.ones(40, 3)) == 0


def written(tmp_path: Path, beta: float, what: str) -> Path:
    path = tmp_path / "vae.yaml"
    path.write_text(VAE.replace("BETA", str(beta)).replace("WHAT", what))
    return path


def test_a_posterior_that_is_pressed_into_the_prior_is_named(tmp_path: Path) -> None:
    run = creuset.train(written(tmp_path, 500.0, "warn"), name="pressed", measure=False).folder
    lines = list(read_journal(run.journal_path))
    (alarm,) = (line["values"] for line in lines if line["event"] == "alarm")
    assert (alarm["cause"], alarm["signal"]) == ("posterior collapse", "active_units")
    assert alarm["setting"] == "model.beta=1.0"
    last = [line["values"] for line in lines if line["event"] == "collapse"][-1]
    assert last["active_units"] == 0
    assert last["kl_nats"] < 0.1


def test_a_healthy_posterior_raises_no_alarm(tmp_path: Path) -> None:
    run = creuset.train(written(tmp_path, 1.0, "warn"), name="healthy", measure=False).folder
    lines = list(read_journal(run.journal_path))
    assert not [line for line in lines if line["event"] == "alarm"]
    last = [line["values"] for line in lines if line["event"] == "collapse"][-1]
    assert last["active_units"] >= 0.2
    assert last["kl_nats"] > 0.2


def test_a_rollback_of_a_posterior_recovers_it(tmp_path: Path) -> None:
    run = creuset.train(written(tmp_path, 500.0, "rollback"), name="recovered", measure=False).folder
    (remedy,) = run.manifest().remedies
    assert remedy["settings"] == {"model.beta": 1.0}
    last = [line for line in read_journal(run.journal_path) if line["event"] == "collapse"][-1]
    assert last["values"]["active_units"] >= 0.2


def test_dead_units_are_watched(tmp_path: Path) -> None:
    path = tmp_path / "autoencoder.yaml"
    path.write_text(
        "model: {family: autoencoder, size: tiny}\ndata: {source: digits}\n"
        "training: {num_steps: 20}\ncollapse: {check_every: 5}\nevaluation: {suite: none}\n"
    )
    run = creuset.train(path, name="autoencoder", measure=False).folder
    lines = list(read_journal(run.journal_path))
    assert [line["values"]["live_units"] for line in lines if line["event"] == "collapse"][-1] == 1
    assert not [line for line in lines if line["event"] == "alarm"]


def test_the_kl_of_each_dimension_adds_up() -> None:
    mean, log_variance = torch.randn(20, 4), torch.randn(20, 4)
    each = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean(0)
    assert float(each.sum()) == pytest.approx(float(gaussian_kl(mean, log_variance).mean()), rel=1e-5)


class Measured(PosteriorWatch):
    """A posterior of which only the numbers are known."""

    def __init__(self) -> None:
        self.calibration, self.limits = {}, {}


@pytest.mark.parametrize(
    ("shares", "kl_nats", "number"),
    [
        ([0.0] * 12, 0.01, 1),
        ([20 / 256] * 12, 22.0, 0),  # more dimensions than the data needs
        ([0.004 * step for step in range(1, 13)], 0.5, 0),  # it begins to use them
    ],
)
def test_what_of_a_posterior_is_a_collapse(shares: list[float], kl_nats: float, number: int) -> None:
    watch = CollapseWatch(Measured(), CollapseConfig(check_every=1, patience=3), 12)
    found = [
        alarm
        for step, share in enumerate(shares, start=1)
        for alarm in watch.judge(step, {"active_units": share, "kl_nats": kl_nats})
    ]
    assert [alarm.cause for alarm in found] == ["posterior collapse"] * number
