"""What YAML means in a recipe: the core schema of YAML 1.2, with places."""

import math

import pytest

from creuset.recipe.composer import MAX_CHARACTERS, MAX_DEPTH, MAX_VALUES, Written, compose, parse_scalar
from creuset.recipe.tree import Place, plain


def composed(text: str) -> Written:
    return compose(text, lambda line, column: Place(file="f", line=line, column=column, origin=f"f:{line}"))


def messages(text: str) -> list[str]:
    return [str(problem) for problem in composed(text).problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E3", 1000.0),
        ("5e-1", 0.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("+1.5", 1.5),
        ("-0", 0),
        ("12", 12),
        ("010", 10),
        ("-012", -12),
        ("0o10", 8),
        ("0x1F", 31),
        ("9223372036854775807", 2**63 - 1),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("NULL", None),
        ("", None),
        (".inf", math.inf),
        ("-.INF", -math.inf),
    ],
)
def test_plain_scalars_of_yaml_1_2(text: str, value: object) -> None:
    parsed = parse_scalar(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    "text",
    ["no", "yes", "on", "off", "y", "n", "tRUE", "nUll", "1_000", "1:30", "0b11", "1e", "e5", ".", "+",
     "2024-01-01", "1.2.3", "inf", "nan", "٣", "0o8", "0xg", "1 2"],
)  # fmt: skip
def test_everything_else_is_a_text(text: str) -> None:
    assert parse_scalar(text) == text


def test_nan_and_too_large_numbers() -> None:
    value = parse_scalar(".nan")
    assert isinstance(value, float)
    assert math.isnan(value)
    for text in ("9223372036854775808", "-9223372036854775809", "1" * 6000, "0x" + "f" * 300):
        with pytest.raises(ValueError, match=r"must lie between -2\^63 and 2\^63 - 1"):
            parse_scalar(text)


@pytest.mark.parametrize("text", ["'1e-4'", '"true"', "'~'", "'010'", '""', "|-\n  12"])
def test_what_is_quoted_is_a_text(text: str) -> None:
    root = composed(f"key: {text}").root
    assert root is not None
    assert isinstance(root.value, dict)
    assert isinstance(root.value["key"].node.value, str)


def test_places_of_keys_and_values() -> None:
    root = composed("model:\n  family: vae\n  channels: [8,\n    16]\n").root
    assert root is not None
    assert isinstance(root.value, dict)
    model = root.value["model"].node
    assert isinstance(model.value, dict)
    family, channels = model.value["family"], model.value["channels"]
    assert (family.place.line, family.place.column) == (2, 3)
    assert (family.node.place.line, family.node.place.column) == (2, 11)
    assert isinstance(channels.node.value, tuple)
    assert (channels.node.value[1].place.line, channels.node.value[1].place.column) == (4, 5)
    assert plain(root) == {"model": {"family": "vae", "channels": (8, 16)}}


def test_anchors_are_allowed() -> None:
    written = composed("a: &betas [0.9, 0.999]\nb: *betas\n")
    assert not written.problems
    assert written.root is not None
    assert plain(written.root) == {"a": (0.9, 0.999), "b": (0.9, 0.999)}


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_any_line_break_counts_lines(line_break: str) -> None:
    assert messages(f"a: 1{line_break}a: 2{line_break}") == [
        'f:2:1: the key "a" is given twice; first at line 1, column 1'
    ]


def test_duplicate_keys_name_both_places_at_every_depth() -> None:
    assert messages("a: {b: 1, b: 2}\n'a': 3") == [
        'f:1:11: the key "b" is given twice; first at line 1, column 5',
        'f:2:1: the key "a" is given twice; first at line 1, column 1',
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!str 5", 'f:1:4: a tag ("!!str") has no meaning in a recipe; leave it out'),
        ("a: !mine {b: 1}", 'f:1:4: a tag ("!mine") has no meaning in a recipe; leave it out'),
        ("a: ! 5", 'f:1:4: a tag ("!") has no meaning in a recipe; leave it out'),
        ("<<: {a: 1}", 'f:1:1: the merge key "<<" is not part of a recipe; write the keys out'),
        ("? [a]\n: 1", "f:1:3: a key must be a name, not a list or keys"),
        ("~: 1", "f:1:1: a key must be a name"),
        ("'': 1", "f:1:1: a key must be a name"),
        ('"a\\0": 1', "f:1:1: the key holds a NUL character"),
        ('a: "x\\0"', "f:1:4: the text holds a NUL character"),
        (
            'a: "\\ud83d\\ude00"',
            "f:1:4: the text holds half a character (write \\U and eight digits for one beyond \\uffff)",
        ),
        ('a: "\\Uffffffff"', "f:1:7: an escape or a version that stands for nothing"),
        ("%YAML 1." + "9" * 5000 + "\n---\na: 1", "f:1:9: an escape or a version that stands for nothing"),
        ("%YAML 2.0\n---\na: 1", "f:1:1: a YAML version that is not 1.x"),
        ("a: 1\n---\nb: 2", "f:2:1: a second document; a recipe is one"),
        ("a:\n\tb: 1", "f:2:1: a tab cannot stand here; indent with spaces"),
        ("a: b: c", 'f:1:5: a ":" where none can be: a wrong indent, or a text without quotes'),
        ("a: [1, 2", 'f:1:4: a list without its "]"'),
        ("a: {b: 1", 'f:1:4: keys without their "}"'),
        ("a: 'b", "f:1:4: a quote that is not closed"),
        ("a: [", "f:1:5: the recipe ends inside a list or keys"),
        ("a: @b", "f:1:4: a text that begins with this character needs quotes"),
        ("a: *b", "f:1:4: no such anchor; a text that begins with * needs quotes"),
        ("a: 1\nb\n", 'f:2:1: a key without ": "'),
        ("a: \x07", "f:1:4: a character that YAML does not allow (U+0007)"),
        ("a: &x [*x]", "f:1:4: an anchor inside itself, or anchors that expand to too much"),
        ("[" * 5000, f"f:1:{MAX_DEPTH + 1}: nested more than {MAX_DEPTH} deep"),
        ("- " * 5000, f"f:1:{2 * MAX_DEPTH + 1}: nested more than {MAX_DEPTH} deep"),
        ("- 1\n" * (MAX_VALUES + 1), f"f:{MAX_VALUES}:3: more than {MAX_VALUES} values"),
        ("#" * (MAX_CHARACTERS + 1), "f:1:1: longer than 256 kB; is this a recipe?"),
    ],
)
def test_what_is_refused_and_where(text: str, message: str) -> None:
    assert messages(text) == [message]


def test_anchors_cannot_make_a_small_text_expand_without_end() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 8)}]" for i in range(1, 12)]
    assert any("expand to too much" in message for message in messages("\n".join(lines)))


@pytest.mark.parametrize("text", ["", "\n \n", "# only a comment", "---\n# nothing"])
def test_an_empty_text_is_no_error_here(text: str) -> None:
    written = composed(text)
    assert not written.problems
    assert written.root is None or written.root.value is None
