"""No setting is read and ignored: each field of each section of a recipe is read by a training that has it.

Trainings of a few steps run with every read of a field recorded; a field that none of them reads fails. A
family is trained with its defaults, then with each value of its choices, until all of its fields were read.
"""

import inspect
import typing
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image
from pydantic import Field

import field_reads
from creuset.assets import workspace
from creuset.data.load import load_data
from creuset.errors import GateError, RecipeError
from creuset.models import family, family_configs, family_names, vae
from creuset.models.vae import VAEConfig
from creuset.pretrained.text_side import open_text_side
from creuset.recipe import resolve, sections
from creuset.recipe.collapse import CollapseConfig
from creuset.recipe.section import Section
from creuset.recipe.sections import DataConfig, FamilyConfig, TrainingConfig
from creuset.workflows.train import train
from field_reads import Reads, unread
from small_bases import anchored, conversations, write_base, write_rows
from sounds import tone_folder

SECTIONS = [
    section
    for _, section in inspect.getmembers(sections, inspect.isclass)
    if issubclass(section, Section) and section not in (Section, FamilyConfig)
] + [CollapseConfig]

Settings = dict[str, Any]

ADVERSE: tuple[Settings, ...] = (
    {"training.optimizer": "sgd", "training.ema_decay": 0.5, "training.clip_norm": 1.0},
    {"training.schedule": "linear", "training.warmup_steps": 1},
    {"data.augmentation.shift": 1, "players.model.num_steps": 2},
    {"collapse.on_collapse": "rollback", "collapse.check_every": 1, "collapse.patience": 1},
)
"""Settings beside the defaults that take a training through its other branches."""


def short(name: str) -> Settings:
    """A small training of a family, by its traits."""
    found = family(name)
    settings: Settings = {"model.family": name, "data.source": "digits", "data.limit": 200}
    if found.traits & {"scores_text", "fills_masks", "embeds_tokens"}:
        settings = {"model.family": name, "data.source": str(plain_text()), "data.context": 8}
    if "embeds_tokens" in found.traits:
        settings["data.tokenizer"] = "words"
    if {"transduces_text", "embeds_texts"} & found.traits:
        settings = {"model.family": name, "data.source": str(text_pairs())}
    if found.tune is not None:
        settings = {
            "model.family": name,
            "model.base": str(base()),
            "data.source": str(rows_to_tune_on(name)),
        }
    if found.config.sizes:
        settings["model.size"] = "tiny"
    if "gradient" in found.traits:
        size = 8 if found.tune is not None else 50
        settings |= {"training.num_steps": 2, "data.batch_size": size}
    if "likelihood" in found.traits and not found.config.exact_likelihood:
        settings["evaluation.num_importance_samples"] = 2
    return settings


def reads_of(folder: Path, settings: Settings) -> Reads:
    """What a training with these settings reads, its evaluation and report with it."""
    folder.mkdir(parents=True)
    recipe = folder / "recipe.yaml"
    recipe.write_text("{}\n")
    with field_reads.recorded() as reads, suppress(GateError):  # a collapse ends a training
        train(recipe, name=folder / "run", settings=settings)
    return reads


def choices(section: type[FamilyConfig]) -> Iterator[Settings]:
    """The defaults, then each choice and each switch of a family, one at a time."""
    yield {}
    for name, field in section.model_fields.items():
        if name in FamilyConfig.model_fields:
            continue
        annotation = field.annotation
        for part in (annotation, *typing.get_args(annotation)):
            values = typing.get_args(part) if typing.get_origin(part) is Literal else ()
            values = (True, False) if part is bool else values
            yield from ({f"model.{name}": value} for value in values if value != field.default)


def plain_text() -> Path:
    """A corpus in the workspace of the test."""
    file = workspace() / "plain.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"line {number} of {number * 7 % 100}\n" for number in range(200)))
    return file


def text_pairs() -> Path:
    """Pairs of texts in the workspace of the test."""
    file = workspace() / "pairs.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = (f'{{"source": "one {number}", "target": "un {number * 7}"}}\n' for number in range(200))
    file.write_text("".join(lines))
    return file


def base() -> Path:
    """A small language model in the workspace of the test."""
    folder = workspace() / "base"
    return folder if folder.exists() else write_base(folder)


def rows_to_tune_on(name: str) -> Path:
    """Conversations, pairs for an embedder, or texts with classes for a classifier."""
    rows = anchored(60) if "embeds_texts" in family(name).traits else conversations()
    if "classifies" in family(name).traits:
        rows = [{"text": f"number {n}", "label": "ab"[n % 2]} for n in range(40)]
    return write_rows(workspace() / f"{name}.jsonl", rows)


