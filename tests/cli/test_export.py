"""`creuset export`: what is written is opened again by whoever will read it, and must answer alike."""

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from chat_templates import CHATML
from command_line import run_command
from creuset.adapters.adapter import taken
from creuset.adapters.lora import LoraForm, attach
from creuset.adapters.whole import train_whole
from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import SpecialTokens
from creuset.errors import UsageError
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.base_identity import BASE_FILE, BaseIdentity
from creuset.pretrained.folder import Pretrained, load_folder, save_folder
from creuset.pretrained.gguf.file import GgufFile
from creuset.pretrained.peft_folder import load_adapter, save_adapter
from random_forms import drawn_model
from small_bases import write_base
from small_tokenizers import byte_level, metaspace
from small_transformers import OF_BYTES

CONFIG = replace(OF_BYTES, context_length=256)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base and an adapter of it, in the current folder."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    body = Transformer(CONFIG)
    tokenizer = Tokenizer(byte_level(), special=SpecialTokens(bos=0, eos=(2,)))
    save_folder(
        tmp_path / "base",
        Pretrained(
            config=CONFIG,
            state=body.state_dict(),
            model_type="llama",
            tokenizer=tokenizer,
            generation={"eos_token_id": 2},
            chat_template=ChatTemplate(CHATML),
        ),
    )
    layers = [name for name, child in body.named_modules() if isinstance(child, nn.Linear)]
    chosen = [name for name in layers if name.endswith((".query", ".value", ".down"))]
    attach(body, dict.fromkeys(chosen, LoraForm(rank=4, alpha=8)), "one")
    adapter = taken(body, "one")
    for tensor in adapter.updates.values():
        tensor += 0.1 * torch.randn(tensor.shape)
    save_adapter(tmp_path / "tuned", adapter, CONFIG, "llama", base="base")


@pytest.mark.parametrize(
    ("words", "path", "certificate"),
    [
        (["--to", "gguf"], "tuned.q8_0.gguf", "tuned.q8_0.gguf.certificate.json"),
        (["--to", "gguf", "--stored", "f16", "--out", "a.gguf"], "a.gguf", "a.gguf.certificate.json"),
        (["--to", "gguf-lora"], "tuned.lora.gguf", "tuned.lora.gguf.certificate.json"),
        (["--to", "safetensors"], "tuned-safetensors", "tuned-safetensors/certificate.json"),
        (["--to", "onnx"], "tuned-onnx", "tuned-onnx/certificate.json"),
        (["--to", "peft", "--out", "out/again"], "out/again", "out/again/certificate.json"),
    ],
)
def test_an_export_is_certified(words: list[str], path: str, certificate: str, tmp_path: Path) -> None:
    answer = run_command(["export", "base", "--adapter", "tuned", *words])
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.splitlines()[0] == path
    document = json.loads((tmp_path / certificate).read_text())
    assert document["passed"]
    assert document["num_prompts"] == 8
    assert document["same_tokens"]
    assert document["about"]["base"] == "base"
    assert not [found for found in tmp_path.rglob(".*") if found.name != ".lock"]


def test_what_else_an_adapter_trained_is_not_lost(tmp_path: Path) -> None:
    found = load_adapter(tmp_path / "tuned", CONFIG, "llama")
    others = {"score.weight": torch.ones(2, 64)}
    save_adapter(tmp_path / "scored", found.adapter, CONFIG, "llama", base="org/base", others=others)
    answer = run_command(["export", "base", "--adapter", "scored", "--to", "gguf"])
    assert answer.exit_code == 2
    assert "score.weight" in answer.stderr
    again = run_command(["export", "base", "--adapter", "scored", "--to", "peft", "--out", "again"])
    assert again.exit_code == 0, again.stderr
    kept = load_adapter(tmp_path / "again", CONFIG, "llama")
    assert torch.equal(kept.others["score.weight"], others["score.weight"])
    assert kept.settings.base == "org/base"


def test_names_keep_their_dots(tmp_path: Path) -> None:
    (tmp_path / "base").rename(tmp_path / "Model-0.5B")
    answer = run_command(["export", "Model-0.5B", "--to", "gguf"])
    assert answer.stdout.splitlines()[0] == "Model-0.5B.q8_0.gguf"


def test_what_was_exported_is_the_tuned_model(tmp_path: Path) -> None:
    document = json.loads(
        run_command(["export", "base", "--adapter", "tuned", "--to", "safetensors", "--json"]).stdout
    )
    assert document["certificate"]["kind"] == "safetensors"
    assert document["certificate"]["largest_difference"] < 1e-4
    plain, merged = (load_folder(tmp_path / name) for name in ("base", document["path"]))
    name = "decoder.blocks.0.attention.query.weight"
    assert not torch.allclose(plain.state[name], merged.state[name], atol=1e-3)
    assert merged.eos_ids == (2,)
    assert merged.chat_template is not None


