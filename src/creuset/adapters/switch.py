"""Which adapters of a model are in use."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn


class Switched(nn.Module):
    """A layer with what adapters have changed of it.

    `active` names the adapters in use, in order; with none the layer is what it was before any. `shares` says
    how much of an adapter's update is added, 1 where it says nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.active: tuple[str, ...] = ()
        self.shares: Mapping[str, float] = {}

    @property
    @abstractmethod
    def names(self) -> frozenset[str]:
        """The adapters that have changed this layer."""

    @abstractmethod
    def plain_state(self) -> Mapping[str, Tensor]:
        """The tensors of `plain`, without changing anything."""

    @abstractmethod
    def plain(self) -> nn.Module:
        """One layer that computes what this one does with the adapters in use."""


def switched_layers(module: nn.Module) -> dict[str, Switched]:
    """The layers that adapters have changed within a module, by name."""
    return {name: child for name, child in module.named_modules() if isinstance(child, Switched)}


@contextmanager
def switched(module: nn.Module, active: tuple[str, ...]) -> Iterator[None]:
    """Other adapters are in use within the block; with () the model is what it was before any.

    Args:
        module: A model with adapters.
        active: Their names; a layer takes those that have changed it.
    """
    layers = switched_layers(module).values()
    before = [layer.active for layer in layers]
    try:
        for layer in layers:
            layer.active = tuple(name for name in active if name in layer.names)
        yield
    finally:
        for layer, names in zip(layers, before, strict=True):
            layer.active = names


def use(module: nn.Module, shares: Mapping[str, float]) -> None:
    """Puts adapters in use, until others are.

    Args:
        module: A model with adapters.
        shares: Their names in order, and how much of the update of each is added, 1 for all of it; empty for
            the model as it was before any.
    """
    for layer in switched_layers(module).values():
        layer.active = tuple(name for name in shares if name in layer.names)
        layer.shares = dict(shares)


def merge(module: nn.Module) -> None:
    """Puts plain layers, with what the adapters in use have changed, in place of all switched ones."""
    for name, child in list(module.named_children()):
        if isinstance(child, Switched):
            setattr(module, name, child.plain())
        else:
            merge(child)


def merged_state(module: nn.Module) -> dict[str, Tensor]:
    """The tensors that the model would have with the adapters in use merged, by its names before any; the
    model stays as it is."""
    switched_names = switched_layers(module)
    state: dict[str, Tensor] = {}
    for name, layer in switched_names.items():
        state |= {f"{name}.{key}": value for key, value in layer.plain_state().items()}
    inside = tuple(f"{name}." for name in switched_names)
    for key, value in module.state_dict().items():
        if not key.startswith(inside):
            state[key] = value
    return state
