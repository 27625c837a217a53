"""What is refused because opening it could run code: pickled weights, and models defined by their own Python.

Folders are judged by their file names and config.json; nothing is opened that could be a pickle.
"""

import json
from pathlib import Path

from creuset.errors import BlockedError

_SAFE_WEIGHTS = {".safetensors", ".gguf"}
_PICKLES = {".pt", ".pth", ".ckpt", ".pkl", ".pickle"}
_BESIDE_WEIGHTS = {".json", ".txt", ".md", ".model", ".py", ".yaml", ".yml", ".jinja", ".html", ""}
"""Suffixes of the files that lie beside a model's weights and are no data themselves."""

_ZIP, _PICKLE_PROTOCOL = b"PK\x03\x04", b"\x80"
"""How files of torch.save begin (a zip, before torch 1.6 a bare pickle); `.bin` alone may be anything."""


def refuse_unsafe(path: Path) -> None:
    """Refuse a file or folder that creuset could only use by unpickling it or by running its code.

    Raises:
        BlockedError: With the reason, and what to use instead.
    """
    if path.is_file():
        if _is_pickle(path):
            raise BlockedError(
                "a pickle can run any code when it is opened, so it is refused",
                where=path,
                expected="safetensors or GGUF",
                next_step="use the same model's .safetensors or .gguf, or convert it where you trust it",
            )
        return
    files = [item for item in path.iterdir() if item.is_file()]
    pickles = sorted(item.name for item in files if _is_pickle(item))
    others = {item.suffix.lower() for item in files if item.name not in pickles}
    if pickles and others <= _BESIDE_WEIGHTS:
        raise BlockedError(
            "its weights are pickles, which can run any code when they are opened, so it is refused",
            where=path,
            got=", ".join(pickles),
            expected="a .safetensors or .gguf file",
            next_step="use the same model's .safetensors or .gguf, or convert it where you trust it",
        )
    classes = _own_classes(path / "config.json")
    if classes:
        raise BlockedError(
            "its config.json asks to run the model's own Python, which is refused",
            where=path,
            got=classes,
            expected="a model of a family that creuset has",
        )


def main_file(folder: Path) -> Path | None:
    """The one file of weights in a folder; None if there is none, or if they are in several files."""
    weights = [item for item in folder.iterdir() if item.suffix.lower() in _SAFE_WEIGHTS and item.is_file()]
    return weights[0] if len(weights) == 1 else None


def _is_pickle(file: Path) -> bool:
    suffix = file.suffix.lower()
    if suffix != ".bin":
        return suffix in _PICKLES
    with file.open("rb") as stream:
        return stream.read(4).startswith((_ZIP, _PICKLE_PROTOCOL))


def _own_classes(config_file: Path) -> str:
    """The model classes that a config.json maps to files of its own folder, as a sentence."""
    try:
        config = json.loads(config_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""  # no config.json, or one that whoever reads it will report
    own = config.get("auto_map") if isinstance(config, dict) else None
    if not isinstance(own, dict):
        return ""
    return ", ".join(f"{name}: {own[name]}" for name in sorted(own) if name.startswith("AutoModel"))
