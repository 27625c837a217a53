"""What a model begins from where its section names a `base`: a Transformer that others trained, its body
alone or whole."""

from dataclasses import replace
from pathlib import Path

from creuset.assets import resolve
from creuset.data.spec import DataSpec
from creuset.data.text_side import TextSide
from creuset.errors import UsageError
from creuset.models.base import Family
from creuset.models.transformer import Transformer
from creuset.pretrained.folder import load_folder
from creuset.pretrained.sentence_embedder import vectors_of
from creuset.pretrained.text_side import open_text_side
from creuset.pretrained.whole_base import WholeBase, load_whole_base
from creuset.recipe.sections import FamilyConfig

_GGUF = ".gguf"
_USUAL_CONTEXT = 2048
"""Tokens of a row to tune on, at most, where nothing is said."""
_BEHIND_THE_BODY = ("head.", "pooler.")
"""How the names of tensors begin that belong to no body."""


def base_path(base: str) -> Path:
    """Where a base lies: a path as it is, or the GGUF file or the folder that a name stands for.

    Raises:
        NotFoundError: There is no such path or name.
    """
    path = Path(base).expanduser()
    if path.exists():
        return path
    found = resolve(base)
    is_gguf = found.file is not None and found.file.suffix == _GGUF
    return found.file if is_gguf and found.file is not None else found.path


def whole_base(base: str, spec: DataSpec) -> WholeBase:
    """The whole language model, in float32.

    Args:
        base: A GGUF file, a folder, or a name such as smollm2-135m.
        spec: The form of the data, which is made with the base's tokenizer.

    Raises:
        NotFoundError: There is no such model.
        UsageError: It is not the one that the data was made for.
        DataError, CheckpointError: It is damaged.
    """
    found = load_whole_base(base_path(base))
    if found.text.tokenizer.fingerprint != spec.tokenizer:
        raise UsageError(
            f"{base} reads other tokens than it did when this data was made for it",
            where="model.base",
            got=f"a tokenizer with fingerprint {found.text.tokenizer.fingerprint[:16]}",
            expected=f"one with fingerprint {spec.tokenizer[:16]}",
            next_step="put the base back that the run was tuned from",
        )
    return found


def text_side_of(place: Path, *, context: int | None, vectors: bool = False) -> TextSide:
    """How a base reads what it is tuned on, whose `context_length` is what is read of a row at most.

    Args:
        place: Its file or folder.
        context: Tokens of a row at most; None for what the base reads, and at most 2,048.
        vectors: Whether it makes vectors of texts, which sentence-transformers may cut sooner.

    Raises:
        NotFoundError, DataError, UsageError: It is not there, damaged, or of a family that is not read.
    """
    found = open_text_side(place)
    limits = [found.context_length, _USUAL_CONTEXT if context is None else context]
    if vectors and (known := vectors_of(place)) is not None:
        limits.append(known.max_tokens)
    return replace(found, context_length=min(limit for limit in limits if limit is not None))


def with_pooling(config: FamilyConfig, family: Family) -> FamilyConfig:
    """A family's section with how its base makes vectors of texts, where the family does and the base says.

    Raises:
        UsageError: The base does it in a way that is not known here.
    """
    if config.base_name is None or "embeds_texts" not in family.traits:
        return config
    known = vectors_of(base_path(config.base_name))
    return config if known is None else config.pooled_as(known.pooling, known.normalise)


def base_body(base: str, spec: DataSpec, *, dropout: float) -> Transformer:
    """The body of a model's folder, without head and pooler, in float32.

    Args:
        base: A folder, or a name such as minilm.
        spec: The form of the data, whose tokenizer must be the base's.
        dropout: Probability of a zero in training, in place of the one in the folder.

    Raises:
        NotFoundError: There is no such folder.
        UsageError: The data is cut by another tokenizer, or the folder holds no body that is known.
        DataError, CheckpointError, BlockedError: See `load_folder`.
    """
    found = load_folder(base_path(base))
    if found.tokenizer is None or found.tokenizer.fingerprint != spec.tokenizer:
        raise UsageError(
            f"{base} reads other tokens than the data is cut into",
            where="data.tokenizer",
            got=f"a tokenizer with fingerprint {spec.tokenizer[:16]}",
            expected=base,
            next_step=f"set data.tokenizer: {base}",
        )
    form = replace(
        found.config,
        head="none",
        head_bias=False,
        tied_head=False,
        head_scale=1.0,
        logit_softcap=None,
        pooler=False,
        dropout=dropout,
        attention_dropout=dropout,
    )
    state = {
        name: tensor.float().clone()
        for name, tensor in found.state.items()
        if not name.startswith(_BEHIND_THE_BODY)
    }
    return Transformer.from_weights(form, state)
