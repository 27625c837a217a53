import json
from pathlib import Path

import pytest
import torch

from creuset.errors import CheckpointError, NotFoundError, ResourceError
from creuset.files import sha256_of
from creuset.runs.checkpoint import (
    Checkpoint,
    DamagedCheckpoint,
    check_fit,
    keep_only,
    load_checkpoint,
    save_checkpoint,
)
from small_runs import largest_file, leftovers

FILES = ("weights.safetensors", "optimizer.safetensors", "state.safetensors", "manifest.json")


def checkpoint(step: int = 5) -> Checkpoint:
    drawn = torch.Generator().manual_seed(0)
    return Checkpoint(
        step=step,
        family="vae",
        weights={"a": torch.randn(3, 4, generator=drawn), "b": torch.tensor(2.0, dtype=torch.float64)},
        optimizer={"model/a/step": torch.tensor(7.0)},
        state={"ema/a": torch.randn(4, 3, generator=drawn).T},
        facts={"seed": 3, "sums": {"model": {"loss": 0.1}}, "best_validation_loss": None},
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_checkpoint(tmp_path, checkpoint())


def test_a_checkpoint_comes_back_as_it_was(saved: Path) -> None:
    written, read = checkpoint(), load_checkpoint(saved)
    assert saved.name == read.name == "step-00000005"
    assert (read.step, read.family, read.facts) == (written.step, written.family, written.facts)
    for part in ("weights", "optimizer", "state"):
        expected, found = getattr(written, part), getattr(read, part)
        assert expected.keys() == found.keys()
        for name, tensor in expected.items():
            assert torch.equal(tensor, found[name])
            assert tensor.dtype == found[name].dtype
    assert read.hashes["weights"] == sha256_of(saved / "weights.safetensors")


def test_the_same_tensors_give_the_same_bytes(tmp_path: Path, saved: Path) -> None:
    again = save_checkpoint(tmp_path / "again", checkpoint())
    assert all((saved / name).read_bytes() == (again / name).read_bytes() for name in FILES)


def test_only_the_parts_asked_for_are_read(saved: Path) -> None:
    (saved / "optimizer.safetensors").unlink()
    read = load_checkpoint(saved, parts=("weights",))
    assert read.weights.keys() == {"a", "b"}
    assert not read.optimizer


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.0, 0.5, 0.99])
def test_a_flipped_bit_is_found_in_each_file(saved: Path, name: str, place: float) -> None:
    file = saved / name
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedCheckpoint, match=f"{name}: the checkpoint is damaged") as caught:
        load_checkpoint(saved)
    assert caught.value.got != caught.value.expected
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(DamagedCheckpoint, match=name):
        load_checkpoint(saved)


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_named(saved: Path, name: str) -> None:
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[:-1] if name != "manifest.json" else content[: len(content) // 2])
    with pytest.raises(DamagedCheckpoint, match=name):
        load_checkpoint(saved)


@pytest.mark.parametrize("text", ["[]", "{}", "null", '{"sha256": 1}'])
def test_a_manifest_of_something_else_is_damaged(saved: Path, text: str) -> None:
    (saved / "manifest.json").write_text(text)
    with pytest.raises(DamagedCheckpoint, match=r"manifest\.json"):
        load_checkpoint(saved)


def test_a_newer_format_is_not_called_damaged(saved: Path) -> None:
    document = json.loads((saved / "manifest.json").read_text())
    (saved / "manifest.json").write_text(json.dumps({**document, "format": 2}))
    with pytest.raises(CheckpointError, match="written by a newer creuset") as caught:
        load_checkpoint(saved)
    assert not isinstance(caught.value, DamagedCheckpoint)


def test_a_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no checkpoint here"):
        load_checkpoint(tmp_path / "step-00000001")


def test_a_full_disk_keeps_earlier_checkpoints(tmp_path: Path, saved: Path) -> None:
    with largest_file(150), pytest.raises(ResourceError, match="the disk is full"):
        save_checkpoint(tmp_path, checkpoint(6))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005"]
    assert load_checkpoint(saved).step == 5


def test_one_of_the_same_step_is_replaced(tmp_path: Path, saved: Path) -> None:
    (saved / "weights.safetensors").write_bytes(b"damaged")
    save_checkpoint(tmp_path, checkpoint())
    assert load_checkpoint(saved).step == 5
    assert leftovers(tmp_path) == []


def test_others_are_removed(tmp_path: Path) -> None:
    for step in range(4):
        save_checkpoint(tmp_path, checkpoint(step))
    keep_only(tmp_path, {"step-00000001", "step-00000003", "step-00000009"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000001", "step-00000003"]


def test_weights_of_another_model_are_refused_with_what_differs() -> None:
    found = {"a": torch.zeros(2), "b": torch.zeros(3), "extra": torch.zeros(1)}
    wanted = {"a": torch.zeros(2), "b": torch.zeros(4), **{f"m{index}": torch.zeros(1) for index in range(5)}}
    with pytest.raises(CheckpointError, match="this checkpoint is of another model") as caught:
        check_fit(found, wanted, Path("place"))
    got = str(caught.value.got)
    assert "missing: m0, m1, m2 and 2 more" in got
    assert "not in the model: extra" in got
    assert "other shapes: b (3,) instead of (4,)" in got
    check_fit(wanted, wanted, Path("place"))
