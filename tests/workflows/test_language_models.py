"""Language models from scratch: one training, its folder, a resume, its measures, its texts."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import creuset
from command_line import run_command
from creuset.errors import CheckpointError, DataError, GateError, UsageError
from creuset.runs.folder import RunFolder
from creuset.workflows.compare import compare
from creuset.workflows.estimate import estimate
from creuset.workflows.evaluate import evaluate
from creuset.workflows.load import load
from creuset.workflows.report import write_run_report
from creuset.workflows.train import resume, train
from creuset.workflows.write import write
from small_runs import journal, tensors

FAMILIES = ("decoder", "rnn_lm")
TEXT = "".join(f"the {number}th line says {number * 7 % 100} twice\n" for number in range(400))
RECIPE = """
model: {{family: {family}, size: tiny, dropout: 0.1}}
data: {{source: {source}, context: 16, batch_size: 8}}
training: {{num_steps: 60, learning_rate: 3e-3, log_every: 20, validate_every: 30, checkpoint_every: 20,
           sample_every: 30}}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    place = tmp_path_factory.mktemp("language models")
    source = place / "text.txt"
    source.write_text(TEXT)
    runs = {}
    for family in FAMILIES:
        recipe = place / f"{family}.yaml"
        recipe.write_text(RECIPE.format(family=family, source=source))
        runs[family] = train(recipe, name=place / family).folder
    return runs


@pytest.fixture(params=FAMILIES)
def run(request: pytest.FixtureRequest, trained: dict[str, RunFolder], tmp_path: Path) -> RunFolder:
    """A copy of a run."""
    original = trained[request.param]
    copy = tmp_path / original.id
    shutil.copytree(original.path, copy)
    return RunFolder(copy)


def test_a_run_holds_all_that_reads_its_texts(run: RunFolder) -> None:
    manifest = run.manifest()
    tokenizer = load(run).tokenizer
    assert tokenizer.fingerprint == manifest.data_spec["tokenizer"]
    assert manifest.data_report["corpus"]["train"]["num_tokens"] == int(len(TEXT) * 0.8)
    samples = sorted(run.samples.iterdir())
    assert [path.name for path in samples] == ["step-00000030.txt", "step-00000060.txt"]
    assert samples[0].read_text().startswith("--- 1\n")
    validation = [line["values"] for line in journal(run) if line["event"] == "validation"]
    assert validation[1]["loss"] < validation[0]["loss"] < 4
    assert validation[1]["bits_per_byte"] == pytest.approx(validation[1]["loss"] / 0.6931471805599453)
    page = run.report_path.read_text()
    assert "bytes per token" in page
    assert "loss against the tokens read before" in page
    assert "Text 2" in page


def test_a_resumed_run_is_the_run(run: RunFolder, trained: dict[str, RunFolder]) -> None:
    state = run.manifest()
    best = state.best if state.best != state.last else None
    run.update(status="running", stop_reason=None, last=state.previous, previous=None, best=best)
    resume(run.path, measure=False)
    original = trained[run.id]
    assert journal(run) == journal(original)
    last = f"{original.manifest().last}/"
    expected = {key: value for key, value in tensors(original).items() if key.startswith(last)}
    assert {key: value for key, value in tensors(run).items() if key.startswith(last)} == expected


def test_a_batch_in_parts_is_the_batch(tmp_path: Path, trained: dict[str, RunFolder]) -> None:
    recipe = trained["decoder"].path.parent / "decoder.yaml"
    runs = [
        train(
            recipe,
            name=tmp_path / f"in-{parts}",
            settings={
                "training.num_steps": 25,
                "training.accumulate": parts,
                "training.precision": "float64",
            },
            measure=False,
        )
        for parts in (1, 8)
    ]
    weights = [dict(one.model().model.state_dict()) for one in runs]  # type: ignore[union-attr]
    for name, one in weights[0].items():
        torch.testing.assert_close(weights[1][name], one, rtol=1e-6, atol=1e-9)


def test_another_tokenizer_in_the_run_is_refused(run: RunFolder) -> None:
    path = run.tokenizer_path / "tokenizer.json"
    path.write_text(path.read_text().replace('"twice"', '"x"').replace('"z"', '"q"').replace('"s":', '"ß":'))
    with pytest.raises(
        CheckpointError, match=r"not the one that the model was trained with\n  got: fingerprint"
    ):
        load(run).write("the")
    with pytest.raises(UsageError, match="the data is not what this run was trained on"):
        evaluate(run)


def test_another_text_is_refused(run: RunFolder, trained: dict[str, RunFolder]) -> None:
    source = Path(run.manifest().data_source)
    source.write_text(TEXT + "one line more\n")
    try:
        with pytest.raises(UsageError, match="the data is not what this run was trained on"):
            evaluate(run)
    finally:
        source.write_text(TEXT)


