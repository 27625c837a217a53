"""The data of a recipe, and of a run as it was when that was trained: from files, from names, or the codes of
another run (`data.source: run:NAME`)."""

from dataclasses import replace

from creuset.assets import resolve
from creuset.data.dataset import Dataset, conform
from creuset.data.load import load_data
from creuset.data.text_side import TextSide
from creuset.errors import UsageError
from creuset.models import family
from creuset.progress import Progress
from creuset.recipe.sections import DataConfig, FamilyConfig
from creuset.runs.folder import RunFolder
from creuset.training.base import base_path, text_side_of
from creuset.workflows.first_stage import RUN, require_same_codes
from creuset.workflows.load import data_spec, first_stage, run_recipe
from creuset.workflows.own_template import own_template

SPLIT_SEED = 0
"""Splits follow from the data alone: runs with different seeds are tested on the same samples."""

_OF_CODES = ("source", "batch_size")
"""Settings of the `data` section that code maps take."""


def load_source(
    config: DataConfig,
    progress: Progress,
    *,
    seed: int = SPLIT_SEED,
    needs_mask: bool = False,
    base: TextSide | None = None,
    device: str = "auto",
) -> Dataset:
    """The data that a recipe's section names.

    Args:
        config: The section.
        progress: Who watches.
        seed: Decides the splits that a source does not have.
        needs_mask, base: As in `load_data`.
        device: Where the model of a run is put that makes codes.

    Raises:
        NotFoundError, DataError, UsageError: See `load_data`, `first_stage` and `run_data`; a setting that
            code maps leave without effect.
    """
    if config.source.startswith(RUN):
        return _code_maps(config, progress, device)
    return load_data(
        config,
        seed=seed,
        resolve=lambda name: resolve(name).path,
        needs_mask=needs_mask,
        base=base,
        progress=progress,
    )


def load_run_data(config: DataConfig, progress: Progress, base: TextSide | None = None) -> Dataset:
    """The data of a recipe's section, split as every run splits it; `base` as in `load_data`."""
    return load_source(config, progress, base=base)


def base_text(model: FamilyConfig) -> TextSide | None:
    """How the language model reads that a recipe tunes; None where it tunes none.

    Raises:
        NotFoundError, DataError, UsageError: Its base is not there, damaged, or of a family that is not read.
    """
    kind = family(model.family)
    if model.base_name is None or kind.tune is None:
        return None
    vectors = "embeds_texts" in kind.traits
    found = text_side_of(base_path(model.base_name), context=model.base_context, vectors=vectors)
    template = own_template(model, found.tokenizer)
    return found if template is None else replace(found, chat_template=template)


def run_data(run: RunFolder, progress: Progress) -> Dataset:
    """The data that a run was trained on, as it was then.

    Raises:
        UsageError: It has changed since: samples, labels, classes or splits.
        CheckpointError: It is the codes of a run that has changed since.
    """
    recipe = run_recipe(run)
    base = base_text(recipe.model)
    return as_trained(run, load_run_data(own_data_section(run, recipe.data), progress, base))


def own_data_section(run: RunFolder, section: DataConfig) -> DataConfig:
    """The section by which a run's data is read again: a corpus by the tokenizer that the run holds.

    Texts to tune on are read as the base reads them, of whose tokenizer the run holds a copy for others.
    """
    if not run.tokenizer_path.is_dir() or run.manifest().base is not None:
        return section
    usual = DataConfig.model_fields["vocabulary_size"].default
    return section.model_copy(
        update={"tokenizer": str(run.tokenizer_path.resolve()), "vocabulary_size": usual}
    )


def as_trained(run: RunFolder, dataset: Dataset) -> Dataset:
    """The run's data as its model was made for it, with the vocabulary that the run has stored.

    Refuses data that is not what the run was trained on: its splits and labels would mean something else.

    Raises:
        UsageError: The content hash differs.
        CheckpointError: It is the codes of a run that has changed since.
    """
    manifest, spec = run.manifest(), data_spec(run)
    if spec.codes is not None and dataset.spec.codes is not None:
        require_same_codes(spec.codes, dataset.spec.codes, run.path)
    if dataset.content_hash != manifest.data_hash:
        raise UsageError(
            "the data is not what this run was trained on",
            where=manifest.data_source,
            got=f"data hash {dataset.content_hash[:16]}",
            expected=f"data hash {manifest.data_hash[:16]}",
            next_step="put the data back as it was, or start a new run",
        )
    return conform(dataset, spec)


def _code_maps(config: DataConfig, progress: Progress, device: str) -> Dataset:
    """The code maps that a run's model makes of the run's own data, in its splits."""
    name = config.source.removeprefix(RUN)
    for field, info in DataConfig.model_fields.items():
        value = getattr(config, field)
        if field not in _OF_CODES and value != info.default:
            raise UsageError(
                "a setting without effect: code maps are made of the data and the splits of a run",
                where=f"data.{field}",
                got=value,
                expected=f"nothing for the codes of {name}",
                next_step=f"remove data.{field}, or set it where {name} is trained",
            )
    stage = first_stage(name, device=device)
    dataset = stage.dataset(run_data(stage.run, progress), progress)
    for remark in dataset.report.remarks():
        progress.say(f"data: {remark}")
    return dataset
