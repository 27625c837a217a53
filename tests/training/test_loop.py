import math
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import CheckpointError, NumericalError, UsageError
from creuset.models.base import Batch
from creuset.runs.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from creuset.training.loop import Loop, Outcome
from players import Listener, Players, loop, session

Told = list[tuple[int, str, str | None, dict[str, float | str]]]
Kept = list[tuple[Checkpoint, bool]]


class Scripted(Players):
    """Players whose validation losses are given; the last one goes on."""

    losses: tuple[float, ...] = (1.0,)

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.validations = 0

    def validation_loss(self, batch: Batch, generator: BatchGenerator) -> dict[str, Tensor]:
        place = min(self.validations, len(self.losses) - 1)
        self.validations += 1
        return {"loss": torch.tensor(self.losses[place], dtype=torch.float64)}


def scripted(*given: float) -> type[Scripted]:
    return type("Given", (Scripted,), {"losses": given})


def train(*settings: str, build: Any = None) -> tuple[Outcome, Told, Kept]:
    listener, kept = Listener(), []  # type: ignore[var-annotated]
    outcome = loop(listener, kept, settings, build).run()
    return outcome, listener.told, kept


def events(told: Told) -> list[tuple[int, str]]:
    """Step and event, once for both players."""
    return [(step, event) for step, event, player, _ in told if player != "generator"]


def test_events_come_in_their_order() -> None:
    outcome, told, kept = train()
    assert (outcome.step, outcome.reason, outcome.signal_number) == (20, "finished", None)
    best = {checkpoint.step for checkpoint, is_best in kept if is_best}
    expected = []
    for step in range(1, 21):
        expected += [(step, "train")] * (step % 3 == 0 or step == 20)
        expected += [(step, "validation")] * (step % 5 == 0)
        expected += [(step, "sample")] * (step % 10 == 0)
        expected += [(step, "checkpoint")] * (step % 4 == 0 or step in best)
    assert events(told) == expected
    assert [checkpoint.step for checkpoint, _ in kept] == [s for s, e in expected if e == "checkpoint"]


