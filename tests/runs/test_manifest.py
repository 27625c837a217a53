import json
import re
from pathlib import Path

import pytest

from creuset.errors import CheckpointError
from creuset.runs.manifest import now, read_manifest
from manifests import manifest


def test_a_manifest_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    written = manifest(last="step-00000002", previous="step-00000001", best="step-00000002")
    path.write_text(written.to_text())
    assert read_manifest(path) == written
    assert written.checkpoints == {"step-00000001", "step-00000002"}
    assert json.loads(path.read_text())["format"] == 4


def test_the_time_is_utc_to_the_second() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", now())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', "\xff"])
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match=r"manifest.json: the run's manifest cannot be read"):
        read_manifest(path)


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**json.loads(manifest().to_text()), "colour": 1}))
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_manifest(path)


def test_a_newer_format_asks_for_an_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**json.loads(manifest().to_text()), "format": 5, "colour": 1}))
    with pytest.raises(CheckpointError, match="written by a newer creuset") as caught:
        read_manifest(path)
    assert (caught.value.got, caught.value.expected) == ("format 5", "format 4")
    assert caught.value.next_step == "upgrade creuset"


OLD = Path(__file__).with_name("manifest_of_format_1.json")


def test_a_stored_document_of_format_1_is_read_and_written_in_the_newest(tmp_path: Path) -> None:
    assert json.loads(OLD.read_text())["format"] == 1
    old = read_manifest(OLD)
    assert (old.format, old.id, old.step, old.best) == (4, "vae", 40, "step-00000040")
    assert (old.device_name, old.num_processes, old.distributed) == (None, None, None)
    path = tmp_path / "manifest.json"
    path.write_text(old.to_text())
    assert read_manifest(path) == old


@pytest.mark.parametrize("version", [0, -1, True, "1", None, 1.0])
def test_a_version_that_never_was_is_refused(version: object, tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**json.loads(manifest().to_text()), "format": version}))
    with pytest.raises(CheckpointError, match="cannot be read") as caught:
        read_manifest(path)
    assert caught.value.got == f"format {version!r}"
    assert caught.value.expected == "the manifest of a run, format 1 to 4"
    assert f"creuset train {tmp_path / 'recipe.yaml'}" in str(caught.value.next_step)
