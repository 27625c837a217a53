"""The mask token that a tokenizer is given: for each kind of tokenizer, and as a corpus gets it."""

from pathlib import Path
from typing import Any

import pytest
import tokenizers

from creuset.data.dataset import Dataset
from creuset.data.load import load_data
from creuset.data.tokenizer import MASK, Tokenizer
from creuset.data.tokenizer_files import SpecialTokens
from creuset.data.tokenizer_training import SPECIAL_NAMES, Kind, train_tokenizer
from creuset.errors import DataError
from creuset.recipe.sections import DataConfig
from small_tokenizers import KINDS, TEXTS, small

TEXT = "".join(f"the {number}th line says {number * 7 % 100} twice\n" for number in range(100))
SIZES: dict[Kind, int | None] = {"byte_bpe": 320, "wordpiece": 80, "unigram": 60, "characters": None}


def load(source: Path, *, needs_mask: bool = True, **settings: Any) -> Dataset:
    config = DataConfig(source=str(source), **{"context": 8, **settings})
    return load_data(config, seed=0, resolve=Path, needs_mask=needs_mask)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("kind", SIZES)
def test_texts_are_read_as_before_and_masks_stand_for_words(kind: Kind, tmp_path: Path) -> None:
    plain = train_tokenizer([TEXT], kind, vocabulary_size=SIZES[kind])
    own = plain.with_mask()
    assert own.with_mask() is own
    assert own.encode(TEXT) == plain.encode(TEXT)
    mask = own.special.mask
    assert mask is not None
    added = plain.special.mask is None
    assert own.vocab_size == plain.vocab_size + added
    assert own.special.named() == {**plain.special.named(), "mask": mask}
    words = own.encode("the 3th line says", add_special=False)
    masked = own.encode(f"the 3th {MASK} says", add_special=False)
    assert masked.count(mask) == 1
    if kind in ("byte_bpe", "unigram"):  # " line" is one token, and so is the mask with its space
        place = masked.index(mask)
        assert (masked[:place], masked[place + 1 :]) == (words[:place], words[place + 1 :])
    own.save(tmp_path / "saved")
    again = Tokenizer.from_folder(tmp_path / "saved")
    assert (again.fingerprint, again.special) == (own.fingerprint, own.special)


def test_among_characters_a_mask_leaves_spaces_alone() -> None:
    own = train_tokenizer([TEXT], "characters").with_mask()
    ids = own.encode(f"the {MASK}th", add_special=False)
    assert own.decode(ids, skip_special=False) == f"the {MASK}th"
    assert len(ids) == 7


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_of_others_gains_one(kind: str) -> None:
    plain = Tokenizer(small(kind))
    own = plain.with_mask()
    for text in TEXTS:
        assert own.encode(text) == plain.encode(text)
    expected = 4 if kind == "wordpiece" else plain.vocab_size
    assert own.special.mask == expected  # a [MASK] that is there already is taken
    assert own.encode(MASK, add_special=False) == [expected]


def test_the_mask_that_files_name_is_kept() -> None:
    backend = small("byte_level")
    backend.add_special_tokens(["<blank>"])
    number = backend.token_to_id("<blank>")
    own = Tokenizer(backend, special=SpecialTokens(mask=number))
    assert own.with_mask() is own
    assert number in own.special_ids


def test_a_vocabulary_with_holes_has_no_room() -> None:
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 5}, unk_token="a"))
    with pytest.raises(DataError, match=r"cannot be given a mask token\n  got: \[MASK\] with the id 2"):
        Tokenizer(backend).with_mask()


@pytest.mark.parametrize("kind", [*SIZES, "bytes"])
def test_a_corpus_gets_one_within_its_vocabulary(file: Path, kind: str) -> None:
    size = {"vocabulary_size": number} if (number := SIZES.get(kind)) else {}  # type: ignore[call-overload]
    dataset = load(file, tokenizer=kind, **size)
    plain = load(file, tokenizer=kind, needs_mask=False, **size)
    assert dataset.tokenizer is not None
    spec = dataset.spec
    assert spec.mask_token == dataset.tokenizer.special.mask is not None
    if number is not None:
        assert spec.vocab_size == number
    else:
        assert spec.vocab_size == plain.spec.vocab_size + 1
    names = SPECIAL_NAMES["byte_bpe" if kind == "bytes" else kind]  # type: ignore[index]
    assert set(spec.special_tokens) == {dataset.tokenizer.id_of(name) for name in {*names.values(), MASK}}
    assert (plain.spec.mask_token is None) == (kind != "wordpiece")


def test_documents_without_an_end_token_are_kept_apart_by_sep(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number:02}.txt").write_text(TEXT[number * 100 : number * 100 + 150])
    dataset = load(tmp_path, tokenizer="wordpiece", vocabulary_size=60)
    stream = dataset.split("train").stream
    assert stream is not None
    assert dataset.tokenizer is not None
    assert stream.separator == dataset.tokenizer.special.sep is not None
    assert int((stream.ids == stream.separator).sum()) == len(stream.documents)