def test_a_line_holds_the_means_since_the_last_one() -> None:
    _, told, _ = train("training.log_every=1")
    singles = {(step, player): values["loss"] for step, event, player, values in told if event == "train"}
    _, told, _ = train()
    for step, event, player, values in told:
        if event == "train":
            since = range(3 * ((step - 1) // 3) + 1, step + 1)
            mean = sum(float(singles[one, player]) for one in since) / len(since)
            assert values["loss"] == pytest.approx(mean, rel=1e-12)
            assert values["learning_rate"] == (2e-3 if player == "critic" else 1e-3)


def test_the_same_seed_gives_the_same_numbers() -> None:
    first, second, other = train(), train(), train("training.seed=1")
    assert first[1] == second[1]
    assert first[1] != other[1]


def resumed(
    kept: Kept, at: int, folder: Path, *settings: str, build: Any = None
) -> tuple[Loop, Listener, Kept]:
    """A new loop that goes on from what was kept after a step, by way of the disk."""
    checkpoint = next(one for one, _ in kept if one.step == at)
    path = save_checkpoint(folder, checkpoint)
    listener, again = Listener(), []  # type: ignore[var-annotated]
    made = loop(listener, again, settings, build)
    made.restore(load_checkpoint(path), path)
    return made, listener, again


@pytest.mark.parametrize("at", [4, 8, 16, 20])
def test_a_resumed_training_is_the_uninterrupted_one(at: int, tmp_path: Path) -> None:
    _, told, kept = train()
    made, listener, again = resumed(kept, at, tmp_path)
    assert made.run().step == 20
    last = max(place for place, line in enumerate(told) if line[:2] == (at, "checkpoint"))
    assert listener.told == told[last + 1 :]
    if at < 20:
        for part in ("weights", "optimizer", "state"):
            expected, found = getattr(kept[-1][0], part), getattr(again[-1][0], part)
            assert expected.keys() == found.keys()
            assert all(torch.equal(value, found[name]) for name, value in expected.items())
        timeless = {"seconds"}
        facts = [{k: v for k, v in one[-1][0].facts.items() if k not in timeless} for one in (kept, again)]
        assert facts[0] == facts[1]


def test_patience_ends_a_training() -> None:
    build = scripted(3.0, 2.0, 2.5, 2.1, 1.0)
    outcome, told, kept = train("training.validate_every=2", "training.patience=2", build=build)
    assert (outcome.step, outcome.reason) == (8, "early_stop")
    assert told[-1][:2] == (8, "stop")
    assert told[-1][3] == {"reason": "early_stop"}
    assert [checkpoint.step for checkpoint, best in kept if best] == [2, 4]
    assert kept[-1][0].step == 8


def test_a_resumed_early_stop_makes_no_further_step(tmp_path: Path) -> None:
    build = scripted(3.0, 4.0, 5.0)
    settings = ("training.validate_every=4", "training.patience=2")
    outcome, _, kept = train(*settings, build=build)
    assert outcome.step == 12
    made, _, again = resumed(kept, 12, tmp_path, *settings, build=build)
    found = made.run()
    assert (found.step, found.reason, again) == (12, "early_stop", [])


def test_the_best_so_far_is_remembered_over_a_resume(tmp_path: Path) -> None:
    settings = ("training.validate_every=4",)
    _, _, kept = train(*settings, build=scripted(3.0, 1.0, 2.0))
    made, _, again = resumed(kept, 8, tmp_path, *settings, build=scripted(2.0, 0.5, 2.0))
    made.run()
    assert [(checkpoint.step, best) for checkpoint, best in again] == [(12, False), (16, True), (20, False)]


def test_the_time_limit_lets_one_step_be_made() -> None:
    listener, kept = Listener(), []  # type: ignore[var-annotated]
    outcome = loop(listener, kept).run(max_seconds=1e-9)
    assert (outcome.step, outcome.reason) == (1, "max_time")
    assert [line[1] for line in listener.told] == ["stop"]
    assert [checkpoint.step for checkpoint, _ in kept] == [1]
    assert kept[0][0].facts["scheduled"] is False


def signals_itself(number: int) -> Callable[[DataSpec], Players]:
    class SignalsItself(Players):
        calls = 0

        def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
            self.calls += 1
            if self.calls == 8:  # the second update of the critic in the third step
                os.kill(os.getpid(), number)
            return super().loss(batch, player, generator)

    return SignalsItself


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_training_after_its_step(number: int, tmp_path: Path) -> None:
    outcome, told, kept = train(build=signals_itself(number))
    assert (outcome.step, outcome.reason, outcome.signal_number) == (3, "signal", number)
    assert events(told)[-2:] == [(3, "train"), (3, "stop")]
    made, _, again = resumed(kept, 3, tmp_path)
    made.run()
    _, _, reference = train()
    assert all(
        torch.equal(value, again[-1][0].weights[name]) for name, value in reference[-1][0].weights.items()
    )


def test_a_validation_that_is_not_finite_stops() -> None:
    with pytest.raises(NumericalError, match="step 10, validation: NaN or infinity") as caught:
        train(build=scripted(1.0, math.nan))
    assert caught.value.next_step is not None
    assert "last good checkpoint: step-00000008" in caught.value.next_step


def test_ruined_weights_are_not_kept() -> None:
    listener, kept = Listener(), []  # type: ignore[var-annotated]
    made = loop(listener, kept, ("training.validate_every=100", "training.sample_every=100"))
    made.take_step()
    with torch.no_grad():
        next(made.model.parameters()).fill_(math.inf)
    with pytest.raises(NumericalError, match=r"NaN or infinity in parameter generator\.0\.weight"):
        made.checkpoint()


def test_a_loss_that_is_not_finite_names_the_last_good_checkpoint() -> None:
    with pytest.raises(NumericalError, match="player critic") as caught:
        train("players.critic.learning_rate=1e300", "training.clip_norm=1e-3", "training.checkpoint_every=1")
    assert str(caught.value.where).startswith("step ")
    assert "last good checkpoint: " in str(caught.value.next_step)


@pytest.mark.parametrize(
    ("setting", "what"),
    [("training.seed=7", "another seed"), ("players.critic.num_steps=3", "another batches_drawn")],
)
def test_a_checkpoint_of_another_training_is_refused(setting: str, what: str, tmp_path: Path) -> None:
    _, _, kept = train()
    with pytest.raises(CheckpointError, match=what):
        resumed(kept, 8, tmp_path, setting)


def test_a_player_that_the_model_has_not_is_refused() -> None:
    with pytest.raises(UsageError, match="has no such player") as caught:
        session(("players.discriminator.num_steps=2",))
    assert caught.value.got == "discriminator"
    assert caught.value.expected == "critic, generator"


def test_means_are_over_the_steps_that_have_the_value_also_after_a_resume(tmp_path: Path) -> None:
    class Sometimes(Players):
        done = 0

        def begin_step(self, step: int, num_steps: int) -> None:
            self.done = step

        def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
            report = super().loss(batch, player, generator)
            if player == "critic" and self.done % 4 == 1:
                report["penalty"] = torch.tensor(float(self.done))
            return report

    settings = ("training.log_every=10", "training.checkpoint_every=3")
    _, told, kept = train(*settings, build=Sometimes)
    penalties = [
        values["penalty"] for _, event, player, values in told if (event, player) == ("train", "critic")
    ]
    assert penalties == [(1 + 5 + 9) / 3, (13 + 17) / 2]
    made, again, _ = resumed(kept, 6, tmp_path, *settings, build=Sometimes)
    made.run()
    expected = [line for line in told if line[0] > 6]
    assert again.told == expected
    old = {**kept[1][0].facts, "summed_steps": 6}  # as an earlier creuset wrote it: one count for all values
    del old["counts"]
    made.restore(replace(kept[1][0], facts=old), tmp_path)
    assert made.checkpoint().facts["counts"]["critic"]["loss"] == 6


def test_validation_sees_the_averages_and_training_does_not() -> None:
    seen: list[Tensor] = []

    class Looks(Players):
        def validation_loss(self, batch: Batch, generator: BatchGenerator) -> dict[str, Tensor]:
            seen.append(self.critic[0].weight.detach().clone())
            return super().validation_loss(batch, generator)

    listener, kept = Listener(), []  # type: ignore[var-annotated]
    made = loop(listener, kept, ("training.num_steps=5",), Looks)
    made.run()
    assert made.ema is not None
    average = made.ema.averages["critic.0.weight"]
    assert torch.equal(seen[-1], average)
    assert not torch.equal(kept[-1][0].weights["critic.0.weight"], average)
    assert torch.equal(kept[-1][0].state["ema/critic.0.weight"], average)
