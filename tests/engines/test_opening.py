"""An engine by a model's name: each option takes effect, or is refused by name."""

from pathlib import Path
from typing import Any

import pytest

from creuset.engines import opening
from creuset.engines.opening import open_engine
from creuset.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What is found as a model's folder."""
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_text("{}")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """What is found as a GGUF file."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    return path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reuse_prompt": True}, r"reuse_prompt: the driver native does not have this option\n  got: True"),
        ({"pooling": "model"}, r"pooling: the driver native does not have this option\n  got: model"),
    ],
)
def test_options_that_native_does_not_have(folder: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        open_engine(str(folder), **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": "int8"}, r"precision: a GGUF file has its own precision\n  got: int8"),
        ({"lookup": 3}, r"lookup: the driver llamacpp does not have this option\n  got: 3"),
    ],
)
def test_options_that_llamacpp_does_not_have(file: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        open_engine(str(file), **options)


def test_all_other_options_reach_the_driver(
    folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[Path, dict[str, Any]]] = []

    class Recorded:
        def __init__(self, place: Path, **options: Any) -> None:
            opened.append((place, options))

        open = classmethod(lambda cls, place, **options: cls(place, **options))

    monkeypatch.setattr(opening, "Native", Recorded)
    monkeypatch.setattr(opening, "LlamaCpp", Recorded)
    name = str(folder)
    open_engine(name, precision="int8", context_length=9, pooling="cls", lookup=4, reuse_prompt=None)
    options = {"precision": "int8", "context_length": 9, "pooling": "cls", "lookup": 4}
    assert opened[-1][1] == {"name": name, **options}
    open_engine(name)
    usual: dict[str, Any] = {"context_length": None, "pooling": None}
    assert opened[-1][1] == {"name": name, **usual, "precision": "bfloat16", "lookup": 0}
    name = str(file)
    open_engine(name, context_length=9, pooling="model", reuse_prompt=True)
    options = {"context_length": 9, "pooling": "model", "reuse_prompt": True}
    assert opened[-1] == (file, {"name": name, **options})
    open_engine(name, reuse_prompt=None)
    assert opened[-1][1] == {"name": name, **usual, "reuse_prompt": True}
    open_engine(name)
    assert opened[-1][1] == {"name": name, **usual, "reuse_prompt": False}
    open_engine(name, driver="native", lookup=2)
    assert opened[-1][1]["lookup"] == 2
