"""`creuset.finetune`: a model of texts that others trained, tuned on one's own data, as a run like any other.

The verb writes a recipe of a family that tunes with settings that suit the method, and trains it. What is set
by hand wins over them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from creuset.data.conversations import (
    CHAT_FORMS,
    INSTEAD,
    PAIR_FORMS,
    Form,
    TuningFile,
    read_tuning_file,
)
from creuset.data.tuning_rows import conversation_rows
from creuset.data.tuning_split import gate, tuning_path
from creuset.errors import UsageError
from creuset.models import family_configs
from creuset.models.tuned_config import OF_REWARDS
from creuset.pretrained.whole_base import is_decoder
from creuset.progress import Progress
from creuset.recipe.render import flow
from creuset.recipe.resolve import Recipe, parse_recipe
from creuset.recipe.sections import DataConfig
from creuset.training.base import base_path
from creuset.workflows.merged_run import adapted_place, base_place
from creuset.workflows.plan import Settings
from creuset.workflows.run_data import base_text
from creuset.workflows.train import Run, train

Method = Literal[
    "sft", "pretrain", "dpo", "orpo", "reward", "grpo", "ppo", "classify", "embed", "lora", "full", "head"
]
"""What is learned; or which weights, with what the data's form says is learned."""
_WEIGHTS_AS_METHOD = ("lora", "full", "head")
_FAMILIES = {"classify": "tuned_classifier", "embed": "tuned_embedder"}
"""Of methods that tune no language model."""
_SUITES = {"classify": "classification", "embed": "retrieval"}
_OBJECTIVES = {"sft": "next_token", "pretrain": "next_token"}
"""What a method of another name learns."""
_BATCH = 8
_BATCH_OF_PAIRS = 32
"""Each pair is told from so many others."""
_EPOCHS = 2.0
_MOST_STEPS = 300
"""Of a tuning whose length nobody says: so that a large file does not take a day unasked."""
_KEPT_BATCH, _KEPT_EPOCHS, _MOST_KEPT_STEPS = 128, 20.0, 5000
"""Of a layer of classes on states that are kept, whose steps take a millisecond."""
_RATES = {
    ("next_token", "lora"): 5e-4,
    ("next_token", "full"): 3e-5,
    ("next_token", "head"): 1e-4,
    ("next_token", "last"): 1e-4,
    ("dpo", "lora"): 1e-4,
    ("dpo", "full"): 5e-6,
    ("orpo", "lora"): 1e-4,
    ("orpo", "full"): 1e-5,
    ("reward", "lora"): 5e-4,
    ("reward", "full"): 1e-5,
    ("grpo", "lora"): 3e-4,
    ("grpo", "full"): 1e-5,
    ("ppo", "lora"): 3e-4,
    ("ppo", "full"): 1e-5,
    ("classify", "lora"): 5e-4,
    ("classify", "full"): 3e-5,
    ("classify", "last"): 1e-4,
    ("classify", "head"): 3e-3,
    ("embed", "lora"): 1e-3,
    ("embed", "full"): 2e-5,
    ("embed", "last"): 5e-5,
}
"""Peak learning rates by what is learned and which weights; what is not there takes those of full."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What is asked for.

    Args:
        base: A GGUF file, a folder, a name such as smollm2-135m, or a tuned run, which is tuned further.
        data: The file to tune on.
        method: What is learned, or which weights; None: what the data's form says.
        weights: "lora", "full", "head", or "last:K" for the last K blocks; None: what the method says, else
            lora.
        test_data: A file of rows to measure on, in place of a share of `data`.
        epochs: How often each training row is seen; None: twice, and at most 300 steps.
        reward: Of grpo and ppo: FILE.py:NAME, or run:NAME of a reward model.
        adapter: A PEFT folder of updates of the base, which are merged into it first.
        template: A file with a chat template in Jinja, for a base without one or in place of its own.
    """

    base: str
    data: str
    method: Method | None = None
    weights: str | None = None
    test_data: str | None = None
    epochs: float | None = None
    reward: str | None = None
    adapter: str | None = None
    template: str | None = None


def finetune(
    base: str | Path,
    *,
    data: str | Path,
    method: Method | None = None,
    weights: str | None = None,
    test_data: str | Path | None = None,
    epochs: float | None = None,
    reward: str | None = None,
    adapter: str | Path | None = None,
    template: str | Path | None = None,
    name: str | Path | None = None,
    seed: int | None = None,
    settings: Settings = (),
    max_seconds: float | None = None,
    measure: bool = True,
    progress: Progress | None = None,
) -> Run:
    """Tunes a language model.

    Args:
        base, data, method, weights, test_data, epochs, reward, adapter, template: See `Tuning`.
        name: The run's ID or path; default: of the base and the method.
        seed: Decides every random draw.
        settings: Values in place of the recipe's, such as {"adapter.rank": 16}.
        max_seconds: Checkpoint and stop after so many seconds of training.
        measure: Measure tuned model and base afterwards, and write the report.
        progress: Who watches.

    Raises:
        UsageError, DataError, NotFoundError: Something in the call, the data or the base is wrong; nothing
            was started.
        GateError: Rows that the model would learn something else from than is meant; they are shown.
        Interrupted, NumericalError: As of `creuset.train`.
    """
    asked = Tuning(
        base=str(base),
        data=str(data),
        method=method,
        weights=weights,
        test_data=None if test_data is None else str(test_data),
        epochs=epochs,
        reward=reward,
        adapter=None if adapter is None else str(adapter),
        template=None if template is None else str(template),
    )
    recipe = tuning_recipe(asked, settings, seed, progress=progress)
    return train(recipe, name=name, max_seconds=max_seconds, measure=measure, progress=progress)


