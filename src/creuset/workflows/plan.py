"""What a recipe comes to on this machine and data, checked before anything is written."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from creuset.assets import home
from creuset.data.augment import require_fitting
from creuset.data.corpus_split import TOKENIZERS
from creuset.data.dataset import Dataset
from creuset.data.spec import DataSpec
from creuset.data.text_side import TextSide
from creuset.device import Precision, choose_precision, resolve_device
from creuset.errors import Problem, RecipeError, UsageError
from creuset.evaluation import suites
from creuset.models import family, family_configs
from creuset.models.base import Family
from creuset.models.tuned_config import OF_REWARDS, TunedConfig
from creuset.progress import Progress
from creuset.recipe.evaluation import EvaluationConfig
from creuset.recipe.resolve import Recipe, read_recipe
from creuset.recipe.section import Section
from creuset.recipe.source import find_recipe
from creuset.training.distributed import Processes, world_size
from creuset.training.gate import GateReport
from creuset.workflows.distances import check_extractor
from creuset.workflows.first_stage import RUN
from creuset.workflows.measurable import not_measurable
from creuset.workflows.own_template import template_text
from creuset.workflows.run_data import base_text, load_source
from creuset.workflows.step_samples import TRAITS_WITH_SAMPLES
from creuset.workflows.tuning_data import look_at_rows

Settings = Mapping[str, object] | Sequence[str]

_SECTIONS = ("data", "training", "collapse", "evaluation")
_EFFECTIVE_WITHOUT_GRADIENT = {"training.seed", "training.threads", "training.device"}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A recipe with everything that it needs to run."""

    recipe: Recipe
    family: Family
    dataset: Dataset
    device: torch.device
    precision: Precision
    precision_reason: str
    processes: Processes
    gate: GateReport | None = None
    """What was found in the rows, where a language model is tuned on them."""

    @classmethod
    def make(
        cls, recipe: Recipe, progress: Progress, precision: tuple[Precision, str] | None = None
    ) -> "Plan":
        """Loads the data and chooses device and precision.

        Args:
            recipe: What is to be trained.
            progress: Who watches.
            precision: What a resumed run was trained in, with its reason; chosen anew where None.

        Raises:
            RecipeError: A setting that has no effect for this family.
            GateError: A language model would be tuned on rows that it learns something else from than is
                meant.
            UsageError, DataError, NotFoundError: What the recipe names cannot be used; a setting of the data
                section is named with its place.
        """
        training = recipe.training
        kind = family(recipe.model.family)
        if precision is None:  # a resumed run was begun with its recipe, and goes on with it
            check_effects(recipe, kind)
            check_extractor(recipe, kind)
        _require_one_process(recipe, kind)
        if training.threads is not None:
            torch.set_num_threads(training.threads)
        device = resolve_device(training.device)
        with placed_errors(recipe):
            dataset = load_source(
                recipe.data,
                progress,
                needs_mask="fills_masks" in kind.traits,
                base=(base := base_text(recipe.model)),
                device=training.device,
            )
            require_fitting(recipe.data.augmentation, dataset.spec.shape)
        gate = None
        if precision is None:
            gate = _checked(recipe, kind, dataset, base, progress)
        processes = Processes(training.distributed, device)
        if training.distributed == "fsdp" and not processes.distributed:
            progress.say(
                "warning: training.distributed: fsdp has no effect on one process; start several with "
                "torchrun, or leave the key out"
            )
        if precision is None:
            chosen = None
            if processes.first:
                chosen = choose_precision(training.precision, device, home() / "cache" / "bfloat16.json")
            precision = processes.share(chosen)
        return cls(
            recipe=recipe,
            family=kind,
            dataset=dataset,
            device=device,
            precision=precision[0],
            precision_reason=precision[1],
            processes=processes,
            gate=gate,
        )


def read(recipe: str | Path | Recipe, settings: Settings = (), seed: int | None = None) -> Recipe:
    """The recipe of a file or of a shipped name, with settings changed and a seed of one's own.

    A recipe that was read already is taken as it is: its settings are in it.
    """
    if isinstance(recipe, Recipe):
        assert not settings
        assert seed is None
        return recipe
    found = find_recipe(recipe)
    changed: dict[str, object] | list[str]
    if isinstance(settings, Mapping):
        changed = dict(settings) | ({} if seed is None else {"training.seed": seed})
    else:
        changed = [*settings, *([] if seed is None else [f"training.seed={seed}"])]
    return read_recipe(found, settings=changed, families=family_configs())


