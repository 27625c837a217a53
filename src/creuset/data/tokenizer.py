"""A tokenizer: texts to ids and back, out of a tokenizer.json.

The work is done by the `tokenizers` library; this class adds what a model needs around it: the special
tokens, errors that name the file, a fingerprint, tokens as people read them.

Departures from the library and from transformers:
- Truncation and padding that the file asks for are dropped: no text is shortened unasked.
- An id that no token has is an error when it is decoded, not silence.
- A panic of the library, which would end the program, is an error like all others.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import models

from creuset.data.byte_level import bytes_of, shown_bytes
from creuset.data.character_table import character_table, is_by_characters, look_up
from creuset.data.text_pieces import cut_places
from creuset.data.tokenizer_files import (
    CONFIG_FILE,
    GENERATION_FILE,
    MAX_TOKENIZER_BYTES,
    SPECIAL_FILE,
    TOKENIZER_FILE,
    SpecialTokens,
    as_json,
    read_limited,
    read_settings,
    read_special_tokens,
    settings_of,
)
from creuset.data.tokenizer_library import component, has_type, library_errors, refuse_far_ids, refuse_growth
from creuset.errors import DataError, NotFoundError, UsageError
from creuset.files import write_atomic

_SPACE_MARK = "▁"
"""How SentencePiece writes a space (U+2581)."""
_NO_OWN_CODE = "auto_map"

MASK = "[MASK]"
"""How a token to be guessed is written, as in BERT."""
_MASKS = (MASK, "<mask>")
"""The same, and as in RoBERTa."""
_SPACES = ("\u0120", _SPACE_MARK)
"""How a word of a vocabulary begins that holds the space before it; U+0120 is the byte 32."""


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A text as ids.

    Args:
        ids: The tokens.
        offsets: For each token the characters of the text that it came from, first and behind the last.
            Tokens that share a character have equal offsets; special tokens that were added have (0, 0).
    """

    ids: list[int]
    offsets: list[tuple[int, int]]


