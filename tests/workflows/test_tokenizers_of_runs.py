"""Language models of each kind of tokenizer: trained, measured, loaded, and asked for texts from nothing."""

from pathlib import Path

import pytest

import creuset
from command_line import run_command
from creuset.data.corpus_split import TOKENIZERS
from creuset.errors import UsageError
from creuset.progress import Silent
from creuset.runs.folder import RunFolder
from creuset.workflows import step_samples
from creuset.workflows.evaluate import evaluate
from creuset.workflows.load import load
from creuset.workflows.run_data import run_data
from creuset.workflows.train import train
from creuset.workflows.write import write

SIZES = {"byte_bpe": 280, "wordpiece": 60, "unigram": 60}
LINES = "".join(f"the {number}th line says {number * 7 % 100} twice\n" for number in range(150))
RECIPE = """
model: {{family: rnn_lm, size: tiny}}
data: {{source: {source}, context: 16, batch_size: 4, tokenizer: {tokenizer}, vocabulary_size: {size}}}
training: {{num_steps: 2, sample_every: 1}}
"""


def train_on(place: Path, text: str, tokenizer: str, size: int | None = None) -> Path:
    """The run of a training on a file with this text, measured, with its report."""
    source = place / "text.txt"
    source.write_text(text)
    recipe = place / "recipe.yaml"
    chosen = SIZES.get(tokenizer, 10_000) if size is None else size
    recipe.write_text(RECIPE.format(source=source, tokenizer=tokenizer, size=chosen))
    return train(recipe, name=place / "run").path


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_a_run_of_each_tokenizer_is_measured_and_writes(tokenizer: str, tmp_path: Path) -> None:
    run = train_on(tmp_path, LINES, tokenizer)
    assert len(list((run / "samples").iterdir())) == 2
    assert evaluate(run).scores
    assert write(run, num=2, max_tokens=5).texts == tuple(creuset.load(run).write("", 2, max_tokens=5))


@pytest.mark.parametrize(
    ("text", "tokenizer", "size"),
    [
        ("one line that goes on and on, " * 60, "characters", 10_000),
        (LINES, "characters", 5),
        (LINES.replace("\n", " "), "bytes", 10_000),
    ],
)
def test_texts_without_line_ends_or_with_unknown_ones(
    tmp_path: Path, text: str, tokenizer: str, size: int
) -> None:
    run = train_on(tmp_path, text, tokenizer, size)
    assert (run / "samples" / "step-00000002.txt").read_text().startswith("--- 1\n")
    answer = run_command(["generate", str(run), "--prompt", "", "--max-tokens", "5"])
    assert answer.exit_code == 0, answer.stderr


def test_a_run_from_before_starts_were_kept_writes_texts(tmp_path: Path) -> None:
    run = train_on(tmp_path, LINES, "wordpiece")
    folder = RunFolder(run)
    spec = folder.manifest().data_spec
    assert spec.pop("start_token") is not None
    folder.update(data_spec=spec)
    assert load(run).spec == run_data(folder, Silent()).spec
    assert len(write(run, num=2, max_tokens=5).texts) == 2


def test_a_sample_that_cannot_be_made_ends_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> list[str]:
        raise UsageError("nothing can be written", where="prompt")

    monkeypatch.setattr(step_samples, "continuations", refuse)
    run = train_on(tmp_path, LINES, "characters")
    samples = (run / "samples" / "step-00000002.txt").read_text()
    assert samples == "no samples of this step\n\nprompt: nothing can be written\n"
