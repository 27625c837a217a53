"""Long texts in pieces against the same texts as a whole."""

import json
import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from creuset.data import long_texts, token_bytes
from creuset.data.long_texts import encode_long
from creuset.data.token_bytes import bytes_before
from creuset.data.token_stream import Document
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_training import train_tokenizer

SIZES = {"byte_bpe": 300, "wordpiece": 130, "unigram": 60, "characters": None, "words": None}
CHARACTERS = [
    "a",
    "b",
    " ",
    "  ",
    "\n",
    "\n\n",
    "7",
    "'s",
    "!",
    "é",
    "e\u0301",
    "\t",
    "\r",
    "\u2028",
    "\u00a0",
    "\u0301",
    "文",
    "😀",
    "\x1c",
    "<|endoftext|>",
    "[MASK]",
    "▁",
    "_",
]
PLAIN = "".join(f"the {number}th line says, \n\n été 文 it's {number} \n so\n" for number in range(60))


def random_texts(seed: int, num: int) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(CHARACTERS, k=draw.randrange(0, 120))) for _ in range(num)]


@pytest.fixture(scope="module", params=[*SIZES, "byte_bpe with a mask", "byte_bpe by digits"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    kind, _, more = request.param.partition(" ")
    made = train_tokenizer([PLAIN, *random_texts(0, 50)], kind, vocabulary_size=SIZES[kind])
    if more == "with a mask":
        return made.with_mask()
    if more == "by digits":
        content = json.loads(made.to_json())
        digits = {"type": "Digits", "individual_digits": True}
        content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, content["pre_tokenizer"]]}
        return Tokenizer.from_json(json.dumps(content))
    return made


def test_pieces_have_the_tokens_of_the_whole(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_texts, "PIECE", 3)
    texts = [*random_texts(1, 200), PLAIN]
    whole = tokenizer.encode_batch(texts, add_special=False)
    for text, found, expected in zip(texts, encode_long(tokenizer, texts), whole, strict=True):
        assert found.dtype == np.int32
        assert found.tolist() == expected, repr(text)


def test_bytes_of_pieces_are_those_of_the_whole(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in [*random_texts(2, 60), PLAIN]:
        ids = tokenizer.encode(text, add_special=False)
        if not ids:
            continue
        document = Document(name="", text=text, ids=torch.tensor(ids, dtype=torch.int32))
        monkeypatch.setattr(token_bytes, "PIECE", 2**20)
        whole = bytes_before(document, tokenizer)
        monkeypatch.setattr(token_bytes, "PIECE", 3)
        assert bytes_before(document, tokenizer).tolist() == whole.tolist(), repr(text)
        assert (whole[0], whole[-1]) == (0, len(text.encode()))
        assert (np.diff(whole) >= 0).all()


def test_a_real_text_is_encoded_as_a_whole() -> None:
    text = "".join(path.read_text() for path in sorted(Path(__file__).parent.glob("*.py"))[:12])
    made = train_tokenizer([text], "byte_bpe", vocabulary_size=600)
    assert len(text) > 2 * long_texts.PIECE
    (found,) = encode_long(made, [text])
    assert found.tolist() == made.encode(text, add_special=False)


def test_characters_cost_few_bytes_each() -> None:
    text = PLAIN * 10
    made = train_tokenizer([PLAIN], "characters")
    made.character_ids("")  # the table
    tracemalloc.start()
    encode_long(made, [text])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * len(text)
