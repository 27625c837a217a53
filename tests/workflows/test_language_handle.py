"""`creuset.load` of language models: adapters side by side, added, weighted, merged; texts and scores."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import creuset
from command_line import run_command
from creuset.adapters.lora import AdaptedLinear
from creuset.errors import CheckpointError, NotFoundError, UsageError
from creuset.pretrained.folder import load_folder
from creuset.pretrained.peft_folder import load_adapter, save_adapter
from small_bases import conversations, write_adapter, write_base, write_rows

IDS = [[1, 5, 9, 4], [7, 7, 3, 2]]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREUSET_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("CREUSET_HOME", str(tmp_path / "home"))
    write_base(tmp_path / "base")
    write_adapter(tmp_path / "first", tmp_path / "base", seed=1)
    write_adapter(tmp_path / "second", tmp_path / "base", seed=2, endings=(".value", ".down"))


def both() -> creuset.LanguageHandle:
    return creuset.load("base", adapter={"a": "first", "b": "second"})


def test_a_language_model_by_its_folder() -> None:
    model = creuset.load("base")
    found = model.logits(IDS)
    assert (found.shape, found.dtype) == ((2, 4, model.body.config.vocab_size), np.float32)
    plain = load_folder("base", dtype=torch.float32).model()
    with torch.no_grad():
        wanted = plain.logits(plain.hidden(torch.tensor(IDS))).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    text = model.generate("a fox", max_tokens=6, temperature=0)
    assert text == model.generate("a fox", max_tokens=6, temperature=0)
    assert isinstance(text, str)
    drawn = [model.generate("a fox", max_tokens=12, temperature=1.0, seed=seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_adapters_side_by_side() -> None:
    model = both()
    assert (model.adapters, dict(model.in_use)) == (("a", "b"), {"a": 1.0})
    alone = {name: creuset.load("base", adapter=folder) for name, folder in (("a", "first"), ("b", "second"))}
    for name in ("b", "a"):
        model.use(name)
        np.testing.assert_allclose(model.logits(IDS), alone[name].logits(IDS), atol=1e-5)
    model.use()
    np.testing.assert_allclose(model.logits(IDS), creuset.load("base").logits(IDS), atol=1e-5)
    model.use("a", "b")
    added = model.logits(IDS)
    model.use("b", "a", weights=(1.0, 0.0))
    np.testing.assert_allclose(model.logits(IDS), alone["b"].logits(IDS), atol=1e-5)
    model.use("a", "b", weights=(1, 1))
    np.testing.assert_allclose(model.logits(IDS), added, atol=1e-5)


def test_a_weight_is_a_share_of_the_update() -> None:
    model = both()
    path = "decoder.blocks.0.attention.query"
    layer = model.body.get_submodule(path)
    assert isinstance(layer, AdaptedLinear)
    model.use("a", weights=[0.25])
    wanted = layer.frozen.weight + 0.25 * layer.update("a").matrix()
    torch.testing.assert_close(layer.weight, wanted)
    x = torch.randn(3, layer.frozen.in_features)
    torch.testing.assert_close(layer(x), x @ wanted.T, rtol=1e-4, atol=1e-5)


def test_what_is_written_follows_what_is_in_use() -> None:
    model = both()
    texts = {}
    for names in ((), ("a",), ("b",), ("a", "b")):
        model.use(*names)
        texts[names] = model.generate("a fox", max_tokens=24, temperature=0)
        first = int(model.logits([model.tokenizer.encode("a fox")])[0, -1].argmax())
        assert texts[names].startswith(model.tokenizer.decode([first]).strip() or "")
    assert len(set(texts.values())) > 1
    model.use("b")
    before = model.logits(IDS)
    model.merge()
    np.testing.assert_allclose(model.logits(IDS), before, atol=1e-5)
    assert model.adapters == ()
    assert model.generate("a fox", max_tokens=24, temperature=0) == texts["b",]
    with pytest.raises(UsageError, match='no adapter is called "a"'):
        model.use("a")


def test_what_cannot_be_used_is_said() -> None:
    model = both()
    with pytest.raises(UsageError, match='no adapter is called "aa"; did you mean'):
        model.use("aa")
    for arguments in ({"weights": (1.0,)}, {"weights": (1.0, 1.0, 1.0)}):
        with pytest.raises(UsageError, match="each adapter once"):
            model.use("a", "b", **arguments)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no token ids"):
        model.logits([1, 2])
    with pytest.raises(UsageError, match="no such token"):
        model.logits([[1_000_000]])
    with pytest.raises(UsageError, match="without effect"):
        creuset.load("base", checkpoint="last")
    with pytest.raises(NotFoundError):
        creuset.load("nowhere")
    with pytest.raises(NotFoundError, match="adapter_config"):
        creuset.load("base", adapter="base")
    write_base(Path("other"), seed=5)
    with pytest.raises(CheckpointError, match="of another base"):
        creuset.load("other", adapter="first")


def test_what_is_no_adapter_of_a_language_model_is_refused() -> None:
    found = load_folder("base")
    mine = load_adapter("first", found.config, "llama")
    others = {"score.weight": torch.ones(2, found.config.embed_dim)}
    save_adapter(Path("scored"), mine.adapter, found.config, "llama", base="org/else", others=others)
    with pytest.raises(UsageError, match="more than the language model"):
        creuset.load("base", adapter="scored")
    save_adapter(Path("foreign"), mine.adapter, found.config, "llama", base="org/else")
    with pytest.warns(UserWarning, match="nothing proves that this adapter is of this base"):
        model = creuset.load("base", adapter="foreign")
    assert len(model.unproven) == 1
    answer = run_command(["generate", "base", "--prompt", "a", "--max-tokens", "1", "--adapter", "foreign"])
    assert "its folder names org/else, and this one is base" in answer.stderr


def test_generate_takes_adapters() -> None:
    words = ["generate", "base", "--prompt", "a fox", "--max-tokens", "24", "--temperature", "0"]
    told = {}
    for name, more in {"none": [], "a": ["--adapter", "first"], "b": ["--adapter", "b=second"]}.items():
        answer = run_command([*words, *more])
        assert answer.exit_code == 0, answer.stderr
        told[name] = answer.stdout
    both_added = run_command([*words, "--adapter", "first", "--adapter", "b=second"])
    assert both_added.exit_code == 0, both_added.stderr
    assert len({*told.values(), both_added.stdout}) > 1
    twice = run_command([*words, "--adapter", "first", "--adapter", "first=second"])
    assert twice.exit_code == 2
    assert "two adapters of one name" in twice.stderr
    pictures = run_command(["generate", "base", "--adapter", "first", "--out", "a.png"])
    assert pictures.exit_code == 2
    assert "--adapter" in pictures.stderr


def test_a_chat_switches_between_adapters(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = "hello\n/adapter b\n/clear\nhello\n/adapter none\n/adapter a b\n/adapter\n/adapter c\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(turns))
    words = ["--adapter", "a=first", "--adapter", "b=second", "--temperature", "0", "--max-tokens", "12"]
    answer = run_command(["chat", "base", *words])
    assert answer.exit_code == 0, answer.stderr
    used = [
        line.split("in use: ")[1].split(";")[0] for line in answer.stderr.splitlines() if "in use" in line
    ]
    assert used == ["a", "b", "none", "a, b", "a, b"]
    assert 'no adapter is called "c"' in answer.stderr
    monkeypatch.setattr(sys, "stdin", io.StringIO("/adapter a\n"))
    alone = run_command(["chat", "base"])
    assert "no adapter was given" in alone.stderr
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    refused = run_command(["chat", "base", "--adapter", "first", "--engine", "llamacpp"])
    assert refused.exit_code == 2


def test_an_export_from_python(tmp_path: Path) -> None:
    done = creuset.export("base", to="safetensors", path="out", adapter="first")
    assert done.certificate.passed
    merged, live = creuset.load("out"), creuset.load("base", adapter="first")
    np.testing.assert_allclose(merged.logits(IDS), live.logits(IDS), atol=1e-4)
    beside = creuset.export("base", to="gguf", path="files/", adapter="first", stored="f16")
    assert beside.path == Path("files/first.f16.gguf")
    with pytest.raises(UsageError, match="without effect"):
        creuset.export("base", to="safetensors", path="again", stored="f16")


def test_a_tuned_run_writes_and_scores() -> None:
    write_rows(Path("chats.jsonl"), conversations())
    settings = {"training.num_steps": 4, "training.precision": "float32", "training.learning_rate": 3e-3}
    run = creuset.finetune("base", data="chats.jsonl", name="mine", settings=settings, measure=False)
    model = creuset.load("mine")
    done = creuset.export(run, to="peft", path="mine-peft")
    beside = creuset.load("base", adapter=done.path)
    assert beside.unproven == ()
    np.testing.assert_allclose(model.logits(IDS), beside.logits(IDS), atol=1e-4)
    ids = model.tokenizer.encode("a fox", add_special=False)
    text = model.generate("a fox", max_tokens=6, temperature=0)
    assert isinstance(text, str)
    first = int(model.logits([ids])[0, -1].argmax())
    assert text.startswith(model.tokenizer.decode([first]).strip() or "")
    with pytest.raises(UsageError, match="a run has its own adapter"):
        creuset.load("mine", adapter=done.path)
    write_base(Path("other"), seed=5)
    with pytest.raises(CheckpointError, match="of another base"):
        creuset.export("other", to="gguf", path="out.gguf", adapter=done.path)
