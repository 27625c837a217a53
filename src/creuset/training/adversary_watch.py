"""What is seen of a generator and its critic at each check (training/collapse_signals.py has the signals).

Beside the samples' signals there are those of the players:

    accuracy          how often the critic scores a held-out sample above a generated one: .5 at equilibrium,
                      1 where it wins
    critic_gap        how often it scores a training sample above a held-out one: .5, and more where it has
                      learned the training samples by heart
    sensitivity       how far a sample moves for a small step of its noise, as a share of real ones' spread
    singular_value    the largest of the critic's weights

The last two have no real counterpart: they are journalled to explain an alarm, and raise none.

Source of the player signals: Karras et al. 2020, "Training Generative Adversarial Networks with Limited
Data", section 2.1 (the gap); Odena et al. 2018, "Is Generator Conditioning Causally Related to GAN
Performance?" (sensitivity); Brock et al. 2019, "Large Scale GAN Training", section 4 (singular values).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from creuset.data.dataset import Dataset
from creuset.device import BatchGenerator, stream
from creuset.errors import UsageError
from creuset.models.watched import Adversary
from creuset.training.adversary_bands import Bands
from creuset.training.batches import to_device
from creuset.training.collapse import Reading
from creuset.training.collapse_signals import (
    as_rows,
    largest_singular_value,
    ranked_higher,
    real_samples,
    sample_signals,
)

_BANK = 512
"""Training and held-out samples among which copies are looked for."""
_JUDGED = 256
"""Training and held-out samples that the critic scores."""
_POOL = 4096
"""Real samples that calibration draws from."""
_CALIBRATIONS = 16
"""Draws of real samples that say what a signal is in health."""
_LEAST = 16
_NUDGED, _NUDGE = 64, 0.01
"""Samples whose noise is nudged, and the length of the step for each number of it."""


class AdversaryWatch:
    """Looks at a generator and its critic.

    Args:
        model: Whose they are.
        dataset: What they are trained on.
        num_samples: Asked for. Real ones are at most a third of the training split: what is said of fewer
            samples is said of the first so many; copies are looked for among all.
        batch_size: Of the training: so many samples are judged at once where that matters.
        seed: Decides which samples are taken and what is drawn.

    Raises:
        UsageError: The training split is too small.
    """

    def __init__(
        self, model: Adversary, dataset: Dataset, num_samples: int, batch_size: int, seed: int
    ) -> None:
        self._model, self._seed = model, seed
        self._dtype, self._device = model.dtype, next(model.parameters()).device
        num_training = dataset.splits["train"].num_samples
        self.num_samples = num_samples_for(model, num_training, num_samples)
        self._num_drawn = max(num_samples - num_samples % model.judged_together, model.judged_together)
        order = torch.randperm(num_training, generator=stream(seed, "collapse", "training"))
        self._real = self._batch(dataset, "train", order[: self.num_samples])
        held_out = self._held_out_batch(dataset)
        self._unknown = None if held_out is None else self._judged(held_out)
        known = _whole(model, _JUDGED, num_training)
        self._known = self._batch(dataset, "train", order[:known].sort().values)
        self._judged_at_once = min(batch_size, self._num_drawn, *map(_num_of, self._real_ones()))
        rest = order[self.num_samples :][:_POOL]
        pool = as_rows(_samples(self._batch(dataset, "train", rest)))
        bank = self._batch(dataset, "train", order[:_BANK].sort().values)
        rows = as_rows(_samples(self._real))
        held_out_rows = pool[:0] if held_out is None else as_rows(_samples(held_out))
        self._reference = real_samples(rows, pool, as_rows(_samples(bank)), held_out_rows)
        self.calibration: Mapping[str, tuple[float, float]] = self._calibrated(pool)
        self.bands = Bands(
            calibration=self.calibration,
            gap_deviation=None if self._unknown is None else self._gap_deviation(self._unknown),
            untrained_spread=self._spread(),
        )
        self.limits: Mapping[str, float] = self.bands.limits()

    def _held_out_batch(self, dataset: Dataset) -> dict[str, Tensor] | None:
        part = dataset.splits.get("validation")
        num = 0 if part is None else _whole(self._model, _BANK, part.num_samples)
        if part is None or num < _LEAST:
            return None
        places = torch.randperm(part.num_samples, generator=stream(self._seed, "collapse", "held out"))
        return self._batch(dataset, "validation", places[:num])

    def _batch(self, dataset: Dataset, split: str, places: Tensor) -> dict[str, Tensor]:
        return to_device(dataset.batch(split, places), self._device, self._dtype)

    def _calibrated(self, pool: Tensor) -> dict[str, tuple[float, float]]:
        """Mean and standard deviation of each signal over draws of real samples."""
        source = stream(self._seed, "collapse", "calibration")
        without_banks = replace(self._reference, training=pool[:0], held_out=pool[:0])
        found = []
        for _ in range(_CALIBRATIONS):
            places = torch.randperm(len(pool), generator=source)[: self.num_samples]
            found.append(sample_signals(pool[places.to(pool.device)], without_banks))
        table = torch.tensor([list(one.values()) for one in found], dtype=torch.float64)
        least = 0.5 / self.num_samples  # a share cannot be told more finely
        return {
            name: (float(column.mean()), max(float(column.std()), least))
            for name, column in zip(found[0], table.T, strict=True)
        }

    def _gap_deviation(self, unknown: Mapping[str, Tensor]) -> float:
        """The standard deviation of the gap of a critic that knows no sample (Mann & Whitney 1947)."""
        return math.sqrt((1 / _num_of(self._known) + 1 / _num_of(unknown)) / 12)

    def judge(self, values: Mapping[str, float], been_healthy: frozenset[str]) -> Sequence[Reading]:
        """What `values` say, by the bands (adversary_bands.py)."""
        return list(self.bands.judge(values, been_healthy))

    @torch.no_grad()
    def look(self, step: int) -> dict[str, float]:
        """Every signal after a training step; the model is in evaluation mode meanwhile."""
        self._model.eval()
        try:
            draws, labels = self._draws(step), self._labels()
            drawn = self._drawn(draws, labels)
            return {
                **sample_signals(as_rows(drawn), self._reference),
                **self._of_critic(drawn, labels),
                "sensitivity": self._sensitivity(draws, labels),
                "singular_value": largest_singular_value(_weights(self._model.critic)),
            }
        finally:
            self._model.train()

    @torch.no_grad()
    def _spread(self) -> float:
        """Of the generator as it is."""
        self._model.eval()
        try:
            drawn = self._drawn(self._draws(0), self._labels())
            return sample_signals(as_rows(drawn), self._reference)["spread"]
        finally:
            self._model.train()

    def _draws(self, step: int) -> BatchGenerator:
        return BatchGenerator(self._seed, "collapse", step, size=self._num_drawn, device=self._device)

    def _drawn(self, draws: BatchGenerator, labels: Tensor | None) -> Tensor:
        conditions = None if labels is None else {"labels": labels}
        return self._model.sample(self._num_drawn, draws, conditions).to(self._dtype)

    def _labels(self) -> Tensor | None:
        """The real samples' labels, over and over, one for each sample that is drawn."""
        if not self._model.num_classes:
            return None
        labels = self._real["labels"]
        return labels.repeat(-(-self._num_drawn // len(labels)))[: self._num_drawn]

    def _of_critic(self, drawn: Tensor, labels: Tensor | None) -> dict[str, float]:
        fake = self._scores(drawn, labels)
        training = self._scores_of(self._known)
        if self._unknown is None:
            return {"accuracy": ranked_higher(training, fake)}
        held_out = self._scores_of(self._unknown)
        return {
            "accuracy": ranked_higher(held_out, fake),
            "critic_gap": ranked_higher(training, held_out),
        }

    def _scores_of(self, batch: Mapping[str, Tensor]) -> Tensor:
        return self._scores(_samples(batch), batch.get("labels"))

    def _scores(self, samples: Tensor, labels: Tensor | None) -> Tensor:
        """Scores of all samples; of equal parts of them where it matters how many are judged at once."""
        if not self._model.judges_by_batch:
            scores: Tensor = self._model.critic(samples, labels)
            return scores
        size = _whole(self._model, self._judged_at_once, len(samples))
        starts = range(0, len(samples) - size + 1, size)
        of = [None if labels is None else labels[start : start + size] for start in starts]
        parts = [samples[start : start + size] for start in starts]
        return torch.cat([self._model.critic(*each) for each in zip(parts, of, strict=True)])

    def _real_ones(self) -> list[dict[str, Tensor]]:
        return [self._known, *([] if self._unknown is None else [self._unknown])]

    def _judged(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        num = _whole(self._model, _JUDGED, _num_of(batch))
        return {name: values[:num] for name, values in batch.items()}

    def _sensitivity(self, draws: BatchGenerator, labels: Tensor | None) -> float:
        num = min(_NUDGED, self.num_samples)
        noise, nudge = (draws.normal(self._model.latent_dim)[:num].to(self._dtype) for _ in range(2))
        few = None if labels is None else labels[:num]
        here, there = (
            as_rows(self._model.generator(place, few)).double() for place in (noise, noise + _NUDGE * nudge)
        )
        return float((there - here).norm(dim=1).mean()) / _NUDGE / self._reference.spread


def num_samples_for(model: Adversary, num_training: int, num_samples: int) -> int:
    """How many samples are held against real ones.

    Raises:
        UsageError: The training split is too small: a third of it is no 16 samples, or no group or pack.
    """
    num = _whole(model, num_samples, num_training // 3)
    if num < _LEAST:
        raise UsageError(
            "there are too few training samples to watch a GAN for collapse",
            where="collapse.on_collapse",
            got=f"{num_training} training samples",
            expected=f"at least {3 * max(_LEAST, model.judged_together)}",
            next_step="set collapse.on_collapse to warn, or take more data",
        )
    return num


def _whole(model: Adversary, num: int, available: int) -> int:
    """The most samples that the critic takes, of those that are there: up to `num`, or else the least that it
    takes at all."""
    together = model.judged_together
    most = min(num, available)
    return most - most % together or (together if together <= available else 0)


def _num_of(batch: Mapping[str, Tensor]) -> int:
    return len(_samples(batch))


def _samples(batch: Mapping[str, Tensor]) -> Tensor:
    return batch["images"] if "images" in batch else batch["features"]


def _weights(critic: nn.Module) -> Iterator[Tensor]:
    for module in critic.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            yield module.weight
