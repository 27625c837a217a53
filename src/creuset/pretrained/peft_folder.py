"""Adapters in PEFT's folders: LoRA with its variants, read strictly and written.

adapter_config.json          what was changed and how (peft_settings.py)
adapter_model.safetensors    base_model.model.MODULE.lora_A.weight (R, in), .lora_B.weight (out, R),
                             .lora_magnitude_vector (out,), and MODULE.weight of what was trained whole
creuset_base.json            which base it is of, by hash, in folders that creuset wrote (base_identity.py)

Where one layer of theirs holds several of ours (GPT-2's c_attn: query, key and value), an update of theirs is
one A for all of them, and B's rows are dealt to ours. The other way round A's are stacked and B's stand in
blocks, which is the same update with a larger rank; where ours share one A, as after reading, it is written
once.

Legend of shapes: R rank.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from creuset.adapters.adapter import Adapter
from creuset.adapters.lora import LoraForm
from creuset.data.tokenizer_files import as_json, read_settings
from creuset.errors import BlockedError, CheckpointError, NotFoundError, UsageError
from creuset.files import atomic_folder, write_atomic
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.base_identity import BaseIdentity, write_identity
from creuset.pretrained.folder import FORMATS
from creuset.pretrained.hub_format import HubFormat
from creuset.pretrained.peft_modules import DOWN, MAGNITUDE, UP, PeftModule, joined_update, modules_of
from creuset.pretrained.peft_settings import ADAPTER_CONFIG, PeftSettings, require_targets
from creuset.pretrained.peft_whole import read_whole, require_linear_updates, require_numbers
from creuset.pretrained.safetensors_file import read_safetensors, write_safetensors
from creuset.pretrained.tensor_links import Link, require_names

ADAPTER_WEIGHTS = "adapter_model.safetensors"
_TABLE = "token_embedding.weight"
_PICKLE = "adapter_model.bin"
_PREFIX = "base_model.model."


@dataclass(frozen=True, kw_only=True)
class PeftAdapter:
    """An adapter out of a folder.

    Args:
        adapter: In our names, for a Transformer of the base's form.
        settings: What its adapter_config.json says.
        others: What was trained whole and is no part of the Transformer, such as a classifier's head, in
            their names.
    """

    adapter: Adapter
    settings: PeftSettings
    others: Mapping[str, Tensor] = field(default_factory=dict)


def load_adapter(path: Path | str, config: TransformerConfig, model_type: str) -> PeftAdapter:
    """An adapter's folder, as PEFT or creuset wrote it.

    Args:
        path: The folder.
        config: The form of its base.
        model_type: The base's family, as config.json names it.

    Raises:
        NotFoundError: There is no such folder, or a file of it is missing.
        BlockedError: Its weights are in pickle.
        UsageError: Another method than LoRA, or a setting that is not known or not supported; it is named.
        CheckpointError: Tensors are missing, left over or of another rank; they are named.
        DataError: A damaged file.
    """
    folder = Path(path)
    if (folder / _PICKLE).is_file() and not (folder / ADAPTER_WEIGHTS).is_file():
        raise BlockedError(
            "an adapter in pickle is not read: a pickle runs what it says",
            where=folder / _PICKLE,
            expected=ADAPTER_WEIGHTS,
            next_step="where you trust it, have PEFT load it and save_pretrained it again, which writes "
            "safetensors",
        )
    for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
        if not (folder / name).is_file():
            raise NotFoundError(
                f"no {name} in this folder",
                where=folder,
                next_step="name a folder that PEFT or creuset saved an adapter in",
            )
    settings = PeftSettings.read(read_settings(folder / ADAPTER_CONFIG))
    family = _family(model_type)
    tensors = _stripped(read_safetensors(folder / ADAPTER_WEIGHTS).tensors, folder)
    whole_names = any(name.startswith(family.prefix) for name in tensors)
    links = _links(config, family, prefixed=whole_names)
    modules = modules_of(config, links)
    names = require_targets(settings, [module.name for module in modules])
    chosen = [module for module in modules if module.name in set(names)]
    updates = {name: tensor for name, tensor in tensors.items() if ".lora_" in name}
    rest = {name: tensor for name, tensor in tensors.items() if name not in updates}
    endings = (DOWN, UP, MAGNITUDE) if settings.decomposed else (DOWN, UP)
    require_names(updates, {name + ending for name in names for ending in endings}, where=str(folder))
    whole, others = read_whole(rest, links, settings, config, folder / ADAPTER_WEIGHTS)
    found = Adapter(forms={}, updates={}, whole=whole)
    for module in chosen:
        found = _with_module(found, module, updates, settings, folder)
    return PeftAdapter(adapter=found, settings=settings, others=others)


def save_adapter(
    path: Path | str,
    adapter: Adapter,
    config: TransformerConfig,
    model_type: str,
    *,
    base: str = "",
    identity: BaseIdentity | None = None,
    others: Mapping[str, Tensor] | None = None,
    classifies: bool = False,
    head_apart: bool = False,
) -> None:
    """Writes a folder that PEFT reads, complete or not at all.

    Args:
        path: The folder; it must not exist.
        adapter: In our names.
        config: The form of its base.
        model_type: The base's family, as config.json names it.
        base: The base's name or folder, for readers that load it by themselves.
        identity: The base's hashes; None where nothing proves which base the adapter is of.
        others: What was trained whole and is no part of the Transformer, in their names.
        classifies: Whether it is of their model with a head for classes, which is among `others`.
        head_apart: Whether the head of a base that ties it stays what it was where the embedding is trained.

    Raises:
        UsageError: The folder exists, or the adapter has no update.
        ResourceError: The disk is full.
    """
    folder = Path(path)
    if folder.exists():
        raise UsageError(
            "there is something at this place already", where=folder, next_step="name a folder that is new"
        )
    if not adapter.forms:
        raise UsageError(
            "this adapter has no low-rank update, which PEFT's LoRA folders are made of",
            where=folder,
            got=f"{len(adapter.whole)} tensors trained whole",
        )
    family = _family(model_type)
    links = _links(config, family, prefixed=classifies or config.head != "none")
    modules = modules_of(config, links)
    joined = {
        module.name: joined_update(adapter, module, config)
        for module in modules
        if any(name in adapter.forms for name in module.ours)
    }
    by_ours = {link.ours: link for link in links}
    if "head.weight" in adapter.whole and "head.weight" not in by_ours:  # a tied base's head, trained apart
        by_ours |= {link.ours: link for link in family.links(replace(config, tied_head=False))}
    trained = dict(adapter.whole)
    if config.tied_head and not head_apart and _TABLE in trained and "head.weight" not in trained:
        trained["head.weight"] = trained[_TABLE]  # ours follows the embedding; PEFT's would not
        by_ours |= {link.ours: link for link in family.links(replace(config, tied_head=False))}
    whole = {by_ours[name].theirs: _theirs(by_ours[name], tensor) for name, tensor in trained.items()}
    whole |= others or {}
    tensors = {
        f"{_PREFIX}{name}{ending}": tensor.detach().cpu().contiguous()
        for name, (_, parts) in joined.items()
        for ending, tensor in parts.items()
    }
    tensors |= {f"{_PREFIX}{name}": tensor.detach().cpu().contiguous() for name, tensor in whole.items()}
    settings = _settings(
        {name: form for name, (form, _) in joined.items()},
        [module.name for module in modules],
        whole,
        base=base,
        transposed=any(module.transposed for module in modules),
    )
    with atomic_folder(folder) as place:
        write_atomic(
            place / ADAPTER_CONFIG,
            as_json(settings.written("classifier" if classifies else config.architecture)),
        )
        write_safetensors(place / ADAPTER_WEIGHTS, tensors, {"format": "pt"})
        if identity is not None:
            write_identity(place, identity)


def with_own_head(
    loaded: PeftAdapter, config: TransformerConfig, weights: Mapping[str, Tensor]
) -> tuple[TransformerConfig, dict[str, Tensor]]:
    """The base as the adapter changes it: its head apart from the embedding where only one of the two that
    share their weights was trained, as PEFT leaves it.

    Args:
        loaded: The adapter.
        config: The base's form.
        weights: Its tensors.
    """
    whole, state = loaded.adapter.whole, dict(weights)
    parted = "head.weight" in whole or (_TABLE in whole and not loaded.settings.ties_head)
    if not (config.tied_head and parted):
        return config, state
    state["head.weight"] = state[_TABLE].clone()
    return replace(config, tied_head=False), state


def _family(model_type: str) -> HubFormat:
    return next(each for each in FORMATS if each.model_type == model_type)


def _links(config: TransformerConfig, family: HubFormat, *, prefixed: bool) -> list[Link]:
    """Our tensors and theirs, in the names of the whole model, or in those of its body by itself."""
    links = family.links(config)
    if prefixed:
        return links
    return [replace(link, theirs=link.theirs.removeprefix(family.prefix)) for link in links]


def _stripped(tensors: Mapping[str, Tensor], folder: Path) -> dict[str, Tensor]:
    strange = sorted(name for name in tensors if not name.startswith(_PREFIX))
    if strange:
        raise CheckpointError(
            "these are no names of an adapter's tensors",
            where=folder / ADAPTER_WEIGHTS,
            got=", ".join(strange[:3]),
            expected=f"names that begin with {_PREFIX}",
        )
    require_linear_updates(tensors, folder / ADAPTER_WEIGHTS)
    require_numbers(tensors, folder / ADAPTER_WEIGHTS)
    return {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}


def _with_module(
    found: Adapter, module: PeftModule, tensors: Mapping[str, Tensor], settings: PeftSettings, folder: Path
) -> Adapter:
    """The adapter with one more of their modules."""
    rank, count = settings.rank_of(module.name), len(module.ours)
    down, up = tensors[module.name + DOWN], tensors[module.name + UP]
    if down.ndim != 2 or up.ndim != 2 or len(down) != rank or up.shape[1] != rank or len(up) % count:
        raise CheckpointError(
            f"the update of {module.name} has another form than {ADAPTER_CONFIG} says",
            where=folder / ADAPTER_WEIGHTS,
            got=f"A {tuple(down.shape)}, B {tuple(up.shape)}",
            expected=f"rank {rank}" + (f", and outputs that {count} divides" if count > 1 else ""),
        )
    form = LoraForm(
        rank=rank,
        alpha=settings.alpha_of(module.name),
        rank_stabilised=settings.rank_stabilised,
        decomposed=settings.decomposed,
        dropout=settings.dropout,
    )
    updates: dict[str, Tensor] = {}
    for name, piece in zip(module.ours, up.chunk(count), strict=True):
        updates |= {f"{name}.down": down, f"{name}.up": piece}
    if settings.decomposed:
        magnitude = tensors[module.name + MAGNITUDE]
        if magnitude.numel() != len(up):
            raise CheckpointError(
                f"the magnitudes of {module.name} are not one for each output",
                where=folder / ADAPTER_WEIGHTS,
                got=tuple(magnitude.shape),
                expected=(len(up),),
            )
        pieces = magnitude.flatten().chunk(count)
        updates |= {f"{name}.magnitude": piece for name, piece in zip(module.ours, pieces, strict=True)}
    return replace(
        found,
        forms={**found.forms, **dict.fromkeys(module.ours, form)},
        updates={**found.updates, **updates},
    )


def _theirs(link: Link, tensor: Tensor) -> Tensor:
    if link.piece != (0, 1):
        raise UsageError(
            "a part of one of their layers cannot be trained whole by itself",
            got=link.ours,
            expected=link.theirs,
        )
    return tensor.T if link.transposed else tensor


def _settings(
    forms: Mapping[str, LoraForm],
    modules: Sequence[str],
    whole: Mapping[str, Tensor],
    *,
    base: str,
    transposed: bool,
) -> PeftSettings:
    """What adapter_config.json says of these updates."""
    usual = next(iter(forms.values()))
    endings = {name.rpartition(".")[2] for name in forms}
    by_endings = {name for name in modules if name.rpartition(".")[2] in endings}
    return PeftSettings(
        rank=usual.rank,
        alpha=usual.alpha,
        dropout=usual.dropout,
        rank_stabilised=usual.rank_stabilised,
        decomposed=usual.decomposed,
        targets=tuple(endings if by_endings == forms.keys() else forms),
        whole=tuple({name.rpartition(".")[0] for name in whole}),
        rank_pattern={_exactly(name): form.rank for name, form in forms.items() if form.rank != usual.rank},
        alpha_pattern={
            _exactly(name): form.alpha for name, form in forms.items() if form.alpha != usual.alpha
        },
        transposed=transposed,
        base=base,
    )


def _exactly(name: str) -> str:
    """A regular expression for one module's name."""
    return name.replace(".", r"\.")
