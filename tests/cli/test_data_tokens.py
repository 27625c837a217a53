"""`creuset data show FILE --tokenizer ..`: the tokens of a text."""

import json
from pathlib import Path

import click
import pytest

import command_line
from command_line import Answer, run_command
from creuset.errors import CreusetError
from creuset.workflows.show_tokens import show_tokens
from small_tokenizers import KINDS, TEXTS, small

TEXT = "the quick ☃ fox\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text, and a folder with a tokenizer for each kind."""
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text(TEXT)
    for kind in KINDS:
        Path(kind).mkdir()
        (Path(kind) / "tokenizer.json").write_text(small(kind).to_str())
    return tmp_path


def show(*words: str) -> Answer:
    return run_command(["data", "show", *words])


def test_tokens_are_put_in_brackets(folder: Path) -> None:
    answer = show("a.txt", "--tokenizer", "byte_level")
    assert answer.exit_code == 0, answer.stderr
    first, second = answer.stdout.splitlines()[:2]
    assert first == "[the][ qu][ick][ ][☃]x3[ f][ox]["
    assert answer.stdout.count("[") == len(show_tokens("a.txt", "byte_level").segments)
    assert second == "]"
    number = len(small("byte_level").encode(TEXT).ids)
    size = len(TEXT.encode())
    assert f"tokens    {number} of 330 ids, {size / number:.2f} bytes per token" in answer.stdout
    assert answer.stderr == "next: creuset data show a.txt --tokenizer byte_level --json\n"


def test_what_a_tokenizer_drops_is_in_no_bracket(folder: Path) -> None:
    assert show("a.txt", "--tokenizer", "no_decoder").stdout.splitlines()[0] == "[the] [quick] [☃] [fox]"


def test_as_json(folder: Path) -> None:
    document = json.loads(show("a.txt", "--tokenizer", "byte_level/tokenizer.json", "--json").stdout)
    encoding = small("byte_level").encode(TEXT)
    assert [token["id"] for token in document["tokens"]] == encoding.ids
    assert [(token["start"], token["end"]) for token in document["tokens"]] == encoding.offsets
    assert document["tokens"][0] == {"id": encoding.ids[0], "start": 0, "end": 3, "token": "the"}
    assert document["num_tokens"] == len(encoding.ids)
    assert document["bytes_per_token"] == pytest.approx(len(TEXT.encode()) / len(encoding.ids))


def test_a_terminal_shows_colours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line._Tee, "isatty", lambda _: True)
    coloured = show("a.txt", "--tokenizer", "byte_level").stdout
    assert click.unstyle(coloured).startswith(TEXT)
    assert coloured.startswith("\x1b[30m\x1b[104mthe\x1b[0m\x1b[30m\x1b[103m qu\x1b[0m")
    assert "\x1b[4m☃\x1b[0m" in coloured, "a character of several tokens is underlined"
    assert "[" not in click.unstyle(coloured)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [*TEXTS[:4], "🙂👩‍🚀\n\n x", "ﬁne  é"])
def test_the_segments_are_the_whole_text(folder: Path, kind: str, text: str) -> None:
    Path("b.txt").write_text(text)
    shown = show_tokens("b.txt", kind)
    assert "".join(segment.text for segment in shown.segments) == text
    assert [number for segment in shown.segments for number in segment.ids] == shown.encoded.ids
    assert all(text[s.start : s.start + len(s.text)] == s.text for s in shown.segments)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("a.txt", "--tokenizer", "nowhere"), 3, "nowhere"),
        (("b.txt", "--tokenizer", "byte_level"), 3, "b.txt: no such file"),
        (("empty.txt", "--tokenizer", "byte_level"), 2, "no token in this text"),
        (("latin.txt", "--tokenizer", "byte_level"), 2, "latin.txt: not UTF-8\n  got: byte 2"),
        (("a.txt", "--tokenizer", "a.txt"), 2, "a.txt: damaged, or no tokenizer.json"),
        (("a.txt", "--tokenizer", "byte_level", "--seed", "3"), 2, "--seed: an option without effect"),
        (("a.txt", "--tokenizer", "byte_level", "--out", "x.png"), 2, "--out: an option without effect"),
    ],
)
def test_errors(folder: Path, words: tuple[str, ...], code: int, message: str) -> None:
    Path("empty.txt").write_text("")
    Path("latin.txt").write_bytes(b"a\xe9b")
    answer = show(*words)
    assert answer.exit_code == code
    assert message in answer.stderr


def test_a_model_without_a_tokenizer_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = folder / "home"
    (store / "models" / "plain").mkdir(parents=True)
    monkeypatch.setenv("CREUSET_HOME", str(store))
    with pytest.raises(CreusetError, match=r"this model has no tokenizer\.json"):
        show_tokens("a.txt", "plain")