class Tokenizer:
    """Texts to ids and back.

    Args:
        backend: The library's tokenizer; it is not to be changed by others afterwards.
        special: The ids of the special tokens.
        where: What errors name, such as the file.
        settings: The content of tokenizer_config.json, which `save` writes again.

    Raises:
        DataError: The tokenizer contradicts itself, or a special token has an id of no token.
    """

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        *,
        special: SpecialTokens | None = None,
        where: object = "tokenizer",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self._backend = backend
        self._where = where
        self._settings = {key: value for key, value in (settings or {}).items() if key != _NO_OWN_CODE}
        self.special = SpecialTokens() if special is None else special
        with library_errors(where, "cannot be used"):
            backend.no_truncation()
            backend.no_padding()
            added = backend.get_added_tokens_decoder()
            template_ids = backend.encode("").ids
            ids = [*backend.get_vocab(with_added_tokens=True).values(), *template_ids]
            components = (backend.normalizer, backend.pre_tokenizer, backend.decoder)
            parts = [component(part) for part in components]
        self._added = {number: token.content for number, token in added.items()}
        self.skipped_ids = frozenset(number for number, token in added.items() if token.special)
        """The ids that `decode` leaves out unless it is told otherwise."""
        self.vocab_size: int = max(ids, default=-1) + 1
        """The highest id and one: the rows that a model's token embedding needs, at least."""
        self.is_byte_level = has_type(parts[2], "ByteLevel")
        """Whether tokens are cut out of bytes, so that one may hold a part of a character."""
        self.has_byte_fallback = has_type(parts[2], "ByteFallback")
        """Whether characters that the vocabulary lacks are written as one token a byte."""
        self.has_whole_words = _is_by_words(backend)
        """Whether each token is a word or a punctuation mark, none a piece of a word."""
        self._cut_places = cut_places(parts[0], parts[1])
        self._reaching = [
            token.content for token in added.values() if token.lstrip or token.rstrip or " " in token.content
        ]
        self._marks_spaces = _SPACE_MARK in json.dumps(parts[1:], ensure_ascii=False)
        refuse_growth(parts, where)
        refuse_far_ids(self.vocab_size, len(set(ids)), where)
        self._check_special()

    @classmethod
    def from_json(
        cls,
        text: str,
        *,
        where: object = TOKENIZER_FILE,
        special: SpecialTokens | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Self:
        """The tokenizer of a tokenizer.json's content.

        Raises:
            DataError: It is damaged, or no tokenizer.
        """
        with library_errors(where, f"damaged, or no {TOKENIZER_FILE}"):
            backend = tokenizers.Tokenizer.from_str(text)
        return cls(backend, special=special, where=where, settings=settings)

    @classmethod
    def from_file(cls, path: Path | str, *, special: SpecialTokens | None = None) -> Self:
        """The tokenizer of a tokenizer.json alone, which does not say what its special tokens mean.

        Raises:
            NotFoundError: There is no such file.
            DataError: It is too large, damaged, or no tokenizer.
        """
        return cls.from_json(read_limited(Path(path), MAX_TOKENIZER_BYTES), where=path, special=special)

    @classmethod
    def from_folder(cls, folder: Path | str) -> Self:
        """The tokenizer of a model's folder, with its special tokens and the ids that end generation.

        Raises:
            NotFoundError: There is no tokenizer.json in it.
            DataError: A file is damaged, or names a special token that is none.
        """
        folder = Path(folder)
        path = folder / TOKENIZER_FILE
        if not path.is_file():
            raise NotFoundError(
                f"no {TOKENIZER_FILE} in this folder",
                where=folder,
                next_step="name a folder saved by transformers or creuset, or train a tokenizer",
            )
        plain = cls.from_file(path)
        special = read_special_tokens(folder, plain.id_of)
        return cls(plain._backend, special=special, where=path, settings=read_settings(folder / CONFIG_FILE))

    @classmethod
    def open(cls, place: Path | str) -> Self:
        """The tokenizer of a folder, or of a tokenizer.json."""
        return cls.from_folder(place) if Path(place).is_dir() else cls.from_file(place)

    def encode(self, text: str, add_special: bool = True) -> list[int]:
        """The ids of a text.

        Args:
            text: Any text. Special tokens written out in it are read as special tokens.
            add_special: Whether the tokens that the tokenizer puts around a text (BOS, CLS, SEP) are added;
                False for what a chat template rendered, since it writes them itself.

        Raises:
            DataError: The tokenizer has no way to write the text.
        """
        return self.encode_with_offsets(text, add_special).ids

    def encode_with_offsets(self, text: str, add_special: bool = True) -> Encoded:
        """As `encode`, with the characters that each token came from."""
        with library_errors(self._where, "this tokenizer cannot read the text", got=text):
            found = self._backend.encode(text, add_special_tokens=add_special)
            return Encoded(ids=found.ids, offsets=found.offsets)

    def encode_batch(self, texts: Sequence[str], add_special: bool = True) -> list[list[int]]:
        """The ids of each text, on all processors where TOKENIZERS_PARALLELISM does not forbid it."""
        with library_errors(self._where, "this tokenizer cannot read one of the texts"):
            found = self._backend.encode_batch_fast(list(texts), add_special_tokens=add_special)
            return [one.ids for one in found]

    def cut_places(self, text: str) -> re.Pattern[str] | None:
        """Where a text may be cut without a change to its tokens; None where no place is known.

        A token that takes in the white space beside it, such as a mask, forbids it to a text that holds one.
        """
        return None if any(content in text for content in self._reaching) else self._cut_places

    def character_ids(self, text: str) -> NDArray[np.int32] | None:
        """The ids of a text where each character is a token, int32 (T,); None where that is not so."""
        table = self._character_table
        if table is None or any(content in text for content in self._added.values()):
            return None
        return look_up(text, table)

    @cached_property
    def _character_table(self) -> NDArray[np.int32] | None:
        if self.special.unk is None or not is_by_characters(self._backend):
            return None
        return character_table(self._backend.get_vocab(with_added_tokens=False), self.special.unk)

    def around(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The ids that the tokenizer puts before a text, and behind it.

        Raises:
            DataError: It changes a text where it adds special tokens.
        """
        plain, whole = self.encode("a", add_special=False), self.encode("a")
        for place in range(len(whole) - len(plain) + 1):
            if whole[place : place + len(plain)] == plain:
                return tuple(whole[:place]), tuple(whole[place + len(plain) :])
        raise DataError(
            "this tokenizer changes a text where it adds special tokens",
            where=self._where,
            got=whole,
            expected=plain,
        )

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """The text of ids; bytes that are no character become U+FFFD.

        Args:
            ids: From 0 to vocab_size - 1.
            skip_special: Whether special tokens are left out.

        Raises:
            UsageError: An id that no token has.
        """
        for number in ids:
            self._content(number)
        with library_errors(self._where, "these ids cannot be written as a text"):
            return self._backend.decode(list(ids), skip_special_tokens=skip_special)

    def id_of(self, token: str) -> int | None:
        """The id of a token as the vocabulary writes it; None for a text that is none."""
        return self._backend.token_to_id(token)

    def token(self, number: int) -> str:
        """A token as the vocabulary writes it; raises UsageError for an id of no token."""
        return self._content(number)

    def readable(self, number: int) -> str:
        """A token as people read it: spaces as such, bytes as text, <0xE2> for a part of a character."""
        content = self._content(number)
        if number in self._added:
            return content
        if self.is_byte_level:
            held = bytes_of(content)
            return content if held is None else shown_bytes(held)
        return content.replace(_SPACE_MARK, " ") if self._marks_spaces else content

    def check_fits(self, num_rows: int) -> None:
        """Refuses a model that has no row in its token embedding for some of the ids.

        A model with more rows than ids is allowed, since many are padded; nothing is to be drawn from the
        rows at and above `vocab_size`.

        Args:
            num_rows: Rows of the token embedding.

        Raises:
            DataError: There are fewer than ids.
        """
        if self.vocab_size > num_rows:
            raise DataError(
                "this tokenizer does not fit the weights: it has ids that they have no row for",
                where=self._where,
                got=f"ids up to {self.vocab_size - 1:,}",
                expected=f"ids below {num_rows:,}, the rows of the token embedding",
                next_step="take the tokenizer and the weights from the same model",
            )

    @property
    def special_ids(self) -> frozenset[int]:
        """The ids that stand for no text: those that `decode` leaves out, and all that have a role."""
        return self.skipped_ids.union(self.special.named().values(), self.special.eos)

    def with_mask(self) -> "Tokenizer":
        """This tokenizer with a token that stands for one to be guessed; itself where it has one.

        Where no file says which it is, one that is written as BERT's or RoBERTa's is taken. Else MASK is
        added behind all others. Where words hold the space before them the new token takes it in too, as
        RoBERTa's does: in "a [MASK]" it stands for " word".

        Raises:
            DataError: No id is free behind all others.
        """
        if self.special.mask is not None:
            return self
        found = next((number for number in map(self.id_of, _MASKS) if number in self.skipped_ids), None)
        with library_errors(self._where, "cannot be given a mask token"):
            backend = tokenizers.Tokenizer.from_str(self.to_json())
            if found is None:
                words = backend.get_vocab(with_added_tokens=False)
                joined = any(len(word) > 1 and word.startswith(_SPACES) for word in words)
                backend.add_special_tokens([tokenizers.AddedToken(MASK, lstrip=joined, special=True)])
                found = backend.token_to_id(MASK)
        if found not in self.skipped_ids and found != self.vocab_size:
            raise DataError(
                "this tokenizer cannot be given a mask token",
                where=self._where,
                got=f"{MASK} with the id {found}",
                expected=f"the id {self.vocab_size}, behind all others",
                next_step="take a tokenizer with a mask_token, or data.tokenizer: wordpiece",
            )
        special = replace(self.special, mask=found)
        return Tokenizer(backend, special=special, where=self._where, settings=self._settings)

    def require_eos(self) -> tuple[int, ...]:
        """The ids that end a text, for whom cannot do without.

        Raises:
            DataError: None is known.
        """
        if not self.special.eos:
            raise DataError(
                "no end-of-sequence token is known, so generation would not know when to stop",
                where=self._where,
                expected=f"eos_token in {CONFIG_FILE}, or eos_token_id in {GENERATION_FILE}",
                next_step=f"put the {CONFIG_FILE} of the model beside its {TOKENIZER_FILE}",
            )
        return self.special.eos

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the tokenizer's canonical JSON: equal for files that differ in layout only."""
        content = json.dumps(json.loads(self.to_json()), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()

    def to_json(self) -> str:
        """The content of a tokenizer.json."""
        with library_errors(self._where, "cannot be written"):
            return self._backend.to_str(pretty=False)

    def save(self, folder: Path | str) -> None:
        """Writes the tokenizer's files into a folder; `from_folder` of it gives the same tokenizer.

        generation_config.json is touched only where several ids end a text, which no other file can say.
        """
        folder = Path(folder)
        named = settings_of(self.special, self._content)
        write_atomic(folder / TOKENIZER_FILE, self.to_json())
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", **self._settings, **named}
        write_atomic(folder / CONFIG_FILE, as_json(settings))
        write_atomic(folder / SPECIAL_FILE, as_json(named))
        if len(self.special.eos) > 1:
            path = folder / GENERATION_FILE
            generation = {**read_settings(path), "eos_token_id": list(self.special.eos)}
            write_atomic(path, as_json(generation))

    def _content(self, number: int) -> str:
        content = self._backend.id_to_token(number) if 0 <= number < self.vocab_size else None
        if content is None:
            raise UsageError(
                "no token has this id",
                where=self._where,
                got=number,
                expected=f"an id of the {self.vocab_size:,} of this tokenizer",
                next_step="draw no token at or above the tokenizer's vocab_size",
            )
        return content

    def _check_special(self) -> None:
        for number in (*self.special.named().values(), *self.special.eos):
            if not 0 <= number < self.vocab_size or self._backend.id_to_token(number) is None:
                raise DataError(
                    "a special token has an id that no token has",
                    where=self._where,
                    got=number,
                    expected=f"ids below {self.vocab_size:,}",
                    next_step="take all files from the same model",
                )


def _is_by_words(backend: tokenizers.Tokenizer) -> bool:
    """Whether texts are cut at the borders of words, and each word is looked up as it is."""
    if not isinstance(backend.model, models.WordLevel) or backend.pre_tokenizer is None:
        return False
    return [piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str("two words")] == ["two", "words"]
