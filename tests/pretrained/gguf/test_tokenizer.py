"""Tokenizers of GGUF files against a slow byte-level BPE, and the real one against llama.cpp."""

import json
import urllib.request
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import regex
import tokenizers

from creuset.assets import resolve
from creuset.data.tokenizer_files import SpecialTokens
from creuset.errors import DataError
from creuset.pretrained.gguf.file import GgufFile
from creuset.pretrained.gguf.metadata import Metadata
from creuset.pretrained.gguf.tokenizer import (
    chat_template_from_gguf,
    read_tokenizer,
    special_tokens_from_gguf,
    tokenizer_from_gguf,
)
from gguf_bytes import gguf_bytes

TEXTS = [
    "Hello world, it's 12345 o'clock; we'LL see, they've 7 of 1,234.56!",
    "  two  spaces\n\n\tdef f(x):\r\n        return x**2  # ok   ",
    "日本語のテキスト 한국어 العربية हिन्दी Ünïcödé ½ ² Ⅷ ٣٤٥",
    "🎉👩‍👩‍👧 emoji\u00a0b\u3000c  \r\n\r\n d   ",
    "<|im_start|>user\nhi<|im_end|>\n",
    "",
    " ",
]
GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
WORDS = (
    r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,%s}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PATTERNS = {
    "gpt-2": [GPT_2],
    "smollm": [r"\p{N}|\P{N}+", GPT_2],
    "llama-bpe": [WORDS % 3],
    "qwen2": [WORDS % 1],
}
LETTERS = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())


