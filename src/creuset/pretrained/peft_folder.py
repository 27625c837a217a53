"""Adapters in PEFT's folders: LoRA with its variants, read strictly and written.

adapter_config.json          what was changed and how (peft_settings.py)
adapter_model.safetensors    base_model.model.MODULE.lora_A.weight (R, in), .lora_B.weight (out, R),
                             .lora_magnitude_vector (out,), and MODULE.weight of what was trained whole

Where one layer of theirs holds several of ours (GPT-2's c_attn: query, key and value), an update of theirs is
one A for all of them, and B's rows are dealt to ours. The other way round A's are stacked and B's stand in
blocks, which is the same update with a larger rank; where ours share one A, as after reading, it is written
once.

Legend of shapes: R rank.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from creuset.adapters.adapter import Adapter
from creuset.adapters.lora import LoraForm
from creuset.data.tokenizer_files import as_json, read_settings
from creuset.errors import CheckpointError, NotFoundError, UsageError
from creuset.files import atomic_folder, write_atomic
from creuset.layers.form_only import form_only
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.folder import FORMATS
from creuset.pretrained.hub_format import HubFormat
from creuset.pretrained.peft_settings import ADAPTER_CONFIG, PeftSettings, require_targets
from creuset.pretrained.safetensors_file import read_safetensors, write_safetensors
from creuset.pretrained.tensor_links import Link, require_names

ADAPTER_WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_DOWN, _UP, _MAGNITUDE = ".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector"
_EMBEDDING = ".lora_embedding_"


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


@dataclass(frozen=True, kw_only=True)
class _Module:
    """One linear layer of theirs, and what it is of ours: one layer, or pieces in order."""

    name: str
    ours: tuple[str, ...]
    transposed: bool


def load_adapter(path: Path | str, config: TransformerConfig, model_type: str) -> PeftAdapter:
    """An adapter's folder, as PEFT or creuset wrote it.

    Args:
        path: The folder.
        config: The form of its base.
        model_type: The base's family, as config.json names it.

    Raises:
        NotFoundError: There is no such folder, or a file of it is missing.
        UsageError: Another method than LoRA, or a setting that is not known or not supported; it is named.
        CheckpointError: Tensors are missing, left over or of another rank; they are named.
        DataError: A damaged file.
    """
    folder = Path(path)
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
    modules = _modules(config, links)
    names = require_targets(settings, [module.name for module in modules])
    chosen = [module for module in modules if module.name in set(names)]
    updates = {name: tensor for name, tensor in tensors.items() if ".lora_" in name}
    rest = {name: tensor for name, tensor in tensors.items() if name not in updates}
    endings = (_DOWN, _UP, _MAGNITUDE) if settings.decomposed else (_DOWN, _UP)
    require_names(updates, {name + ending for name in names for ending in endings}, where=str(folder))
    whole, others = _whole(rest, links, settings, folder)
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
    others: Mapping[str, Tensor] | None = None,
) -> None:
    """Writes a folder that PEFT reads, complete or not at all.

    Args:
        path: The folder; it must not exist.
        adapter: In our names.
        config: The form of its base.
        model_type: The base's family, as config.json names it.
        base: The base's name or folder, for readers that load it by themselves.
        others: What was trained whole and is no part of the Transformer, in their names.

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
    links = _links(config, family, prefixed=config.head != "none")
    modules = _modules(config, links)
    joined = {
        module.name: _joined(adapter, module, config)
        for module in modules
        if any(name in adapter.forms for name in module.ours)
    }
    by_ours = {link.ours: link for link in links}
    if "head.weight" in adapter.whole and "head.weight" not in by_ours:  # a tied base's head, trained apart
        by_ours |= {link.ours: link for link in family.links(replace(config, tied_head=False))}
    whole = {by_ours[name].theirs: _theirs(by_ours[name], tensor) for name, tensor in adapter.whole.items()}
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
        write_atomic(place / ADAPTER_CONFIG, as_json(settings.written(config.architecture)))
        write_safetensors(place / ADAPTER_WEIGHTS, tensors, {"format": "pt"})


def _family(model_type: str) -> HubFormat:
    return next(each for each in FORMATS if each.model_type == model_type)


def _links(config: TransformerConfig, family: HubFormat, *, prefixed: bool) -> list[Link]:
    """Our tensors and theirs, in the names of the whole model, or in those of its body by itself."""
    links = family.links(config)
    if prefixed:
        return links
    return [replace(link, theirs=link.theirs.removeprefix(family.prefix)) for link in links]


def _modules(config: TransformerConfig, links: Sequence[Link]) -> list[_Module]:
    """Their linear layers of the Transformer, in order."""
    with form_only():
        transformer = Transformer(config)
    linear = {name for name, child in transformer.named_modules() if isinstance(child, nn.Linear)}
    found: dict[str, list[Link]] = {}
    for link in links:
        layer, _, kind = link.ours.rpartition(".")
        if kind == "weight" and layer in linear:
            found.setdefault(link.theirs.removesuffix(".weight"), []).append(link)
    return [
        _Module(
            name=name,
            ours=tuple(
                link.ours.removesuffix(".weight") for link in sorted(links, key=lambda each: each.piece)
            ),
            transposed=links[0].transposed,
        )
        for name, links in found.items()
    ]


