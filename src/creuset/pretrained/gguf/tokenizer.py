"""The tokenizer of a GGUF file: byte-level BPE, out of "tokenizer.ggml.*".

Source: byte-level BPE: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section
2.2; the keys: the GGUF specification; what each "tokenizer.ggml.pre" means, which the specification leaves
open: llama.cpp, llama-vocab.cpp. Departure from llama.cpp: Qwen's own tokenizer brings a text to Unicode's
composed form (NFC) first, and so does this one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors

from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import SpecialTokens
from creuset.data.tokenizer_library import library_errors
from creuset.errors import DataError
from creuset.pretrained.gguf.metadata import Metadata

_MODEL = "tokenizer.ggml.model"
_PRE = "tokenizer.ggml.pre"
_TOKENS = "tokenizer.ggml.tokens"
_MERGES = "tokenizer.ggml.merges"
_TYPES = "tokenizer.ggml.token_type"
_TEMPLATE = "tokenizer.chat_template"
END_KEYS = ("eos", "eot", "eom")
"""Ends of a text, of a turn and of a message: generation stops at any of them."""

_CONTROL, _USER_DEFINED = 3, 4
"""Types of token that are cut out of a text before anything else."""

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,%s}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The words that Llama 3 and Qwen cut a text into; %s is the longest run of digits."""


@dataclass(frozen=True, kw_only=True)
class _Cutting:
    """How a text is cut into words before merges are applied within each.

    Args:
        words: "gpt2" for the pattern of GPT-2, or one with runs of digits of at most this length.
        digits_apart: Whether each digit is cut off before.
        composed: Whether the text is brought to Unicode's composed form first.
        whole_words: Whether a word that is a token is one, whatever its merges say.
        adds_bos: Whether a text begins with BOS where the file does not say.
    """

    words: Literal["gpt2"] | int
    digits_apart: bool = False
    composed: bool = False
    whole_words: bool = False
    adds_bos: bool = False


_LLAMA_3 = _Cutting(words=3, whole_words=True, adds_bos=True)
_QWEN_2 = _Cutting(words=1, composed=True)
_CODE = _Cutting(words="gpt2", digits_apart=True)
CUTTINGS = {
    "gpt-2": _Cutting(words="gpt2"),
    "smollm": _CODE,
    "starcoder": _CODE,
    "llama-bpe": _LLAMA_3,
    "llama3": _LLAMA_3,
    "llama-v3": _LLAMA_3,
    "qwen2": _QWEN_2,
    "deepseek-r1-qwen": _QWEN_2,
}


def read_tokenizer(metadata: Metadata) -> Tokenizer:
    """The tokenizer of a GGUF file with its special tokens.

    Raises:
        DataError: As `tokenizer_from_gguf` and `special_tokens_from_gguf`.
    """
    backend = tokenizer_from_gguf(metadata)
    return Tokenizer(backend, special=special_tokens_from_gguf(metadata), where=metadata.where)


def tokenizer_from_gguf(metadata: Metadata) -> tokenizers.Tokenizer:
    """The tokenizer of a GGUF file, without the meaning of its special tokens.

    Raises:
        DataError: A model or a way to cut words that is not read, with those that are; tokens given twice,
            merges of or into what is no token, types that do not fit the tokens.
    """
    model = metadata.text(_MODEL)
    if model != "gpt2":
        raise _refused(
            metadata, _MODEL, "a kind of tokenizer that is not read", model, "gpt2 (byte-level BPE)"
        )
    pre = metadata.text(_PRE)
    cutting = CUTTINGS.get(pre)
    if cutting is None:
        raise _refused(metadata, _PRE, "a way to cut words that is not known", pre, ", ".join(CUTTINGS))
    tokens = metadata.texts(_TOKENS)
    vocabulary = {token: number for number, token in enumerate(tokens)}
    if len(vocabulary) < len(tokens):
        raise _refused(metadata, _TOKENS, "a token stands there twice", _repeated(tokens), "each one once")
    merges = _merges(metadata, vocabulary)
    special = _added_tokens(tokens, metadata)
    around = _ids_around(tokens, cutting, metadata)
    with library_errors(metadata.where, "this tokenizer cannot be built"):
        found = tokenizers.Tokenizer(models.BPE(vocabulary, merges, ignore_merges=cutting.whole_words))
        if cutting.composed:
            found.normalizer = normalizers.NFC()
        found.pre_tokenizer = pre_tokenizers.Sequence(steps_of(cutting))
        found.decoder = decoders.ByteLevel()
        found.add_special_tokens([token for token in special if token.special])
        found.add_tokens([token for token in special if not token.special])
        if around:
            single = " ".join(name for name in ("bos", "$A", "eos") if name in around or name == "$A")
            names = [
                {"id": name, "ids": [number], "tokens": [tokens[number]]} for name, number in around.items()
            ]
            found.post_processor = processors.TemplateProcessing(single=single, special_tokens=names)
    return found


