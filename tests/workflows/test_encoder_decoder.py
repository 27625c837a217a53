"""An encoder with its decoder, on pairs and by denoising: training, resume, samples, measures, its texts."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

import creuset
from command_line import run_command
from creuset.errors import UsageError
from creuset.evaluation import pairs as pairs_suite
from creuset.generation.transduction import best_targets, pairs_of, readable, spans, taking_out, targets
from creuset.models.encoder_decoder import EncoderDecoder
from creuset.progress import Silent
from creuset.runs.folder import RunFolder
from creuset.workflows.compare import compare
from creuset.workflows.estimate import estimate
from creuset.workflows.evaluate import evaluate
from creuset.workflows.load import Loaded, load
from creuset.workflows.rehearse import dry_run
from creuset.workflows.run_data import run_data
from creuset.workflows.train import resume, train
from creuset.workflows.write import write
from small_runs import journal, tensors

KINDS = ("pairs", "denoising")
RECIPE = """
model: {{family: encoder_decoder, size: tiny, dropout: 0.1{more}}}
data: {{source: {source}, context: 24, batch_size: 16}}
training: {{num_steps: 60, learning_rate: 3e-3, log_every: 20, validate_every: 30, checkpoint_every: 20,
           sample_every: 30}}
"""


def pairs_text(number: int = 300) -> str:
    """Numbers, and the numbers one higher."""
    lines = (
        json.dumps(
            {
                "source": f"say {one * 37 % 1000} and then stop",
                "target": f"dis {one * 37 % 1000 + 1} et puis arrête",
            }
        )
        for one in range(number)
    )
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    place = tmp_path_factory.mktemp("encoder_decoder")
    (place / "pairs.jsonl").write_text(pairs_text())
    (place / "denoising.txt").write_text("".join(f"{one} then {one + 1}\n" for one in range(600)))
    runs = {}
    for kind, source in zip(KINDS, ("pairs.jsonl", "denoising.txt"), strict=True):
        recipe = place / f"{kind}.yaml"
        more = ", mean_span: 2.0" if kind == "denoising" else ""
        recipe.write_text(RECIPE.format(source=place / source, more=more))
        runs[kind] = train(recipe, name=place / kind).folder
    return runs


@pytest.fixture(params=KINDS)
def run(request: pytest.FixtureRequest, trained: dict[str, RunFolder], tmp_path: Path) -> RunFolder:
    """A copy of a run."""
    original = trained[request.param]
    shutil.copytree(original.path, tmp_path / original.id)
    return RunFolder(tmp_path / original.id)


def opened(run: RunFolder) -> tuple[Loaded, EncoderDecoder]:
    loaded = load(run)
    assert isinstance(loaded.model, EncoderDecoder)
    return loaded, loaded.model


def test_a_run_holds_samples_and_a_report(run: RunFolder) -> None:
    validation = [line["values"]["loss"] for line in journal(run) if line["event"] == "validation"]
    assert validation[1] < validation[0] < 4
    samples = sorted(run.samples.iterdir())
    assert [path.name for path in samples] == ["step-00000030.txt", "step-00000060.txt"]
    first = samples[0].read_text().splitlines()
    assert first[0] == "--- 1"
    block = first[1 : first.index("--- 2")]
    names = [line[:11].strip() for line in block if line[:1].strip()]
    assert names == ["source", "reference", "output"]
    page = run.report_path.read_text()
    assert "the best text of a beam search" in page
    assert "where the decoder of" in page
    if run.id == "pairs":
        assert "longest target" in page
        assert "source copied" in page
        assert first[1].startswith("source     say ")
        assert first[2].startswith("reference  dis ")
    else:
        source, reference = (
            "".join(block).split("source")[1].split("output")[0].split("reference")[number]
            for number in (0, 1)
        )
        assert source.count("<") == reference.count("<") > 0


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


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_in_parts_is_the_batch(kind: str, tmp_path: Path, trained: dict[str, RunFolder]) -> None:
    """Parts are padded alike, so that dropout draws the same for each sample."""
    settings = {"training.num_steps": 4, "training.precision": "float64"}
    runs = [
        train(
            trained[kind].path.parent / f"{kind}.yaml",
            name=tmp_path / f"in-{parts}",
            settings={**settings, "training.accumulate": parts},
            measure=False,
        )
        for parts in (1, 8)
    ]
    weights = [dict(one.model().model.state_dict()) for one in runs]  # type: ignore[union-attr]
    for name, one in weights[0].items():
        torch.testing.assert_close(weights[1][name], one, rtol=1e-6, atol=1e-9)


def test_likelihoods_are_sums_over_the_split(run: RunFolder) -> None:
    loaded, model = opened(run)
    dataset = run_data(run, Silent())
    found = evaluate(run)
    scores = {score.metric: score for score in found.scores}
    nats, counts = [], []
    draws = taking_out(dataset, "test", device=loaded.device)
    batch = pairs_of(model, dataset, "test", 0, dataset.split("test").num_samples, draws)
    with torch.no_grad():
        for row in range(len(batch["source"])):
            source = batch["source"][row : row + 1, : int(batch["source_lengths"][row])]
            target = batch["targets"][row][batch["targets"][row] != -1]
            read = batch["tokens"][row : row + 1, : len(target)]
            memory = model.transformer.encode(source)
            log_probs = model.transformer(read, memory=memory)[0].log_softmax(-1)
            nats.append(-float(log_probs[torch.arange(len(target)), target].double().sum()))
            counts.append(len(target))
    per_token = sum(nats) / sum(counts)
    assert scores["nats_per_token"].value == pytest.approx(per_token, rel=1e-5)
    assert scores["perplexity"].value == pytest.approx(np.exp(per_token), rel=1e-5)
    assert scores["target_nll"].value == pytest.approx(np.mean(nats), rel=1e-5)
    for name in ("nats_per_token", "perplexity", "target_nll"):
        low, high = scores[name].interval or (np.nan, np.nan)
        assert low < scores[name].value < high
    assert scores["nats_per_token"].n == len(nats)
    assert "split:test" in scores["target_nll"].signature


def test_what_is_written_is_measured_by_sacrebleu(
    trained: dict[str, RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs_suite, "NUM_WRITTEN", 12)
    run = trained["pairs"]
    loaded = load(run)
    dataset = run_data(run, Silent())
    found = evaluate(run)
    scores = {score.metric: score for score in [*found.scores, *found.floors]}
    pairs = dataset.split("test").pairs
    assert pairs is not None
    written = [loaded.transduce(text)[0] for text in pairs.sources[:12]]
    references = [list(pairs.targets[:12])]
    for name, peer in (("bleu", BLEU()), ("chrf", CHRF())):
        assert scores[name].value == pytest.approx(peer.corpus_score(written, references).score)
        copied = peer.corpus_score(list(pairs.sources[:12]), references).score
        assert scores[f"{name}_copied"].value == pytest.approx(copied)
        assert scores[name].n == scores[f"{name}_copied"].n == 12
    assert found.remarks == [f"BLEU and chrF are of the first 12 pairs of {len(pairs.sources)}"]
    assert scores["bits_per_byte"].value == pytest.approx(
        sum(found.rows["nats"]) / np.log(2) / sum(len(text.encode()) for text in pairs.targets)
    )


def test_spans_count_that_come_back_exactly(trained: dict[str, RunFolder]) -> None:
    run = trained["denoising"]
    loaded, model = opened(run)
    found = evaluate(run)
    score = next(score for score in found.scores if score.metric == "spans_filled")
    dataset = run_data(run, Silent())
    number = dataset.split("test").num_samples
    batch = pairs_of(model, dataset, "test", 0, number, taking_out(dataset, "test", device=loaded.device))
    hits, sizes = [], []
    for wanted, (ours, *_) in zip(targets(model, batch), best_targets(model, batch), strict=True):
        gaps, filled = spans(model, wanted), spans(model, ours)
        hits.append(sum(filled.get(gap) == ids for gap, ids in gaps.items()))
        sizes.append(len(gaps))
    assert score.value == pytest.approx(sum(hits) / sum(sizes))
    assert score.n == len(sizes)
    assert found.rows["spans_filled"].mean() == pytest.approx(score.value)
    assert "|rows:blocks" in score.signature
    assert 0 < score.value < 1
    assert "corruption_seed:0" in score.signature
    assert {one.metric for one in found.scores} == {
        "nats_per_token",
        "perplexity",
        "target_nll",
        "spans_filled",
    }


def test_gaps_are_read_and_written(trained: dict[str, RunFolder]) -> None:
    loaded, model = opened(trained["denoising"])
    first, second = model.first_sentinel, model.first_sentinel + 1
    a, b, c = (loaded.tokenizer.encode(text, add_special=False) for text in ("12", " the", "n 13"))
    source = [*a, first, *b, second]
    assert readable(model, loaded.tokenizer, source) == "12<1> the<2>"
    target = [first, *c, second, model.end]
    assert spans(model, target) == {1: tuple(c), 2: ()}
    assert readable(model, loaded.tokenizer, target) == "<1>n 13<2>"
    assert spans(model, [*b, second, *a, first, second, *c]) == {2: tuple(a), 1: ()}


def test_runs_are_compared(trained: dict[str, RunFolder], tmp_path: Path) -> None:
    first = trained["pairs"]
    evaluate(first)
    other = train(
        first.path.parent / "pairs.yaml", name=tmp_path / "other", settings={"training.num_steps": 4}
    ).folder
    result = compare([first, other])
    verdicts = {one.metric: one.verdict for _, one in result.comparisons}
    assert verdicts == {"target_nll": "worse"}
    assert {"bleu", "chrf", "perplexity"} <= set(result.left_out)


def test_a_target_is_written_from_a_prompt(trained: dict[str, RunFolder], tmp_path: Path) -> None:
    run = trained["pairs"]
    answer = run_command(["generate", str(run.path), "--prompt", "say 37", "-n", "2", "--json"])
    assert answer.exit_code == 0, answer.stderr
    document = json.loads(answer.stdout)
    assert document["texts"] == creuset.load(run.path).transduce("say 37", 2)
    assert (document["temperature"], document["seed"], document["goes_on"]) == (None, None, False)
    out = tmp_path / "out.txt"
    assert run_command(["generate", str(run.path), "--prompt", "say 37", "--out", str(out)]).exit_code == 0
    assert out.read_text() == f"--- 1\n{document['texts'][0].rstrip()}\n\n"


def test_a_text_is_filled_in(trained: dict[str, RunFolder]) -> None:
    text = write(trained["denoising"].path, prompt="37 <1> 38\n<2> then 39").texts[0]
    assert "<" not in text
    assert text.startswith("37 ")
    assert text.endswith(" then 39")


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        ("pairs", {"prompt": "  "}, "there is nothing to read"),
        ("pairs", {"prompt": "x" * 10}, "the prompt holds what the model has no token for\n  got: 'x'"),
        (
            "pairs",
            {"prompt": "say 1" * 5},
            "longer than the model's context; nothing was cut\n  got: 25 tokens\n  expected: at most 24",
        ),
        ("pairs", {"prompt": "say 1", "temperature": 0.0}, "--temperature: a setting without effect"),
        ("pairs", {"prompt": "say 1", "seed": 1}, "--seed: a setting without effect"),
        (
            "pairs",
            {"prompt": "say 1", "max_tokens": 25},
            "cannot write so many tokens\n(.*\n)*  expected: 1 to 24",
        ),
        ("pairs", {"prompt": "say 1", "num": 0}, "nothing would be written"),
        ("denoising", {"prompt": "37 then"}, "does not say where\n  got: no gap"),
        ("denoising", {"prompt": "37 <2> then"}, "does not say where\n  got: <2>\n  expected: <1>, then <2>"),
    ],
)
def test_what_cannot_be_written_is_refused(
    trained: dict[str, RunFolder], kind: str, settings: dict[str, object], expected: str
) -> None:
    with pytest.raises(UsageError, match=expected):
        write(trained[kind].path, **settings)  # type: ignore[arg-type]


def test_other_pairs_are_measured_without_those_trained_on(run: RunFolder, tmp_path: Path) -> None:
    if run.id == "pairs":
        other = tmp_path / "other.jsonl"
        lines = pairs_text(40) + json.dumps({"source": "say 2000", "target": "dis 2001"}) + "\n"
        other.write_text(lines)
        assert evaluate(run, data=str(other)).scores[0].n < 20
    else:
        other = tmp_path / "other.txt"
        other.write_text("".join(f"{one} then {one + 1}\n" for one in range(700, 720)))
        assert evaluate(run, data=str(other)).scores[0].n > 5


def test_a_training_is_rehearsed_and_estimated(trained: dict[str, RunFolder]) -> None:
    recipe = trained["pairs"].path.parent / "pairs.yaml"
    assert len(dry_run(recipe).losses) == 3
    found = estimate(recipe, settings={"training.num_steps": 5})
    assert {"training", "validations", "sheets", "evaluation", "report"} <= found.parts.keys()
