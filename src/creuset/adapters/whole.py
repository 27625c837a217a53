"""Layers that an adapter trains whole, such as a new head, beside the frozen ones that they stand for.

Not to be confused with lora.py, whose updates are added to the frozen layer: here an active copy takes its
place.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from creuset.adapters.names import require_new
from creuset.adapters.switch import Switched


class WholeLayer(Switched):
    """A frozen layer and trained copies of it, of which the last active one is used.

    Args:
        layer: Its parameters are frozen.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.frozen = layer.requires_grad_(False)
        self.copies = nn.ModuleDict()

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.copies)

    @property
    def current(self) -> nn.Module:
        """The layer in use."""
        return self.copies[self.active[-1]] if self.active else self.frozen

    @property
    def weight(self) -> Tensor:
        """The weight in use."""
        weight = self.current.weight
        assert isinstance(weight, Tensor)
        return weight

    def forward(self, *inputs: Any) -> Any:
        """As the layer's own."""
        return self.current(*inputs)

    def plain_state(self) -> Mapping[str, Tensor]:
        return self.current.state_dict()

    def plain(self) -> nn.Module:
        """The layer in use, for good."""
        return self.current.requires_grad_(False)


def train_whole(module: nn.Module, paths: Iterable[str], name: str) -> None:
    """Sets trained copies beside layers, active from then on.

    Args:
        module: The model.
        paths: The layers' names within it, as `named_modules` gives them.
        name: Of the adapter.

    Raises:
        UsageError: A layer has a copy of that name already.
    """
    paths = list(paths)
    require_new(name, module, paths)
    for path in paths:
        owner, _, child = path.rpartition(".")
        parent = module.get_submodule(owner)
        layer = getattr(parent, child)
        if not isinstance(layer, WholeLayer):
            layer = WholeLayer(layer)
            setattr(parent, child, layer)
        layer.copies[name] = copy.deepcopy(layer.frozen).requires_grad_(True)
        layer.active = (*layer.active, name)
