"""torch-fidelity's modules without its package: that imports torchvision, which these need not."""

import importlib.util
import sys
import types


def fidelity(module: str) -> types.ModuleType:
    """`torch_fidelity.<module>`, imported alone."""
    if "torch_fidelity" not in sys.modules:
        found = importlib.util.find_spec("torch_fidelity")
        assert found is not None
        assert found.submodule_search_locations is not None
        package = types.ModuleType("torch_fidelity")
        package.__path__ = list(found.submodule_search_locations)
        sys.modules["torch_fidelity"] = package
    return importlib.import_module(f"torch_fidelity.{module}")
