"""`creuset.finetune` of classes of texts: on states that are kept, and with a body that learns."""

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import creuset
from creuset.data.conversations import read_tuning_file
from creuset.data.labelled_split import base_ids, split_labelled
from creuset.errors import CreusetError, GateError, UsageError
from creuset.models.tuned_classifier import TunedClassifier
from creuset.pretrained.text_side import open_text_side
from creuset.recipe.sections import DataConfig
from creuset.training.frozen_features import with_frozen_features
from creuset.workflows.finetune import finetune
from creuset.workflows.load import load
from creuset.workflows.train import Run, resume
from small_bases import write_base, write_rows

QUICK = {"training.num_steps": 60, "training.precision": "float32", "training.learning_rate": 1e-2}
GOOD, BAD = ("good", "nice", "fine", "great"), ("bad", "poor", "awful", "sad")


def texts(number: int = 120) -> list[dict[str, object]]:
    return [
        {
            "text": f"a {(GOOD if place % 2 else BAD)[place // 2 % 4]} thing {place // 3}",
            "label": "good" if place % 2 else "bad",
            "group": place // 6,
        }
        for place in range(number)
    ]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREUSET_WORKSPACE", str(tmp_path))
    write_base(tmp_path / "base")
    write_rows(tmp_path / "texts.jsonl", texts())


def tuned(weights: str, **options: Any) -> Run:
    settings = {**QUICK, **options.pop("settings", {})}
    return finetune("base", data="texts.jsonl", weights=weights, settings=settings, **options)


@pytest.mark.parametrize("weights", ["head", "lora", "last:1", "full"])
def test_classes_are_told(weights: str) -> None:
    run = tuned(weights)
    scores = {score.metric: score for score in run.scores}
    assert scores["accuracy"].value > 0.7
    assert scores["accuracy"].interval is not None
    model = run.model()
    assert model.predict(["a good thing 3"])[0] in ("good", "bad")
    assert isinstance(model.model, TunedClassifier)
    manifest = run.folder.manifest()
    assert manifest.last is not None
    stored = safetensors.torch.load_file(run.folder.checkpoints / manifest.last / "weights.safetensors")
    assert "output.weight" in stored
    assert "output.bias" not in stored  # as transformers' heads on decoders
    if weights == "head":
        assert len(stored) == 1


def test_kept_states_are_those_that_the_base_makes() -> None:
    run = tuned("head", measure=False)
    loaded = load(run.folder)
    assert isinstance(loaded.model, TunedClassifier)
    data = split_labelled(
        read_tuning_file(Path("texts.jsonl")),
        DataConfig(source="texts.jsonl"),
        open_text_side(Path("base")),
        seed=0,
    )
    kept = with_frozen_features(loaded.model, data, torch.device("cpu"))
    for split in ("train", "validation"):
        features = kept.split(split).features
        assert features is not None
        tokens = data.batch(split, torch.arange(data.split(split).num_samples))["tokens"]
        torch.testing.assert_close(features, loaded.model.text_vectors(tokens).detach(), rtol=1e-4, atol=1e-5)


def test_groups_stand_in_one_split() -> None:
    run = tuned("head", measure=False)
    data = creuset.workflows.run_data.run_data(run.folder, creuset.progress.Silent())
    group = {row["text"]: row["group"] for row in texts()}
    held = {name: {group[text] for text in split.texts} for name, split in data.splits.items()}
    assert not held["train"] & held["test"]
    assert not held["train"] & held["validation"]


def test_a_stopped_classifier_goes_on_to_the_same_bytes() -> None:
    whole = tuned("lora", name="whole", measure=False, settings={"training.num_steps": 5})
    tuned("lora", name="stopped", measure=False, max_seconds=1e-6, settings={"training.num_steps": 5})
    again = resume("stopped", measure=False)
    files = [
        run.folder.checkpoints / str(run.folder.manifest().last) / "weights.safetensors"
        for run in (whole, again)
    ]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_long_texts_are_cut_at_their_end_and_keep_what_stands_around() -> None:
    tokenizer = open_text_side(Path("base")).tokenizer
    ids, lengths = base_ids(["good " * 50], tokenizer, max_tokens=10)
    assert ids.shape == (1, 10)
    assert int(lengths[0]) > 10
    assert bool((ids > 0).all())


