"""Forces collapses whose causes are written down here, and trains healthy runs beside them.

    python benchmarks/collapse_alarm.py --seeds 0,1,2,3,4,5,6,7,8,9

Six trainings are made to collapse: a generator that learns too fast, no penalty on the critic's gradient,
tiny data, a critic that is far ahead under the loss whose gradient vanishes then. What the alarm must name
stands in `FORCED`, written before they ran. Each is trained twice with the first seed: with `on_collapse:
warn`, and with `on_collapse: rollback`. A collapse counts as named when its first alarm has the expected
cause, and as recovered when the training that went back ends without an alarm that it did not go back for,
nearer to the held-out samples (the last validation loss) than the one that was only warned. Ten healthy
trainings, one for each seed, must raise no alarm: the same recipes as they should be, and three of
convolutional networks, with a relativistic, a non-saturating and a Wasserstein loss. The bands were
chosen with seeds from 100 on.

Prints a line a training and a table; the exit code is 1 where a collapse was missed or misnamed, an alarm
was false, or fewer than three recovered. About 20 minutes on one thread.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NUM_STEPS = 2000
_COMMON = f"""
training: {{num_steps: {_NUM_STEPS}, learning_rate: 1.0e-3, betas: [0.0, 0.99], ema_decay: 0.999,
           log_every: 500, validate_every: 300, checkpoint_every: 300, sample_every: 1500}}
evaluation: {{suite: none}}
"""
_POINTS = """
model: {{family: gan, size: tiny}}
objective: {{name: relativistic, r1: 0.1, r2: 0.1, penalty_every: 4, final_penalty: 0.0}}
data: {{source: {source}, batch_size: 128}}
"""
_PICTURES = """
model: {{family: gan, latent_dim: 32, hidden_dims: [128, 128], channels: []}}
objective: {{name: relativistic, r1: 1.0, r2: 1.0, penalty_every: 4}}
data: {{source: {source}, batch_size: 64}}
"""
_CONVOLUTIONAL = f"""
model: {{{{family: gan, size: tiny, {{model}}}}}}
objective: {{objective}}
data: {{{{source: mnist-5k, batch_size: 64}}}}
players: {{{{critic: {{{{num_steps: {{critic_steps}}}}}}}}}}
training: {{{{num_steps: {_NUM_STEPS}, learning_rate: 2.0e-4, betas: {{betas}}, ema_decay: 0.999,
           log_every: 500, validate_every: 300, checkpoint_every: 300, sample_every: 1500}}}}
evaluation: {{{{suite: none}}}}
"""
RECIPES = {
    "ring": _POINTS.format(source="ring") + _COMMON,
    "grid": _POINTS.format(source="grid") + _COMMON,
    "digits": _PICTURES.format(source="digits") + _COMMON,
    "mnist-5k": _PICTURES.format(source="mnist-5k") + _COMMON,
    "classes": _CONVOLUTIONAL.format(
        model="generator_norm: group, condition: class",
        objective="{name: relativistic, r1: 1.0, r2: 1.0, penalty_every: 4, augment: [translate]}",
        betas="[0.0, 0.99]",
        critic_steps=1,
    ),
    "dcgan": _CONVOLUTIONAL.format(
        model="generator_norm: batch, critic_norm: batch",
        objective="{name: non_saturating}",
        betas="[0.5, 0.999]",
        critic_steps=1,
    ),
    "wgan-gp": _CONVOLUTIONAL.format(
        model="generator_norm: batch", objective="{name: wgan_gp}", betas="[0.0, 0.9]", critic_steps=5
    ),
}
NO_PENALTY: dict[str, Any] = {
    "objective.name": "non_saturating",
    "objective.r1": 0.0,
    "objective.r2": 0.0,
    "objective.penalty_every": 1,
    "objective.final_penalty": 1.0,
}


@dataclass(frozen=True, kw_only=True)
class Forced:
    """A recipe that is made to collapse.

    Args:
        recipe: A key of `RECIPES`.
        how: What is done to it.
        expected: The cause that the alarm must name.
        settings: In place of the recipe's.
    """

    recipe: str
    how: str
    expected: str
    settings: dict[str, Any] = field(default_factory=dict)


FORCED = (
    Forced(
        recipe="ring",
        how="generator rate x 300, no penalty",
        expected="diversity loss",
        settings={**NO_PENALTY, "players.generator.learning_rate": 0.3},
    ),
    Forced(
        recipe="grid",
        how="no penalty, critic rate / 10",
        expected="diversity loss",
        settings={
            **NO_PENALTY,
            "players.generator.learning_rate": 0.01,
            "players.critic.learning_rate": 0.0001,
        },
    ),
    Forced(recipe="digits", how="64 samples", expected="memorising", settings={"data.limit": 64}),
    Forced(
        recipe="mnist-5k",
        how="generator rate x 300, no penalty",
        expected="diversity loss",
        settings={**NO_PENALTY, "players.generator.learning_rate": 0.3},
    ),
    Forced(
        recipe="mnist-5k",
        how="100 samples, 4,000 steps",
        expected="memorising",
        settings={"data.limit": 100, "training.num_steps": 4000},
    ),
    Forced(
        recipe="mnist-5k",
        how="minimax, 5 critic steps, rates 10:1",
        expected="critic wins",
        settings={
            **NO_PENALTY,
            "objective.name": "minimax",
            "players.critic.num_steps": 5,
            "players.generator.learning_rate": 0.0001,
        },
    ),
)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training told.

    Args:
        alarms: The journal's alarms.
        remedies: Settings that were applied.
        last: The signals of the last check.
        distance: The last validation loss.
        share: Of the training time that checks took.
        seconds: Of training.
        ended: "finished", or "stopped" for a collapse.
    """

    alarms: list[dict[str, Any]]
    remedies: list[dict[str, Any]]
    last: dict[str, float]
    distance: float
    share: float
    seconds: float
    ended: str

    @property
    def causes(self) -> list[str]:
        return [line["values"]["cause"] for line in self.alarms]


