"""The linear layers of a Hugging Face model as PEFT names them; updates of several of ours as one of theirs.

Legend of shapes: R rank.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from creuset.adapters.adapter import Adapter
from creuset.adapters.lora import LoraForm
from creuset.errors import UsageError
from creuset.layers.form_only import form_only
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.tensor_links import Link

DOWN, UP, MAGNITUDE = ".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector"
"""How the names of an update's tensors end."""


@dataclass(frozen=True, kw_only=True)
class PeftModule:
    """One linear layer of theirs, and what it is of ours: one layer, or pieces in order."""

    name: str
    ours: tuple[str, ...]
    transposed: bool


def modules_of(config: TransformerConfig, links: Sequence[Link]) -> list[PeftModule]:
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
        PeftModule(
            name=name,
            ours=tuple(
                link.ours.removesuffix(".weight") for link in sorted(links, key=lambda each: each.piece)
            ),
            transposed=links[0].transposed,
        )
        for name, links in found.items()
    ]


def joined_update(
    adapter: Adapter, module: PeftModule, config: TransformerConfig
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
        parts = {DOWN: first, UP: torch.cat([adapter.updates[f"{name}.up"] for name in module.ours])}
    else:
        form, parts = _stacked(adapter, module, config)
    if form.decomposed:
        if any(each is None for each in forms):
            raise UsageError(
                "DoRA changes all rows of one of their layers, or none",
                got=", ".join(name for name in module.ours if name in adapter.forms),
                expected=", ".join(module.ours),
            )
        parts[MAGNITUDE] = torch.cat([adapter.updates[f"{name}.magnitude"] for name in module.ours])
    return form, parts


def _stacked(
    adapter: Adapter, module: PeftModule, config: TransformerConfig
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
    return replace(form, rank=rank, alpha=alpha), {DOWN: down, UP: up}
