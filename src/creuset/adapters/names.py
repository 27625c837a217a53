"""Names of adapters."""

from collections.abc import Iterable

from torch import nn

from creuset.adapters.switch import Switched
from creuset.errors import UsageError


def require_new(name: str, module: nn.Module, paths: Iterable[str]) -> None:
    """Refuses a name that one of some layers knows already.

    Args:
        name: Of the adapter.
        module: The model.
        paths: The layers' names within it.

    Raises:
        UsageError: It is taken, or no word without dots.
    """
    if not name or "." in name:
        raise UsageError("this is no name of an adapter", got=name, expected="a word without dots")
    for path in paths:
        layer = module.get_submodule(path)
        if isinstance(layer, Switched) and name in layer.names:
            raise UsageError(
                "this adapter is attached already",
                where=path,
                got=name,
                expected="another name",
                next_step="name the second one differently",
            )
