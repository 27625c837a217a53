"""What a model's files advise, against transformers' reading of the same settings."""

from pathlib import Path
from typing import Any

import pytest
import transformers

from creuset.engines.own_sampling import sampling_of_folder, sampling_of_gguf
from creuset.errors import DataError
from creuset.generation.sampling import Sampling
from creuset.pretrained.gguf.metadata import Metadata


def test_a_folder_that_draws_is_read_as_transformers_does() -> None:
    settings = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.05}
    found, unused = sampling_of_folder({**settings, "eos_token_id": [1, 2], "num_beams": 2}, where="m")
    theirs = transformers.GenerationConfig(**settings)
    assert found is not None
    assert (found.temperature, found.top_p) == (theirs.temperature, theirs.top_p)
    assert (found.repeat_penalty, found.penalty_window) == (theirs.repetition_penalty, None)
    assert found.top_k == 50
    assert unused == ("num_beams",)


@pytest.mark.parametrize("drawn", [{}, {"do_sample": False}])
def test_a_folder_that_does_not_draw_advises_nothing(drawn: dict[str, Any]) -> None:
    found, unused = sampling_of_folder({**drawn, "temperature": 0.6, "max_new_tokens": 9}, where="m")
    assert found is None
    assert unused == ("max_new_tokens", "temperature")


def test_the_metadata_of_a_gguf_file() -> None:
    said = {"temp": 0.5, "top_k": 20, "penalty_last_n": 9, "mirostat": 1}
    values = {f"general.sampling.{name}": value for name, value in said.items()}
    found, unused = sampling_of_gguf(Metadata(values, Path("m.gguf")))
    assert found == Sampling(temperature=0.5, top_k=20, penalty_window=9)
    assert unused == ("general.sampling.mirostat",)
    all_tokens, _ = sampling_of_gguf(Metadata({"general.sampling.penalty_last_n": -1}, Path("m.gguf")))
    assert all_tokens == Sampling(penalty_window=None)
    assert sampling_of_gguf(Metadata({"general.name": "x"}, Path("m.gguf"))) == (None, ())


def test_numbers_that_mean_off_or_all_are_understood() -> None:
    values = {"general.sampling.penalty_last_n": 0, "general.sampling.penalty_repeat": 1.2}
    found, _ = sampling_of_gguf(Metadata(values, Path("m.gguf")))
    assert found is not None
    assert not found.penalises
    found, _ = sampling_of_folder({"do_sample": True, "top_k": -1}, where="m")
    assert found is not None
    assert found.top_k == 0
    found, _ = sampling_of_folder({"do_sample": True, "top_k": 20.0}, where="m")
    assert found is not None
    assert isinstance(found.top_k, int)


def test_counts_that_are_not_whole_are_refused_when_they_are_read() -> None:
    with pytest.raises(
        DataError, match=r"m: top_k of the model's own sampling is no whole number\n  got: 50.5"
    ):
        sampling_of_folder({"do_sample": True, "top_k": 50.5}, where="m")
    with pytest.raises(DataError, match="penalty_window of the model's own sampling is no whole number"):
        sampling_of_gguf(Metadata({"general.sampling.penalty_last_n": 8.5}, Path("m.gguf")))
    for number in (10**400, float("nan"), float("inf")):
        with pytest.raises(DataError, match="temperature of the model's own sampling is no number"):
            sampling_of_folder({"do_sample": True, "temperature": number}, where="m")


def test_values_that_cannot_be_are_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"m: top_p of the model's own sampling is out of range\n  got: 2"):
        sampling_of_folder({"do_sample": True, "top_p": 2}, where="m")
    with pytest.raises(DataError, match="temperature of the model's own sampling is no number"):
        sampling_of_folder({"do_sample": True, "temperature": "hot"}, where="m")
