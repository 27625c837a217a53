"""The body that a model begins from where its section names a `base`: a Transformer that others trained."""

from dataclasses import replace
from pathlib import Path

from creuset.assets import resolve
from creuset.data.spec import DataSpec
from creuset.errors import UsageError
from creuset.models.transformer import Transformer
from creuset.pretrained.folder import load_folder

_BEHIND_THE_BODY = ("head.", "pooler.")
"""How the names of tensors begin that belong to no body."""


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
    path = Path(base).expanduser()
    found = load_folder(path if path.exists() else resolve(base).path)
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