def special_tokens_from_gguf(metadata: Metadata) -> SpecialTokens:
    """The ids of the special tokens; `eos` has the ends of a text, of a turn and of a message.

    Raises:
        DataError: An id of no token.
    """
    num_tokens = len(metadata.texts(_TOKENS))
    ends = (_special_id(metadata, name, num_tokens) for name in END_KEYS)
    return SpecialTokens(
        bos=_special_id(metadata, "bos", num_tokens),
        eos=tuple(dict.fromkeys(number for number in ends if number is not None)),
        pad=_special_id(metadata, "padding", num_tokens),
        unk=_special_id(metadata, "unknown", num_tokens),
    )


def chat_template_from_gguf(metadata: Metadata) -> str | None:
    """The chat template as the file holds it; None for a file without."""
    return metadata.text(_TEMPLATE) if _TEMPLATE in metadata else None


def read_chat_template(metadata: Metadata) -> ChatTemplate | None:
    """The chat template of a GGUF file with its special tokens; None for a file without.

    Raises:
        DataError: It is no template.
    """
    source = chat_template_from_gguf(metadata)
    if source is None:
        return None
    tokens, special = metadata.texts(_TOKENS), special_tokens_from_gguf(metadata).named()
    names = {f"{name}_token": tokens[number] for name, number in special.items()}
    return ChatTemplate(source, where=metadata.where, special=names)


def steps_of(cutting: _Cutting) -> list[pre_tokenizers.PreTokenizer]:
    steps: list[pre_tokenizers.PreTokenizer] = []
    if cutting.digits_apart:
        steps.append(pre_tokenizers.Digits(individual_digits=True))
    if cutting.words == "gpt2":
        return [*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    steps.append(pre_tokenizers.Split(Regex(_WORDS % cutting.words), behavior="isolated"))
    return [*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]


def _merges(metadata: Metadata, vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """Pairs out of "left right", the most frequent first; raises DataError for one of no tokens."""
    found = []
    for number, line in enumerate(metadata.texts(_MERGES)):
        left, space, right = line.partition(" ")
        known = left in vocabulary and right in vocabulary and left + right in vocabulary
        if not space or not known:
            got = f"merge {number}: {line[:60]!a}"
            raise _refused(
                metadata, _MERGES, "a merge of what is no token", got, "two tokens that form a third"
            )
        found.append((left, right))
    return found


def _added_tokens(tokens: Sequence[str], metadata: Metadata) -> list[AddedToken]:
    """The tokens that are cut out of a text first: control tokens, which are special, and those of users."""
    if _TYPES not in metadata:
        return []
    types = metadata.wholes(_TYPES)
    if len(types) != len(tokens):
        raise _refused(
            metadata, _TYPES, "not one type for each token", f"{len(types)} types", f"{len(tokens)}"
        )
    found = [
        AddedToken(token, special=kind == _CONTROL, normalized=False)
        for token, kind in zip(tokens, types, strict=True)
        if kind in (_CONTROL, _USER_DEFINED)
    ]
    if any(not token.content for token in found):
        raise _refused(metadata, _TYPES, "a special token without a letter", "''", "a text")
    return found


def _ids_around(tokens: Sequence[str], cutting: _Cutting, metadata: Metadata) -> dict[str, int]:
    """The ids that are put before ("bos") and behind ("eos") a text, where the file says so."""
    around: dict[str, int] = {}
    for name, usual in (("bos", cutting.adds_bos), ("eos", False)):
        key = f"tokenizer.ggml.add_{name}_token"
        if not (metadata.flag(key) if key in metadata else usual):
            continue
        number = _special_id(metadata, name, len(tokens))
        if number is None:
            expected = f"tokenizer.ggml.{name}_token_id"
            raise _refused(metadata, key, f"there is no {name} token to add", True, expected)
        around[name] = number
    return around


def _special_id(metadata: Metadata, name: str, num_tokens: int) -> int | None:
    key = f"tokenizer.ggml.{name}_token_id"
    if key not in metadata:
        return None
    number = metadata.whole(key)
    if number >= num_tokens:
        raise _refused(metadata, key, "an id of no token", number, f"below {num_tokens}")
    return number


def _repeated(tokens: Sequence[str]) -> str:
    seen: set[str] = set()
    for token in tokens:
        if token in seen:
            return repr(token)[:60]
        seen.add(token)
    raise AssertionError


def _refused(metadata: Metadata, key: str, message: str, got: object, expected: str) -> DataError:
    return DataError(f"{key}: {message}", where=metadata.where, got=got, expected=expected)
