"""Texts that say the same but for capitals, white space and marks are alike, and no others."""

import pytest

from creuset.data.alike import alike


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is  2+2 ?", "what is 2+2"),
        ("“Yes,” he said.", "yes he said"),
        ("ﬁne", "FINE"),
        ("a\nb", "a b!"),
    ],
)
def test_texts_that_say_the_same(one: str, other: str) -> None:
    assert alike([one]) == alike([other]) != ""


@pytest.mark.parametrize(
    ("one", "other"), [("2+2", "2*2"), ("1.5", "15"), ("don't", "dont"), ("été", "ete"), ("a b", "ab")]
)
def test_texts_that_do_not(one: str, other: str) -> None:
    assert alike([one]) != alike([other])


def test_several_texts_are_compared_one_by_one() -> None:
    assert alike(["a", "b"]) != alike(["a b"])
    assert alike(["?", " "]) == ""