def test_a_tokenizer_of_one_s_own_is_kept(trained: dict[str, RunFolder], tmp_path: Path) -> None:
    original = trained["rnn_lm"]
    place = tmp_path / "tokenizer"
    shutil.copytree(original.tokenizer_path, place)
    settings = {"data.tokenizer": str(place), "training.num_steps": 4, "training.checkpoint_every": 2}
    run = train(original.path.parent / "rnn_lm.yaml", name=tmp_path / "own", settings=settings, measure=False)
    assert run.folder.manifest().data_hash == original.manifest().data_hash
    shutil.rmtree(place)
    state = run.folder.manifest()
    run.folder.update(status="running", stop_reason=None, last=state.previous, previous=None, best=None)
    assert resume(run.path, measure=False).outcome.step == 4
    assert evaluate(run.path).scores


def test_measures_are_of_whole_documents(run: RunFolder, tmp_path: Path) -> None:
    nats, perplexity, bits = evaluate(run).scores
    assert (nats.metric, perplexity.metric, bits.metric) == ("nats_per_token", "perplexity", "bits_per_byte")
    assert "split:test" in nats.signature
    assert bits.value == pytest.approx(nats.value / 0.6931471805599453)
    other = tmp_path / "others"
    other.mkdir()
    for number in range(3):
        (other / f"{number}.txt").write_text(f"the {number}th line says 9 twice\n" * 3)
    measured = evaluate(run, data=str(other))
    assert measured.scores[0].n > 3
    assert "rows:passages" in measured.scores[0].signature
    for number in range(3, 20):
        (other / f"{number}.txt").write_text(f"the {number}th line says 9 twice\n" * 3)
    measured = evaluate(run, data=str(other))
    assert measured.scores[0].n == 20
    assert measured.scores[0].interval is not None
    with pytest.raises(DataError, match="another kind"):
        evaluate(run, data="digits")


def test_what_was_trained_on_is_left_out(run: RunFolder, tmp_path: Path) -> None:
    other = tmp_path / "others"
    other.mkdir()
    (other / "seen.txt").write_text(TEXT[: int(len(TEXT) * 0.8)].rsplit("\n", 1)[0] + "\n")
    (other / "new.txt").write_text("the 3th line says 30 twice\n")
    (other / "whole.txt").write_text(TEXT)
    assert evaluate(run, data=str(other)).scores[0].n == 2  # passages of the one new line


def test_a_tokenizer_that_loses_text_gives_no_bits_per_byte(
    trained: dict[str, RunFolder], tmp_path: Path
) -> None:
    run = train(
        trained["rnn_lm"].path.parent / "rnn_lm.yaml",
        name=tmp_path / "words",
        settings={"data.tokenizer": "words", "training.num_steps": 20, "training.validate_every": 20},
        measure=False,
    ).folder
    found = evaluate(run)
    assert [score.metric for score in found.scores] == ["nats_per_token", "perplexity"]
    assert any("bits per byte are left out: 0." in line for line in found.remarks)
    assert all("|unknown_tokens:0." in score.signature for score in found.scores)
    assert "num_bytes" not in found.rows
    assert all(
        "bits_per_byte" not in line["values"] for line in journal(run) if line["event"] == "validation"
    )
    compared = compare([run.path, run.path])
    assert [one.metric for _, one in compared.comparisons] == ["nats_per_token"]


def test_two_models_are_compared_passage_by_passage(trained: dict[str, RunFolder]) -> None:
    found = compare([trained[family].path for family in FAMILIES])
    assert [one.metric for _, one in found.comparisons] == ["bits_per_byte"]
    bits = found.comparisons[0][1]
    assert bits.paired
    assert bits.n > 50
    assert bits.interval is not None
    assert bits.verdict in ("better", "worse")
    again = compare([trained["decoder"].path, trained["decoder"].path], metrics=["perplexity"])
    assert [one.verdict for _, one in again.comparisons] == ["cannot tell apart"]


def test_models_of_unlike_tokenizers_are_compared_by_bits_per_byte(
    trained: dict[str, RunFolder], tmp_path: Path
) -> None:
    first = trained["rnn_lm"]
    settings = {"data.tokenizer": "byte_bpe", "data.vocabulary_size": 300}
    recipe = first.path.parent / "rnn_lm.yaml"
    second = train(recipe, name=tmp_path / "byte_bpe", settings=settings).folder
    answer = run_command(["compare", str(first.path), str(second.path), "--json"])
    assert answer.exit_code == 0, answer.stderr
    (found,) = json.loads(answer.stdout)["comparisons"]
    assert found["metric"] == "bits_per_byte"
    rows = [run.evaluation_rows("text") for run in (first, second)]
    assert rows[0] is not None
    assert rows[1] is not None
    assert rows[0].arrays["num_bytes"].tolist() == rows[1].arrays["num_bytes"].tolist()
    test_text = TEXT[int(len(TEXT) * 0.9) :]
    assert rows[0].arrays["num_bytes"].sum() == pytest.approx(len(test_text), abs=1)
    with pytest.raises(GateError, match=r"they differ in .*tokenizer"):
        compare([first.path, second.path], metrics=["perplexity"])
    other = tmp_path / "other.txt"
    other.write_text("twice says the 7th line 49\n" * 9)
    for run in (first, second):
        evaluate(run, data=str(other))
    ours, theirs = (
        [one["scores"][2]["signature"] for name, one in run.evaluations().items() if name != "text"]
        for run in (first, second)
    )
    assert ours == theirs


