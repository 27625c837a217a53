"""Puts a training together from a recipe, its data and its model: what `train`, a resume, a dry run and an
estimate have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from creuset.data.dataset import Dataset
from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator, Precision, derive_seed, stored_dtype
from creuset.errors import UsageError
from creuset.models.base import Family, FittedModel, Model
from creuset.models.transformer import Transformer
from creuset.models.transformer_stack import recompute_blocks
from creuset.recipe.resolve import Recipe
from creuset.recipe.sections import FamilyConfig, PlayerConfig
from creuset.runs.checkpoint import Checkpoint
from creuset.training.base import base_body, whole_base, with_pooling
from creuset.training.batches import TrainingBatches, split_batches
from creuset.training.collapse import CollapseWatch
from creuset.training.distributed import Processes
from creuset.training.frozen_features import with_frozen_features
from creuset.training.lookers import make_looker, require_watchable
from creuset.training.loop import Loop
from creuset.training.optimizer import Player
from creuset.training.policy import PolicyLoss
from creuset.training.recorder import Recorder
from creuset.training.stuck import StuckLoss
from creuset.training.update import Updates, num_parts_of
from creuset.training.watch import Watch

_VALIDATION_BATCH = 500
"""Samples measured at once: large enough for matrix products, small enough for any memory."""
_VALIDATION_TOKENS = 2**15
"""Tokens of a corpus measured at once, for the same reasons."""


def build_model(family: Family, config: FamilyConfig, spec: DataSpec, seed: int) -> Model | FittedModel:
    """An untrained model; its first weights follow from the seed alone; torch's own generator is left alone.

    Raises:
        UsageError: The family cannot take data of this form.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "initial weights"))
        if config.base_name is not None and family.tune is not None:
            base = whole_base(config.base_name, spec)
            body = Transformer.from_weights(base.config, base.weights)
            return family.tune(with_pooling(config, family), spec, body, base.theirs)
        if config.base_name is not None:
            assert family.build_on is not None
            body = base_body(config.base_name, spec, dropout=config.base_dropout)
            return family.build_on(config, spec, body)
        return family.build(config, spec)