def _stripped(tensors: Mapping[str, Tensor], folder: Path) -> dict[str, Tensor]:
    strange = sorted(name for name in tensors if not name.startswith(_PREFIX))
    if strange:
        raise CheckpointError(
            "these are no names of an adapter's tensors",
            where=folder / ADAPTER_WEIGHTS,
            got=", ".join(strange[:3]),
            expected=f"names that begin with {_PREFIX}",
        )
    embedded = sorted(name for name in tensors if _EMBEDDING in name)
    if embedded:
        raise UsageError(
            "low-rank updates of embeddings are not read",
            where=folder / ADAPTER_WEIGHTS,
            got=embedded[0],
            expected="updates of linear layers, and layers trained whole",
        )
    return {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}


def _with_module(
    found: Adapter, module: _Module, tensors: Mapping[str, Tensor], settings: PeftSettings, folder: Path
) -> Adapter:
    """The adapter with one more of their modules."""
    rank, count = settings.rank_of(module.name), len(module.ours)
    down, up = tensors[module.name + _DOWN], tensors[module.name + _UP]
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
        pieces = tensors[module.name + _MAGNITUDE].flatten().chunk(count)
        updates |= {f"{name}.magnitude": piece for name, piece in zip(module.ours, pieces, strict=True)}
    return replace(
        found,
        forms={**found.forms, **dict.fromkeys(module.ours, form)},
        updates={**found.updates, **updates},
    )


def _whole(
    tensors: Mapping[str, Tensor], links: Sequence[Link], settings: PeftSettings, folder: Path
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What was trained whole: in our names what the Transformer has, in theirs what it has not."""
    strange = [name for name in tensors if not settings.trained_whole([name.rpartition(".")[0]])]
    if strange:
        raise CheckpointError(
            "tensors that the adapter's settings do not ask for",
            where=folder / ADAPTER_WEIGHTS,
            got=", ".join(sorted(strange)[:3]),
            expected=f"updates of target_modules, and {', '.join(settings.whole) or 'nothing'} trained whole",
        )
    by_theirs: dict[str, list[Link]] = {}
    for link in links:
        by_theirs.setdefault(link.theirs, []).append(link)
    ours: dict[str, Tensor] = {}
    others: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name == "lm_head.weight" and name not in by_theirs:
            ours["head.weight"] = tensor  # a tied base's head, trained apart
        elif name not in by_theirs:
            others[name] = tensor
        for link in by_theirs.get(name, ()):
            index, count = link.piece
            turned = tensor.T if link.transposed else tensor
            ours[link.ours] = turned.chunk(count)[index] if count > 1 else turned
    return ours, others


def _theirs(link: Link, tensor: Tensor) -> Tensor:
    if link.piece != (0, 1):
        raise UsageError(
            "a part of one of their layers cannot be trained whole by itself",
            got=link.ours,
            expected=link.theirs,
        )
    return tensor.T if link.transposed else tensor


def _joined(
    adapter: Adapter, module: _Module, config: TransformerConfig
) -> tuple[LoraForm, dict[str, Tensor]]:
    """The update of one of their modules: ours, or several of ours in one."""
    forms = [adapter.forms.get(name) for name in module.ours]
    form = next(each for each in forms if each is not None)
    downs = [adapter.updates.get(f"{name}.down") for name in module.ours]
    first = downs[0]
    shared = first is not None and all(
        each == form and down is not None and torch.equal(down, first)
        for each, down in zip(forms, downs, strict=True)
    )
    if shared:
        assert first is not None
        parts = {_DOWN: first, _UP: torch.cat([adapter.updates[f"{name}.up"] for name in module.ours])}
    else:
        form, parts = _stacked(adapter, module, config)
    if form.decomposed:
        if any(each is None for each in forms):
            raise UsageError(
                "DoRA changes all rows of one of their layers, or none",
                got=", ".join(name for name in module.ours if name in adapter.forms),
                expected=", ".join(module.ours),
            )
        parts[_MAGNITUDE] = torch.cat([adapter.updates[f"{name}.magnitude"] for name in module.ours])
    return form, parts


def _stacked(
    adapter: Adapter, module: _Module, config: TransformerConfig
) -> tuple[LoraForm, dict[str, Tensor]]:
    """Updates with A's of their own as one of a larger rank, whose scale is 1."""
    with form_only():
        layers = dict(Transformer(config).named_modules())
    ours = [layers[name] for name in module.ours]
    rows = [layer.out_features for layer in ours if isinstance(layer, nn.Linear)]
    there = [name for name in module.ours if name in adapter.forms]
    rank = sum(adapter.forms[name].rank for name in there)
    down = torch.cat([adapter.updates[f"{name}.down"] for name in there])
    up = torch.zeros(sum(rows), rank)
    row = column = 0
    for name, num_rows in zip(module.ours, rows, strict=True):
        if name in adapter.forms:
            width = adapter.forms[name].rank
            part = adapter.forms[name].scale * adapter.updates[f"{name}.up"]
            up[row : row + num_rows, column : column + width] = part
            column += width
        row += num_rows
    form = adapter.forms[there[0]]
    alpha = rank**0.5 if form.rank_stabilised else float(rank)
    return replace(form, rank=rank, alpha=alpha), {_DOWN: down, _UP: up}


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
