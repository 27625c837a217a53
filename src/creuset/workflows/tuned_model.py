"""A run's tuned language model as something that answers, and language models by the names of runs."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from creuset.engines.base import Engine
from creuset.engines.native import Native
from creuset.engines.native_loading import NativeModel, load_native
from creuset.engines.opening import Driver, open_engine
from creuset.errors import NotFoundError, UsageError
from creuset.generation.weight_formats import WeightFormat
from creuset.models import family
from creuset.models.tuned import Tuned
from creuset.runs.folder import RunFolder
from creuset.training.base import base_path
from creuset.workflows.language_handle import AdaptedEngine, open_language_model
from creuset.workflows.load import Loaded, find_run, load
from creuset.workflows.own_template import own_template


def tuned_run(name: str) -> RunFolder | None:
    """The run of that name that tunes a language model; None where there is none."""
    try:
        run = find_run(name)
    except NotFoundError:
        return None
    return run if run.manifest().base is not None else None


def embedder_run(name: str) -> RunFolder | None:
    """The run of that name whose model makes vectors of texts; None where there is none."""
    try:
        run = find_run(name)
    except NotFoundError:
        return None
    return run if "embeds_texts" in family(run.manifest().family).traits else None


def native_model(loaded: Loaded) -> NativeModel:
    """The tuned model with its adapter merged, as the native driver takes it.

    Raises:
        UsageError: The run tunes no language model.
    """
    model = loaded.having("answers_chats", "answer prompts")
    assert isinstance(model, Tuned)
    base = loaded.run.manifest().base
    assert base is not None
    found = tuned_text(loaded, load_native(base_path(base["name"]), dtype=torch.float32))
    return replace(found, weights={name: value.float() for name, value in model.plain_state().items()})


def tuned_text(loaded: Loaded, base: NativeModel) -> NativeModel:
    """The base with the chat template that a run was tuned with."""
    template = own_template(loaded.recipe.model, base.tokenizer)
    return base if template is None else replace(base, chat_template=template)


def open_chat_engine(
    name: str,
    *,
    driver: Driver | None = None,
    precision: WeightFormat | None = None,
    context_length: int | None = None,
    reuse_prompt: bool | None = False,
    checkpoint: str = "best",
    adapters: Mapping[str, Path] | None = None,
) -> Engine:
    """A language model by its name, or by that of a run that tuned one.

    Arguments are those of `open_engine`, and of a run which checkpoint answers. With adapters, PEFT folders
    by name, the driver is native, and the engine an AdaptedEngine, whose first adapter is in use.

    Raises:
        NotFoundError: There is no such run or model.
        CheckpointError: An adapter is of another base.
        UsageError: A driver or an option that a run's model does not have.
    """
    run = tuned_run(name)
    if adapters:
        if run is not None:
            raise UsageError(
                "a run has its own adapter",
                where="--adapter",
                got=", ".join(map(str, adapters.values())),
                next_step="leave it out, or name the base in place of the run",
            )
        if driver == "llamacpp":
            raise UsageError(
                "adapters of PEFT folders are added by the native engine",
                where="--engine",
                got=driver,
                next_step="leave it out, or export the model: creuset export --to gguf",
            )
        stored: WeightFormat = "bfloat16" if precision is None else precision
        opened = open_language_model(name, adapters, precision=stored, context_length=context_length)
        return AdaptedEngine(opened)
    if run is None:
        return open_engine(
            name, driver=driver, precision=precision, context_length=context_length, reuse_prompt=reuse_prompt
        )
    if driver == "llamacpp":
        raise UsageError(
            "llama.cpp reads GGUF files alone",
            where=name,
            got="a run",
            expected="a .gguf file",
            next_step=f"creuset export {name} --to gguf, or use the driver native",
        )
    return Native(
        native_model(load(run, checkpoint=checkpoint)),
        name=run.id,
        precision="bfloat16" if precision is None else precision,
        context_length=context_length,
    )