def tuning_recipe(
    asked: Tuning, settings: Settings = (), seed: int | None = None, *, progress: Progress | None = None
) -> Recipe:
    """The recipe of a tuning, with settings changed.

    Raises:
        UsageError: A method that the data does not fit, or weights that there are not.
        NotFoundError, DataError: The data is not there, or damaged.
        GateError: Records that nothing can be learned from.
        RecipeError: A setting that is wrong.
    """
    with gate():
        file = read_tuning_file(tuning_path(asked.data, "--data"))
    method, kind, num_last = _chosen(asked, file.form)
    changed = (
        [f"{key}={flow(value)}" for key, value in settings.items()]
        if isinstance(settings, dict)
        else list(settings)
    )
    _refuse_two_lengths(asked, changed)
    _refuse_without_effect(asked, method, file.form)
    if seed is not None:
        changed.append(f"training.seed={seed}")
    if asked.adapter is None:
        place = base_place(asked.base, progress)
    else:
        place = adapted_place(asked.base, Path(asked.adapter).expanduser(), progress)

    def recipe_of(num_rows: int) -> Recipe:
        text = _recipe_text(asked, place, method, kind, num_last, num_rows)
        name = f"{Path(asked.base).name.removesuffix('.gguf')}-{method}"
        return parse_recipe(text, f"{name}.yaml", settings=changed, families=family_configs())

    recipe = recipe_of(len(file.rows))
    if method != "pretrain":
        return recipe
    return recipe_of(_num_blocks(file, recipe))


def _num_blocks(file: TuningFile, recipe: Recipe) -> int:
    """Rows of plain texts, of which long ones are cut into blocks."""
    base = base_text(recipe.model)
    assert base is not None
    rows = conversation_rows(
        file, base.tokenizer, template=None, end_id=base.end_id, context=base.context_length
    )
    return len(rows)


def _refuse_two_lengths(asked: Tuning, changed: Sequence[str]) -> None:
    """Refuses epochs beside a number of steps, of which one would be passed over."""
    steps = next((word for word in changed if word.replace(" ", "").startswith("training.num_steps=")), None)
    if asked.epochs is not None and steps is not None:
        raise UsageError(
            "the length of the training is said twice",
            where="--epochs",
            got=f"{asked.epochs:g}, and {steps}",
            expected="epochs or steps",
            next_step="leave one of them out",
        )


def _refuse_without_effect(asked: Tuning, method: str, form: Form) -> None:
    """Refuses options that what is learned has no use for."""
    if asked.reward is not None and method not in OF_REWARDS:
        raise UsageError(
            "an option without effect: no answers are rewarded",
            where="--reward",
            got=f"{asked.reward}, with the method {method}",
            expected=f"the method {' or '.join(OF_REWARDS)}",
            next_step="leave it out, or name one of these methods",
        )
    if asked.template is not None and form not in (*CHAT_FORMS, "preference"):
        raise UsageError(
            "an option without effect: no conversations are written",
            where="--template",
            got=f"records of the form {form}",
            next_step="leave it out",
        )


