"""What the command line lets through to a terminal."""

import json
import sys

import pytest

from creuset.cli.console import emit_json, fail, note
from creuset.errors import DataError

HOSTILE = "\x1b]0;owned\x07\x1b[2Jx\r\x9b\udcff"


def test_errors_and_notes_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        fail(DataError("unknown\tmodel", got=HOSTILE))
    note(HOSTILE)
    written = capsys.readouterr().err
    assert r"got: \u001b]0;owned\u0007\u001b[2Jx\u000d\u009b\udcff" in written
    assert "\t" in written
    assert all(character.isprintable() or character in "\n\t" for character in written)


def test_json_stays_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    emit_json({"text": HOSTILE, "name": "été"})
    written = capsys.readouterr().out
    assert json.loads(written) == {"text": HOSTILE, "name": "été"}
    assert not any(character in written for character in "\x7f\x9b\udcff")


def test_what_is_trained_is_in_colour_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    message = "a row with ⟦what is trained⟧: <s>hello ⟦good day</s>⟧, not ⟦⟧"
    note(message)
    assert capsys.readouterr().err == f"{message}\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    note(message)
    err = capsys.readouterr().err
    assert "hello \x1b[92mgood day</s>\x1b[0m, not ⟦⟧" in err
    with pytest.raises(SystemExit):
        fail(DataError("no end: ⟦good\x1b[2Jday⟧"))
    assert capsys.readouterr().err == "creuset: no end: \x1b[92mgood\\u001b[2Jday\x1b[0m\n"
