"""Sentence embedders as sentence-transformers saves them: texts in, one vector each out.

modules.json               what stands behind the Transformer: pooling, perhaps normalisation
1_Pooling/config.json      how states are pooled
sentence_bert_config.json  the tokens that texts were cut to

Texts are computed one behind the other in rows of some thousand tokens, without padding, and a row by each of
torch's threads.
Departure from sentence-transformers: a text that is too long is refused, and cut only where it is asked for.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.cores import map_on_cores
from creuset.data.bounded_json import parse_bounded
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import MAX_SETTINGS_BYTES, as_json, read_limited, read_settings
from creuset.errors import DataError, NotFoundError, UsageError
from creuset.files import atomic_folder, write_atomic
from creuset.layers.packed_linear import can_pack, pack_linear_layers
from creuset.models.embedder import Embedder, Pooling
from creuset.pretrained.folder import Pretrained, load_folder, save_folder

_PACK_TOKENS = 4096
"""Tokens computed at once by each of torch's threads: each holds so many rows of hidden features."""
_WINDOW = 1024
"""Texts that are made tokens at once."""
_MODULES, _LENGTH = "modules.json", "sentence_bert_config.json"
_PROMPTS = "config_sentence_transformers.json"
_POOLING_WORDS: dict[str, Pooling] = {"mean": "mean", "cls": "cls", "lasttoken": "last"}
_OLDER_POOLING = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}