def _recipe_text(
    asked: Tuning, place: str, method: str, kind: str, num_last: int | None, num_rows: int
) -> str:
    """The recipe in YAML, of data of so many rows."""
    objective = _OBJECTIVES.get(method, method)
    steps = _num_steps(num_rows, method, kind, asked)
    rate = _RATES.get((objective, kind), _RATES[objective, "full"])
    every = max(1, steps // 5)
    writes_texts = method not in _FAMILIES
    lines = [
        "model:",
        f"  family: {_FAMILIES.get(method, 'tuned')}",
        f"  base: {flow(place)}",
        *(["  bias: false"] if method == "classify" and is_decoder(base_path(place)) else []),
        *([] if asked.template is None else [f"  chat_template: {flow(asked.template)}"]),
        "adapter:",
        f"  kind: {kind}",
        *([] if num_last is None else [f"  num_last: {num_last}"]),
        *(["objective:", f"  name: {objective}"] if writes_texts else []),
        *([] if asked.reward is None else [f"  reward: {flow(asked.reward)}"]),
        "data:",
        f"  source: {flow(asked.data)}",
        f"  batch_size: {_batch_size(num_rows, method, kind, asked)}",
        *([] if asked.test_data is None else [f"  test_source: {flow(asked.test_data)}"]),
        *(["players:", "  model: {num_steps: 2}"] if objective in OF_REWARDS else []),
        "training:",
        f"  num_steps: {steps}",
        f"  learning_rate: {rate!r}",
        "  optimizer: adamw",
        f"  warmup_steps: {steps // 20}",
        "  schedule: cosine",
        "  final_learning_rate: 0.1",
        "  clip_norm: 1.0",
        "  precision: auto",
        "  log_every: 10",
        f"  validate_every: {every}",
        f"  checkpoint_every: {every}",
        *([f"  sample_every: {max(1, steps // 2)}"] if writes_texts else []),
        "evaluation:",
        f"  suite: {_SUITES.get(method, 'tuning')}",
    ]
    return "\n".join(lines) + "\n"


def _chosen(asked: Tuning, form: Form) -> tuple[str, str, int | None]:
    """What is learned, which weights, and how many last blocks."""
    method: str = asked.method or _by_form(form)
    weights = asked.weights
    if method not in get_args(Method):
        raise UsageError("no such method", where="--method", got=method, expected=", ".join(get_args(Method)))
    if method in _WEIGHTS_AS_METHOD:
        if weights not in (None, method):
            raise UsageError(
                "the method names other weights than --weights does",
                where="--weights",
                got=f"{weights}, with --method {method}",
                next_step="leave one of them out",
            )
        weights, method = method, _by_form(form)
    fitting: dict[str, tuple[Form, ...]] = {
        **dict.fromkeys(("sft", "grpo", "ppo"), CHAT_FORMS),
        **dict.fromkeys(("dpo", "orpo", "reward"), ("preference",)),
        "pretrain": ("text",),
        "classify": ("labelled",),
        "embed": PAIR_FORMS,
    }
    if form not in fitting[method]:
        raise UsageError(
            f"the method {method} does not learn from records of the form {form}",
            where="--method",
            got=asked.data,
            expected=", ".join(fitting[method]),
            next_step=f"leave --method out, or name {_by_form(form)}",
        )
    kind, _, number = (weights or "lora").partition(":")
    if kind not in ("lora", "full", "head", "last") or (kind == "last") != bool(number):
        raise UsageError(
            "no such weights", where="--weights", got=weights, expected="lora, full, head, or last:K"
        )
    if kind == "head" and method == "embed":
        raise UsageError(
            "a text's vector is made without a head",
            where="--weights",
            got=weights,
            expected="lora, full, or last:K",
        )
    if number and not (number.isdecimal() and int(number) > 0):
        raise UsageError(
            "no number of blocks", where="--weights", got=weights, expected="last:1, last:2 and so on"
        )
    return method, kind, int(number) if number else None


def _by_form(form: Form) -> str:
    """What is learned of records of a form, where nobody says."""
    found = {
        "preference": "dpo",
        "text": "pretrain",
        "labelled": "classify",
        **dict.fromkeys(PAIR_FORMS, "embed"),
        **dict.fromkeys(CHAT_FORMS, "sft"),
    }
    if form not in found:
        raise UsageError(
            f"no method learns from records of the form {form} yet",
            where="--data",
            expected="conversations, texts, texts with classes, pairs, or preferences",
            next_step=INSTEAD.get(form),
        )
    return found[form]


def _num_training(num_rows: int, asked: Tuning) -> int:
    """About how many rows are trained: what is left by splits of one row at least."""
    kept = ["validation_share", *([] if asked.test_data else ["test_share"])]
    shares = [DataConfig.model_fields[name].default for name in kept]
    return num_rows - sum(max(1, int(num_rows * share + 0.5)) for share in shares)


def _batch_size(num_rows: int, method: str, kind: str, asked: Tuning) -> int:
    """Rows of a batch: few prompts, each of which is answered several times, and many texts that are kept."""
    if method in OF_REWARDS:
        wanted = _BATCH // 2
    elif method == "classify":
        wanted = _KEPT_BATCH if kind == "head" else 2 * _BATCH
    elif method == "embed":
        wanted = _BATCH_OF_PAIRS
    else:
        wanted = _BATCH
    return min(wanted, max(1, _num_training(num_rows, asked)))


def _num_steps(num_rows: int, method: str, kind: str, asked: Tuning) -> int:
    if asked.epochs is not None and not 0 < asked.epochs < math.inf:
        raise UsageError(
            "no number of epochs", where="--epochs", got=asked.epochs, expected="a finite number above 0"
        )
    batch = _batch_size(num_rows, method, kind, asked)
    kept = method == "classify" and kind == "head"
    usual, most = (_KEPT_EPOCHS, _MOST_KEPT_STEPS) if kept else (_EPOCHS, _MOST_STEPS)
    wanted = math.ceil((asked.epochs or usual) * _num_training(num_rows, asked) / batch)
    return max(1, wanted if asked.epochs is not None else min(wanted, most))