def train(folder: Path, name: str, recipe: str, seed: int, settings: dict[str, Any]) -> Trained:
    """Trains once and reads the journal."""
    import creuset
    from creuset.errors import GateError
    from creuset.runs.folder import RunFolder
    from creuset.runs.journal import read_journal

    path = folder / f"{name}.yaml"
    path.write_text(RECIPES[recipe])
    with suppress(GateError):
        creuset.train(path, name=folder / name, seed=seed, settings=settings, measure=False)
    run = RunFolder.open(folder / name)
    lines = list(read_journal(run.journal_path))
    checks = [line for line in lines if line["event"] == "collapse"]
    clock = checks[-1]["clock"]
    distances = [line["values"]["loss"] for line in lines if line["event"] == "validation"]
    return Trained(
        alarms=[line for line in lines if line["event"] == "alarm"],
        remedies=list(run.manifest().remedies),
        last=checks[-1]["values"],
        distance=distances[-1] if distances else float("nan"),
        share=clock["seconds_of_checks"] / clock["seconds"],
        seconds=clock["seconds"],
        ended=run.manifest().status,
    )


def require_pictures() -> None:
    """Says that mnist-5k is missing before the first training."""
    from creuset import assets

    assets.resolve("mnist-5k")


def told(trained: Trained) -> str:
    """A training in a line."""
    alarms = "; ".join(
        f"{line['values']['cause']} by {line['values']['signal']} at {line['step']} "
        f"since {line['values']['began']}"
        for line in trained.alarms
    )
    shown = " ".join(f"{key} {value:.2f}" for key, value in trained.last.items())
    return (
        f"{trained.ended}, {trained.seconds:.0f} s, checks {trained.share:.1%}, "
        f"distance {trained.distance:.4f}; {alarms or 'no alarm'}; last: {shown}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", default=",".join(map(str, range(10))), help="of the healthy trainings")
    parser.add_argument("--forced-only", action="store_true", help="no healthy trainings")
    parser.add_argument("--healthy-only", action="store_true", help="no forced collapses")
    parser.add_argument("--out", type=Path, help="a JSON file for what was found")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    require_pictures()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        rows = [] if arguments.healthy_only else forced_rows(place, seeds[0])
        false_alarms, shares = ([], []) if arguments.forced_only else healthy_alarms(place, seeds)
    print()
    print(f"{'recipe':<10} {'forced by':<36} {'expected':<16} {'named':<16} {'remedy':<48} recovered")
    for row in rows:
        print(
            f"{row['recipe']:<10} {row['how']:<36} {row['expected']:<16} {row['named']:<16} "
            f"{row['remedy']:<48} {row['recovered']}"
        )
    named = sum(row["named"] == row["expected"] for row in rows)
    recovered = sum(bool(row["recovered"]) for row in rows)
    print(
        f"named {named} of {len(rows)}, recovered {recovered}, false alarms {len(false_alarms)} in "
        f"{len(shares)} healthy trainings"
    )
    if shares:
        print(f"checks took {min(shares):.1%} to {max(shares):.1%} of the healthy trainings' time")
    if arguments.out is not None:
        document = {"forced": rows, "false_alarms": false_alarms, "seeds": seeds, "shares": shares}
        arguments.out.write_text(json.dumps(document, indent=2) + "\n")
    enough = not rows or (named == len(rows) and recovered >= 3)
    return 0 if enough and not false_alarms else 1


def forced_rows(folder: Path, seed: int) -> list[dict[str, Any]]:
    """What came of each forced collapse."""
    from creuset.recipe.remedy import Remedy
    from creuset.training.watch import written

    rows = []
    for number, forced in enumerate(FORCED):
        name = f"{number}-{forced.recipe}"
        begin = time.monotonic()
        warned = train(folder, f"{name}-warn", forced.recipe, seed, forced.settings)
        print(f"{name}, {forced.how}, warn: {told(warned)}", flush=True)
        settings = {**forced.settings, "collapse.on_collapse": "rollback"}
        rolled = train(folder, f"{name}-rollback", forced.recipe, seed, settings)
        print(f"{name}, {forced.how}, rollback: {told(rolled)}", flush=True)
        remedies = [written(Remedy(settings=one["settings"], why="")) for one in rolled.remedies]
        rows.append(
            {
                "recipe": forced.recipe,
                "how": forced.how,
                "expected": forced.expected,
                "named": warned.causes[0] if warned.causes else "-",
                "remedy": " then ".join(remedies) or "-",
                "recovered": bool(rolled.remedies)
                and rolled.ended == "finished"
                and len(rolled.alarms) == len(rolled.remedies)
                and rolled.distance < warned.distance,
                "distance_warned": warned.distance,
                "distance_rolled_back": rolled.distance,
                "seconds": time.monotonic() - begin,
            }
        )
    return rows


def healthy_alarms(folder: Path, seeds: list[int]) -> tuple[list[dict[str, Any]], list[float]]:
    """Alarms of trainings that should have none, and what share of each one's time the checks took."""
    found, shares = [], []
    names = list(RECIPES)
    for number, seed in enumerate(seeds):
        recipe = names[number % len(names)]
        trained = train(folder, f"healthy-{number}", recipe, seed, {})
        print(f"healthy {recipe}, seed {seed}: {told(trained)}", flush=True)
        found += [{"recipe": recipe, "seed": seed, **line["values"]} for line in trained.alarms]
        shares.append(trained.share)
    return found, shares


if __name__ == "__main__":
    sys.exit(main())
