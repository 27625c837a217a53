"""Words of texts in several scripts."""

import pytest

from creuset.metrics import unicode_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("L'été, l'élève", ["l", "été", "l", "élève"]),
        ("aujourd’hui — peut-être ?", ["aujourd", "hui", "peut", "être"]),
        ("E\u0301TE\u0301", ["été"]),  # letters and accents typed apart
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("ﬁn 3,14 x²", ["fin", "3", "14", "x2"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),  # vowel signs belong to their words
        ("東京タワーです", ["東", "京", "タ", "ワー", "で", "す"]),
        ("Привет, мир!", ["привет", "мир"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("co\u00adoperate a\u200bb", ["cooperate", "a", "b"]),
        ("snake_case ... 🙂", ["snake", "case"]),
        (" \n ", []),
    ],
)
def test_words_are_found(text: str, tokens: list[str]) -> None:
    assert unicode_tokens(text) == tokens
