"""What names an extractor, and when features may be called Inception's."""

import pytest

from creuset.errors import UsageError
from creuset.metrics.features import INCEPTION_SHA256, UNSTATED_EXTRACTOR, Extractor


def test_only_the_published_weights_are_inception() -> None:
    assert Extractor(name="any", sha256=INCEPTION_SHA256).is_inception
    assert not Extractor(name="inception").is_inception
    assert not Extractor(name="inception", sha256="0" * 64).is_inception
    assert not UNSTATED_EXTRACTOR.is_inception


def test_each_choice_is_a_field_of_the_signature() -> None:
    extractor = Extractor(name="lite0", sha256="5793" + "4" * 60, preprocessing="bicubic-224")
    assert extractor.fields() == {
        "extractor": "lite0",
        "preprocessing": "bicubic-224",
        "weights": "57934444",
    }
    assert Extractor(name="none").fields()["weights"] == "none"


def test_bad_extractors_are_refused() -> None:
    with pytest.raises(UsageError, match="lite0: not the hash of an extractor's weights"):
        Extractor(name="lite0", sha256="57934424")
    with pytest.raises(UsageError, match="not the hash"):
        Extractor(name="lite0", sha256="A" * 64)
    with pytest.raises(UsageError, match="needs a name and its preprocessing"):
        Extractor(name="")
