"""What families demand of data and samples, and ranks of what a model says, refused in one way everywhere."""

from collections.abc import Mapping

import torch
from torch import Tensor

from creuset.data.spec import DataSpec, Kind
from creuset.errors import NumericalError, UsageError

_KIND_NAMES: Mapping[Kind, str] = {
    "images": "pictures",
    "table": "a table",
    "texts": "texts",
    "corpus": "plain text",
    "pairs": "pairs of texts",
    "chats": "conversations or texts",
    "preferences": "preferences",
}
_NEXT_STEPS: Mapping[Kind, str] = {
    "images": "choose a family for pictures, such as model.family: cnn",
    "table": "set data.image_size if each row holds a picture, or model.family: linear for a table",
    "texts": "choose a family for texts, such as model.family: rnn",
    "corpus": "choose a family for plain text, such as model.family: decoder",
    "pairs": "choose a family for pairs of texts, such as model.family: encoder_decoder",
    "chats": "set objective.name: next_token, or give rows with chosen and rejected answers",
    "preferences": "set objective.name: dpo or orpo",
}
"""What to do with data of a kind that a family does not take."""


def require_kind(spec: DataSpec, family: str, *kinds: Kind, takes_codes: bool = False) -> None:
    """UsageError for data of none of these kinds; `family` is named in it.

    Code maps are pictures only to a family that `takes_codes`: their levels have no order.
    """
    if spec.codes is not None and not takes_codes:
        raise UsageError(
            f"{family} does not take code maps: their numbers are names, and have no order",
            where="data.source",
            got=f"the codes of {spec.codes.run}",
            expected=" or ".join(_KIND_NAMES[kind] for kind in kinds),
            next_step="set model.family: pixelcnn and model.likelihood: categorical",
        )
    if spec.kind not in kinds:
        columns = f" with {spec.shape[0]} columns" if spec.kind == "table" else ""
        expected = " or ".join(_KIND_NAMES[kind] for kind in kinds)
        raise UsageError(
            f"{family} takes {expected}",
            where="data.source",
            got=f"{_KIND_NAMES[spec.kind]}{columns}",
            expected=expected,
            next_step=_NEXT_STEPS[spec.kind],
        )


def require_pictures(
    spec: DataSpec, family: str, num_halvings: int = 0, *, takes_codes: bool = False
) -> tuple[int, int, int]:
    """The (C, H, W) of picture data that can be halved so often; UsageError for other data."""
    require_kind(spec, family, "images", takes_codes=takes_codes)
    channels, height, width = spec.shape
    if min(height, width) < 2**num_halvings:
        deepest = min(height, width).bit_length() - 1
        raise UsageError(
            f"pictures too small for {num_halvings} stages that each halve them",
            where="model.channels",
            got=f"pictures of {height} x {width}",
            expected=f"at least {2**num_halvings} x {2**num_halvings}",
            next_step=f"give model.channels at most {deepest} numbers",
        )
    return channels, height, width


def require_classes(spec: DataSpec, family: str) -> int:
    """K of data with at least two classes, all of them with training samples; UsageError for other data."""
    if not spec.class_names:
        raise UsageError(
            f"{family} learns classes, and the data has no labels",
            where="data.source",
            expected="a label for each sample",
            next_step="put pictures into one folder a class, or name the CSV's column in data.label_column",
        )
    counts = spec.class_counts or (1,) * spec.num_classes
    there = [name for name, count in zip(spec.class_names, counts, strict=True) if count > 0]
    if len(there) < 2:
        raise UsageError(
            "one class only",
            where="data.source",
            got=", ".join(f'"{name}"' for name in there) or "no training sample",
            expected="training samples of at least two classes",
        )
    missing = [name for name in spec.class_names if name not in there]
    if missing:
        raise UsageError(
            "a class without training samples",
            where="data.source",
            got=", ".join(f'"{name}"' for name in missing),
            expected=f"training samples of all {spec.num_classes} classes",
            next_step="raise data.limit, or leave the class out of the data",
        )
    return spec.num_classes


def require_shape(inputs: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`inputs` as they are if each sample has this shape; else UsageError."""
    if inputs.shape[1:] != shape:
        raise UsageError(
            "samples of another shape than the model was built for",
            got=tuple(inputs.shape),
            expected=f"({', '.join(['batch', *map(str, shape)])})",
        )
    return inputs


def require_tokens(tokens: Tensor, context: int) -> Tensor:
    """`tokens` as they are if they are whole numbers (B, T), at most `context` a row; else UsageError."""
    if tokens.ndim != 2 or tokens.is_floating_point() or tokens.shape[1] > context:
        raise UsageError(
            "samples of another shape than the model was built for",
            got=tuple(tokens.shape),
            expected=f"(batch, tokens), whole numbers, at most {context} tokens",
        )
    return tokens


def require_finite(values: Tensor, what: str) -> Tensor:
    """`values` of a model (N, ...) as they are if all are finite; else NumericalError, as no rank holds then.

    Args:
        values: Scores or vectors, one row each.
        what: What they are, for the error.
    """
    finite = torch.isfinite(values)
    if not bool(finite.all()):
        broken = int((~finite.flatten(1).all(1)).sum())
        raise NumericalError(
            f"NaN or infinity in {what}",
            got=f"{broken:,} of {len(values):,} that are not finite",
            expected="finite numbers",
            next_step="measure an earlier checkpoint, or look for the step at which its parameters broke",
        )
    return values


def require_one_stack(architecture: str, base: str) -> None:
    """Refuses a base with an encoder and a decoder, where one vector of a text is wanted.

    Raises:
        UsageError: It has both.
    """
    if architecture == "encoder_decoder":
        raise UsageError(
            "an encoder with a decoder has two kinds of states",
            where="model.base",
            got=base,
            expected="an encoder or a decoder",
        )
