"""What a PEFT folder holds beside low-rank updates: layers trained whole (modules_to_save), read strictly.

A module that the settings name must be there, with all of its tensors: PEFT loads a folder without them, and
computes with the base's. What no layer of the Transformer is called, such as a classifier's head, is kept in
their names.

Source: PEFT 0.21, utils/other.py (_set_trainable) and utils/save_and_load.py (which embeddings are saved).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from creuset.errors import CheckpointError, UsageError
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.peft_settings import MERGE, PeftSettings
from creuset.pretrained.tensor_links import Link, piece_of, require_names

HEAD = "lm_head.weight"
_TABLES = ("embed_tokens.weight", "wte.weight", HEAD)
_WRAPPED = (".modules_to_save.", ".original_module.", ".base_layer.")
"""Parts of names that PEFT writes where it saves the layers of a resized vocabulary unasked."""


def read_whole(
    tensors: Mapping[str, Tensor],
    links: Sequence[Link],
    settings: PeftSettings,
    config: TransformerConfig,
    place: Path,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """In our names what the Transformer has, in theirs what it has not.

    Args:
        tensors: All of the file that are no low-rank updates, in their names.
        links: Our tensors and theirs.
        settings: What adapter_config.json says.
        config: The form of the base.
        place: The file.

    Raises:
        CheckpointError: One is missing, left over, of a resized vocabulary, or cannot be taken apart.
    """
    _require_own_vocabulary(tensors, settings, config, place)
    held = _without_tied_copy(tensors, settings, config, place)
    strange = sorted(name for name in held if not settings.trained_whole(_module(name)))
    if strange:
        raise CheckpointError(
            "tensors that the adapter's settings do not ask for",
            where=place,
            got=", ".join(strange[:3]),
            expected=f"updates of target_modules, and {', '.join(settings.whole) or 'nothing'} trained whole",
        )
    known = {link.theirs for link in links} | ({HEAD} if _has_tied_head(config) else set())
    wanted = {name for name in known if settings.trained_whole(_module(name))}
    require_names([name for name in held if name in known], wanted, where=str(place))
    ours: dict[str, Tensor] = {}
    for link in links:
        if link.theirs in held:
            ours[link.ours] = piece_of(held[link.theirs], link, where=str(place))
    if HEAD in held and _has_tied_head(config):
        ours["head.weight"] = held[HEAD]  # a tied base's head, trained apart
    return ours, {name: tensor for name, tensor in held.items() if name not in known}


def require_linear_updates(tensors: Mapping[str, Tensor], place: Path) -> None:
    """Refuses low-rank updates of what is no linear layer of ours: embeddings, and the head.

    Raises:
        UsageError: There is one; it is named.
    """
    for part, what in ((".lora_embedding_", "embeddings"), ("lm_head.lora_", "the head")):
        found = sorted(name for name in tensors if part in name)
        if found:
            raise UsageError(
                f"low-rank updates of {what} are not read",
                where=place,
                got=found[0],
                expected="updates of linear layers but the head, and layers trained whole",
                next_step=MERGE,
            )


def require_numbers(tensors: Mapping[str, Tensor], place: Path) -> None:
    """Refuses tensors of no floating-point format, and numbers that are not finite.

    Raises:
        CheckpointError: There is one; it is named.
    """
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor.float()).all()):
            raise CheckpointError(
                "this adapter holds something else than finite numbers",
                where=place,
                got=f"{name}: " + ("NaN or infinity" if tensor.is_floating_point() else str(tensor.dtype)),
                expected="finite numbers of a floating-point format",
            )


def _require_own_vocabulary(
    tensors: Mapping[str, Tensor], settings: PeftSettings, config: TransformerConfig, place: Path
) -> None:
    """Refuses embeddings of more or fewer tokens than the base has, and those that were saved unasked."""
    for name, tensor in tensors.items():
        rows = tensor.shape[0] if tensor.ndim else 0
        asked = settings.trained_whole(_module(name)) or (name == HEAD and settings.ties_head)
        fits = not name.endswith(_TABLES) or (asked and rows == config.vocab_size)
        if fits and not any(part in name for part in _WRAPPED):
            continue
        raise CheckpointError(
            "this adapter was trained on a base whose vocabulary was changed, and holds its embeddings",
            where=place,
            got=f"{name} {tuple(tensor.shape)}",
            expected=f"{config.vocab_size} tokens, and embeddings among modules_to_save or none",
            next_step=f"{MERGE}; resize the base first, base.resize_token_embeddings({rows}), and save the "
            "tokenizer that lies beside the adapter into the same folder",
        )


def _without_tied_copy(
    tensors: Mapping[str, Tensor], settings: PeftSettings, config: TransformerConfig, place: Path
) -> dict[str, Tensor]:
    """Without the head that PEFT writes beside the embedding which it follows (ensure_weight_tying)."""
    held = dict(tensors)
    if not (settings.ties_head and _has_tied_head(config)) or HEAD not in held:
        return held
    head = held.pop(HEAD)
    tables = [tensor for name, tensor in held.items() if name.endswith(_TABLES)]
    if not any(torch.equal(head, table) for table in tables):
        raise CheckpointError(
            "a head that is to follow the embedding differs from it",
            where=place,
            got=HEAD,
            expected="the same numbers twice, as ensure_weight_tying says",
        )
    return held


def _has_tied_head(config: TransformerConfig) -> bool:
    return config.tied_head and config.head != "none" and config.architecture != "encoder"


def _module(name: str) -> str:
    """The layer that a tensor is of."""
    return name.rpartition(".")[0]
