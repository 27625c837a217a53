"""What is seen of a generator and its critic before they learned anything, whatever is judged at once."""

from pathlib import Path
from typing import Any

import pytest

import creuset
from creuset.errors import UsageError
from creuset.progress import Silent
from creuset.training.adversary_watch import AdversaryWatch
from creuset.training.session import Session
from creuset.workflows.execute import make_session
from creuset.workflows.plan import Plan, read
from listening import Heard

GAN = """
model: {family: gan, size: tiny, channels: []}
objective: {name: non_saturating}
data: {source: digits, limit: 400, batch_size: 50}
evaluation: {suite: none}
"""


def watch(folder: Path, settings: dict[str, Any], seed: int = 0) -> AdversaryWatch:
    path = folder / "gan.yaml"
    path.write_text(GAN)
    session = make_session(Plan.make(read(path, settings, seed), Silent()))
    assert isinstance(session, Session)
    data, training = session.recipe.data, session.recipe.training
    model: Any = session.model
    return AdversaryWatch(
        model, session.dataset, session.recipe.collapse.num_samples, data.batch_size, training.seed
    )


@pytest.mark.parametrize("kernels", [0, 16])
def test_an_untrained_critic_knows_no_sample(kernels: int, tmp_path: Path) -> None:
    """Minibatch discrimination scores a sample higher or lower among more others."""
    for seed in range(4):
        values = watch(tmp_path, {"model.minibatch_kernels": kernels}, seed).look(1)
        assert values["critic_gap"] == pytest.approx(0.5, abs=0.15)


def test_few_training_samples_are_held_against_more_drawn_ones(tmp_path: Path) -> None:
    found = watch(tmp_path, {"data.limit": 90})
    assert found.num_samples <= 30
    assert found.look(1)["copies"] <= 1
    assert {"spread", "copies", "critic_gap"} <= found.limits.keys()


def test_a_critic_of_large_groups_is_watched_in_whole_groups(tmp_path: Path) -> None:
    settings = {
        "data.source": "ring",
        "data.limit": None,
        "data.batch_size": 512,
        "model.minibatch_group": 512,
    }
    found = watch(tmp_path, settings)
    assert found.num_samples == 512
    assert 0 <= found.look(1)["accuracy"] <= 1


def test_what_is_too_small_to_be_watched_is_said(tmp_path: Path) -> None:
    path, remarks = tmp_path / "gan.yaml", Heard()
    path.write_text(GAN)
    few = {"data.limit": 45, "data.batch_size": 10, "training.num_steps": 2}
    creuset.train(path, settings=few, name=tmp_path / "few", measure=False, progress=remarks)
    (said,) = (text for text in remarks.said if "not watched for collapse" in text)
    assert "at least 48 are needed" in said
    with pytest.raises(UsageError, match="too few training samples to watch"):
        creuset.train(path, settings={**few, "collapse.on_collapse": "stop"}, name=tmp_path / "relied")
    assert not (tmp_path / "relied").exists()