def test_a_base_alone_is_exported_too(tmp_path: Path) -> None:
    assert run_command(["export", "base", "--to", "gguf", "--stored", "f32"]).exit_code == 0
    assert GgufFile(tmp_path / "base.f32.gguf").metadata.text("general.name") == "base"
    again = run_command(["export", "base.f32.gguf", "--to", "safetensors", "--out", "again"])
    assert again.exit_code == 0, again.stderr


def test_an_export_that_answers_otherwise_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from creuset.pretrained.gguf import writing

    before = sorted(found.name for found in tmp_path.iterdir())
    monkeypatch.setattr(writing, "permuted", lambda tensor, num_heads: tensor)
    answer = run_command(["export", "base", "--adapter", "tuned", "--to", "gguf", "--stored", "f16"])
    assert answer.exit_code == 4
    assert "does not answer as the live one" in answer.stderr
    assert sorted(found.name for found in tmp_path.iterdir()) == before


def test_a_folder_of_onnx_that_answers_otherwise_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from creuset.pretrained import onnx_writing

    def write_another(path: Path, config: TransformerConfig, state: Mapping[str, Tensor]) -> None:
        name = "decoder.blocks.1.feedforward.up.weight"
        write(path, config, {**state, name: 1.1 * state[name]})

    before, write = sorted(found.name for found in tmp_path.iterdir()), onnx_writing.write_onnx
    monkeypatch.setattr(onnx_writing, "write_onnx", write_another)
    answer = run_command(["export", "base", "--to", "onnx"])
    assert answer.exit_code == 4
    assert "does not answer as the live one" in answer.stderr
    assert sorted(found.name for found in tmp_path.iterdir()) == before


def test_onnx_without_its_packages_is_refused_before_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name.startswith("onnx") else find(name)
    )
    answer = run_command(["export", "nowhere", "--to", "onnx"])
    assert answer.exit_code == 2
    assert "pip install onnx onnxscript onnxruntime" in answer.stderr


@pytest.mark.parametrize(("family", "named"), [("bert", "an encoder"), ("t5", "an encoder-decoder")])
def test_onnx_is_of_decoders_alone(family: str, named: str, tmp_path: Path) -> None:
    theirs = drawn_model(family, 0)
    theirs.save_pretrained(tmp_path / family)  # type: ignore[operator]
    tokenizer = Tokenizer(metaspace(), special=SpecialTokens())
    tokenizer.save(tmp_path / family)
    answer = run_command(["export", family, "--to", "onnx"])
    assert answer.exit_code == 2
    assert f"got: {named}" in answer.stderr
    assert not (tmp_path / f"{family}-onnx").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["base", "--to", "onnx", "--out", "tuned"], 2, "something at this place"),
        (["base", "--to", "onnx", "--stored", "f16"], 2, "an option without effect"),
        (["base", "--to", "peft"], 2, "no adapter to export by itself"),
        (["base", "--to", "safetensors", "--stored", "f16"], 2, "an option without effect"),
        (["base", "--to", "gguf", "--out", "tuned"], 2, "something at this place"),
        (["nowhere", "--to", "gguf"], 3, '"nowhere" is not there'),
        (["base", "--adapter", "base", "--to", "gguf"], 3, "no adapter_config.json"),
    ],
)
def test_what_cannot_be_exported_is_said(words: list[str], code: int, message: str) -> None:
    answer = run_command(["export", *words])
    assert answer.exit_code == code
    assert message in answer.stderr


def test_an_adapter_goes_through_llamacpp_and_back(tmp_path: Path) -> None:
    run_command(["export", "base", "--adapter", "tuned", "--to", "peft", "--out", "again"])
    first, second = (load_adapter(tmp_path / name, CONFIG, "llama").adapter for name in ("tuned", "again"))
    assert first.forms == second.forms
    assert all(torch.equal(first.updates[key], second.updates[key]) for key in first.updates)