@dataclass(frozen=True, kw_only=True)
class Session:
    """A training that is ready to run.

    Args:
        recipe: What is trained and how.
        family: Its family.
        dataset: The data, split.
        model: The model, on its device, sharded where asked.
        precision: The number format that was chosen.
        processes: Who else trains.
        batches: What it is trained on.
        policy: The loss, where a model learns from rewards of its own answers; None where the model has it.
    """

    recipe: Recipe
    family: Family
    dataset: Dataset
    model: Model
    precision: Precision
    processes: Processes
    batches: TrainingBatches
    policy: PolicyLoss | None = None

    @classmethod
    def prepare(
        cls, recipe: Recipe, family: Family, dataset: Dataset, precision: Precision, processes: Processes
    ) -> "Session":
        """Builds the model and puts it where it is trained.

        Raises:
            UsageError: The family cannot take the data or has no such player, or a batch is larger than the
                data or smaller than its parts, or there is too little data for the watch that is asked for.
        """
        training = recipe.training
        num_parts = num_parts_of(recipe.data.batch_size, training.accumulate, processes)
        repeats = recipe.model.repeats_batches
        make_batches = partial(
            TrainingBatches,
            config=recipe.data,
            seed=training.seed,
            device=processes.device,
            dtype=stored_dtype(precision),
            num_batches=_num_batches(recipe, dataset),
            # which batch comes first is not to change what is drawn
            num_parts=1 if repeats else num_parts,
        )
        batches = make_batches(dataset)
        model = build_model(family, recipe.model, dataset.spec, recipe.training.seed)
        assert isinstance(model, Model)
        model.settle(processes.device, precision)
        recompute_blocks(model, training.checkpoint_blocks)
        kept = with_frozen_features(model, dataset, processes.device)
        if kept is not dataset:
            dataset, batches = kept, make_batches(kept)
        require_watchable(family.collapses, model, dataset, recipe.collapse)
        if model.couples_samples and num_parts > 1:
            raise UsageError(
                f"a batch of the family {family.name} cannot be cut: its samples are told from each other",
                where="training.accumulate",
                got=f"{num_parts} parts (processes x training.accumulate)",
                expected="1",
                next_step="train on one process with training.accumulate: 1",
            )
        unknown = set(recipe.players) - set(model.players)
        if unknown:
            raise UsageError(
                f"the family {family.name} has no such player",
                where="players",
                got=", ".join(sorted(unknown)),
                expected=", ".join(model.players),
                next_step=f"rename or remove players.{min(unknown)} in the recipe",
            )
        processes.prepare(model)
        return cls(
            recipe=recipe,
            family=family,
            dataset=dataset,
            model=model,
            precision=precision,
            processes=processes,
            batches=batches,
        )

    def loop(
        self,
        recorder: Recorder,
        *,
        sample: Callable[[int], None] | None,
        save: Callable[[Checkpoint, bool], str],
        watch: Watch | None = None,
    ) -> Loop:
        """The loop of this training, at step 0."""
        training = self.recipe.training
        players = [
            Player(
                name,
                self.model.player_parameters(name),
                training,
                self.recipe.players.get(name, PlayerConfig()),
            )
            for name in self.model.players
        ]
        updates = Updates(
            model=self.model,
            loss=self.model.loss if self.policy is None else self.policy,
            players=players,
            batches=self.batches,
            accumulate=training.accumulate,
            clip_norm=training.clip_norm,
            seed=training.seed,
            precision=self.precision,
            processes=self.processes,
            begin_step=self._begin_step,
            end_update=self.model.end_update,
            repeats_batches=self.recipe.model.repeats_batches,
        )
        return Loop(
            model=self.model,
            family=self.recipe.model.family,
            updates=updates,
            players=players,
            training=training,
            processes=self.processes,
            recorder=recorder,
            validate=self.validate if "validation" in self.dataset.splits else None,
            sample=sample,
            save=save,
            watch=watch,
            stuck=self._stuck(),
        )

    def _stuck(self) -> StuckLoss | None:
        guessing, training = self.model.loss_of_guessing, self.recipe.training
        if guessing is None:
            return None
        return StuckLoss(guessing, num_steps=training.num_steps, warmup_steps=training.warmup_steps)

    def _begin_step(self, step: int) -> None:
        self.model.begin_step(step, self.recipe.training.num_steps)
        if self.policy is not None:
            self.policy.begin_step(step)

    def collapse_signals(self, say: Callable[[str], None]) -> CollapseWatch | None:
        """What is watched for collapse; None where the recipe or the family wants nothing watched, or there
        are too few training samples: `prepare` refuses a recipe that relies on the watch then.

        Args:
            say: Is told what cannot be watched.
        """
        config, training = self.recipe.collapse, self.recipe.training
        if config.on_collapse == "off" or self.family.collapses is None:
            return None
        try:
            looker = make_looker(
                self.family.collapses,
                self.model,
                self.dataset,
                config.num_samples,
                self.recipe.data.batch_size,
                training.seed,
            )
        except UsageError as error:
            say(f"not watched for collapse: {error.message} ({error.got}; {error.expected} are needed)")
            return None
        if self.family.collapses == "samples" and "copies" not in looker.limits:
            say("there are too few validation samples to tell whether training samples are learned by heart")
        return CollapseWatch(looker, config, training.num_steps)

    def validate(self) -> dict[str, float]:
        """The validation loss and its parts over the split, with the same draws each time.

        Of samples that are told from each other, a last group that is not whole is left out, unless it is the
        only one: fewer are told more easily.
        """
        if self.policy is not None:
            return self.policy.validate()
        self.model.eval()
        device, dtype = self.processes.device, stored_dtype(self.precision)
        totals: dict[str, float] = {}
        weight = 0
        context = self.dataset.spec.context
        group = self.model.validation_group
        batch_size = _VALIDATION_TOKENS // context if context else _VALIDATION_BATCH
        batch_size = group * max(1, batch_size // group)
        num_samples = self.dataset.splits["validation"].num_samples
        if num_samples > group:
            num_samples -= num_samples % group
        batches = split_batches(
            self.dataset, "validation", batch_size, num_samples=num_samples, device=device, dtype=dtype
        )
        with torch.no_grad():
            for number, batch in enumerate(batches):
                size = len(next(iter(batch.values())))
                draws = BatchGenerator(
                    self.recipe.training.seed, "validation", number, size=size, device=device
                )
                share = self.model.weight_of(batch)
                weight += share
                for name, value in self.model.validation_loss(batch, draws).items():
                    totals[name] = totals.get(name, 0.0) + float(value) * share
        self.model.train()
        return {name: total / weight for name, total in totals.items()}


def _num_batches(recipe: Recipe, dataset: Dataset) -> int:
    """The batches among which the heaviest is chosen: all of the training; where updates share a batch, those
    of the first epoch, so that each row comes once an epoch."""
    steps = recipe.training.num_steps
    if recipe.model.repeats_batches:
        return max(1, min(steps, dataset.splits["train"].num_samples // recipe.data.batch_size))
    return steps * recipe.players.get("model", PlayerConfig()).num_steps
