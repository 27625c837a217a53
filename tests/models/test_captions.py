"""Phrases of classes: the shipped ones, one's own, and those that are refused."""

import pytest
import torch

from creuset.data.spec import DataSpec
from creuset.errors import UsageError
from creuset.models.captions import DIGIT_CAPTIONS, captions_of, prompt_bytes, prompt_tokens

DIGITS = DataSpec(kind="images", shape=(1, 8, 8), num_levels=17, class_names=tuple("0123456789"))
PETS = DataSpec(kind="images", shape=(3, 8, 8), num_levels=256, class_names=("cat", "dog"))


def test_digits_have_phrases_in_two_languages() -> None:
    for text, digit in (("a seven", 7), ("trois", 3), ("le chiffre zéro", 0), ("an eight", 8), ("5", 5)):
        assert text in DIGIT_CAPTIONS[str(digit)]
    phrases = captions_of({}, DIGITS, 48)
    assert len(phrases) == 10
    assert len({phrase for of in phrases for phrase in of}) == sum(map(len, phrases))


def test_phrases_follow_the_order_of_the_classes() -> None:
    given = {"dog": ("a dog", "Un Chien "), "cat": ("un chat",)}
    assert captions_of(given, PETS, 48) == [[b"un chat"], [b"a dog", b"un chien"]]


@pytest.mark.parametrize(
    ("given", "length", "message"),
    [
        ({}, 48, r"model.captions: prompts are learned from phrases.*\n  got: no phrase for cat, dog\n"),
        ({"cat": ("a cat",)}, 48, r"classes have none\n  got: no phrase for dog\n"),
        ({"cat": (), "dog": ("a dog",)}, 48, r"got: no phrase for cat\n"),
        ({"dgo": ("a dog",)}, 48, r'a class that is not there: "dgo"; did you mean "dog"\?'),
        ({"cat": ("a pet",), "dog": ("A pet",)}, 48, r'two classes.*\n  got: "a pet" for cat and dog'),
        ({"cat": ("  ",), "dog": ("a dog",)}, 48, "an empty prompt"),
        ({"cat": ("a cat",), "dog": ("a dog",)}, 4, r'got: 5 bytes: "a cat"\n  expected: at most 4 bytes'),
    ],
)
def test_phrases_that_teach_nothing_are_refused(
    given: dict[str, tuple[str, ...]], length: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        captions_of(given, PETS, length)


def test_prompts_are_read_whatever_their_form() -> None:
    assert prompt_bytes(" Zéro ", 10) == prompt_bytes("zéro", 10) == prompt_bytes("ze\u0301ro", 10)
    with pytest.raises(
        UsageError, match=r'prompt: .*\n  got: 11 bytes: "a long one!"\n  expected: at most 10'
    ):
        prompt_bytes("a long one!", 10)


def test_tokens_are_bytes_plus_one_and_padding() -> None:
    tokens = prompt_tokens([b"\x00a", b"\xff"], 3)
    assert tokens.tolist() == [[1, 98, 0], [256, 0, 0]]
    assert tokens.dtype == torch.int64
