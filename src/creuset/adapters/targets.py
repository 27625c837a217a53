"""Which linear layers an adapter changes, by the names that people use for them.

q, k, v, o, gate, up, down     the parts of each block, as papers call them
query, feedforward.down        our names of layers, or how they end
q_proj, c_attn, self_attn.q    the names of Hugging Face's model, or how they end
all-linear                     every linear layer but the head
a text instead of a list       a regular expression for the whole name, ours or theirs, as PEFT has it
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from torch import nn

from creuset.adapters.switch import Switched
from creuset.errors import UsageError, did_you_mean

ALL_LINEAR = "all-linear"
SHORT_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "q": "attention.query",
        "k": "attention.key",
        "v": "attention.value",
        "o": "attention.output",
        "gate": "feedforward.gate",
        "up": "feedforward.up",
        "down": "feedforward.down",
    }
)
"""Short names of a block's layers, and how ours end."""


def target_layers(
    module: nn.Module, targets: Sequence[str] | str, theirs: Mapping[str, str] | None = None
) -> list[str]:
    """The names of the linear layers that are meant, in the model's order.

    Args:
        module: The model.
        targets: See the head of this file; one at least.
        theirs: What Hugging Face's model calls each of our layers; None where there is none.

    Raises:
        UsageError: A target that matches no layer, with the nearest name, or no regular expression.
    """
    layers = [
        name
        for name, child in module.named_modules()
        if isinstance(child, nn.Linear | Switched) and not _inside_switched(name, module)
    ]
    other = {} if theirs is None else theirs
    if targets == ALL_LINEAR:
        return layers
    if isinstance(targets, str):
        return _by_pattern(targets, layers, other)
    chosen: set[str] = set()
    for target in targets:
        ending = SHORT_NAMES.get(target, target)
        found = {name for name in layers if _ends(name, ending) or _ends(other.get(name, ""), target)}
        if target == ALL_LINEAR:
            found = set(layers)
        if not found:
            raise _nothing(target, layers, other)
        chosen |= found
    if not chosen:
        raise UsageError("no layer is named", where="adapter.targets", expected="one name at least")
    return [name for name in layers if name in chosen]


def _inside_switched(name: str, module: nn.Module) -> bool:
    """Whether a layer is the frozen part of one that an adapter has changed."""
    owner = name.rpartition(".")[0]
    return bool(owner) and isinstance(module.get_submodule(owner), Switched)


def _by_pattern(pattern: str, layers: Sequence[str], theirs: Mapping[str, str]) -> list[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(
            "this is no regular expression", where="adapter.targets", got=pattern, expected=str(error)
        ) from error
    found = [name for name in layers if compiled.fullmatch(name) or compiled.fullmatch(theirs.get(name, ""))]
    if not found:
        raise _nothing(pattern, layers, theirs)
    return found


def _ends(name: str, ending: str) -> bool:
    return name == ending or name.endswith(f".{ending}")


def _nothing(target: str, layers: Sequence[str], theirs: Mapping[str, str]) -> UsageError:
    ours = {ending for name in layers for ending in _endings(name)}
    others = {ending for name in theirs.values() for ending in _endings(name)}
    short = [name for name, ending in SHORT_NAMES.items() if any(_ends(layer, ending) for layer in layers)]
    known = [*short, *sorted(ours | others), ALL_LINEAR]
    return UsageError(
        f'no linear layer of this model is called "{target}"{did_you_mean(target, known)}',
        where="adapter.targets",
        got=target,
        expected=", ".join([*short, ALL_LINEAR]),
    )


def _endings(name: str) -> tuple[str, ...]:
    """How a name ends: its last part, and its last two."""
    parts = name.split(".")
    return (parts[-1], ".".join(parts[-2:]))
