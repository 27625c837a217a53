"""The programs of benchmarks/, as modules for tests."""

import importlib.util
import sys
from types import ModuleType

from source_tree import ROOT

BENCHMARKS = ROOT / "benchmarks"


def program(name: str) -> ModuleType:
    """A program as a module, without running it.

    Args:
        name: Its path below benchmarks/, without the ending, such as "peers/measuring".
    """
    path = BENCHMARKS / f"{name}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    beside = str(path.parent)  # where Python looks first for what a program imports
    sys.path.insert(0, beside)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(beside)
    return module