def text_file(folder: Path) -> Path:
    """Texts of two classes."""
    file = folder / "texts.tsv"
    rows = (f"{'fine' if number % 2 else 'poor'} number {number}\t{number % 2}" for number in range(40))
    file.write_text("\n".join(["text\tlabel", *rows]) + "\n")
    return file


def data_of(section: type[FamilyConfig], folder: Path) -> Iterator[Settings]:
    """Data beside pictures, where a family has fields for it."""
    if "texts" in section.only_for.values():
        source = str(text_file(folder))
        yield {"data.source": source, "data.text_column": "text", "data.limit": None, "data.batch_size": 8}
    if "corpus" in section.only_for.values():
        yield {"data.source": str(plain_text()), "data.context": 8}
    if "table" in section.only_for.values():
        table = folder / "table.csv"
        table.write_text("x,y\n" + "".join(f"{number},{number * 7 % 11}\n" for number in range(400)))
        yield {
            "data.source": str(table),
            "evaluation.suite": "none",
            "evaluation.num_importance_samples": None,
        }


def unread_of_family(name: str, folder: Path) -> set[str]:
    """The fields that no training of a family reads; `family` and `size` act before there is a section."""
    section = family(name).config
    own = set(section.model_fields) - set(FamilyConfig.model_fields)
    for number, settings in enumerate([*choices(section), *data_of(section, folder)]):
        try:
            reads = reads_of(folder / str(number), {**short(name), **settings})
        except RecipeError:
            if not settings:
                raise
            continue  # a choice that asks for another one beside it
        own &= unread(section, reads)
        if not own:
            break
    return own


@pytest.mark.parametrize("name", family_names())
def test_each_setting_of_a_family_is_read(name: str, tmp_path: Path) -> None:
    assert unread_of_family(name, tmp_path) == set()


def unread_of_sections(folder: Path) -> dict[str, set[str]]:
    """The fields of the sections that all families share which nothing reads, by section."""
    reads: Reads = set()
    for number, settings in enumerate(ADVERSE):
        reads |= reads_of(folder / str(number), {**short("vae"), **settings})
    reads |= reads_of(folder / "labels", short("cnn"))
    pictures = folder / "pictures"
    pictures.mkdir()
    generator = np.random.default_rng(0)
    for number in range(20):
        pixels = generator.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(pictures / f"{number}.png")
    table = folder / "table.csv"
    rows = (f"{number},{number % 7},{'ab'[number % 2]}" for number in range(40))
    table.write_text("\n".join(["width,height,kind", *rows]) + "\n")
    with field_reads.recorded() as found:
        load_data(DataConfig(source=str(pictures)), seed=0, resolve=Path)
        load_data(DataConfig(source=str(table), label_column="kind"), seed=0, resolve=Path)
        load_data(DataConfig(source=str(text_file(folder)), text_column="text"), seed=0, resolve=Path)
        load_data(DataConfig(source=str(plain_text()), context=8), seed=0, resolve=Path)
        load_data(DataConfig(source=str(text_pairs())), seed=0, resolve=Path)
        to_tune_on = DataConfig(source=str(rows_to_tune_on("tuned")))
        load_data(to_tune_on, seed=0, resolve=Path, base=open_text_side(base()))
        load_data(DataConfig(source=str(tone_folder(folder / "tones"))), seed=0, resolve=Path)
    reads |= found
    used = {owner for owner, _ in reads}
    # a section that a test put in the place of another one counts in its stead
    current = [next((owner for owner in used if issubclass(owner, section)), section) for section in SECTIONS]
    return {section.__name__: left for section in current if (left := unread(section, reads))}


def test_each_setting_of_the_shared_sections_is_read(tmp_path: Path) -> None:
    assert unread_of_sections(tmp_path) == {}


class PlantedTraining(TrainingConfig):
    planted: int = Field(3, description="Nothing reads it.")


class PlantedVAE(VAEConfig):
    planted: int = Field(3, description="Nothing reads it.")


def test_a_setting_of_a_section_that_nothing_reads_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "TrainingConfig", PlantedTraining)
    assert unread_of_sections(tmp_path) == {"PlantedTraining": {"planted"}}


def test_a_setting_of_a_family_that_nothing_reads_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vae, "FAMILY", replace(vae.FAMILY, config=PlantedVAE))
    assert unread_of_family("vae", tmp_path) == {"planted"}


def test_a_read_by_the_tests_or_by_a_name_is_no_use() -> None:
    section = DataConfig(source="digits")
    with field_reads.recorded() as reads:
        assert section.batch_size == 128
        assert getattr(section, "source") == "digits"  # noqa: B009
    assert reads == set()


@pytest.mark.parametrize("section", [*SECTIONS, *(get() for get in family_configs().values())])
def test_each_setting_is_described(section: type[Section]) -> None:
    for name, field in section.model_fields.items():
        assert field.description, f"{section.__name__}.{name}"
        assert field.description.endswith("."), f"{section.__name__}.{name}"
