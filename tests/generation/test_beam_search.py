"""Beam search against transformers' on small random models, and against looking at every text."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers", reason="compares with transformers, which is not installed")

from creuset.errors import UsageError
from creuset.generation.beam_search import BeamSettings, beam_search
from creuset.generation.decoding import Writer
from creuset.generation.written_text import TextRequest
from creuset.models.transformer import Transformer
from creuset.pretrained.folder import load_folder
from small_decoders import ours_of, random_decoder, token_ids
from small_encoders import saved
from small_transformers import MODERN

EOS = list(range(3, 61, 4))
"""Several, so that random models end some of their texts."""


def both(name: str, folder: Path) -> tuple[Any, Transformer]:
    """A model of transformers whose next token depends much on those before, and ours with its weights."""
    theirs = saved(name, folder)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    theirs.save_pretrained(folder)  # type: ignore[operator]
    settings: Any = theirs.generation_config
    settings.eos_token_id, settings.pad_token_id, settings.decoder_start_token_id = EOS, 1, 0
    settings.forced_eos_token_id = None
    return theirs, load_folder(folder).model()


@pytest.mark.parametrize("name", ["t5", "t5 gated, one decoder block", "bart"])
@pytest.mark.parametrize(
    ("num_beams", "length_penalty", "early_stopping"),
    [
        (1, 1.0, False),
        (4, 1.0, False),
        (4, 1.0, True),
        (3, 2.0, "never"),
        (3, -0.5, "never"),
        (5, 0.0, True),
        (2, -1.0, False),
    ],
)
def test_the_same_beams_as_transformers(
    name: str, num_beams: int, length_penalty: float, early_stopping: Any, tmp_path: Path
) -> None:
    theirs, ours = both(name, tmp_path)
    num_ended = 0
    for seed in range(4):
        ids = token_ids(1, 9, seed=seed)
        expected = theirs.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            num_beams=max(num_beams, 1),
            num_return_sequences=num_beams,
            max_new_tokens=12,
            length_penalty=length_penalty,
            early_stopping=early_stopping,
            do_sample=False,
            output_scores=True,
            return_dict_in_generate=True,
        )
        settings = BeamSettings(
            num_beams=num_beams,
            max_tokens=12,
            length_penalty=length_penalty,
            early_stopping=early_stopping,
        )
        (found,) = beam_search(ours, ids.tolist(), settings, eos_ids=EOS, decoder_start=[0])
        for place, one in enumerate(found):
            row = expected.sequences[place, 1:].tolist()
            assert list(one.token_ids) == row[: len(one.token_ids)]
            assert all(token == 1 for token in row[len(one.token_ids) :])
            num_ended += one.token_ids[-1] in EOS
            if num_beams > 1:
                assert one.score == pytest.approx(float(expected.sequences_scores[place]), abs=1e-4)
    assert num_ended > 0


def test_a_batch_of_unequal_sources_is_the_same_as_each_alone(tmp_path: Path) -> None:
    _, ours = both("bart", tmp_path)
    sources = [token_ids(1, length, seed=length)[0].tolist() for length in (9, 4, 1)]
    settings = BeamSettings(num_beams=3, max_tokens=10)
    together = beam_search(ours, sources, settings, eos_ids=EOS, decoder_start=[0])
    for source, found in zip(sources, together, strict=True):
        (alone,) = beam_search(ours, [source], settings, eos_ids=EOS, decoder_start=[0])
        assert [one.token_ids for one in found] == [one.token_ids for one in alone]


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_greedy_writing_beside_an_encoder(name: str, tmp_path: Path) -> None:
    theirs, ours = both(name, tmp_path)
    sources = [token_ids(1, length, seed=length)[0].tolist() for length in (9, 4, 6)]
    writer = Writer(ours, eos_ids=EOS, decoder_start=[0])
    outputs = list(writer.write([TextRequest(prompt=source, max_tokens=12) for source in sources]))
    for row, source in enumerate(sources):
        ids = torch.tensor([source])
        expected = theirs.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            num_beams=1,
            max_new_tokens=12,
            do_sample=False,
        )[0, 1:].tolist()
        found = [token for step in outputs for one in step if one.row == row for token in one.token_ids]
        assert found == expected


def test_enough_beams_find_the_best_of_all_texts() -> None:
    torch.manual_seed(1)
    config = replace(
        MODERN,
        vocab_size=4,
        embed_dim=8,
        num_layers=1,
        num_heads=2,
        num_kv_heads=2,
        head_dim=4,
        feedforward_dim=8,
        context_length=8,
        norm_eps=1e-6,
        gated=False,
        tied_head=False,
        init_std=1.0,
    )
    model = Transformer(config).eval()
    scores = {}
    for length in range(1, 4):
        for ids in itertools.product(range(4), repeat=length):
            if (ids[-1] == 0) != (length < 3) and length < 3:
                continue
            if 0 in ids[:-1]:
                continue
            with torch.no_grad():
                log_probs = model(torch.tensor([[3, *ids]]))[0].log_softmax(-1)
            total = sum(float(log_probs[place, token]) for place, token in enumerate(ids))
            scores[ids] = total / length
    best = sorted(scores, key=lambda ids: -scores[ids])[:3]
    settings = BeamSettings(num_beams=64, max_tokens=3, early_stopping="never")
    (found,) = beam_search(model, [[3]], settings, eos_ids=[0])
    assert [one.token_ids for one in found[:3]] == best
    assert found[0].score == pytest.approx(scores[best[0]], abs=1e-5)


def test_what_is_impossible_is_refused() -> None:
    model = ours_of(random_decoder("gpt2"))
    settings = BeamSettings(num_beams=2, max_tokens=60)
    with pytest.raises(UsageError, match=r"5 tokens of prompt and max_tokens 60: 65(.|\n)*at most 64"):
        beam_search(model, [[1] * 5], settings, eos_ids=[2])
    with pytest.raises(UsageError, match="unequal length"):
        beam_search(model, [[1], [1, 2]], settings, eos_ids=[2])
    with pytest.raises(UsageError, match="no token"):
        beam_search(model, [[]], settings, eos_ids=[2])
    with pytest.raises(UsageError, match="num_beams"):
        BeamSettings(num_beams=0, max_tokens=1)
