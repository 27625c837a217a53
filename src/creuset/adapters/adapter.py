"""An adapter apart from its model: forms and tensors, to be stored, exchanged and attached again."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from creuset.adapters.lora import AdaptedLinear, LoraForm, attach
from creuset.adapters.names import require_new
from creuset.adapters.switch import switched_layers
from creuset.adapters.whole import WholeLayer, train_whole
from creuset.errors import CheckpointError

_MAX_NAMES = 8
"""Tensors that an error names before it counts the rest."""


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """What an adapter changes of a model.

    Args:
        forms: The form of the update of each linear layer, by the layer's name in the model.
        updates: Their tensors: LAYER.down (R, I), LAYER.up (O, R), and LAYER.magnitude (O,) of DoRA.
        whole: The parameters of layers that were trained whole, by their names in the model.
    """

    forms: Mapping[str, LoraForm]
    updates: Mapping[str, Tensor]
    whole: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def num_parameters(self) -> int:
        """Numbers that were trained."""
        return sum(tensor.numel() for tensor in (*self.updates.values(), *self.whole.values()))


def taken(module: nn.Module, name: str) -> Adapter:
    """An adapter of a model, its tensors shared with it.

    Args:
        module: The model.
        name: The adapter's.
    """
    forms: dict[str, LoraForm] = {}
    updates: dict[str, Tensor] = {}
    whole: dict[str, Tensor] = {}
    for path, layer in switched_layers(module).items():
        if name not in layer.names:
            continue
        if isinstance(layer, AdaptedLinear):
            update = layer.update(name)
            forms[path] = update.form
            updates |= {f"{path}.{key}": value.detach() for key, value in update.named_parameters()}
        elif isinstance(layer, WholeLayer):
            copied = layer.copies[name].named_parameters()
            whole |= {f"{path}.{key}": value.detach() for key, value in copied}
    return Adapter(forms=forms, updates=updates, whole=whole)


def given(module: nn.Module, adapter: Adapter, name: str) -> None:
    """Attaches an adapter to a model, in use from then on; refused, it leaves the model as it was.

    Args:
        module: A model of the form that the adapter was trained on.
        adapter: Its tensors are copied.
        name: What it is called there.

    Raises:
        CheckpointError: A tensor is missing, left over or of another shape; it is named.
        UsageError: The model has an adapter of that name already.
    """
    layers = dict(module.named_modules())
    parents = sorted({path.rpartition(".")[0] for path in adapter.whole})
    strange = [path for path in adapter.forms if not isinstance(layers.get(path), nn.Linear | AdaptedLinear)]
    strange += [path for path in parents if path not in layers]
    if strange:
        raise CheckpointError(
            "this adapter is of another model",
            got=f"it changes {_listed(strange)}",
            expected="linear layers, and layers trained whole, that this model has",
            next_step="load it on the base that it was trained on",
        )
    wanted = _shapes_of_updates(layers, adapter.forms) | _shapes_of_layers(layers, parents)
    _require_shapes({**adapter.updates, **adapter.whole}, wanted)
    require_new(name, module, [*adapter.forms, *parents])
    attach(module, adapter.forms, name)
    train_whole(module, parents, name)
    new = taken(module, name)
    for key, tensor in (*new.updates.items(), *new.whole.items()):
        tensor.copy_(adapter.updates[key] if key in adapter.updates else adapter.whole[key])


def _shapes_of_updates(
    layers: Mapping[str, nn.Module], forms: Mapping[str, LoraForm]
) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for path, form in forms.items():
        layer = layers[path]
        linear = layer.frozen if isinstance(layer, AdaptedLinear) else layer
        assert isinstance(linear, nn.Linear)
        shapes[f"{path}.down"] = (form.rank, linear.in_features)
        shapes[f"{path}.up"] = (linear.out_features, form.rank)
        if form.decomposed:
            shapes[f"{path}.magnitude"] = (linear.out_features,)
    return shapes


def _shapes_of_layers(layers: Mapping[str, nn.Module], paths: list[str]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for path in paths:
        layer = layers[path]
        own = layer.frozen if isinstance(layer, WholeLayer) else layer
        shapes |= {f"{path}.{key}": tuple(value.shape) for key, value in own.named_parameters()}
    return shapes


def _require_shapes(found: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]]) -> None:
    missing, extra = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    wrong = [
        f"{key} {tuple(found[key].shape)}, not {shape}"
        for key, shape in wanted.items()
        if key in found and found[key].shape != shape
    ]
    if missing or extra or wrong:
        parts = ((missing, "missing"), (extra, "left over"), (wrong, "of another shape"))
        raise CheckpointError(
            "the adapter's tensors are not those that its form asks for",
            got="; ".join(f"{what}: {_listed(names)}" for names, what in parts if names),
            expected="each tensor once, of the shape that its layer has",
            next_step="load it on the base that it was trained on",
        )


def _listed(names: list[str]) -> str:
    rest = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {rest} more" if rest > 0 else "")
