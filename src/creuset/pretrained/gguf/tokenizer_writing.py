"""A tokenizer as the keys "tokenizer.ggml.*" of a GGUF file: byte-level BPE.

llama.cpp knows the ways to cut a text into words by names, "tokenizer.ggml.pre", of which the specification
says nothing (`tokenizer.py`). The name written is that of the way that equals the tokenizer's own, part by
part; where none does, the file would cut texts otherwise than the model learned, and is refused.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.errors import UsageError
from creuset.pretrained.gguf.tokenizer import CUTTINGS, END_KEYS, steps_of

_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5
"""Types of tokens."""
_NO_MATTER = ("trim_offsets",)
"""Settings of a pre-tokenizer that say where tokens were in the text, and not which they are."""
_PREFERRED = ("gpt-2", "smollm", "llama-bpe", "qwen2")
"""Of names for one way, the one that is written."""


def tokenizer_keys(
    tokenizer: Tokenizer,
    vocab_size: int,
    chat_template: ChatTemplate | None,
    eos_ids: Sequence[int],
) -> dict[str, Any]:
    """The keys and values.

    Args:
        tokenizer: Of byte-level BPE.
        vocab_size: Rows of the model's embedding, the last of which may have no token.
        chat_template: How chats are written; None for none.
        eos_ids: The tokens that end an answer, those of the model's own files among them.

    Raises:
        UsageError: Another kind of tokenizer, or a way to cut words that llama.cpp has no name for.
    """
    content = json.loads(tokenizer.to_json())
    model = content["model"]
    if model["type"] != "BPE" or model.get("byte_fallback"):
        raise UsageError(
            "only byte-level BPE tokenizers are written as GGUF",
            where="tokenizer.json: model",
            got=model["type"] + (" with bytes as tokens" if model.get("byte_fallback") else ""),
            expected="BPE over bytes, as of GPT-2, Llama 3, SmolLM2 and Qwen",
        )
    name = _name_of(content)
    added = {token["id"]: token for token in content["added_tokens"]}
    names = {number: token for token, number in model["vocab"].items()}
    names |= {number: token["content"] for number, token in added.items()}
    tokens = [names.get(number, f"[UNUSED{number}]") for number in range(vocab_size)]
    before, behind = tokenizer.around()
    special = tokenizer.special
    keys: dict[str, Any] = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": name,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [_type(number, names, added) for number in range(vocab_size)],
        "tokenizer.ggml.merges": [_merge(pair) for pair in model["merges"]],
        "tokenizer.ggml.add_bos_token": _puts(before, (special.bos,), "before a text"),
        "tokenizer.ggml.add_eos_token": _puts(behind, special.eos[:1], "behind a text"),
    }
    singles = {"bos": special.bos, "padding": special.pad, "unknown": special.unk}
    ends = dict(zip(END_KEYS, eos_ids, strict=False))
    for word, number in {**singles, **ends}.items():
        if number is not None:
            keys[f"tokenizer.ggml.{word}_token_id"] = number
    if len(eos_ids) > len(END_KEYS):
        raise UsageError(
            "more tokens end a text than a GGUF file can name",
            got=len(eos_ids),
            expected=f"at most {len(END_KEYS)}",
        )
    if chat_template is not None:
        keys["tokenizer.chat_template"] = chat_template.source
    return keys


def _name_of(content: Mapping[str, Any]) -> str:
    """The name under which llama.cpp cuts texts as this tokenizer does."""
    own = (
        _parts(content["pre_tokenizer"]),
        _parts(content["normalizer"]),
        bool(content["model"].get("ignore_merges")),
    )
    names = sorted(CUTTINGS, key=lambda name: name not in _PREFERRED)
    for name in names:
        cutting = CUTTINGS[name]
        steps = [json.loads(step.__getstate__()) for step in steps_of(cutting)]
        normalizer = [{"type": "NFC"}] if cutting.composed else []
        if own == ([_bare(step) for step in steps], normalizer, cutting.whole_words):
            return name
    raise UsageError(
        "llama.cpp has no name for how this tokenizer cuts texts into words",
        where="tokenizer.json: pre_tokenizer",
        got=json.dumps(content["pre_tokenizer"])[:300],
        expected=f"the way of one of these: {', '.join(_PREFERRED)}",
        next_step="export to safetensors instead",
    )


def _parts(component: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """A component of a tokenizer as the list of those that it is made of."""
    if component is None:
        return []
    if component["type"] == "Sequence":
        inside = component.get("pretokenizers", component.get("normalizers", []))
        return [part for each in inside for part in _parts(each)]
    return [_bare(component)]


def _bare(component: Mapping[str, Any]) -> dict[str, Any]:
    """A component without what does not matter, and with one way to write "once" in a pattern."""
    bare = {key: value for key, value in component.items() if key not in _NO_MATTER}
    pattern = bare.get("pattern")
    if isinstance(pattern, dict) and "Regex" in pattern:
        bare["pattern"] = {"Regex": pattern["Regex"].replace("{1,1}", "")}
    return bare


def _type(number: int, names: Mapping[int, str], added: Mapping[int, Mapping[str, Any]]) -> int:
    if number not in names:
        return _UNUSED
    if number not in added:
        return _NORMAL
    return _CONTROL if added[number]["special"] else _USER_DEFINED


def _merge(pair: str | list[str]) -> str:
    return pair if isinstance(pair, str) else " ".join(pair)


def _puts(around: tuple[int, ...], known: tuple[int | None, ...], where: str) -> bool:
    """Whether the tokenizer puts the known token there; refuses what a GGUF file cannot say."""
    if around and around != known:
        raise UsageError(
            f"the tokenizer puts tokens {where} that a GGUF file cannot say",
            got=list(around),
            expected=f"nothing, or {list(known)}",
        )
    return bool(around)
