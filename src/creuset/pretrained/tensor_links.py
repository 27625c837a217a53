"""Which tensor of ours is which of theirs, both ways, strictly: none may be missing and none left over."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from creuset.errors import CheckpointError

_MAX_NAMES = 8
"""Names that an error lists before it counts the rest."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """One tensor of ours and the place in theirs that holds it.

    Args:
        ours: Its name in a Transformer's `state_dict`.
        theirs: The name of theirs.
        transposed: Whether theirs is (in, out) where ours is (out, in).
        piece: (i, n): ours is the piece i of n equal ones, one after another along the outputs of theirs.
        as_row: Whether theirs is (1, out) where ours is (out).
    """

    ours: str
    theirs: str
    transposed: bool = False
    piece: tuple[int, int] = (0, 1)
    as_row: bool = False


def linked_layer(
    ours: str, theirs: str, *, bias: bool, transposed: bool = False, piece: tuple[int, int] = (0, 1)
) -> tuple[Link, ...]:
    """The links of a layer's weight, and of its bias where it has one."""
    weight = Link(ours=f"{ours}.weight", theirs=f"{theirs}.weight", transposed=transposed, piece=piece)
    if not bias:
        return (weight,)
    return (weight, Link(ours=f"{ours}.bias", theirs=f"{theirs}.bias", piece=piece))


def to_ours(tensors: Mapping[str, Tensor], links: Sequence[Link], *, where: str) -> dict[str, Tensor]:
    """Our state dict from their tensors.

    Args:
        tensors: Theirs, by name. What need not be taken apart is passed on without a copy.
        links: One for each of ours, or several where theirs holds it several times.
        where: What an error is about, such as a file's name.

    Raises:
        CheckpointError: A tensor is missing, left over, cannot be taken apart, or differs from another one
            that stands for the same; it is named.
    """
    require_names(tensors, {link.theirs for link in links}, where=where)
    state: dict[str, Tensor] = {}
    for link in links:
        tensor = piece_of(tensors[link.theirs], link, where=where)
        if link.ours in state and not torch.equal(state[link.ours], tensor):
            raise CheckpointError(
                f'tensor "{link.theirs}" stands for the same as another one, and differs from it',
                where=where,
                expected=f"one tensor for our {link.ours}",
            )
        state[link.ours] = tensor
    return state


def piece_of(tensor: Tensor, link: Link, *, where: str) -> Tensor:
    """Our tensor out of theirs.

    Args:
        tensor: Theirs.
        link: Which of ours it holds, and how.
        where: What an error is about, such as a file's name.

    Raises:
        CheckpointError: It cannot be taken apart; it is named.
    """
    index, count = link.piece
    if link.as_row and tensor.ndim == 2 and len(tensor) == 1:
        tensor = tensor[0]
    if (link.transposed and tensor.ndim != 2) or tensor.ndim == 0 or _outputs(tensor, link) % count:
        raise CheckpointError(
            f'tensor "{link.theirs}" has another shape than this model needs',
            where=where,
            got=tuple(tensor.shape),
            expected=f"{'two axes' if link.transposed else 'an axis'} of outputs that {count} divides",
        )
    tensor = tensor.T if link.transposed else tensor
    return (tensor if count == 1 else tensor.chunk(count)[index]).contiguous()


def to_theirs(state: Mapping[str, Tensor], links: Sequence[Link], *, where: str) -> dict[str, Tensor]:
    """Their tensors from our state dict: `to_ours` turned round.

    Raises:
        CheckpointError: A tensor is missing or left over; it is named.
    """
    require_names(state, {link.ours for link in links}, where=where)
    pieces: dict[str, dict[int, Tensor]] = {}
    for link in links:
        tensor = state[link.ours][None] if link.as_row else state[link.ours]
        pieces.setdefault(link.theirs, {})[link.piece[0]] = tensor
    joined = {name: _joined(parts) for name, parts in pieces.items()}
    transposed = {link.theirs for link in links if link.transposed}
    return {name: tensor.T.contiguous() if name in transposed else tensor for name, tensor in joined.items()}


def require_names(tensors: Iterable[str], names: Iterable[str], *, where: str) -> None:
    """CheckpointError that names what is missing of `names` and what is left over."""
    there, needed = set(tensors), set(names)
    missing, extra = sorted(needed - there), sorted(there - needed)
    if missing or extra:
        found = [f"missing: {_listed(missing)}"] if missing else []
        found += [f"not of this model: {_listed(extra)}"] if extra else []
        raise CheckpointError(
            "the tensors are not those of this model",
            where=where,
            got="; ".join(found),
            expected=f"the {len(needed)} tensors that the configuration asks for",
            next_step="check that configuration and weights belong to the same model",
        )


def _outputs(tensor: Tensor, link: Link) -> int:
    return tensor.shape[-1 if link.transposed else 0]


def _joined(parts: Mapping[int, Tensor]) -> Tensor:
    if len(parts) == 1:
        return parts[0]
    return torch.cat([parts[index] for index in sorted(parts)])


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {rest} more" if rest > 0 else "")