def test_own_texts_are_measured_on_and_mistakes_are_refused() -> None:
    own = [{"text": f"a {word} day", "label": "good"} for word in GOOD]
    write_rows(Path("own.jsonl"), own)
    run = tuned("head", test_data="own.jsonl")
    assert {score.n for score in run.scores if score.metric == "accuracy"} == {4}
    gate = run.folder.manifest().data_report["gate"]
    assert (gate["num_classes"], gate["num_rows"]) == (2, 108)
    write_rows(Path("own.jsonl"), [*own, {"text": "so so", "label": "fair"}])
    with pytest.raises(GateError, match=r'own\.jsonl:5:1: the class "fair" is not trained'):
        tuned("head", test_data="own.jsonl")
    write_rows(Path("texts.jsonl"), [*texts(), {**texts()[0], "label": "good"}])
    with pytest.raises(GateError, match=r"two labels: .*texts\.jsonl:121"):
        tuned("head", measure=False)


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([{"text": "a", "label": "x"}, {"text": "b", "label": "x"}], {}, "too few classes"),
        (texts(), {"method": "sft"}, "does not learn from records of the form labelled"),
        (texts(), {"settings": {"data.tokens": "bytes"}}, "without effect"),
    ],
)
def test_what_no_classifier_learns_is_refused(
    rows: list[dict[str, object]], options: dict[str, Any], message: str
) -> None:
    write_rows(Path("texts.jsonl"), rows)
    with pytest.raises(CreusetError, match=message):
        tuned("head", **options)


@pytest.mark.parametrize("weights", ["lora", "full", "head"])
def test_a_classifier_is_exported_for_transformers(weights: str) -> None:
    transformers = pytest.importorskip("transformers")
    run = tuned(weights, measure=False)
    done = creuset.export(run, to="safetensors", path="out")
    assert done.certificate.passed
    assert done.certificate.num_texts == 12
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained("out").eval()
    assert type(theirs).__name__ == "LlamaForSequenceClassification"
    tokenizer = transformers.AutoTokenizer.from_pretrained("out")
    said = ["a good thing 3", "a bad thing", "and a very poor thing indeed 12"]
    wanted = run.model().logits(said)
    with torch.no_grad():
        for text, row in zip(said, wanted, strict=True):
            found = theirs(**tokenizer(text, return_tensors="pt")).logits[0]
            torch.testing.assert_close(found, torch.from_numpy(row), rtol=0, atol=1e-4)
    assert theirs.config.id2label == dict(enumerate(run.model().spec.class_names))


def test_parts_of_a_batch_drop_the_same_of_texts_of_unlike_lengths() -> None:
    rows = texts()
    for place in range(0, 120, 7):
        rows[place]["text"] = f"{rows[place]['text']} and more of it"
    write_rows(Path("texts.jsonl"), rows)
    settings = {"training.num_steps": 8, "adapter.dropout": 0.3, "training.precision": "float64"}
    runs = [
        tuned("lora", name=f"of-{parts}", measure=False, settings={**settings, "training.accumulate": parts})
        for parts in (1, 4)
    ]
    whole, cut = (
        safetensors.torch.load_file(
            run.folder.checkpoints / str(run.folder.manifest().last) / "weights.safetensors"
        )
        for run in runs
    )
    for name, value in whole.items():
        torch.testing.assert_close(cut[name], value, rtol=1e-5, atol=1e-6)


