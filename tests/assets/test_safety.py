"""Pickles and models that bring their own code are refused, by name and reason."""

import json
from pathlib import Path

import pytest
import torch

from creuset.assets import resolve
from creuset.assets.safety import main_file
from creuset.errors import BlockedError


@pytest.mark.parametrize("name", ["model.pt", "model.PTH", "model.ckpt", "model.pkl"])
def test_a_pickle_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(BlockedError, match="a pickle can run any code") as caught:
        resolve(str(tmp_path / name))
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("zipped", [True, False])
def test_bin_is_refused_when_it_is_one_of_torch(tmp_path: Path, zipped: bool) -> None:
    file = tmp_path / "pytorch_model.bin"
    torch.save({"weight": torch.zeros(2)}, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(BlockedError, match="a pickle can run any code"):
        resolve(str(file))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BlockedError, match=r"its weights are pickles(?s:.*)got: pytorch_model\.bin"):
        resolve(str(tmp_path))
    file.write_bytes(bytes(10))
    assert resolve(str(file)).file == file


def test_pickles_beside_safe_weights_or_data_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "optimizer.pt").write_bytes(b"")
    with pytest.raises(BlockedError, match="its weights are pickles"):
        resolve(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert resolve(str(tmp_path)).file == tmp_path / "model.safetensors"
    data = tmp_path / "data"
    data.mkdir()
    (data / "labels.pkl").write_bytes(b"")
    (data / "digits.npz").write_bytes(b"")
    assert resolve(str(data)).path == data


def test_remote_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    config = {"auto_map": {"AutoConfig": "configuration_x.XConfig", "AutoModelForCausalLM": "modeling_x.X"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BlockedError, match=r"own Python(?s:.*)got: AutoModelForCausalLM: modeling_x\.X"):
        resolve(str(tmp_path))
    del config["auto_map"]["AutoModelForCausalLM"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert resolve(str(tmp_path)).path == tmp_path


def test_main_file_is_the_only_one(tmp_path: Path) -> None:
    assert main_file(tmp_path) is None
    (tmp_path / "a.safetensors").write_bytes(b"")
    assert main_file(tmp_path) == tmp_path / "a.safetensors"
    (tmp_path / "b.safetensors").write_bytes(b"")
    assert main_file(tmp_path) is None
