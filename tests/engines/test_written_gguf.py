"""llama.cpp answers from files that are written here as the live model does, with and without an adapter.

It keeps keys and values in f16, so numbers differ by a few hundredths.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("transformers", reason="makes models by transformers, which is not installed")

from creuset.adapters.adapter import taken
from creuset.adapters.lora import LoraForm, attach
from creuset.adapters.switch import merge, switched
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import SpecialTokens
from creuset.engines.llamacpp import LlamaCpp
from creuset.errors import UsageError
from creuset.models.transformer import Transformer
from creuset.pretrained.gguf.lora_writing import write_lora_gguf
from creuset.pretrained.gguf.writing import Stored, write_gguf
from small_tokenizers import byte_level
from small_transformers import OF_BYTES

IDS = [5, 40, 7, 90, 200, 11, 33, 60, 8, 19]
CONFIG = replace(OF_BYTES, context_length=64, init_std=0.3)


def model() -> Transformer:
    torch.manual_seed(0)
    return Transformer(CONFIG).eval()


def adapted(form: LoraForm) -> Transformer:
    """With an update of queries, keys and down, all of its numbers drawn."""
    found = model()
    layers = [name for name, child in found.named_modules() if isinstance(child, nn.Linear)]
    chosen = [name for name in layers if name.endswith((".query", ".key", ".down"))]
    torch.manual_seed(1)
    attach(found, dict.fromkeys(chosen, form), "one")
    with torch.no_grad():
        for tensor in taken(found, "one").updates.values():
            tensor += 0.2 * torch.randn(tensor.shape)
    return found


def written(path: Path, source: Transformer, stored: Stored = "f32") -> Path:
    tokenizer = Tokenizer(byte_level(), special=SpecialTokens(bos=0, eos=(2,)))
    state = source.state_dict()
    write_gguf(path, CONFIG, state, tokenizer, chat_template=None, stored=stored, name="small")
    return path


def largest_difference(source: Transformer, path: Path, adapter: Path | None = None) -> float:
    """Of log-probabilities over all tokens, at each place."""
    with torch.no_grad():
        expected = source(torch.tensor([IDS]))[0, :-1].log_softmax(-1).double().numpy()
    with LlamaCpp(path, context_length=64, num_threads=1, adapter=adapter) as engine:
        told = engine.log_probs(IDS, start=1, num_top=CONFIG.vocab_size)
    own = np.take_along_axis(expected, told.top_ids, axis=1)
    return float(np.abs(own - told.top_log_probs).max())


@pytest.mark.parametrize(("stored", "most"), [("f32", 0.05), ("f16", 0.05), ("q8_0", 0.5)])
def test_llamacpp_computes_what_the_model_does(stored: Stored, most: float, tmp_path: Path) -> None:
    assert largest_difference(model(), written(tmp_path / "small.gguf", model(), stored)) < most


@pytest.mark.parametrize("form", [LoraForm(rank=4, alpha=8), LoraForm(rank=4, alpha=6, rank_stabilised=True)])
def test_an_adapter_is_added_while_the_model_runs_or_merged_before(form: LoraForm, tmp_path: Path) -> None:
    source = adapted(form)
    base = written(tmp_path / "base.gguf", model())
    write_lora_gguf(tmp_path / "adapter.gguf", taken(source, "one"), CONFIG, name="tuned")
    with switched(source, ()):
        assert largest_difference(source, base) < 0.05
    assert largest_difference(source, base) > 0.5
    assert largest_difference(source, base, tmp_path / "adapter.gguf") < 0.05
    merge(source)
    assert largest_difference(source, written(tmp_path / "merged.gguf", source)) < 0.05


def test_a_wrong_permutation_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from creuset.pretrained.gguf import writing

    monkeypatch.setattr(writing, "permuted", lambda tensor, num_heads: tensor)
    assert largest_difference(model(), written(tmp_path / "small.gguf", model())) > 0.5


def test_what_llamacpp_cannot_add_is_refused(tmp_path: Path) -> None:
    source = adapted(LoraForm(rank=4, alpha=8, decomposed=True))
    with pytest.raises(UsageError, match="no DoRA's updates"):
        write_lora_gguf(tmp_path / "adapter.gguf", taken(source, "one"), CONFIG, name="tuned")


def test_parts_of_characters_are_scored_as_well(tmp_path: Path) -> None:
    tokenizer = Tokenizer(byte_level(), special=SpecialTokens(bos=0, eos=(2,)))
    ids = tokenizer.encode("a 語🙂 b")
    assert len(ids) > len("a 語🙂 b")  # characters of several tokens
    path = written(tmp_path / "small.gguf", model())
    with torch.no_grad():
        expected = model()(torch.tensor([ids]))[0, :-1].log_softmax(-1).double().numpy()
    with LlamaCpp(path, context_length=64, num_threads=1) as engine:
        told = engine.log_probs(ids, start=1, num_top=5)
    assert told.top_ids.shape == (len(ids) - 1, 5)
    own = np.take_along_axis(expected, np.array(ids[1:])[:, None], axis=1)[:, 0]
    assert np.abs(own - told.log_probs).max() < 0.05
    assert np.abs(np.take_along_axis(expected, told.top_ids, axis=1) - told.top_log_probs).max() < 0.05