class SentenceEmbedder:
    """Texts to vectors, for reading alone: without gradients, its linear layers laid out for speed.

    Args:
        embedder: What it computes with; its linear layers are replaced where that is faster.
        tokenizer: Of the same model.
        max_tokens: The tokens that a text may have, with those that the tokenizer puts around it.

    Raises:
        DataError: The tokenizer has more ids than the embedder has rows.
        UsageError: There is no room for a token beside those around a text.
    """

    def __init__(self, embedder: Embedder, tokenizer: Tokenizer, *, max_tokens: int) -> None:
        weight = embedder.body.token_embedding.weight
        tokenizer.check_fits(len(weight))
        self.embedder = embedder.eval()
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.num_features = weight.shape[1]
        self._before, self._behind = tokenizer.around()
        self._require_room(max_tokens)
        if can_pack(weight):
            pack_linear_layers(embedder)

    @classmethod
    def from_folder(cls, path: Path | str, *, dtype: torch.dtype | None = None) -> Self:
        """The embedder of a folder that sentence-transformers saved.

        Args:
            path: The folder, such as that of the starter asset minilm.
            dtype: float32 or bfloat16; None for the one of the folder.

        Raises:
            NotFoundError: A file is missing.
            DataError: A file is damaged.
            UsageError: Something is asked for that is not computed here; it is named.
        """
        folder = Path(path)
        pooling, normalise = _read_modules(folder)
        _refuse_changed_texts(folder)
        found = load_folder(folder, dtype=dtype)
        if found.tokenizer is None:
            raise NotFoundError("no tokenizer.json in this folder", where=folder)
        limits = [found.config.context_length, _read_max_tokens(folder / _LENGTH)]
        known = [limit for limit in limits if limit is not None]
        if not known:
            raise DataError("no number of tokens that a text may have", where=folder, expected=_LENGTH)
        embedder = Embedder(found.model(), pooling=pooling, normalise=normalise)
        return cls(embedder, found.tokenizer, max_tokens=min(known))

    def embed(self, texts: Sequence[str], *, truncate: int | None = None) -> NDArray[np.float32]:
        """The vector of each text.

        Args:
            texts: Any texts.
            truncate: Keep the first so many tokens of a text that has more, with those that the tokenizer
                puts around it among them; None to refuse such a text.

        Returns:
            float32 (N, num_features), in the order of the texts.

        Raises:
            UsageError: A text has more than `max_tokens` tokens; or `truncate` is none of them.
        """
        if isinstance(texts, str):
            raise UsageError("a list of texts is embedded", got="one text", expected="[text]")
        if truncate is not None:
            self._require_room(truncate)
            if truncate > self.max_tokens:
                raise UsageError(
                    "texts cannot be cut to more tokens than this model reads",
                    where="truncate",
                    got=truncate,
                    expected=f"at most {self.max_tokens}",
                )
        vectors = np.empty((len(texts), self.num_features), np.float32)
        packs = _packs(self._encoded(texts, truncate))
        on_processor = self.embedder.body.token_embedding.weight.device.type == "cpu"
        found_in_order = (map_on_cores if on_processor else map)(self._embed_pack, packs)
        done = 0
        for found in found_in_order:
            vectors[done : done + len(found)] = found
            done += len(found)
        return vectors

    @torch.inference_mode()
    def _embed_pack(self, pack: list[list[int]]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = self.embedder.embed_packed(pack).float().cpu().numpy()
        return vectors

    def _encoded(self, texts: Sequence[str], truncate: int | None) -> Iterator[list[int]]:
        """The tokens of each text, cut or refused."""
        num_around = len(self._before) + len(self._behind)
        for begin in range(0, len(texts), _WINDOW):
            window = self.tokenizer.encode_batch(texts[begin : begin + _WINDOW], add_special=False)
            for number, ids in enumerate(window, start=begin):
                if truncate is None and len(ids) + num_around > self.max_tokens:
                    raise UsageError(
                        f"text {number + 1} of {len(texts)} is longer than this model reads",
                        where=f"{texts[number][:40]!a}",
                        got=f"{len(ids) + num_around} tokens",
                        expected=f"at most {self.max_tokens}",
                        next_step=f"cut the text into pieces, or say truncate={self.max_tokens}",
                    )
                kept = ids if truncate is None else ids[: truncate - num_around]
                yield [*self._before, *kept, *self._behind]

    def _require_room(self, num_tokens: int) -> None:
        least = len(self._before) + len(self._behind) + 1
        if num_tokens < least:
            raise UsageError("no room for a text", got=f"{num_tokens} tokens", expected=f"at least {least}")


def save_embedder(path: Path | str, embedder: Embedder, tokenizer: Tokenizer, *, max_tokens: int) -> None:
    """Writes a folder that sentence-transformers and `SentenceEmbedder.from_folder` read.

    Args:
        path: The folder; it must not exist.
        embedder, tokenizer, max_tokens: As of `write_embedder`.

    Raises:
        UsageError: The folder exists, or no family can say what the body computes.
        ResourceError: The disk is full.
    """
    folder = Path(path)
    if folder.exists():
        raise UsageError(
            "there is something at this place already", where=folder, next_step="name a folder that is new"
        )
    with atomic_folder(folder) as place:
        write_embedder(place, embedder, tokenizer, max_tokens=max_tokens)


def write_embedder(place: Path, embedder: Embedder, tokenizer: Tokenizer, *, max_tokens: int) -> None:
    """The files of such a folder.

    Args:
        place: The folder, which is empty.
        embedder: What is written; its linear layers must be as they were built.
        tokenizer: Of the same model.
        max_tokens: The tokens that a text may have, with those that the tokenizer puts around it.

    Raises:
        UsageError: No family can say what the body computes.
        ResourceError: The disk is full.
    """
    body = embedder.body
    kinds = ["Transformer", "Pooling", *(["Normalize"] if embedder.normalise else [])]
    places = ["", *(f"{number}_{kind}" for number, kind in enumerate(kinds) if number)]
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, path) in enumerate(zip(kinds, places, strict=True))
    ]
    modes = {word: mode for mode, word in _OLDER_POOLING.items()}
    chosen = next(word for word, pooling in _POOLING_WORDS.items() if pooling == embedder.pooling)
    pooling = {
        "word_embedding_dimension": body.config.embed_dim,
        **{mode: word == chosen for word, mode in modes.items()},
    }
    state = {name: tensor.detach().contiguous() for name, tensor in body.state_dict().items()}
    inner = place / "model"
    save_folder(inner, Pretrained(config=body.config, state=state, model_type="", tokenizer=tokenizer))
    for file in inner.iterdir():
        file.rename(place / file.name)
    inner.rmdir()
    for name in places[1:]:
        (place / name).mkdir()
    write_atomic(place / places[1] / "config.json", as_json(pooling))
    write_atomic(place / _MODULES, json.dumps(modules, indent=2) + "\n")
    write_atomic(place / _LENGTH, as_json({"max_seq_length": max_tokens, "do_lower_case": False}))