def test_a_batch_of_theirs_reads_the_last_token_that_is_no_padding() -> None:
    transformers = pytest.importorskip("transformers")
    run = tuned("head", measure=False)
    creuset.export(run, to="safetensors", path="out")
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained("out").eval()
    said = ["a good thing 3", "and a very poor thing indeed 12"]
    ids, _ = base_ids(said, open_text_side(Path("base")).tokenizer, max_tokens=50)
    mask = ids > 0
    filled = torch.where(mask, ids - 1, torch.tensor(theirs.config.pad_token_id)).long()
    with torch.no_grad():
        found = theirs(input_ids=filled, attention_mask=mask.long()).logits
    torch.testing.assert_close(found, torch.from_numpy(run.model().logits(said)), rtol=0, atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
def test_a_classifier_is_exported_for_peft() -> None:
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    run = tuned("lora", measure=False)
    done = creuset.export(run, to="peft", path="out")
    assert done.certificate.passed
    base = transformers.AutoModelForSequenceClassification.from_pretrained("base", num_labels=2)
    theirs = peft.PeftModel.from_pretrained(base, "out").eval()
    tokenizer = open_text_side(Path("base")).tokenizer
    for text in ("a good thing 3", "a poor thing"):
        ids = base_ids([text], tokenizer, max_tokens=50)[0].long() - 1
        with torch.no_grad():
            found = theirs(input_ids=ids).logits
        torch.testing.assert_close(found, torch.from_numpy(run.model().logits([text])), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("to", "weights", "settings", "message"),
    [
        ("gguf", "lora", {}, "written for transformers and for PEFT"),
        ("peft", "head", {}, "no updates to export by themselves"),
        ("safetensors", "head", {"model.pooling": "mean"}, "LlamaForSequenceClassification of transformers"),
        ("safetensors", "head", {"model.bias": True}, "LlamaForSequenceClassification of transformers"),
    ],
)
def test_a_classifier_that_transformers_has_not_is_refused_by_name(
    to: Any, weights: str, settings: dict[str, Any], message: str
) -> None:
    run = tuned(weights, measure=False, settings={"training.num_steps": 2, **settings})
    with pytest.raises(UsageError, match=message):
        creuset.export(run, to=to, path="out")
    assert not Path("out").exists()


def bert_base(folder: Path) -> None:
    """BERT with a pooler and the bytes' tokenizer."""
    transformers = pytest.importorskip("transformers")
    tokenizer = open_text_side(Path("base")).tokenizer
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40}
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=tokenizer.vocab_size, max_position_embeddings=128, initializer_range=0.2, **sizes
    )
    transformers.BertModel(config).save_pretrained(folder)
    tokenizer.save(folder)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
@pytest.mark.parametrize(
    ("weights", "to"), [("head", "safetensors"), ("lora", "safetensors"), ("lora", "peft")]
)
def test_bert_is_exported_where_its_pooler_is_read(weights: str, to: Any) -> None:
    transformers = pytest.importorskip("transformers")
    bert_base(Path("bert"))
    settings = {**QUICK, "training.num_steps": 10, "model.pooling": "pooler"}
    run = finetune("bert", data="texts.jsonl", weights=weights, settings=settings, measure=False)
    done = creuset.export(run, to=to, path="out")
    assert done.certificate.passed
    auto = transformers.AutoModelForSequenceClassification
    if to == "peft":
        peft = pytest.importorskip("peft")
        theirs = peft.PeftModel.from_pretrained(auto.from_pretrained("bert", num_labels=2), "out").eval()
    else:
        theirs = auto.from_pretrained("out").eval()
    tokenizer = open_text_side(Path("bert")).tokenizer
    for text in ("a good thing 3", "a poor thing"):
        ids = base_ids([text], tokenizer, max_tokens=50)[0].long() - 1
        with torch.no_grad():
            found = theirs(input_ids=ids).logits
        torch.testing.assert_close(found, torch.from_numpy(run.model().logits([text])), rtol=0, atol=1e-4)


def test_a_mean_of_states_is_refused_by_the_name_of_bert_s_head() -> None:
    bert_base(Path("bert"))
    run = finetune("bert", data="texts.jsonl", weights="head", settings=QUICK, measure=False)
    with pytest.raises(UsageError, match="BertForSequenceClassification of transformers") as raised:
        creuset.export(run, to="safetensors", path="out")
    assert "the mean of all tokens' states" in str(raised.value)
    assert "model.pooling=pooler" in str(raised.value)
