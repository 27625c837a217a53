"""What classes are called in prompts: phrases for each class, and texts as bytes.

Digits have phrases in English and French; other classes are given theirs by `model.captions`. A phrase is
compared without regard to capitals and to blanks at its ends.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.errors import UsageError, did_you_mean

Captions = Mapping[str, Sequence[str]]
"""The name of a class -> what it may be called."""

_ENGLISH = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_FRENCH = ("zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf")
_FORMS_ENGLISH = (
    "{}",
    "a {}",
    "the {}",
    "digit {}",
    "the digit {}",
    "number {}",
    "the number {}",
    "draw a {}",
)
_FORMS_FRENCH = ("{}", "un {}", "le {}", "chiffre {}", "le chiffre {}", "nombre {}", "le nombre {}")


def _digit_phrases(digit: int) -> tuple[str, ...]:
    english, french = _ENGLISH[digit], _FRENCH[digit]
    article = ("an {}",) if english == "eight" else ()
    found = [form.format(english) for form in (*_FORMS_ENGLISH, *article)]
    found += [form.format(french) for form in _FORMS_FRENCH]
    found += [form.format(digit) for form in ("{}", "digit {}", "chiffre {}")]
    return tuple(dict.fromkeys(found))


DIGIT_CAPTIONS: Captions = MappingProxyType({str(digit): _digit_phrases(digit) for digit in range(10)})
"""For classes called 0 to 9."""


def captions_of(given: Captions, spec: DataSpec, length: int) -> list[list[bytes]]:
    """The phrases of each class in the order of the labels, as prompts are read.

    Args:
        given: `model.captions`; empty for the shipped ones, where all classes are digits.
        spec: The data, whose classes have names.
        length: The most bytes of a phrase.

    Raises:
        UsageError: A class without a phrase, phrases of no class, a phrase of two classes, or one that is
            empty or too long.
    """
    digits = set(spec.class_names) <= DIGIT_CAPTIONS.keys()
    captions = DIGIT_CAPTIONS if not given and digits else given
    for name in captions:
        if given and name not in spec.class_names:
            raise UsageError(
                f'phrases of a class that is not there: "{name}"{did_you_mean(name, spec.class_names)}',
                where="model.captions",
                expected=", ".join(spec.class_names),
            )
    missing = [name for name in spec.class_names if not captions.get(name)]
    if missing:
        raise UsageError(
            "prompts are learned from phrases, and classes have none",
            where="model.captions",
            got=f"no phrase for {', '.join(missing)}",
            expected="at least one for each class, as in {cat: [a cat, un chat], dog: [a dog, un chien]}",
            next_step="name them in model.captions, or set model.condition: class",
        )
    phrases = [
        [prompt_bytes(text, length, "model.captions") for text in captions[name]] for name in spec.class_names
    ]
    _require_unlike(phrases, spec.class_names)
    return phrases


def _require_unlike(phrases: Sequence[Sequence[bytes]], names: Sequence[str]) -> None:
    owners: dict[bytes, str] = {}
    for name, of in zip(names, phrases, strict=True):
        for phrase in of:
            if owners.setdefault(phrase, name) != name:
                raise UsageError(
                    "a phrase that stands for two classes says nothing",
                    where="model.captions",
                    got=f'"{phrase.decode()}" for {owners[phrase]} and {name}',
                    expected="each phrase at one class alone",
                )


def prompt_bytes(text: str, length: int, where: str = "prompt") -> bytes:
    """A text as it is read: in its composed form (NFC), in lower case, without blanks at the ends, in UTF-8.

    Raises:
        UsageError: It is empty, or has more than `length` bytes.
    """
    read = unicodedata.normalize("NFC", text.strip().lower()).encode()
    if not read:
        raise UsageError("an empty prompt", where=where, got=repr(text), expected="a few words")
    if len(read) > length:
        raise UsageError(
            "a prompt that is longer than the model reads",
            where=where,
            got=f'{len(read)} bytes: "{text}"',
            expected=f"at most {length} bytes",
            next_step="shorten it, or train with a larger model.prompt_length",
        )
    return read


def prompt_tokens(prompts: Sequence[bytes], length: int) -> Tensor:
    """Bytes plus one, 0 behind the end of each: int64 (N, length)."""
    rows = torch.zeros(len(prompts), length, dtype=torch.int64)
    for row, prompt in zip(rows, prompts, strict=True):
        row[: len(prompt)] = torch.tensor(list(prompt)) + 1
    return rows
