"""Signatures: short, readable back, and a gate between numbers that do not measure the same thing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.errors import DataError, GateError, UsageError
from creuset.metrics.signature import (
    NO_CONTEXT,
    Context,
    Signature,
    differences,
    require_comparable,
    short_hash,
)

ACCURACY = "accuracy|v:1|data:3f2a9c01|split:test|n:500|interval:wilson95"

any_text = st.text(st.characters(exclude_categories=()), min_size=1, max_size=12)
names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name not in ("metric", "v", "version", "data", "split", "n", "seed")
)
signatures = st.builds(
    Signature,
    metric=any_text,
    version=st.integers(1, 99),
    data=any_text,
    split=any_text,
    n=st.integers(1, 10**9),
    seed=st.none() | st.integers(0, 2**63),
    extra=st.dictionaries(names, any_text | st.just("")).map(lambda d: tuple(d.items())),
)


def make(text: str = ACCURACY) -> Signature:
    return Signature.parse(text)


def test_the_string_of_the_documentation() -> None:
    signature = Signature(
        metric="accuracy", version=1, data="3f2a9c01", split="test", n=500, extra=(("interval", "wilson95"),)
    )
    assert str(signature) == ACCURACY
    assert make() == signature


@given(signatures)
@settings(database=None, deadline=None)
def test_parse_is_the_inverse_of_str(signature: Signature) -> None:
    text = str(signature)
    assert Signature.parse(text) == signature
    assert text.isprintable()
    assert all(part.count(":") == 1 for part in text.split("|")[1:])


@given(signatures, signatures)
@settings(database=None, deadline=None)
def test_equal_strings_mean_equal_signatures(a: Signature, b: Signature) -> None:
    assert (str(a) == str(b)) == (a == b) == (not differences(a, b))


def test_separators_in_values_are_encoded_and_the_rest_stays_readable() -> None:
    signature = Signature(
        metric="fd", version=2, data="l'été", split="a|b:c", n=3, seed=7, extra=(("x", "5%\n"),)
    )
    assert str(signature) == "fd|v:2|data:l'été|split:a%7Cb%3Ac|n:3|seed:7|x:5%25%0A"


def test_the_order_in_which_choices_are_given_does_not_matter() -> None:
    parts = (("interval", "t95"), ("bins", "15"))
    one, other = (
        Signature(metric="m", version=1, data="d", split="s", n=1, extra=extra)
        for extra in (parts, parts[::-1])
    )
    assert one == other
    assert str(one).endswith("|bins:15|interval:t95")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "accuracy",
        "accuracy|v:1|data:d|split:s",  # no n
        "accuracy|v:1|data:d|split:s|n:0",
        "accuracy|v:1|data:d|split:s|n:05",
        "accuracy|v:1|data:d|split:s|n:5|bins",
        "accuracy|v:1|data:d|split:s|n:5|bins:1:2",
        "accuracy|v:1|split:s|data:d|n:5",  # another order
        "accuracy|v:1|data:d|split:s|n:5|b:1|a:1",  # another order
        "accuracy|v:1|data:%zz|split:s|n:5",
        "accuracy|v:1|data:%ff|split:s|n:5",
        "accuracy|v:1|data:d|split:s|n:5|n:6",
        "accuracy|v:1|data:d|split:s|n:5|Bins:6",
        "BLEU = 27.1 56.3/32.1",
    ],
)
def test_a_text_that_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="not a signature"):
        Signature.parse(text)


@pytest.mark.parametrize("name", ["Bins", "n", "v", "", "two words", "a:b"])
def test_names_that_cannot_be_fields_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot hold a field"):
        Signature(metric="m", version=1, data="d", split="s", n=1, extra=((name, "1"),))


@pytest.mark.parametrize("change", [{"n": 0}, {"version": 0}, {"seed": -1}, {"data": ""}, {"metric": ""}])
def test_impossible_fields_are_refused(change: dict[str, object]) -> None:
    fields = {"metric": "m", "version": 1, "data": "d", "split": "s", "n": 1, **change}
    with pytest.raises(UsageError, match="signature"):
        Signature(**fields)  # type: ignore[arg-type]


def test_differences_name_the_fields() -> None:
    other = make("accuracy|v:2|data:3f2a9c01|split:test|n:500|seed:0|bins:15|interval:wilson95")
    assert differences(make(), other) == ("version", "seed", "bins")
    assert differences(ACCURACY, make()) == ()


def test_unlike_scores_are_refused_with_both_values() -> None:
    other = ACCURACY.replace("3f2a9c01", "77aa0011").replace("test", "validation")
    with pytest.raises(GateError, match=r"accuracy: .*they differ in data, split") as caught:
        require_comparable(ACCURACY, other)
    assert "data 3f2a9c01 against 77aa0011; split test against validation" in str(caught.value)
    assert caught.value.exit_code == 4
    require_comparable(ACCURACY, other, ignoring=("data", "split"))
    require_comparable(ACCURACY, ACCURACY)


def test_a_field_that_one_side_lacks_is_named() -> None:
    with pytest.raises(GateError, match="interval wilson95 against absent"):
        require_comparable(ACCURACY, ACCURACY.replace("|interval:wilson95", ""))


def test_scores_on_unstated_data_are_never_alike() -> None:
    score = NO_CONTEXT.score(metric="m", value=1, unit="nats", better="lower", interval=None, n=1, fields={})
    with pytest.raises(GateError, match="neither says on which data"):
        require_comparable(score.signature, score.signature)
    require_comparable(score.signature, score.signature, ignoring=["data"])


def test_a_context_signs_scores() -> None:
    context = Context(
        data="sha256:3f2a9c01" + "0" * 56, split="test", seed=4, extra={"grey": True, "size": 28}
    )
    score = context.score(
        metric="m",
        value=1,
        unit="nats",
        better="lower",
        interval=(0, 2),
        n=9,
        fields={"bins": 2},
        seeded=True,
    )
    assert score.signature == "m|v:1|data:3f2a9c01|split:test|n:9|seed:4|bins:2|grey:yes|size:28"
    with pytest.raises(UsageError, match="m states size itself"):
        context.score(
            metric="m", value=1, unit="nats", better="lower", interval=None, n=9, fields={"size": 2}
        )


def test_generators_of_one_context_draw_alike() -> None:
    context = Context(seed=3)
    assert (
        context.generator().random() == context.generator().random() != Context(seed=4).generator().random()
    )


def test_hashes_are_shortened_and_names_kept() -> None:
    assert short_hash("3F2A9C01FF") == "3F2A9C01FF"
    assert short_hash("3f2a9c01ff") == "3f2a9c01"
    assert short_hash("mnist-5k") == "mnist-5k"
