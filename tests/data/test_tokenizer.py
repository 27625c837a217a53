"""The tokenizer of a file or folder, against the library and transformers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.data.byte_level import byte_alphabet
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import MAX_SETTINGS_BYTES, SpecialTokens, read_limited
from creuset.errors import CreusetError, DataError, NotFoundError, UsageError
from small_tokenizers import KINDS, TEXTS, small

JSON = dict[str, Any]


def write(folder: Path, kind: str = "byte_level", **files: JSON) -> Path:
    """A folder with a tokenizer and settings; `config={...}` becomes tokenizer_config.json, and so on."""
    names = {
        "config": "tokenizer_config.json",
        "special": "special_tokens_map.json",
        "generation": "generation_config.json",
    }
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(small(kind).to_str())
    for name, content in files.items():
        (folder / names[name]).write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("add_special", [True, False])
def test_ids_and_texts_are_those_of_the_library(tmp_path: Path, kind: str, add_special: bool) -> None:
    path = write(tmp_path, kind) / "tokenizer.json"
    own, library = Tokenizer.from_file(path), small(kind)
    for text in [*TEXTS, "", " ", "\n"]:
        encoding = library.encode(text, add_special_tokens=add_special)
        found = own.encode_with_offsets(text, add_special)
        assert (found.ids, found.offsets) == (encoding.ids, encoding.offsets)
        assert own.encode(text, add_special) == encoding.ids
        for skip in (True, False):
            assert own.decode(found.ids, skip) == library.decode(found.ids, skip_special_tokens=skip)
    batch = library.encode_batch(TEXTS, add_special_tokens=add_special)
    assert own.encode_batch(TEXTS, add_special) == [one.ids for one in batch]


@settings(deadline=None, max_examples=100)
@given(text=st.text(max_size=40))
def test_byte_level_texts_come_back(text: str) -> None:
    own = Tokenizer(small("byte_level"))
    assert own.decode(own.encode(text), skip_special=False) == text


@pytest.mark.parametrize("newer", [True, False])
def test_special_tokens_of_a_folder(tmp_path: Path, newer: bool) -> None:
    config: JSON = {
        "eos_token": "<|im_end|>",
        "bos_token": {"__type": "AddedToken", "content": "<|im_start|>"},
    }
    config |= {"added_tokens_decoder": {}} if newer else {}
    special = {"pad_token": "<|im_end|>", "eos_token": {"content": "<|endoftext|>", "lstrip": False}}
    folder = write(tmp_path, config=config, special=special, generation={"eos_token_id": [2, 1]})
    own = Tokenizer.open(folder)
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    assert own.special.named().get("eos") == theirs.eos_token_id
    assert (own.special.bos, own.special.pad) == (theirs.bos_token_id, theirs.pad_token_id)
    assert own.special.bos == 1
    assert own.require_eos() == ((2, 1) if newer else (0, 2, 1))
    assert Tokenizer.from_folder(write(tmp_path, generation={"eos_token_id": 1})).special.eos[1:] == (1,)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"config": {"eos_token": "</s>"}}, "tokenizer_config.json: eos_token is no token of tokenizer.json"),
        ({"config": {"eos_token": 7}}, "eos_token names no token\n  got: 7"),
        ({"config": {"pad_token": {"text": "x"}}}, "pad_token names no token"),
        ({"generation": {"eos_token_id": "2"}}, "generation_config.json: eos_token_id is no id"),
        ({"generation": {"eos_token_id": [True]}}, "eos_token_id is no id"),
        ({"generation": {"eos_token_id": [2, -1]}}, "eos_token_id is no id"),
        ({"generation": {"eos_token_id": 9999}}, "a special token has an id that no token has\n  got: 9999"),
        ({"special": ["x"]}, "special_tokens_map.json: no object of settings\n  got: list"),
    ],
)
def test_settings_that_do_not_fit_are_named(tmp_path: Path, files: JSON, message: str) -> None:
    with pytest.raises(DataError) as raised:
        Tokenizer.from_folder(write(tmp_path, **files))
    assert message in str(raised.value)


def test_damaged_settings_are_named(tmp_path: Path) -> None:
    path = write(tmp_path) / "tokenizer_config.json"
    for content in (b"{", b"\xff\xfe", b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"tokenizer_config\.json"):
            Tokenizer.from_folder(tmp_path)
    with path.open("wb") as file:
        file.truncate(MAX_SETTINGS_BYTES + 1)
    with pytest.raises(DataError, match=r"too large for such a file\n  got: 16,000,001 bytes"):
        Tokenizer.from_folder(tmp_path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no tokenizer\.json in this folder\n  next: name a folder"):
        Tokenizer.from_folder(tmp_path)
    with pytest.raises(NotFoundError, match="no such file"):
        Tokenizer.from_file(tmp_path / "tokenizer.json")
    with pytest.raises(DataError, match="cannot be read"):
        read_limited(tmp_path, 1_000_000)


def test_truncation_and_padding_of_the_file_are_dropped(tmp_path: Path) -> None:
    backend = small("wordpiece")
    backend.enable_truncation(4)
    backend.enable_padding(length=16)
    own = Tokenizer.from_json(backend.to_str())
    assert own.encode_batch(["the fox the fox the fox"]) == [[2, *[61, 63] * 3, 3]]
    assert own.fingerprint == Tokenizer(small("wordpiece")).fingerprint


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_the_same(tmp_path: Path, kind: str) -> None:
    special = SpecialTokens(bos=1, eos=(2, 0), unk=0)
    own = Tokenizer(small(kind), special=special, settings={"model_max_length": 77, "auto_map": {"a": "b"}})
    own.save(tmp_path / "saved")
    again = Tokenizer.from_folder(tmp_path / "saved")
    assert again.special == special
    assert again.fingerprint == own.fingerprint
    config = json.loads((tmp_path / "saved" / "tokenizer_config.json").read_text())
    assert config["model_max_length"] == 77
    assert "auto_map" not in config
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    for text in TEXTS:
        assert theirs(text)["input_ids"] == own.encode(text)
    assert theirs.eos_token_id == 2


def test_several_ends_are_kept_beside_the_model_s_settings(tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text('{"temperature": 0.5}')
    Tokenizer(small("byte_level"), special=SpecialTokens(eos=(2, 0))).save(tmp_path)
    written = json.loads((tmp_path / "generation_config.json").read_text())
    assert written == {"temperature": 0.5, "eos_token_id": [2, 0]}


def test_the_fingerprint_is_that_of_the_content() -> None:
    text = small("byte_level").to_str()
    own = Tokenizer.from_json(text)
    other = json.loads(text)
    assert Tokenizer.from_json(json.dumps(other, indent=1)).fingerprint == own.fingerprint
    other["added_tokens"][0]["lstrip"] = True
    assert Tokenizer.from_json(json.dumps(other)).fingerprint != own.fingerprint
    assert len(own.fingerprint) == 64


def test_tokens_as_people_read_them() -> None:
    own = Tokenizer(small("byte_level"))
    shown = [own.readable(number) for number in own.encode("the x 日<|im_end|>")]
    assert "".join(shown) == "the x <0xE6><0x97><0xA5><|im_end|>"
    assert own.token(own.encode(" ")[0]) == "Ġ"
    pieces = Tokenizer(small("sentencepiece"))
    assert [pieces.readable(number) for number in pieces.encode("a the")] == ["<s>", " a", " the"]
    words = Tokenizer(small("wordpiece"))
    assert [words.readable(n) for n in words.encode("foxing", False)] == ["fox", "##ing"]


def test_the_byte_alphabet_is_the_library_s() -> None:
    from tokenizers.pre_tokenizers import ByteLevel

    assert sorted(byte_alphabet()) == sorted(ByteLevel.alphabet())
    backend = small("byte_level")
    for byte, character in enumerate(byte_alphabet()[:128]):
        assert backend.decoder.decode([character]) == chr(byte)


def test_more_ids_than_rows_are_refused() -> None:
    own = Tokenizer(small("byte_level"), where="x/tokenizer.json")
    own.check_fits(own.vocab_size)
    own.check_fits(own.vocab_size + 9)
    with pytest.raises(DataError) as raised:
        own.check_fits(own.vocab_size - 1)
    assert "x/tokenizer.json: this tokenizer does not fit the weights" in str(raised.value)
    assert "got: ids up to 329\n  expected: ids below 329," in str(raised.value)


def test_ids_that_only_a_template_adds_count() -> None:
    text = small("sentencepiece").to_str().replace('"ids":[1]', '"ids":[5000]')
    assert Tokenizer.from_json(text).vocab_size == 5001


def test_an_id_far_beyond_all_others_is_refused() -> None:
    text = small("sentencepiece").to_str().replace('"ids":[1]', '"ids":[4000000000]')
    with pytest.raises(DataError, match=r"far beyond[^$]*4,000,000,000[^$]*at most 100,000"):
        Tokenizer.from_json(text)


def test_without_an_end_it_says_what_is_missing() -> None:
    with pytest.raises(
        DataError, match=r"no end-of-sequence token is known[\s\S]*eos_token in tokenizer_config"
    ):
        Tokenizer(small("byte_level")).require_eos()


@pytest.mark.parametrize("number", [-1, 330, 10**12])
def test_ids_of_no_token_are_refused(number: int) -> None:
    own = Tokenizer(small("byte_level"))
    for call in (own.token, own.readable, lambda n: own.decode([0, n])):
        with pytest.raises(UsageError, match=f"no token has this id\n  got: {number}"):
            call(number)


def test_a_text_that_cannot_be_written_is_an_error() -> None:
    with pytest.raises(DataError, match=r"cannot read the text[\s\S]*\\ud800"):
        Tokenizer(small("byte_level")).encode("a\ud800")
    backend = json.loads(small("wordpiece").to_str())
    backend["model"]["unk_token"] = "missing"
    backend["post_processor"] = None
    with pytest.raises(
        DataError, match=r"unk\.json: this tokenizer cannot read the text\n  got: WordPiece error"
    ):
        Tokenizer.from_json(json.dumps(backend), where="unk.json").encode("ж")


def test_a_panic_of_the_library_is_an_error() -> None:
    content = json.loads(small("byte_level").to_str())
    content["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": "AAAA"}
    with pytest.raises(DataError, match=r"bad\.json: damaged[\s\S]*a panic of the tokenizers library"):
        Tokenizer.from_json(json.dumps(content), where="bad.json")
    content["normalizer"] = None
    content["pre_tokenizer"] = {
        "type": "Split",
        "pattern": {"Regex": "(a+)+$"},
        "behavior": "Isolated",
        "invert": False,
    }
    with pytest.raises(DataError, match="a panic of the tokenizers library"):
        Tokenizer.from_json(json.dumps(content)).encode("a" * 40 + "b")


def test_replacements_that_explode_are_refused() -> None:
    content = json.loads(small("byte_level").to_str())
    double = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    content["normalizer"] = {"type": "Sequence", "normalizers": [double] * 40}
    with pytest.raises(
        DataError, match=r"its replacements make texts too long\n  got: up to 1,099,511,627,776"
    ):
        Tokenizer.from_json(json.dumps(content))


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_end_in_an_error_or_a_tokenizer(tmp_path: Path, kind: str) -> None:
    whole = small(kind).to_str().encode()
    path = tmp_path / "tokenizer.json"
    generator = np.random.default_rng(0)
    refused = 0
    for number in range(100):
        content = bytearray(whole)
        if number % 4 == 0:
            del content[int(generator.integers(len(content))) :]
        elif number % 4 == 1:
            start = int(generator.integers(len(content)))
            del content[start : start + int(generator.integers(1, 40))]
        else:
            for place in generator.integers(0, min(len(content), 3_000), 2):
                content[place] = int(generator.integers(32, 127))
        path.write_bytes(bytes(content))
        try:
            own = Tokenizer.from_file(path)
            own.check_fits(100_000)
            own.decode(own.encode("The fox é 日"), skip_special=False)
        except CreusetError:
            refused += 1
    assert refused > 30


@pytest.mark.starter
def test_minilm_reads_as_transformers_does(starter: Path) -> None:
    folder = starter / "models" / "minilm"
    own, theirs = Tokenizer.from_folder(folder), transformers.AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        assert own.encode(text) == theirs(text)["input_ids"]
    assert own.special == SpecialTokens(pad=0, unk=100, cls=101, sep=102, mask=103)
    assert own.vocab_size == 30_522