def byte_letters() -> dict[int, str]:
    """How GPT-2 writes each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return {byte: chr(byte) if byte in printable else chr(next(others)) for byte in range(256)}


@pytest.fixture(scope="module")
def learned() -> tuple[list[str], list[str]]:
    """Tokens and merges learned from the texts themselves, each cut at spaces alone."""
    backend = tokenizers.Tokenizer(tokenizers.models.BPE())
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=420, initial_alphabet=LETTERS, show_progress=False)
    backend.train_from_iterator(TEXTS * 3, trainer)
    model = json.loads(backend.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    return [*tokens, "<|im_start|>", "<|im_end|>"], [" ".join(pair) for pair in model["merges"]]


def metadata_of(learned: tuple[list[str], list[str]], **more: Any) -> Metadata:
    tokens, merges = learned
    values: dict[str, Any] = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.token_type": [1] * (len(tokens) - 2) + [3, 3],
        "tokenizer.ggml.bos_token_id": len(tokens) - 2,
        "tokenizer.ggml.eos_token_id": len(tokens) - 1,
    }
    values |= {f"tokenizer.{key}": value for key, value in more.items()}
    values["tokenizer.ggml.token_type"] = np.array(values["tokenizer.ggml.token_type"], dtype=np.int32)
    return Metadata({key: value for key, value in values.items() if value is not None}, Path("model.gguf"))


def read_back(metadata: Metadata, folder: Path) -> Metadata:
    """The same metadata by way of a file."""
    path = folder / "model.gguf"
    types = metadata.wholes("tokenizer.ggml.token_type")
    path.write_bytes(gguf_bytes({**metadata, "tokenizer.ggml.token_type": types}, []))
    return GgufFile(path).metadata


def slow_ids(
    text: str, patterns: list[str], tokens: list[str], merges: list[str], whole_words: bool
) -> list[int]:
    """Byte-level BPE, one merge after another."""
    ids = {token: number for number, token in enumerate(tokens)}
    ranks = {tuple(line.split(" ")): rank for rank, line in enumerate(merges)}
    letters = byte_letters()
    found: list[int] = []
    for piece in regex.split(r"(<\|im_start\|>|<\|im_end\|>)", text):
        if piece in ("<|im_start|>", "<|im_end|>"):
            found.append(ids[piece])
            continue
        words = [piece]
        for pattern in patterns:
            words = [word for part in words for word in regex.findall(pattern, part)]
        for word in words:
            parts = [letters[byte] for byte in word.encode()]
            if whole_words and "".join(parts) in ids:
                parts = ["".join(parts)]
            while True:
                pairs = [pair for pair in pairwise(parts) if pair in ranks]
                if not pairs:
                    break
                best = min(pairs, key=ranks.__getitem__)
                at = list(pairwise(parts)).index(best)
                parts[at : at + 2] = ["".join(best)]
            found.extend(ids[part] for part in parts)
    return found


@pytest.mark.parametrize("pre", list(PATTERNS))
def test_texts_are_cut_as_a_slow_tokenizer_cuts_them(
    learned: tuple[list[str], list[str]], pre: str, tmp_path: Path
) -> None:
    metadata = read_back(metadata_of(learned, **{"ggml.pre": pre, "ggml.add_bos_token": False}), tmp_path)
    tokenizer = read_tokenizer(metadata)
    for text in TEXTS:
        found = tokenizer.encode(text)
        assert found == slow_ids(text, PATTERNS[pre], *learned, whole_words=pre == "llama-bpe"), text
        assert tokenizer.decode(found, skip_special=False) == text


def test_a_word_that_is_a_token_is_one_whatever_its_merges_say(learned: tuple[list[str], list[str]]) -> None:
    tokens, merges = [*learned[0][:-2], "zqzq", *learned[0][-2:]], learned[1]
    counts = {}
    for pre in ("gpt-2", "llama-bpe"):
        metadata = metadata_of((tokens, merges), **{"ggml.pre": pre, "ggml.add_bos_token": False})
        counts[pre] = len(read_tokenizer(metadata).encode("zqzq"))
    assert counts["llama-bpe"] == 1
    assert counts["gpt-2"] > 1


def test_qwen_composes_characters_first(learned: tuple[list[str], list[str]]) -> None:
    tokenizer = read_tokenizer(metadata_of(learned, **{"ggml.pre": "qwen2"}))
    assert tokenizer.encode("e\u0301") == tokenizer.encode("é")


@pytest.mark.parametrize(
    ("settings", "before", "behind"),
    [
        ({}, 0, 0),
        ({"ggml.add_bos_token": True}, 1, 0),
        ({"ggml.add_bos_token": True, "ggml.add_eos_token": True}, 1, 1),
        ({"ggml.add_eos_token": True}, 0, 1),
        ({"ggml.pre": "llama-bpe"}, 1, 0),
        ({"ggml.pre": "llama-bpe", "ggml.add_bos_token": False}, 0, 0),
    ],
)
def test_what_is_put_around_a_text(
    learned: tuple[list[str], list[str]], settings: dict[str, Any], before: int, behind: int
) -> None:
    tokenizer = read_tokenizer(metadata_of(learned, **settings))
    plain, bos = tokenizer.encode("Hello", add_special=False), len(learned[0]) - 2
    assert tokenizer.encode("Hello") == [bos] * before + plain + [bos + 1] * behind


def test_special_tokens_and_template(learned: tuple[list[str], list[str]]) -> None:
    more = {"ggml.eot_token_id": 5, "ggml.padding_token_id": 7, "ggml.unknown_token_id": 0}
    metadata = metadata_of(learned, **more, chat_template="{{ messages }}")
    end = len(learned[0]) - 1
    assert special_tokens_from_gguf(metadata) == SpecialTokens(bos=end - 1, eos=(end, 5), pad=7, unk=0)
    assert chat_template_from_gguf(metadata) == "{{ messages }}"
    assert chat_template_from_gguf(metadata_of(learned)) is None
    assert read_tokenizer(metadata).skipped_ids == {end - 1, end}


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"ggml.model": "llama"},
            r"tokenizer\.ggml\.model: a kind .* not read\n  got: llama\n  expected: gpt2",
        ),
        ({"ggml.pre": "tekken"}, "not known\n  got: tekken\n  expected: gpt-2, smollm"),
        ({"ggml.pre": None}, r'the metadata lacks "tokenizer\.ggml\.pre"'),
        ({"ggml.tokens": ["a", "b", "a"]}, "a token stands there twice\n  got: 'a'"),
        ({"ggml.merges": ["ab"]}, "a merge of what is no token\n  got: merge 0: 'ab'"),
        ({"ggml.merges": ["h qqqq"]}, "a merge of what is no token"),
        ({"ggml.merges": ["Q Z"]}, "a merge of what is no token"),
        ({"ggml.token_type": [1, 2]}, "not one type for each token\n  got: 2 types"),
        ({"ggml.eos_token_id": 100_000}, r"tokenizer\.ggml\.eos_token_id: an id of no token\n  got: 100000"),
        ({"ggml.bos_token_id": None, "ggml.add_bos_token": True}, "there is no bos token to add"),
    ],
)
def test_what_contradicts_itself_is_refused(
    learned: tuple[list[str], list[str]], settings: dict[str, Any], text: str
) -> None:
    with pytest.raises(DataError, match=text):
        read_tokenizer(metadata_of(learned, **settings))


def llama_cpp_ids(path: Path, texts: list[str]) -> list[list[int]]:
    """What llama.cpp's own server answers, on loopback."""
    xllamacpp = pytest.importorskip("xllamacpp", reason="compares with llama.cpp, which is not installed")
    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx, settings.n_parallel, settings.warmup = 128, 1, False
    server = xllamacpp.Server(settings)
    found = []
    for text in texts:
        body = json.dumps({"content": text, "add_special": False, "parse_special": True}).encode()
        request = urllib.request.Request(f"{server.listening_address}/tokenize", body)
        with urllib.request.urlopen(request, timeout=20) as answer:
            found.append(json.load(answer)["tokens"])
    return found


def test_the_real_smollm2_cuts_texts_as_llama_cpp_does(starter: Path) -> None:
    path = resolve("smollm2-135m").file
    assert path is not None
    metadata = GgufFile(path).metadata
    tokenizer = read_tokenizer(metadata)
    assert tokenizer.special == SpecialTokens(bos=1, eos=(2,), pad=2, unk=0)
    assert "<|im_start|>" in (chat_template_from_gguf(metadata) or "")
    texts = [text for text in TEXTS if text]
    assert [tokenizer.encode(text) for text in texts] == llama_cpp_ids(path, texts)
    backend = tokenizer_from_gguf(metadata)
    assert backend.get_vocab_size() == 49_152
