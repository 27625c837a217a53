"""`creuset models` as a user meets it: what it prints, and how it ends."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from creuset.assets import stored_names
from creuset.assets.places import models_folder
from creuset.cli import cli
from creuset.errors import CreusetError


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An index of small wheels that pip can download from, and their catalogue."""
    path = Path(__file__).parent.parent / "assets" / "fake_wheels.py"
    spec = importlib.util.spec_from_file_location("fake_wheels", path)
    assert spec is not None
    assert spec.loader is not None
    fakes = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fake_wheels", fakes)
    spec.loader.exec_module(fakes)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("CREUSET_OFFLINE")
    shelf = fakes.Shelf(tmp_path / "index")
    for variable, value in fakes.pip_environment(shelf.folder).items():
        monkeypatch.setenv(variable, value)
    return shelf


def run(shelf: Any, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["models", *arguments], obj=shelf.catalogue)


def error_of(result: Result) -> CreusetError:
    assert isinstance(result.exception, CreusetError)
    return result.exception


def test_pull_starter_list_verify_remove(shelf: Any) -> None:
    listed = run(shelf, "list")
    assert listed.exit_code == 0
    assert listed.stderr == "next: creuset models pull starter\n"

    pulled = run(shelf, "pull", "starter")
    assert pulled.exit_code == 0, pulled.output
    assert pulled.stdout.splitlines()[0].split() == ["name", "folder"]
    assert pulled.stdout.splitlines()[1].split() == ["chat", str(models_folder() / "chat")]
    assert pulled.stderr.endswith("next: creuset tour\n")

    rows = [line.split() for line in run(shelf, "list").stdout.splitlines()]
    assert {row[0]: row[4] for row in rows[1:]} == {"chat": "store", "embedder": "store", "joined": "-"}

    verified = run(shelf, "verify")
    assert verified.exit_code == 0
    assert verified.stdout == "chat: ok\nembedder: ok\n"

    removed = run(shelf, "rm", "chat", "--yes")
    assert removed.exit_code == 0
    assert removed.stdout.startswith("chat: removed, ")
    assert stored_names() == ["embedder"]


def test_list_as_json(shelf: Any) -> None:
    document = json.loads(run(shelf, "list", "--json").stdout)
    assert [entry["name"] for entry in document["models"]] == ["chat", "embedder", "joined"]
    assert document["models"][2]["terms"] == "https://example.com/terms"
    assert document["aliases"] == {}


def test_show_prints_the_places_in_their_order(shelf: Any) -> None:
    run(shelf, "pull", "chat")
    shown = run(shelf, "show", "chat")
    assert shown.exit_code == 0
    places = [line.split()[0] for line in shown.stdout.splitlines() if line.startswith("  ")]
    assert places == ["path", "run", "alias", "store"]
    assert f"{models_folder() / 'chat'}  <- found" in shown.stdout
    assert "(verified)" in shown.stdout
    document = json.loads(run(shelf, "show", "chat", "--json").stdout)
    assert document["found"]["where"] == "store"
    assert document["found"]["sha256"] == shelf.catalogue["chat"].main.sha256
    assert [place["found"] for place in document["looked_at"]] == [False, False, False, True]


def test_show_what_is_not_there(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = run(shelf, "show", "embedder")
    assert "embedder: an embedder" in shown.stdout
    assert error_of(shown).exit_code == 3
    monkeypatch.setenv("CREUSET_OFFLINE", "1")
    assert error_of(run(shelf, "show", "embedder")).exit_code == 6
    document = json.loads(run(shelf, "show", "embedder", "--json").stdout)
    assert document["found"] is None
    assert len(document["looked_at"]) == 6


def test_verify_ends_with_6_and_names_the_file(shelf: Any) -> None:
    run(shelf, "pull", "starter")
    (models_folder() / "embedder" / "config.json").write_text("{}")
    verified = run(shelf, "verify")
    assert "chat: ok\nembedder: config.json has sha256" in verified.stdout
    assert error_of(verified).exit_code == 6
    assert error_of(verified).next_step == "creuset models pull embedder"
    document = json.loads(run(shelf, "verify", "--json").stdout)
    assert [entry["ok"] for entry in document["models"]] == [True, False]
    assert error_of(run(shelf, "verify", "joined")).exit_code == 3


def test_a_licence_is_shown_and_has_to_be_accepted(shelf: Any) -> None:
    refused = run(shelf, "pull", "joined")
    assert error_of(refused).exit_code == 6
    assert "joined comes under the licence Terms of Use: https://example.com/terms" in refused.stderr
    accepted = run(shelf, "pull", "joined", "--accept-licence")
    assert accepted.exit_code == 0, accepted.output
    assert (models_folder() / "joined" / "TERMS.html").is_file()


def test_removing_asks_first(shelf: Any) -> None:
    run(shelf, "pull", "chat")
    assert error_of(run(shelf, "rm", "chat")).exit_code == 2
    assert stored_names() == ["chat"]
    assert error_of(run(shelf, "rm", "chta", "--yes")).exit_code == 3


def test_offline_option_ends_with_6(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREUSET_OFFLINE", "")  # restored afterwards: the option sets it
    result = CliRunner().invoke(cli, ["--offline", "models", "pull", "chat"], obj=shelf.catalogue)
    assert error_of(result).exit_code == 6


def test_a_folder_put_there_by_hand_is_listed_and_not_verified(shelf: Any) -> None:
    folder = models_folder() / "mine"
    folder.mkdir(parents=True)
    (folder / "mine.gguf").write_bytes(bytes(3_000_000))
    assert "mine      model  3.0 MB" in run(shelf, "list").stdout
    assert run(shelf, "verify").exit_code == 0
    assert error_of(run(shelf, "verify", "mine")).exit_code == 2
