"""A language model with adapters out of PEFT folders beside its layers, each held against its base."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from creuset.adapters.adapter import given
from creuset.assets import resolve
from creuset.engines.native_loading import NativeModel, load_native
from creuset.errors import UsageError
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.base_identity import OpenedBase, require_base
from creuset.pretrained.folder import FORMATS
from creuset.pretrained.hub_format import write_config
from creuset.pretrained.peft_folder import PeftAdapter, load_adapter, with_own_head

_TABLE = "token_embedding.weight"


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """A base in float32 with adapters, all of them in use.

    Args:
        config: Its form; its head stands apart from the embedding where an adapter trained one of the two.
        body: The Transformer.
        model: The base: weights as they were, tokenizer, template and ends.
        model_type: Its family, as config.json names it; "" where there are no adapters, whose names need it.
        place: The base's file or folder.
        adapters: What was read, by name.
        unproven: A sentence on each adapter that nothing proves to be of this base.
    """

    config: TransformerConfig
    body: Transformer
    model: NativeModel
    model_type: str
    place: Path
    adapters: Mapping[str, PeftAdapter]
    unproven: tuple[str, ...]


def open_adapted(base: str, adapters: Mapping[str, Path]) -> Adapted:
    """A base with adapters.

    Args:
        base: A model's name, folder or GGUF file.
        adapters: Their folders, by the names that they get in the model.

    Raises:
        NotFoundError: There is no such model or folder.
        CheckpointError: An adapter is of another base, or does not fit.
        UsageError, BlockedError, DataError: A folder that is not read, or a damaged file.
    """
    place = model_place(base)
    model = load_native(place, dtype=torch.float32)
    model_type = write_config(model.config, FORMATS)[0].model_type if adapters else ""
    config, weights = model.config, dict(model.weights)
    opened, found, unproven = OpenedBase(name=base, place=place, weights=model.weights), {}, []
    for name, folder in adapters.items():
        loaded = load_adapter(folder, model.config, model_type)
        remark = require_base(folder, opened, named=loaded.settings.base)
        if remark is not None:
            unproven.append(f"{folder}: {remark}")
        config, weights = with_own_head(loaded, config, weights)
        found[name] = loaded
    _require_one_head(config.tied_head == model.config.tied_head, found)
    body = Transformer.from_weights(config, weights)
    for name, loaded in found.items():
        given(body, loaded.adapter, name)
    return Adapted(
        config=config,
        body=body,
        model=model,
        model_type=model_type,
        place=place,
        adapters=found,
        unproven=tuple(unproven),
    )


def model_place(base: str) -> Path:
    """The file or folder that a model's name stands for.

    Raises:
        NotFoundError: There is no such model.
    """
    path = Path(base).expanduser()
    if path.exists():
        return path
    found = resolve(base)
    return found.path if found.file is None else found.file


def _require_one_head(as_it_was: bool, adapters: Mapping[str, PeftAdapter]) -> None:
    """Refuses adapters of which one trained a head apart that in another one follows the embedding."""
    follows = [
        name for name, one in adapters.items() if one.settings.ties_head and _TABLE in one.adapter.whole
    ]
    if follows and not as_it_was:
        raise UsageError(
            "these adapters do not go side by side: the head of one follows the embedding, another one has "
            "a head of its own",
            where="--adapter",
            got=", ".join(adapters),
            next_step=f"open {follows[0]} by itself",
        )
