"""What a model begins from where its section names a `base`: a Transformer that others trained, its body
alone or whole."""

from dataclasses import replace
from pathlib import Path

from creuset.assets import resolve
from creuset.data.spec import DataSpec
from creuset.errors import UsageError
from creuset.models.transformer import Transformer
from creuset.pretrained.folder import load_folder
from creuset.pretrained.whole_base import WholeBase, load_whole_base

_GGUF = ".gguf"
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
