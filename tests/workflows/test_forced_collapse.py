"""Small GANs of points: one that is made to collapse is caught and named, a healthy one raises nothing."""

from pathlib import Path
from typing import Any

import creuset
from creuset.runs.folder import RunFolder
from creuset.runs.journal import read_journal

RECIPE = """
model: {family: gan, size: tiny}
objective: OBJECTIVE
data: {source: ring, batch_size: 64}
training: {num_steps: 400, learning_rate: 1.0e-3, betas: [0.0, 0.99], checkpoint_every: 100}
players: {generator: {learning_rate: RATE}}
collapse: {on_collapse: WHAT, check_every: 20, num_samples: 128}
evaluation: {suite: none}
"""


def trained(tmp_path: Path, objective: str, rate: float, what: str) -> RunFolder:
    path = tmp_path / "ring.yaml"
    text = RECIPE.replace("OBJECTIVE", objective).replace("RATE", str(rate)).replace("WHAT", what)
    path.write_text(text)
    return creuset.train(path, name="ring", measure=False).folder


def of_event(run: RunFolder, event: str) -> list[dict[str, Any]]:
    return [line for line in read_journal(run.journal_path) if line["event"] == event]


def test_a_generator_that_learns_too_fast_is_caught_and_slowed_down(tmp_path: Path) -> None:
    run = trained(tmp_path, "{name: non_saturating}", 0.3, "rollback")
    first = of_event(run, "alarm")[0]["values"]
    assert first["cause"] == "diversity loss"
    assert first["setting"] == "players.generator.learning_rate=0.00025"
    assert (run.path / first["sheet"]).read_text().startswith("x,y\n")
    assert run.manifest().remedies[0]["settings"] == {"players.generator.learning_rate": 0.00025}
    assert of_event(run, "collapse")[-1]["values"]["spread"] > 0.5


def test_a_healthy_training_raises_no_alarm(tmp_path: Path) -> None:
    run = trained(tmp_path, "{name: relativistic, r1: 0.1, r2: 0.1}", 0.001, "warn")
    assert not of_event(run, "alarm")
    assert of_event(run, "collapse")[-1]["values"]["cells"] < 0.45
