"""Tokenizers trained on texts: the same each time, as good as the library's, and errors that help."""

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers, trainers

from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_training import (
    SPECIAL_NAMES,
    Kind,
    bytes_per_token,
    read_corpus,
    train_tokenizer,
)
from creuset.data.unigram_training import train_unigram
from creuset.data.vocabulary import words
from creuset.errors import CreusetError, DataError, NotFoundError, UsageError

KINDS: tuple[Kind, ...] = get_args(Kind)
SIZES: dict[Kind, int | None] = {
    "byte_bpe": 400,
    "wordpiece": 200,
    "unigram": 200,
    "characters": None,
    "words": None,
}


def corpus(num_texts: int = 300) -> list[str]:
    """Texts of made-up words, some far more frequent than others, out of syllables."""
    generator = random.Random(0)
    syllables = [a + b for a in "bcdfglmnprst" for b in ("a", "é", "i", "o", "u", "on")]
    words = ["".join(generator.choices(syllables, k=generator.randint(1, 4))) for _ in range(300)]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    return [" ".join(generator.choices(words, weights, k=12)).capitalize() + "." for _ in range(num_texts)]


def trained(kind: Kind) -> Tokenizer:
    return train_tokenizer(corpus(), kind, vocabulary_size=SIZES[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_it_has_its_size_and_special_tokens(kind: Kind) -> None:
    own = trained(kind)
    if SIZES[kind] is not None:
        assert own.vocab_size == SIZES[kind]
    names = SPECIAL_NAMES[kind]
    assert [own.token(number) for number in range(len(names))] == list(names.values())
    assert own.special.named() == {role: number for number, role in enumerate(names)}
    assert own.skipped_ids == set(range(len(names)))
    ids = own.encode("Une phrase")
    around = {"wordpiece": (2, 3), "unigram": (None, 1)}.get(kind, (None, None))
    assert around[0] is None or ids[0] == around[0]
    assert around[1] is None or ids[-1] == around[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_one_is_the_same_when_it_is_loaded(kind: Kind, tmp_path: Path) -> None:
    own = trained(kind)
    own.save(tmp_path)
    loaded = Tokenizer.from_folder(tmp_path)
    assert loaded.fingerprint == own.fingerprint
    assert loaded.encode_batch(corpus(50)) == own.encode_batch(corpus(50))


@pytest.mark.parametrize("kind", ["byte_bpe", "characters", "unigram"])
def test_texts_come_back(kind: Kind) -> None:
    own = trained(kind)
    for text in corpus(20):
        assert own.decode(own.encode(text)) == text
    assert trained("wordpiece").decode(trained("wordpiece").encode("Bacédé moni.")) == "Bacédé moni."


def test_words_are_those_of_the_vocabulary_of_texts() -> None:
    text = "The King's men, l'été: naïve cafe\u0301; 3.5% of\nit… नमस्ते x_y 中文字 ½"
    own = train_tokenizer([text, "the the king\n"], "words")
    assert [own.token(number) for number in own.encode(text)] == words(text)
    assert [own.token(number) for number in range(3, 6)] == ["the", "'", "king"]  # by frequency
    assert own.has_whole_words
    assert own.decode(own.encode("The  king")) == "the king"
    few = train_tokenizer(["b b a a c"], "words", vocabulary_size=5)
    assert [few.token(number) for number in few.encode("a b c d")] == ["a", "b", *["<|unknown|>"] * 2]
    assert not any(trained(kind).has_whole_words for kind in KINDS if kind != "words")


def test_characters_are_cut_one_by_one() -> None:
    own = train_tokenizer(["ab\n", "é🙂 a"], "characters")
    assert [own.readable(number) for number in own.encode("a\n é🙂z")] == [
        *("a", "\n", " ", "é", "🙂"),
        "<|unknown|>",
    ]
    assert own.vocab_size == 3 + 6
    two = train_tokenizer(["aab", "abc"], "characters", vocabulary_size=5)
    assert [two.token(number) for number in (3, 4)] == ["a", "b"]


@settings(deadline=None, max_examples=50)
@given(text=st.text(max_size=30))
def test_bytes_write_any_text(text: str) -> None:
    own = train_tokenizer(["ab ab"], "byte_bpe", vocabulary_size=258)
    assert own.decode(own.encode(text), skip_special=False) == text


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_the_same_in_each_process(kind: Kind) -> None:
    """Other seeds of hash maps and another number of threads change nothing."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_tokenizer_training as t; "
        "print(t.trained(sys.argv[2]).to_json())"
    )
    written = {trained(kind).to_json()}
    for parallel, seed in (("true", "1"), ("false", "2")):
        done = subprocess.run(
            [sys.executable, "-c", code, str(Path(__file__).parent), kind],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "TOKENIZERS_PARALLELISM": parallel, "PYTHONHASHSEED": seed},
        )
        written.add(done.stdout.rstrip("\n"))
    assert len(written) == 1


def by_library(kind: str) -> tokenizers.Tokenizer:
    if kind == "wordpiece":
        names = list(SPECIAL_NAMES["wordpiece"].values())
        found = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
        found.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=200, special_tokens=names, show_progress=False)
    else:
        found = tokenizers.Tokenizer(models.Unigram())
        found.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=200, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
        )
    found.train_from_iterator(corpus(), trainer)
    return found


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_it_is_as_short_as_the_library_s(kind: Kind) -> None:
    theirs, own = Tokenizer(by_library(kind)), trained(kind)
    assert bytes_per_token(own, corpus()) > 0.97 * bytes_per_token(theirs, corpus())
    shared = set(theirs._backend.get_vocab()) & set(own._backend.get_vocab())
    assert len(shared) > 0.6 * 200


def test_the_merges_of_bytes_are_the_library_s() -> None:
    found = tokenizers.Tokenizer(models.BPE())
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    found.train_from_iterator(corpus(), trainer)
    assert trained("byte_bpe").encode_batch(corpus()) == [one.ids for one in found.encode_batch(corpus())]


def test_pieces_of_words_with_a_known_answer() -> None:
    """Words that are always whole are pieces, and probabilities add up to at most one."""
    import math

    words = Counter({"abab": 50, "cd": 40, "ab": 5})
    pieces = dict(train_unigram(words, 7))
    assert {"a", "b", "c", "d", "abab", "cd", "ab"} == set(pieces)
    assert sum(math.exp(score) for score in pieces.values()) <= 1 + 1e-9
    assert list(pieces) == sorted(pieces, key=lambda piece: -pieces[piece])


def test_texts_without_spaces_are_learned_from() -> None:
    generator = random.Random(0)
    words = ["天地", "玄黄宇", "宙洪荒日", "月盈", "昃辰宿列"]
    lines = ["".join(generator.choices(words, [9, 7, 5, 3, 1], k=60)) + "。\n" for _ in range(40)]
    for texts in (lines, ["".join(lines)]):
        own = train_tokenizer(texts, "unigram", vocabulary_size=60)
        pieces = {own.token(number) for number in range(own.vocab_size)}
        assert {"宙洪荒日", "昃辰宿列"} <= pieces
        assert not any("\n" in piece for piece in pieces - {"\n"})
        assert bytes_per_token(own, lines) > 15
        assert own.decode(own.encode(lines[0])) == lines[0]


def test_the_pieces_that_long_words_are_cut_into_count_as_words_do() -> None:
    whole = "ab" * 32
    parts = train_unigram({f"{whole}{whole}\n": 2, "ab": 3}, 6)
    assert parts == train_unigram({whole: 4, "\n": 2, "ab": 3}, 6)


def test_bytes_per_token() -> None:
    own = train_tokenizer(["ab"], "characters")
    assert bytes_per_token(own, ["abé", "é"]) == pytest.approx(6 / 4)
    with pytest.raises(DataError, match="no token in these texts"):
        bytes_per_token(own, [""])


def test_further_special_tokens() -> None:
    own = train_tokenizer(
        ["ab ab"], "byte_bpe", vocabulary_size=257, special={"eos": "<e>"}, more_special=["<user>"]
    )
    assert own.special.eos == (0,)
    assert own.encode("<user>ab<e>") == [257, *own.encode("ab"), 0]


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        (
            "byte_bpe",
            257,
            "too small for its alphabet\n  got: 257\n  expected: at least 258: 256 bytes and 2",
        ),
        ("wordpiece", 9, "the vocabulary is too small for its alphabet\n  got: 9\n  expected: at least"),
        ("unigram", 9, "next: raise it, or train byte_bpe, whose alphabet is the 256 bytes"),
        ("characters", 3, "the vocabulary is too small for its alphabet"),
        ("byte_bpe", 90_000, "the texts are too few for so large a vocabulary (byte_bpe)\n  got: 90000"),
        ("wordpiece", 90_000, "next: set it to "),
        ("unigram", 90_000, "all that 300 texts hold"),
        ("byte_bpe", None, "byte_bpe needs a size"),
        ("characters", 0, "characters needs a size"),
        ("characters", -1, "the vocabulary is too small"),
        ("word_piece", 9, 'no tokenizer "word_piece"; did you mean "wordpiece"?'),
    ],
)
def test_sizes_that_cannot_be(kind: Kind, size: int | None, message: str) -> None:
    with pytest.raises(CreusetError) as raised:
        train_tokenizer(corpus(), kind, vocabulary_size=size)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"special": {"end": "x"}}, 'no role "end"'),
        ({"special": {"eos": "x"}}, "characters needs special tokens"),
        ({"more_special": ["<|pad|>"]}, "special tokens must differ"),
        ({"more_special": [""]}, "special tokens must differ, and none be empty"),
    ],
)
def test_special_tokens_that_cannot_be(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        train_tokenizer(["a"], "characters", **settings)  # type: ignore[arg-type]


def test_files_are_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo é\n")
    assert list(read_corpus([path, path])) == ["one\n", "two é\n"] * 2
    with pytest.raises(DataError, match="there is nothing to learn from"):
        train_tokenizer(["", ""], "characters")
    path.write_bytes(b"")
    with pytest.raises(DataError, match="nothing in it"):
        train_tokenizer(read_corpus([path]), "characters")
    path.write_bytes(b"fine\ncaf\xe9\n")
    with pytest.raises(DataError, match=r"a\.txt:2: this line is not UTF-8"):
        train_tokenizer(read_corpus([path]), "characters")
    with pytest.raises(NotFoundError, match="no such file"):
        list(read_corpus([tmp_path / "b.txt"]))
