"""`creuset.finetune` of a text embedder on pairs: measured beside its base, taken up again, exported."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import creuset
from command_line import run_command
from creuset.data.text_pairs import TextPairs, TokenRows
from creuset.device import BatchGenerator
from creuset.errors import CreusetError, GateError, UsageError
from creuset.models.tuned_embedder import TunedEmbedder
from creuset.objectives.contrastive import info_nce_nats
from creuset.pretrained.sentence_embedder import SentenceEmbedder
from creuset.workflows.embed import CERTIFICATE, export_embedder
from creuset.workflows.evaluate import evaluate
from creuset.workflows.finetune import finetune
from creuset.workflows.lineage import lineage
from creuset.workflows.load import load
from creuset.workflows.train import Run, resume
from small_bases import anchored, conversations, write_embedder, write_rows

QUICK = {"training.num_steps": 50, "training.precision": "float32"}
RATES = {"lora": 5e-3, "full": 3e-3, "last:1": 5e-3}
TEXTS = ["is red 3", "7 yes gold", "blue blue blue"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREUSET_WORKSPACE", str(tmp_path))
    write_embedder(tmp_path / "base")
    write_rows(tmp_path / "pairs.jsonl", anchored())


def tuned(weights: str = "lora", **options: Any) -> Run:
    settings = {**QUICK, "training.learning_rate": RATES[weights], **options.pop("settings", {})}
    return finetune("base", data="pairs.jsonl", weights=weights, settings=settings, **options)


def short(**options: Any) -> Run:
    settings = {"training.num_steps": 2, **options.pop("settings", {})}
    return tuned(measure=False, settings=settings, **options)


def model_of(run: Run) -> TunedEmbedder:
    found = run.model().model
    assert isinstance(found, TunedEmbedder)
    return found


def stored(run: Run) -> Path:
    manifest = run.folder.manifest()
    assert manifest.last is not None
    return run.folder.checkpoints / manifest.last / "weights.safetensors"


@pytest.mark.parametrize("weights", ["lora", "full", "last:1"])
def test_partners_are_found_better_than_by_the_base(weights: str) -> None:
    targets = {"adapter.targets": "all-linear"} if weights == "lora" else {}
    run = tuned(weights, settings={"data.test_share": 0.3, **targets})
    document = run.folder.evaluations()["retrieval"]
    scores = {score["metric"]: score for score in document["scores"]}
    floors = {score["metric"]: score for score in document["floors"]}
    assert list(scores) == [
        *("recall@1", "recall@10", "mrr"),
        *("recall@1_change", "recall@10_change", "mrr_change"),
    ]
    assert list(floors) == ["recall@1_of_base", "recall@10_of_base", "mrr_of_base"]
    for name in ("recall@1", "recall@10", "mrr"):
        before, after = floors[f"{name}_of_base"]["value"], scores[name]["value"]
        assert scores[f"{name}_change"]["value"] == pytest.approx(after - before, abs=1e-12)
    assert scores["mrr_change"]["interval"][0] > 0
    assert (
        "partners of held-out texts: better than the base by mrr_change (n=36)"
        in document["details"]["findings"]
    )
    page = run.folder.report_path.read_text()
    assert "base and tuned model" in page
    kept = run.folder.evaluation_rows("retrieval")
    assert kept is not None
    assert kept.arrays["mrr_of_base"].shape == (36,)


def test_the_base_is_measured_as_it_is() -> None:
    run = tuned("lora")
    floors = {score["metric"]: score for score in run.folder.evaluations()["retrieval"]["floors"]}
    pairs = creuset.workflows.run_data.run_data(run.folder, creuset.progress.Silent()).split("test").pairs
    assert pairs is not None
    base = SentenceEmbedder.from_folder("base")
    cosines = base.embed(pairs.sources) @ base.embed(pairs.targets).T
    ranks = (cosines >= cosines.diagonal()[:, None]).sum(1)
    assert floors["mrr_of_base"]["value"] == pytest.approx((1 / ranks).mean(), abs=1e-9)


def test_a_checkpoint_holds_what_is_trained_alone() -> None:
    assert all("lora" in name or "tuned" in name for name in safetensors.torch.load_file(stored(short())))
    last = safetensors.torch.load_file(stored(short(weights="last:1")))
    assert last
    assert all(".blocks.1." in name for name in last)


@pytest.mark.parametrize("weights", ["lora", "full"])
def test_a_stopped_tuning_goes_on_to_the_same_bytes(weights: str) -> None:
    settings = {"training.num_steps": 5, **({"adapter.dropout": 0.2} if weights == "lora" else {})}
    whole = tuned(weights, name="whole", measure=False, settings=settings)
    tuned(weights, name="stopped", measure=False, max_seconds=1e-6, settings=settings)
    again = resume("stopped", measure=False)
    assert stored(whole).read_bytes() == stored(again).read_bytes()


@pytest.mark.parametrize(("pooling", "normalise"), [("cls", True), ("mean", False)])
def test_pooling_length_and_normalisation_are_those_of_the_base(
    tmp_path: Path, pooling: Any, normalise: bool
) -> None:
    write_embedder(tmp_path / "other", pooling=pooling, normalise=normalise, max_tokens=9)
    run = finetune("other", data="pairs.jsonl", settings={**QUICK, "training.num_steps": 1}, measure=False)
    model = model_of(run)
    assert (model.embedder.pooling, model.embedder.normalise, model.max_tokens) == (pooling, normalise, 9)
    settings = {**QUICK, "training.num_steps": 1, "model.pooling": "last", "model.context": 7}
    own = model_of(finetune("other", data="pairs.jsonl", settings=settings, measure=False))
    assert (own.embedder.pooling, own.max_tokens) == ("last", 7)


@pytest.mark.parametrize("weights", ["lora", "full"])
@pytest.mark.parametrize("normalise", [True, False])
def test_it_is_used_here_and_in_sentence_transformers(tmp_path: Path, weights: str, normalise: bool) -> None:
    write_embedder(tmp_path / "base2", normalise=normalise)
    settings = {**QUICK, "training.num_steps": 10, "training.learning_rate": RATES[weights]}
    run = finetune("base2", data="pairs.jsonl", weights=weights, settings=settings, measure=False)
    loaded = load(run.folder)
    vectors = loaded.embed(TEXTS)
    assert vectors.shape == (3, 32)
    before = SentenceEmbedder.from_folder("base2").embed(TEXTS)
    assert np.abs(vectors - before).max() > 1e-3
    with pytest.raises(UsageError, match="longer than this model reads"):
        loaded.embed(["red " * 30])
    assert np.isfinite(loaded.embed(["red " * 30], truncate=16)).all()
    certificate = export_embedder(loaded, tmp_path / "out")
    assert certificate.least_cosine > 1 - 1e-5
    assert json.loads((tmp_path / "out" / CERTIFICATE).read_text())["num_features"] == 32
    np.testing.assert_allclose(
        SentenceEmbedder.from_folder(tmp_path / "out").embed(TEXTS), vectors, atol=1e-5
    )
    sentence_transformers = pytest.importorskip("sentence_transformers")
    theirs = sentence_transformers.SentenceTransformer(str(tmp_path / "out"), device="cpu").encode(TEXTS)
    lengths = np.linalg.norm(theirs, axis=1) * np.linalg.norm(vectors, axis=1)
    assert ((theirs * vectors).sum(1) / lengths >= 1 - 1e-5).all()
    if not normalise:
        np.testing.assert_allclose(theirs, vectors, rtol=1e-4, atol=1e-4)


def test_an_export_that_differs_is_left_nowhere(tmp_path: Path) -> None:
    loaded = load(short(weights="full", settings={"training.num_steps": 10}).folder)
    before = loaded.embedder  # laid out already: what is written later is of other weights
    with torch.no_grad():
        for weight in model_weights(loaded):
            weight.mul_(-2)
    with pytest.raises(GateError, match="gives other vectors than the model"):
        export_embedder(loaded, tmp_path / "out")
    assert before is loaded.embedder
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []


def model_weights(loaded: creuset.workflows.load.Loaded) -> list[torch.nn.Parameter]:
    assert isinstance(loaded.model, TunedEmbedder)
    return list(loaded.model.parameters())


def test_the_command_line_tunes_and_exports(tmp_path: Path) -> None:
    more = ["--set", "training.num_steps=2", "--set", "training.precision=float32"]
    answer = run_command(["finetune", "base", "--data", "pairs.jsonl", "--method", "embed", *more])
    assert answer.exit_code == 0, answer.stderr
    assert "gate: 96 rows" in answer.stderr
    answer = run_command(["export", "base-embed", "--to", "safetensors", "--out", "out"])
    assert answer.exit_code == 0, answer.stderr
    assert (tmp_path / "out" / "modules.json").is_file()
    refused = run_command(["export", "base-embed", "--to", "gguf"])
    assert refused.exit_code == 2
    assert "exported as a folder alone" in refused.stderr


def test_a_leak_into_the_evaluation_ends_with_exit_code_4() -> None:
    rows = [*anchored(3), {"anchor": "another", "positive": "text"}]
    write_rows(Path("test.jsonl"), rows)
    answer = run_command(["finetune", "base", "--data", "pairs.jsonl", "--test-data", "test.jsonl"])
    assert answer.exit_code == 4
    assert "leak: 3 rows to evaluate on" in answer.stderr
    assert "test.jsonl:1" in answer.stderr
    assert not Path("runs").exists()


def test_a_file_is_looked_at_before_any_tuning() -> None:
    write_rows(Path("rows.jsonl"), [*anchored(5), {"anchor": "is", "positive": "red " * 30}])
    answer = run_command(["data", "validate", "rows.jsonl", "--base", "base"])
    assert answer.exit_code == 0, answer.stderr
    assert "6 records of the form anchor" in answer.stdout
    assert "cut: 1 row (16.7%) with a text of more than 16 tokens" in answer.stdout


def loss_of(model: TunedEmbedder, rows: list[tuple[str, ...]]) -> float:
    tokenizer = SentenceEmbedder.from_folder("base").tokenizer
    sides = [[row[side] if side < len(row) else "" for row in rows] for side in range(3)]
    ids = [TokenRows.of(tokenizer.encode_batch(texts, add_special=False)) for texts in sides]
    pairs = TextPairs(
        sources=tuple(sides[0]),
        targets=tuple(sides[1]),
        source_rows=ids[0],
        target_rows=ids[1],
        tokenizer_size=tokenizer.vocab_size,
        negatives=tuple(sides[2]),
        negative_rows=ids[2],
    )
    batch = pairs.batch(torch.arange(len(rows)))
    return float(model.loss(batch, "model", BatchGenerator(0, "x", size=len(rows)))["loss"].detach())


def test_equal_positives_are_no_wrong_answers_and_hard_negatives_are() -> None:
    model = model_of(short(settings={"model.scale": 5.0}))
    same = [("is red 1", "1 yes red"), ("is red 2", "1 yes red")]
    assert loss_of(model, same) == pytest.approx(0, abs=1e-6)
    apart = [("is red 1", "1 yes red"), ("is red 2", "2 yes red")]
    embed = model.plain_embedder()
    reader = SentenceEmbedder(embed, SentenceEmbedder.from_folder("base").tokenizer, max_tokens=16)
    sides = [torch.from_numpy(reader.embed([row[side] for row in apart])) for side in (0, 1)]
    expected = float(info_nce_nats(*sides, temperature=1 / 5, symmetric=False).mean())
    assert loss_of(model, apart) == pytest.approx(expected, rel=1e-3)
    one = [("is red 1", "1 yes red", "1 no blue"), ("is red 2", "2 yes red")]
    hard = torch.from_numpy(reader.embed(["1 no blue"]))
    expected = float(info_nce_nats(*sides, temperature=1 / 5, symmetric=False, negatives=hard).mean())
    assert loss_of(model, one) == pytest.approx(expected, rel=1e-3)
    own = [("is red 1", "1 yes red", "2 yes red"), ("is red 1", "2 yes red")]  # right by another row
    assert loss_of(model, own) == pytest.approx(0, abs=1e-6)


def test_a_tuned_run_is_tuned_further() -> None:
    first = short(name="first", settings={"training.num_steps": 10})
    second = finetune("first", data="pairs.jsonl", name="second", settings={**QUICK, "training.num_steps": 1})
    assert lineage(second.folder) == [str(Path("base").resolve()), "first", "second"]
    floors = {score["metric"]: score["value"] for score in second.folder.evaluations()["retrieval"]["floors"]}
    own = {score.metric: score.value for score in evaluate(first.folder).scores}
    assert floors["mrr_of_base"] == pytest.approx(own["mrr"], abs=1e-6)


def test_other_pairs_are_measured_without_those_that_were_trained() -> None:
    run = short()
    rows = [*anchored(130)[118:], {"anchor": "what", "positive": "that"}]
    write_rows(Path("other.jsonl"), rows)
    found = evaluate(run.folder, data="other.jsonl")
    assert found.split == "everything"
    assert 11 <= found.scores[0].n <= 13
    write_rows(Path("chats.jsonl"), conversations(3))
    with pytest.raises(CreusetError, match="a text embedder is measured on pairs"):
        evaluate(run.folder, data="chats.jsonl")


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (anchored(), {"weights": "head"}, "a text's vector is made without a head"),
        (anchored(), {"settings": {"adapter.kind": "head"}}, "a text's vector is made without a head"),
        (anchored(), {"method": "sft"}, "does not learn from records of the form anchor"),
        (conversations(), {"method": "embed"}, "does not learn from records of the form messages"),
        (anchored(), {"settings": {"data.tokenizer": "bytes"}}, "without effect"),
        (anchored(), {"settings": {"data.context": 8}}, "without effect"),
        (anchored(), {"settings": {"data.batch_size": 1}}, None),
        (
            [{"anchor": row["anchor"], "positive": row["positive"]} for row in anchored()],
            {"settings": {"data.batch_size": 1}},
            "a pair is told from the others of its batch",
        ),
        (anchored(), {"settings": {"training.accumulate": 2}}, "cannot be cut"),
        ([{"anchor": "a", "positive": "a"}], {}, r"the gate refuses this tuning(.*\n)*.*pairs.jsonl:1:1"),
    ],
)
def test_what_no_embedder_learns_is_refused(
    rows: list[dict[str, object]], options: dict[str, Any], message: str | None
) -> None:
    write_rows(Path("pairs.jsonl"), rows)
    settings = {**QUICK, "training.num_steps": 1, **options.pop("settings", {})}
    if message is None:
        finetune("base", data="pairs.jsonl", settings=settings, measure=False, **options)
        return
    with pytest.raises(CreusetError, match=message):
        finetune("base", data="pairs.jsonl", settings=settings, measure=False, **options)
