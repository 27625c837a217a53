"""creuset: a workbench for generative models on your own machine.

The public names are imported when they are first used, so that `import creuset` stays fast.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from creuset import metrics
    from creuset.workflows.export_verb import export
    from creuset.workflows.finetune import finetune
    from creuset.workflows.index import Index
    from creuset.workflows.language_handle import LanguageHandle
    from creuset.workflows.load import Loaded
    from creuset.workflows.open_model import load
    from creuset.workflows.train import Run, resume, train

__version__ = "0.1.0"

__all__ = [
    "Index",
    "LanguageHandle",
    "Loaded",
    "Run",
    "__version__",
    "export",
    "finetune",
    "load",
    "metrics",
    "resume",
    "train",
]

_HOMES = {
    "Index": "creuset.workflows.index",
    "LanguageHandle": "creuset.workflows.language_handle",
    "Loaded": "creuset.workflows.load",
    "Run": "creuset.workflows.train",
    "export": "creuset.workflows.export_verb",
    "finetune": "creuset.workflows.finetune",
    "load": "creuset.workflows.open_model",
    "resume": "creuset.workflows.train",
    "train": "creuset.workflows.train",
}


def __getattr__(name: str) -> Any:
    if name == "metrics":
        return importlib.import_module("creuset.metrics")
    if name not in _HOMES:
        raise AttributeError(f"module 'creuset' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
