"""Modules without numbers: their parameters have shapes, and take no memory and no time to initialise.

torch's meta device alone draws initial values through its symbolic machinery, which takes two seconds to
import; here nothing is drawn.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_FILLING = frozenset(
    {
        torch.Tensor.uniform_,
        torch.Tensor.normal_,
        nn.init.uniform_,
        nn.init.normal_,
        nn.init.kaiming_uniform_,
    }
)
"""What draws initial values."""


@contextmanager
def form_only() -> Iterator[None]:
    """Modules that are built within have parameters on the meta device, without values."""
    with torch.device("meta"), _NoInitialValues():
        yield


class _NoInitialValues(TorchFunctionMode):
    """Leaves tensors as they are that a draw would fill."""

    def __torch_function__(
        self,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        del types
        named = {} if kwargs is None else kwargs
        if func in _FILLING:
            filled: Tensor = named["tensor"] if "tensor" in named else args[0]
            return filled
        return func(*args, **named)
