"""An encoder from scratch: one training, its folder, a resume, its measures, and the masks that it fills."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import creuset
from command_line import run_command
from creuset.errors import UsageError
from creuset.runs.folder import RunFolder
from creuset.workflows.compare import compare
from creuset.workflows.evaluate import evaluate
from creuset.workflows.fill import fill, fills_masks
from creuset.workflows.report import write_run_report
from creuset.workflows.train import resume, train
from small_runs import journal, tensors

TEXT = "".join(f"the {number}th line says {number * 7 % 100} twice\n" for number in range(400))
RECIPE = """
model: {{family: encoder, size: tiny, dropout: 0.1}}
data: {{source: {source}, context: 16, batch_size: 8}}
training: {{num_steps: 60, learning_rate: 3e-3, log_every: 20, validate_every: 30, checkpoint_every: 20,
           sample_every: 30}}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    place = tmp_path_factory.mktemp("encoder")
    source = place / "text.txt"
    source.write_text(TEXT)
    recipe = place / "encoder.yaml"
    recipe.write_text(RECIPE.format(source=source))
    return train(recipe, name=place / "encoder").folder


@pytest.fixture
def run(trained: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of the run."""
    copy = tmp_path / trained.id
    shutil.copytree(trained.path, copy)
    return RunFolder(copy)


def test_a_run_holds_its_tokenizer_samples_and_scores(run: RunFolder) -> None:
    manifest = run.manifest()
    loaded = creuset.load(run.path)
    assert loaded.tokenizer.special.mask == manifest.data_spec["mask_token"]
    samples = sorted(run.samples.iterdir())
    assert [path.name for path in samples] == ["step-00000030.txt", "step-00000060.txt"]
    assert samples[0].read_text().startswith("--- 1\n")
    validation = [line["values"]["loss"] for line in journal(run) if line["event"] == "validation"]
    assert validation[1] < validation[0] < 4
    page = run.report_path.read_text()
    for words in ("Masks filled", "hidden token", "guess 3", "frequencies", "right of it what comes behind"):
        assert words in page


def test_a_resumed_run_is_the_run(run: RunFolder, trained: RunFolder) -> None:
    state = run.manifest()
    best = state.best if state.best != state.last else None
    run.update(status="running", stop_reason=None, last=state.previous, previous=None, best=best)
    resume(run.path, measure=False)
    assert journal(run) == journal(trained)
    last = f"{trained.manifest().last}/"
    expected = {key: value for key, value in tensors(trained).items() if key.startswith(last)}
    assert {key: value for key, value in tensors(run).items() if key.startswith(last)} == expected


def test_a_batch_in_parts_is_the_batch(trained: RunFolder, tmp_path: Path) -> None:
    weights = []
    for parts in (1, 8):
        settings = {
            "training.num_steps": 10,
            "training.accumulate": parts,
            "training.precision": "float64",
        }
        run = train(
            trained.path.parent / "encoder.yaml",
            name=tmp_path / f"in-{parts}",
            settings=settings,
            measure=False,
        )
        weights.append(dict(run.model().model.state_dict()))  # type: ignore[union-attr]
    for name, one in weights[0].items():
        torch.testing.assert_close(weights[1][name], one, rtol=1e-6, atol=1e-9)


def test_runs_are_compared_by_the_tokens_they_tell(
    run: RunFolder, trained: RunFolder, tmp_path: Path
) -> None:
    settings = {"training.num_steps": 2, "model.mask_share": 0.3}
    other = train(trained.path.parent / "encoder.yaml", name=tmp_path / "short", settings=settings)
    found = compare([str(other.path), str(run.path)])
    metrics = [comparison.metric for _, comparison in found.comparisons]
    assert metrics == ["nats_per_masked_token", "accuracy", "accuracy_top5"]
    assert found.comparisons[0][1].verdict == "better"


def test_other_texts_are_measured(run: RunFolder, tmp_path: Path) -> None:
    other = tmp_path / "others"
    other.mkdir()
    for number in range(3):
        (other / f"{number}.txt").write_text(f"the {number}th line says 9 twice\n" * 3)
    scores = evaluate(run, data=str(other)).scores
    assert [score.metric for score in scores] == ["nats_per_masked_token", "accuracy", "accuracy_top5"]
    assert "split:everything" in scores[0].signature


def test_masks_are_filled(run: RunFolder, tmp_path: Path) -> None:
    made = fill(run.path, tmp_path / "x.json", prompt="the [MASK]th l[MASK]ne", num=3)
    document = json.loads((tmp_path / "x.json").read_text())
    assert (document["format"], document["run"], document["step"]) == (1, run.id, 60)
    assert [len(mask) for mask in document["masks"]] == [3, 3]
    assert document["masks"][1][0]["token"] == made.masks[1].guesses[0].token
    fill(run.path, tmp_path / "x.txt", prompt="the [MASK]th")
    lines = (tmp_path / "x.txt").read_text().splitlines()
    assert lines[0] == "the [MASK]th"
    assert len(lines) == 6
    with pytest.raises(UsageError, match=r"unknown ending.*\n.*\n.*\.txt or \.json"):
        fill(run.path, tmp_path / "x.png", prompt="the [MASK]th")
    with pytest.raises(UsageError, match="cannot write texts"):
        creuset.load(run.path).write("the")
    assert not fills_masks("nosuch")


def test_the_command_line_fills_masks(run: RunFolder, tmp_path: Path) -> None:
    name = str(run.path)
    answer = run_command(["generate", name, "--prompt", "the [MASK]th l[MASK]ne", "-n", "2"])
    assert answer.exit_code == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert lines[:2] == ["the [MASK]th l[MASK]ne", "mask 1"]
    assert len(lines) == 7
    assert answer.stderr == f"next: creuset eval {name}\n"
    answer = run_command(["generate", name, "--prompt", "the [MASK]th", "--json"])
    assert len(json.loads(answer.stdout)["masks"][0]) == 5
    out = tmp_path / "filled.txt"
    answer = run_command(["generate", name, "--prompt", "the [MASK]th", "--out", str(out)])
    assert answer.stdout == f"{out}: 1 mask filled by {run.id} at step 60\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--prompt", "the line"], "the prompt holds no mask, and this model fills masks"),
        (["--prompt", "[MASK]" + "e" * 20], "got: 21 tokens\n  expected: at most 16 tokens"),
        (["--prompt", "[MASK]", "--seed", "3"], "--seed: an option without effect: masks are filled"),
        (["--prompt", "[MASK]", "--max-tokens", "3"], "--max-tokens: an option without effect"),
        (["--prompt", "[MASK]", "--mode", "encode"], "--mode: an option without effect: texts are written"),
        (["--out", "x.png"], "cannot draw samples"),
    ],
)
def test_what_cannot_be_filled_is_refused(words: list[str], message: str, run: RunFolder) -> None:
    answer = run_command(["generate", str(run.path), *words])
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert message in answer.stderr


def test_the_report_can_be_written_again(run: RunFolder) -> None:
    write_run_report(run)
    assert "heads by layers" in run.report_path.read_text()
