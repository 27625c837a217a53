"""Folders of ONNX: onnxruntime computes what the Transformer computes, for texts of any number and length."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from chat_templates import CHATML
from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import SpecialTokens
from creuset.engines.onnx_runtime import OnnxRuntime, open_session
from creuset.errors import UsageError
from creuset.models.transformer import Transformer
from creuset.pretrained import onnx_writing
from creuset.pretrained.decoders import config_from
from creuset.pretrained.onnx_writing import require_decoder, require_onnx, write_onnx, write_onnx_folder
from small_decoders import random_decoder
from small_tokenizers import byte_level
from small_transformers import OF_BYTES

FORMS = [
    "gpt2",
    "llama, llama3 scaling",
    "mistral, window",
    "qwen2",
    "qwen3",
    "gemma3, untied, soft cap, scaled, pattern",
]


def small(name: str) -> Transformer:
    """Of that form, two layers, every weight random and none small."""
    config = config_from(random_decoder(name).config.to_dict())  # type: ignore[union-attr]
    sliding = tuple(layer for layer in config.sliding_layers if layer < 2)
    torch.manual_seed(0)
    body = Transformer(replace(config, num_layers=2, sliding_layers=sliding)).eval()
    with torch.no_grad():
        for parameter in body.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return body


@pytest.mark.parametrize("name", FORMS)
def test_onnxruntime_computes_the_same_logits(name: str, tmp_path: Path) -> None:
    body = small(name)
    write_onnx(tmp_path / "model.onnx", body.config, body.state_dict())
    opened = open_session(tmp_path / "model.onnx", body.config.vocab_size)
    generator = torch.Generator().manual_seed(0)
    for shape in ((1, 1), (1, 2), (3, 3), (2, 5), (4, 29), (1, 64)):  # windows are of four tokens
        ids = torch.randint(body.config.vocab_size, shape, generator=generator)
        with torch.no_grad():
            expected = body(ids)
        (found,) = opened.run(None, {"input_ids": ids.numpy()})
        assert found.dtype == np.float32
        assert np.allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Transformer]:
    """A small model of Llama's form, as a folder of ONNX."""
    torch.manual_seed(0)
    body = Transformer(OF_BYTES).eval()
    folder = tmp_path_factory.mktemp("onnx") / "model"
    write_onnx_folder(
        folder,
        OF_BYTES,
        body.state_dict(),
        tokenizer=Tokenizer(byte_level(), special=SpecialTokens(bos=0, eos=(2,))),
        chat_template=ChatTemplate(CHATML),
        eos_ids=(2, 5),
    )
    return folder, body


def test_texts_of_different_lengths_are_padded_behind(written: tuple[Path, Transformer]) -> None:
    folder, body = written
    texts = [torch.arange(9) + 7, torch.arange(4) + 20, torch.arange(1) + 40]
    batch = torch.zeros(3, 9, dtype=torch.int64)
    for row, text in enumerate(texts):
        batch[row, : len(text)] = text
    with OnnxRuntime(folder) as engine:
        found = engine.logits(batch.numpy())
    assert found.shape == (3, 9, OF_BYTES.vocab_size)
    for row, text in enumerate(texts):
        with torch.no_grad():
            alone = body(text[None])[0].numpy()
        assert np.allclose(found[row, : len(text)], alone, atol=1e-5)


def test_the_folder_holds_what_a_reader_needs(written: tuple[Path, Transformer]) -> None:
    folder, _ = written
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    assert settings["chat_template"] == CHATML
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == [2, 5]
    config = json.loads((folder / "config.json").read_text())
    assert (config["model_type"], config["max_position_embeddings"]) == ("llama", 128)
    assert (folder / "tokenizer.json").is_file()
    assert not (folder / "chat_template.jinja").exists()


def test_a_file_tells_nothing_of_the_machine_and_holds_a_tied_head_once(
    written: tuple[Path, Transformer],
) -> None:
    folder, body = written
    content = (folder / "model.onnx").read_bytes()
    assert b"creuset/" not in content
    assert b".py" not in content
    num_bytes = sum(tensor.nbytes for tensor in body.parameters())
    assert num_bytes < len(content) < num_bytes + OF_BYTES.vocab_size * OF_BYTES.embed_dim * 4 + 150_000


def test_large_weights_lie_in_a_file_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_writing, "_MOST_BYTES_IN_ONE_FILE", 1000)
    torch.manual_seed(0)
    body = Transformer(OF_BYTES).eval()
    write_onnx(tmp_path / "model.onnx", OF_BYTES, body.state_dict())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    assert (tmp_path / "model.onnx").stat().st_size < (tmp_path / "model.onnx.data").stat().st_size
    ids = torch.arange(8)[None]
    (found,) = open_session(tmp_path / "model.onnx", OF_BYTES.vocab_size).run(
        None, {"input_ids": ids.numpy()}
    )
    with torch.no_grad():
        assert np.allclose(found, body(ids).numpy(), atol=1e-5)


def test_the_model_in_memory_stays_as_it_was(written: tuple[Path, Transformer]) -> None:
    _, body = written
    with torch.no_grad():
        long = body(torch.arange(100)[None])
        assert torch.allclose(long[:, :40], body(torch.arange(40)[None]), atol=1e-5)


def test_other_models_are_refused_by_name() -> None:
    for config, named in (
        (replace(OF_BYTES, architecture="encoder"), "an encoder"),
        (replace(OF_BYTES, architecture="encoder_decoder"), "an encoder-decoder"),
        (replace(OF_BYTES, head="none", tied_head=False), "a decoder without a head"),
    ):
        with pytest.raises(UsageError, match="only language models that answer prompts") as found:
            require_decoder(config)
        assert found.value.got == named


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name)
    )
    with pytest.raises(UsageError, match="not installed") as found:
        require_onnx()
    assert found.value.got == "without onnxscript"
    assert str(found.value.next_step).startswith("pip install onnxscript")


def test_what_torch_cannot_write_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise torch.onnx.OnnxExporterError("step 1 of 3") from RuntimeError("no translation of aten::x\n...")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(UsageError, match="torch cannot write this form as ONNX") as found:
        write_onnx(tmp_path / "model.onnx", OF_BYTES, Transformer(OF_BYTES).state_dict())
    assert found.value.got == "no translation of aten::x"