def test_texts_follow_from_the_seed(run: RunFolder, tmp_path: Path) -> None:
    first = write(run.path, prompt="the 1", num=2, max_tokens=30, seed=3)
    assert first.texts == write(run.path, prompt="the 1", num=2, max_tokens=30, seed=3).texts
    assert first.texts != write(run.path, prompt="the 1", num=2, max_tokens=30, seed=4).texts
    out = tmp_path / "texts.json"
    write(run.path, out, prompt="the 1", num=2, max_tokens=30, seed=3)
    document = json.loads(out.read_text())
    assert document["texts"] == list(first.texts)
    assert (document["format"], document["run"], document["step"]) == (1, run.id, 60)
    with pytest.raises(UsageError, match="unknown ending"):
        write(run.path, tmp_path / "texts.png")
    assert creuset.load(run.path).write("the", 1, max_tokens=5, temperature=0.0)


def test_the_command_line_writes_texts(run: RunFolder, tmp_path: Path) -> None:
    answer = run_command(
        ["generate", str(run.path), "--prompt", "the 1", "--max-tokens", "20", "--seed", "3"]
    )
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.startswith("the 1")
    out = tmp_path / "texts.txt"
    answer = run_command(
        ["generate", str(run.path), "--prompt", "the", "-n", "2", "--out", str(out), "--json"]
    )
    assert json.loads(answer.stdout)["out"] == str(out)
    assert out.read_text().startswith("--- 1\nthe")
    answer = run_command(["generate", str(run.path), "-n", "2", "--max-tokens", "20"])
    assert answer.exit_code == 0, answer.stderr
    written = creuset.load(run.path).write("", 2, max_tokens=20)
    assert answer.stdout.rstrip("\n") == "\n\n".join(written).rstrip("\n")
    answer = run_command(["generate", str(run.path), "--out", str(tmp_path / "a.png")])
    assert "unknown ending\n  got: .png\n  expected: .txt or .json" in answer.stderr
    answer = run_command(["generate", str(run.path), "--mode", "encode"])
    assert "an option without effect: texts are written" in answer.stderr


def test_pictures_have_no_prompt(tmp_path: Path) -> None:
    recipe = tmp_path / "vae.yaml"
    recipe.write_text("model: {family: vae, size: tiny}\ndata: {source: digits}\ntraining: {num_steps: 2}\n")
    train(recipe, name=tmp_path / "vae", measure=False)
    with pytest.raises(UsageError, match="a model of the family vae cannot write texts"):
        write(tmp_path / "vae", prompt="x")


def test_a_training_of_text_is_estimated(trained: dict[str, RunFolder]) -> None:
    found = estimate(trained["rnn_lm"].path.parent / "rnn_lm.yaml", settings={"training.num_steps": 5})
    assert {"training", "validations", "sheets", "evaluation", "report"} <= found.parts.keys()


def test_a_corpus_is_shown(trained: dict[str, RunFolder], tmp_path: Path) -> None:
    source = trained["decoder"].manifest().data_source
    answer = run_command(["data", "show", source])
    assert "plain text, " in answer.stdout
    assert "kinds of tokens, 1.00 bytes each; samples of 256 tokens" in answer.stdout
    answer = run_command(["data", "split", source, "--out", str(tmp_path / "splits.npz")])
    assert "the splits of plain text are no file of arrays" in answer.stderr


def test_the_report_shows_attention_where_there_is_any(run: RunFolder) -> None:
    evaluate(run)
    write_run_report(run)
    page = run.report_path.read_text()
    assert ("heads by layers" in page) == (run.manifest().family == "decoder")


def test_attention_weights_are_shares_of_the_past(trained: dict[str, RunFolder]) -> None:
    tokens = torch.arange(10)[None] % 5
    assert load(trained["rnn_lm"]).model.attention(tokens) == ()
    model = load(trained["decoder"]).model
    for weights in model.attention(tokens):
        assert weights.shape[0] == 1
        assert weights.shape[-2:] == (10, 10)
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
        assert not weights.triu(1).any()