def with_absolute_source(recipe: Recipe) -> Recipe:
    """The recipe with source, tokenizer, base, reward and extractor that are paths written in full, so that
    the run works from any folder."""
    data, evaluation = recipe.data, recipe.evaluation
    places = {"source": _absolute(data.source)}
    if data.test_source is not None:
        places["test_source"] = _absolute(data.test_source)
    if data.tokenizer not in TOKENIZERS:
        places["tokenizer"] = _absolute(data.tokenizer)
    if evaluation.extractor != EvaluationConfig().extractor:
        evaluation = evaluation.model_copy(update={"extractor": _absolute(evaluation.extractor)})
    model = recipe.model
    if model.base_name is not None:
        model = model.model_copy(update={"base": _absolute(model.base_name)})
    if model.base_template is not None:
        model = model.model_copy(update={"chat_template": template_text(model.base_template)})
    if isinstance(model, TunedConfig) and model.objective.reward is not None:
        objective = model.objective.model_copy(update={"reward": _absolute_reward(model.objective.reward)})
        model = model.model_copy(update={"objective": objective})
    return replace(recipe, model=model, data=data.model_copy(update=places), evaluation=evaluation)


def _absolute(name: str) -> str:
    """A path that exists in full, also that of a run, anything else as it is."""
    if name.startswith(RUN):
        path = Path(name.removeprefix(RUN)).expanduser()
        is_path = len(path.parts) > 1 or (path / "manifest.json").is_file()
        return f"{RUN}{path.resolve()}" if is_path else name
    path = Path(name).expanduser()
    return str(path.resolve()) if path.exists() else name


def _absolute_reward(place: str) -> str:
    """FILE.py:NAME with the file in full, or run:NAME as `_absolute` has it."""
    if place.startswith(RUN):
        return _absolute(place)
    file, colon, name = place.rpartition(":")
    return f"{_absolute(file)}{colon}{name}" if file else place


def check_effects(recipe: Recipe, kind: Family) -> None:
    """Refuses settings that were changed from their defaults but would be ignored.

    Raises:
        RecipeError: Each of them, where it stands; also a suite that the family cannot be measured by.
    """
    ignored: dict[str, str] = {}
    written = {key: origin for key, origin in recipe.origins.items() if not _is_default(recipe, key)}
    if "gradient" not in kind.traits:
        for key in written:
            section = key.split(".")[0]
            if (section == "training" and key not in _EFFECTIVE_WITHOUT_GRADIENT) or section == "players":
                ignored[key] = f"the family {kind.name} is fitted in one go, without steps"
            if key.startswith(("data.augmentation.", "data.batch_size")):
                ignored[key] = f"the family {kind.name} is fitted in one go, without batches"
    if "training.sample_every" in written and not kind.traits & TRAITS_WITH_SAMPLES:
        ignored["training.sample_every"] = f"the family {kind.name} makes neither pictures nor texts"
    if kind.collapses is None:
        for key in written:
            if key.startswith("collapse."):
                ignored[key] = f"nothing is known that collapses in the family {kind.name}"
    if "training.checkpoint_blocks" in written and not recipe.model.trains_blocks:
        ignored["training.checkpoint_blocks"] = "no gradient goes through blocks of a Transformer"
    suite = recipe.evaluation.suite
    if "evaluation.num_importance_samples" in written:
        if "likelihood" not in kind.traits:
            ignored["evaluation.num_importance_samples"] = f"the family {kind.name} has no likelihood"
        elif recipe.model.exact_likelihood:
            ignored["evaluation.num_importance_samples"] = f"the family {kind.name} has an exact likelihood"
    for key in ("evaluation.num_generated", "evaluation.extractor"):
        if key == "evaluation.num_generated" and "answers_chats" in kind.traits:
            continue  # the prompts that are answered
        if key in written and "samples" not in kind.traits:
            ignored[key] = f"the family {kind.name} draws no pictures"
        elif key in written and suite not in (None, "none", "images", "modes"):
            ignored[key] = f"evaluation.suite is {suite}"
    problems = [_problem(recipe, key, f"{key} has no effect: {why}") for key, why in ignored.items()]
    if suite not in (None, "none") and suite not in suites(kind):
        fitting = ", ".join([*suites(kind), "none"])
        text = f"evaluation.suite: {suite} does not fit the family {kind.name}; there is: {fitting}"
        problems.append(_problem(recipe, "evaluation.suite", text))
    if "training.warmup_steps" in written and "gradient" in kind.traits and _warms_up_to_the_end(recipe):
        warmup, steps = recipe.training.warmup_steps, recipe.training.num_steps
        text = (
            f"training.warmup_steps ({warmup}) must be less than training.num_steps ({steps}), or the "
            "learning rate never reaches its peak"
        )
        problems.append(_problem(recipe, "training.warmup_steps", text))
    if problems:
        raise RecipeError(problems)


