"""torch-fidelity's modules without its package, and without torchvision, which none of their sums needs."""

import importlib.util
import sys
import types

_PLUMBING = "torch_fidelity.utils"
"""How torch-fidelity reads pictures and caches features: it imports torchvision."""


def fidelity(module: str) -> types.ModuleType:
    """`torch_fidelity.<module>`, imported alone."""
    if "torch_fidelity" not in sys.modules:
        found = importlib.util.find_spec("torch_fidelity")
        assert found is not None
        assert found.submodule_search_locations is not None
        package = types.ModuleType("torch_fidelity")
        package.__path__ = list(found.submodule_search_locations)
        sys.modules["torch_fidelity"] = package
    sys.modules[_PLUMBING] = _Empty(_PLUMBING)
    try:
        return importlib.import_module(f"torch_fidelity.{module}")
    finally:
        del sys.modules[_PLUMBING]


class _Empty(types.ModuleType):
    """A module of which nothing is ever called: any name in it is an empty class."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})