@dataclass(frozen=True, kw_only=True)
class VectorForm:
    """How a folder of sentence-transformers makes vectors of texts.

    Args:
        pooling: How the states of a text become one vector.
        normalise: Whether that has length 1.
        max_tokens: The tokens that texts are cut to; None where nothing is said.
    """

    pooling: Pooling
    normalise: bool
    max_tokens: int | None


def vectors_of(path: Path) -> VectorForm | None:
    """How a model makes vectors of texts; None where it is no folder of sentence-transformers.

    Raises:
        NotFoundError, DataError, UsageError: As of `SentenceEmbedder.from_folder`.
    """
    if not (path / _MODULES).is_file():
        return None
    pooling, normalise = _read_modules(path)
    _refuse_changed_texts(path)
    return VectorForm(pooling=pooling, normalise=normalise, max_tokens=_read_max_tokens(path / _LENGTH))


def _packs(texts: Iterator[list[int]]) -> Iterator[list[list[int]]]:
    """Texts in their order, as many at once as _PACK_TOKENS hold."""
    pack: list[list[int]] = []
    room = _PACK_TOKENS
    for text in texts:
        if pack and len(text) > room:
            yield pack
            pack, room = [], _PACK_TOKENS
        pack.append(text)
        room -= len(text)
    if pack:
        yield pack


def _read_modules(folder: Path) -> tuple[Pooling, bool]:
    """How states are pooled, and whether vectors are normalised."""
    path = folder / _MODULES
    modules = parse_bounded(read_limited(path, MAX_SETTINGS_BYTES), path)
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise DataError("no list of modules", where=path, expected='[{"type": ..., "path": ...}]')
    kinds = [str(module.get("type")).rpartition(".")[2] for module in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise UsageError(
            "these modules are not computed here",
            where=path,
            got=", ".join(kinds),
            expected="Transformer, Pooling, perhaps Normalize",
        )
    place = modules[1].get("path")
    if modules[0].get("path") not in ("", None):
        raise UsageError(
            "the Transformer of this embedder lies in a folder of its own, which is not read",
            where=path,
            got=repr(modules[0].get("path")),
            expected='"": beside this file',
            next_step="save it anew with a current sentence-transformers",
        )
    if not isinstance(place, str) or Path(place).name != place or place == "..":
        raise DataError("the path of pooling is no folder beside this file", where=path, got=repr(place))
    return _read_pooling(folder / place / "config.json"), len(kinds) == 3


def _refuse_changed_texts(folder: Path) -> None:
    """Refuses settings by which a text would be changed before it is read: they are not computed here.

    Raises:
        UsageError: A prompt stands before each text, or texts are brought to lower case.
    """
    for name, key in ((_PROMPTS, "default_prompt_name"), (_LENGTH, "do_lower_case")):
        path = folder / name
        value = read_settings(path).get(key) if path.is_file() else None
        if value not in (None, False):
            raise UsageError(
                "texts are changed before they are read, which is not done here",
                where=path,
                got=f"{key} {value!r}",
                expected=f"no {key}",
                next_step="change the texts yourself, in a copy of the folder without this setting",
            )


def _read_pooling(path: Path) -> Pooling:
    if not path.is_file():
        raise NotFoundError("the settings of pooling are missing", where=path)
    settings = read_settings(path)
    named = settings.get("pooling_mode")
    modes = [word for key, word in _OLDER_POOLING.items() if settings.get(key)] if named is None else [named]
    if len(modes) != 1 or not isinstance(modes[0], str) or modes[0] not in _POOLING_WORDS:
        raise UsageError(
            "this pooling is not computed here",
            where=path,
            got=modes,
            expected=f"one of {', '.join(_POOLING_WORDS)}",
        )
    return _POOLING_WORDS[modes[0]]


def _read_max_tokens(path: Path) -> int | None:
    """The tokens that texts were cut to; None where nothing is said."""
    settings: dict[str, Any] = read_settings(path)
    value = settings.get("max_seq_length")
    if value is None:
        return None
    if type(value) is not int or value < 1:
        raise DataError("max_seq_length is no number of tokens", where=path, got=repr(value))
    return value
