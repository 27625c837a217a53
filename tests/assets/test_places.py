"""Places follow the environment, and say in an error which variable moves them."""

import json
from pathlib import Path

import pytest

from creuset.assets import home, offline, workspace, writable
from creuset.assets.places import aliases, hub_cache
from creuset.errors import CreusetError, UsageError


def test_home_is_moved_by_its_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CREUSET_HOME")
    assert home() == tmp_path / ".local/share/creuset"
    monkeypatch.setenv("CREUSET_HOME", "~/elsewhere")
    assert home() == tmp_path / "elsewhere"


def test_workspace_is_the_current_folder_unless_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CREUSET_WORKSPACE")
    assert workspace() == tmp_path
    monkeypatch.setenv("CREUSET_WORKSPACE", "mine")
    assert workspace() == tmp_path / "mine"


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_offline(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    monkeypatch.setenv("CREUSET_OFFLINE", value)
    assert offline() is expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "~/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/x", "HF_HOME": "/h"}, "/h/hub"),
        ({"HF_HOME": "/h", "HUGGINGFACE_HUB_CACHE": "/old"}, "/old"),
        ({"HF_HUB_CACHE": "/new", "HUGGINGFACE_HUB_CACHE": "/old"}, "/new"),
    ],
)
def test_hub_cache_is_found_as_its_own_library_does(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert hub_cache() == Path(expected).expanduser()


def test_a_file_in_the_way_of_a_folder_is_a_usage_error(tmp_path: Path) -> None:
    blocking = tmp_path / "file"
    blocking.write_text("")
    for folder in (blocking, blocking / "below"):
        with pytest.raises(UsageError, match="set CREUSET_HOME to a folder that you may write"):
            writable(folder)
    assert writable(tmp_path / "a" / "b").is_dir()


def test_aliases_are_those_of_the_workspace() -> None:
    assert aliases() == {}
    home().mkdir(parents=True)
    mine = str(workspace().resolve())
    document = {"format": 1, "workspaces": {mine: {"best": "run:vae"}, "/other": {"best": "run:gan"}}}
    (home() / "aliases.json").write_text(json.dumps(document))
    assert aliases() == {"best": "run:vae"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 1, "work', "cannot be read"),
        ('{"format": 2, "workspaces": {}}', "format 2"),
        ("[]", "format that this version does not know"),
        ('{"format": 1}', "not a file of aliases"),
        ('{"format": 1, "workspaces": []}', "not a file of aliases"),
    ],
)
def test_damaged_aliases_are_named(text: str, message: str) -> None:
    home().mkdir(parents=True)
    (home() / "aliases.json").write_text(text)
    with pytest.raises(CreusetError, match=message) as caught:
        aliases()
    assert "aliases.json" in str(caught.value)