def test_an_adapter_of_another_base_is_refused_by_name(tmp_path: Path) -> None:
    first = run_command(["export", "base", "--adapter", "tuned", "--to", "peft", "--out", "theirs"])
    assert "nothing proves that this adapter is of this base" in first.stderr  # saved without its base's hash
    (tmp_path / "theirs" / "certificate.json").unlink()
    found = load_adapter(tmp_path / "theirs", CONFIG, "llama")
    save_adapter(
        tmp_path / "ours",
        found.adapter,
        CONFIG,
        "llama",
        base="base",
        identity=BaseIdentity.of("base", tmp_path / "base", load_folder(tmp_path / "base").state),
    )
    write_base(tmp_path / "other", config=CONFIG, seed=7)
    for to in ("gguf", "peft"):
        answer = run_command(["export", "other", "--adapter", "ours", "--to", to, "--out", "out"])
        assert answer.exit_code == 1
        assert "of another base" in answer.stderr
        assert "got: other" in answer.stderr
        assert "expected: base" in answer.stderr
        assert not (tmp_path / "out").exists()
    again = run_command(["export", "base", "--adapter", "ours", "--to", "peft", "--out", "again"])
    assert "nothing proves" not in again.stderr
    assert (tmp_path / "again" / BASE_FILE).is_file()
    assert not (tmp_path / "theirs" / BASE_FILE).exists()  # what was not proven is not proven by an export
    document = json.loads((tmp_path / "again" / "certificate.json").read_text())
    assert "hash" in document["about"]["base_of_adapter"]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--to", "gguf", "--out", "a.safetensors"], "ends in .gguf"),
        (["--to", "gguf-lora", "--adapter", "tuned", "--out", "a.bin"], "expected: a.gguf, or"),
        (["--to", "safetensors", "--out", "a.gguf"], "expected: a name such as a"),
        (["--to", "safetensors", "--out", "."], "something at this place already"),
        (["--to", "gguf", "--out", "base.gguf/"], "something else is in the way"),
        (["--to", "gguf", "--adapter", "tuned", "--adapter", "tuned"], "one adapter is exported at a time"),
    ],
)
def test_places_and_words_that_cannot_be_are_named(words: list[str], match: str, tmp_path: Path) -> None:
    (tmp_path / "base.gguf").write_bytes(b"")
    before = sorted(found.name for found in tmp_path.iterdir())
    answer = run_command(["export", "base", *words])
    assert answer.exit_code == 2
    assert match in answer.stderr
    assert sorted(found.name for found in tmp_path.iterdir()) == before


def test_a_file_lies_in_the_folder_that_is_named(tmp_path: Path) -> None:
    answer = run_command(["export", "base", "--to", "gguf", "--stored", "f32", "--out", "new/folder/"])
    assert answer.exit_code == 0, answer.stderr
    names = sorted(found.name for found in (tmp_path / "new" / "folder").iterdir())
    assert names == ["base.f32.gguf", "base.f32.gguf.certificate.json"]


@pytest.mark.parametrize("words", [{"to": "ggml"}, {"to": "gguf", "stored": "q9_0"}])
def test_words_that_python_passes_on_are_looked_at(words: dict[str, str]) -> None:
    import creuset

    with pytest.raises(UsageError, match="this is not known"):
        creuset.export("base", **words)  # type: ignore[arg-type]


def test_a_file_without_its_certificate_is_never_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process leaves that ends between the two: and where the file cannot be placed, neither stays."""
    seen, replace_ = [], Path.replace

    def watched(place: Path, target: Path) -> Path:
        if Path(target).parent == tmp_path and Path(target).name.startswith("base.f32"):
            seen.append(Path(target).name)
            if Path(target).suffix == ".gguf":
                raise OSError(28, "No space left on device")
        return replace_(place, target)

    monkeypatch.setattr(Path, "replace", watched)
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / "base.f32.gguf")
    answer = run_command(["export", "base", "--to", "gguf", "--stored", "f32", "--out", path])
    assert answer.exit_code == 5, answer.stderr
    assert seen == ["base.f32.gguf.certificate.json", "base.f32.gguf"]
    assert not list(tmp_path.glob("base.f32*"))


def test_numbers_that_a_format_does_not_hold_are_named(tmp_path: Path) -> None:
    found = load_folder(tmp_path / "base")
    name = "decoder.blocks.1.feedforward.down.weight"
    found.state[name][0, 0] = 1e5
    save_folder(tmp_path / "large", found)
    answer = run_command(["export", "large", "--to", "gguf", "--stored", "f16"])
    assert answer.exit_code == 2
    assert "blk.1.ffn_down.weight cannot be stored as f16" in answer.stderr
    assert "at most 6.55e+04" in answer.stderr
    found.state[name][0, 0] = float("nan")
    save_folder(tmp_path / "broken", found)
    answer = run_command(["export", "broken", "--to", "gguf"])
    assert answer.exit_code == 2
    assert "blk.1.ffn_down.weight cannot be stored as q8_0" in answer.stderr
    answer = run_command(["export", "broken", "--to", "safetensors"])
    assert answer.exit_code == 1
    assert "look at the model's weights" in answer.stderr


def test_an_embedding_trained_beside_the_tied_head_is_exported_again(tmp_path: Path) -> None:
    body = load_folder(tmp_path / "base").model()
    attach(body, {"decoder.blocks.0.attention.query": LoraForm(rank=2, alpha=4)}, "one")
    train_whole(body, ["token_embedding"], "one")
    adapter = taken(body, "one")
    for tensor in (*adapter.updates.values(), *adapter.whole.values()):
        tensor += 0.1 * torch.randn(tensor.shape)
    for name, apart in (("follows", False), ("apart", True)):
        save_adapter(tmp_path / name, adapter, CONFIG, "llama", base="base", head_apart=apart)
        answer = run_command(["export", "base", "--adapter", name, "--to", "peft"])
        assert answer.exit_code == 0, answer.stderr