def _require_one_process(recipe: Recipe, kind: Family) -> None:
    """Refuses what several processes cannot do together.

    Raises:
        UsageError: It is asked for.
    """
    if "gradient" not in kind.traits and world_size() > 1:
        raise UsageError(
            f"the family {kind.name} is fitted in one go, on one process",
            got=f"{world_size()} processes",
            next_step="train it without torchrun",
        )
    if recipe.collapse.on_collapse == "rollback" and world_size() > 1:
        raise UsageError(
            "a training on several processes does not go back",
            where="collapse.on_collapse",
            got=f"rollback, {world_size()} processes",
            expected="warn or stop",
            next_step="set collapse.on_collapse: stop, or train without torchrun",
        )


def _checked(
    recipe: Recipe, kind: Family, dataset: Dataset, base: TextSide | None, progress: Progress
) -> GateReport | None:
    """What the gate found in the rows, where a base is tuned, and refusals of settings without effect."""
    gate = None
    if base is not None:
        packed, room = _packed_samples(recipe), recipe.model.answer_room
        gate = look_at_rows(dataset, base, progress, num_samples=packed, room=room)
    check_data_effects(recipe, dataset.spec)
    check_suite(recipe, kind, dataset.spec)
    training = recipe.training
    if 0 < training.num_steps <= training.warmup_steps:
        progress.say(
            f"warning: the learning rate never reaches its peak: training.warmup_steps "
            f"({training.warmup_steps}) is not over after {training.num_steps} steps; set it too"
        )
    return gate


def _packed_samples(recipe: Recipe) -> int:
    """Samples that lie behind each other in one row; 0 where answers are still to be written."""
    model = recipe.model
    if isinstance(model, TunedConfig) and model.objective.name in OF_REWARDS:
        return 0
    return -(-recipe.data.batch_size // (recipe.training.accumulate * world_size()))


def _warms_up_to_the_end(recipe: Recipe) -> bool:
    """Whether the warm-up is as long as the training, and was meant so: steps that a setting cut short leave
    the recipe's warm-up too long, which is worth a warning only."""
    training = recipe.training
    cut_short = not _in_file(recipe, "training.num_steps") and _in_file(recipe, "training.warmup_steps")
    return training.warmup_steps >= training.num_steps and not cut_short


def _in_file(recipe: Recipe, key: str) -> bool:
    """Whether a value stands in the recipe's file, or in none; not in a setting over it."""
    return recipe.origins[key] not in ("--set", "settings")


def check_data_effects(recipe: Recipe, spec: DataSpec) -> None:
    """Refuses fields of the family that were changed but have no effect on this kind of data.

    Raises:
        RecipeError: Each of them, where it stands.
    """
    section = type(recipe.model)
    problems = []
    for field, kind in section.only_for.items():
        usual = section.size_defaults(recipe.model.size).get(field, section.model_fields[field].default)
        key = f"model.{field}"
        if kind != spec.kind and getattr(recipe.model, field) != usual and key in recipe.origins:
            message = f"{key} has no effect: {recipe.data.source} holds no {kind}"
            problems.append(_problem(recipe, key, message))
    if problems:
        raise RecipeError(problems)


def check_suite(recipe: Recipe, kind: Family, spec: DataSpec) -> None:
    """Refuses what the evaluation section asks for and cannot be measured on this data.

    Raises:
        RecipeError: Each of it, where it stands.
        NotFoundError, UsageError: See `not_measurable`.
    """
    refused = not_measurable(recipe, kind, spec)
    if refused:
        raise RecipeError([_problem(recipe, key, text) for key, text in refused.items()])


def _is_default(recipe: Recipe, key: str) -> bool:
    """Whether a value is what it would be if nobody had written it: a resolved recipe writes every one."""
    section, *names = key.split(".")
    part: Section
    if section in recipe.model.own_sections:
        part = getattr(recipe.model, section)
    elif section in _SECTIONS:
        part = getattr(recipe, section)
    else:
        return recipe.origins[key] == "default"
    for name in names[:-1]:
        part = getattr(part, name)
    field = type(part).model_fields[names[-1]]
    return bool(getattr(part, names[-1]) == field.default)


@contextmanager
def placed_errors(recipe: Recipe) -> Iterator[None]:
    """Within the block an error about a setting that was written says where it stands as well."""
    try:
        yield
    except UsageError as error:
        key = _written_key(recipe, str(error.where))
        if key is None:
            raise
        place = str(_problem(recipe, key, str(error.where)))
        raise type(error)(
            error.message, where=place, got=error.got, expected=error.expected, next_step=error.next_step
        ) from error


def _written_key(recipe: Recipe, where: str) -> str | None:
    """The setting of which an error speaks, or the first one below that key; None where none was written."""
    for key in recipe.origins:
        if (key == where or key.startswith(f"{where}.")) and not _is_default(recipe, key):
            return key
    return None


def _problem(recipe: Recipe, key: str, message: str) -> Problem:
    """What is wrong with a value, where it was written."""
    return recipe.places[key].problem(message)
