"""Generated pages are what the code says now, and the README's commands print what stands below them."""

import math
import re
import shlex
from pathlib import Path

import pytest

from command_line import run_command
from creuset.cli import VERBS
from pages import PAGES, README, readme_commands, readme_machine, readme_outputs, this_machine
from source_tree import ROOT

_DECIMAL = re.compile(r"-?\d+\.\d+")
_NUMBER = "<number>"
_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "<time>"),
    (re.compile(r"\b(?:\d+(?:\.\d+)? s|\d+ min \d\d s)\b"), "<duration>"),
    (_DECIMAL, _NUMBER),
    (re.compile(r"^[\w ]+: \d+/\d+ \w+, .*\n", re.MULTILINE), ""),
)
"""What depends on the machine: times, durations, the last digits of what was trained there, and lines of
progress, which only a slow one shows."""

_TRAINED = 0.02
"""On another machine: of what was trained there, relative; its 95% intervals are about this wide."""
_COMPUTED = 1e-4
"""On another machine: of what follows from the data alone, relative."""


def settled(text: str) -> str:
    """The text without what depends on the machine; columns may move with it."""
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    return re.sub(r" {2,}", "  ", text)


@pytest.mark.parametrize("path", [path for path in PAGES if path != README], ids=lambda path: path.name)
def test_the_page_is_current(path: Path) -> None:
    assert path.read_text() == PAGES[path](), "make pages writes it anew"


def figures(text: str) -> list[tuple[str, str]]:
    """Each number with a point, and the line it stands in, without times, durations and progress."""
    for pattern, word in _VARYING:
        if word != _NUMBER:
            text = pattern.sub(word, text)
    return [(line, number) for line in text.splitlines() for number in _DECIMAL.findall(line)]


def other_figures(shown: str, now: str, *, same_machine: bool) -> list[str]:
    """The numbers that are not as shown.

    The same recipe and seed on the same machine give the same bytes. Elsewhere sums are rounded in another
    order: what follows from trained weights may differ by `_TRAINED`, all else by `_COMPUTED`.
    """
    different = []
    for (line, expected), (_, found) in zip(figures(shown), figures(now), strict=True):
        tolerance = _COMPUTED if line.startswith("for comparison") else _TRAINED
        close = math.isclose(float(expected), float(found), rel_tol=tolerance)
        if found != expected and (same_machine or not close):
            different.append(f"{found}, not {expected}: {line}")
    return different


@pytest.mark.slow
def test_the_readme_s_commands_print_what_it_shows() -> None:
    text = README.read_text()
    shown, now = readme_commands(text), readme_outputs(text)
    assert [(command, settled(output)) for command, output in now] == [
        (command, settled(output)) for command, output in shown
    ]
    same_machine = readme_machine(text) == this_machine()
    for (_, expected), (_, found) in zip(shown, now, strict=True):
        assert other_figures(expected, found, same_machine=same_machine) == [], "make pages writes it anew"


def test_the_readme_s_scores_are_close_to_those_of_this_machine() -> None:
    """The numbers that `settled` leaves out are still those of this recipe."""
    shown = dict(readme_commands(README.read_text()))["creuset eval vae-digits"]
    found = re.search(r"^nll (\S+) nats", shown, re.MULTILINE)
    assert found is not None
    assert 80 < float(found[1]) < 92


def test_the_readme_shows_five_commands_and_names_every_recipe_that_it_uses() -> None:
    commands = [command.split()[1] for command, _ in readme_commands(README.read_text())]
    assert len(commands) == 5
    assert set(commands) <= set(VERBS)


def test_the_readme_s_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    exec(block.replace("500", "120"), namespace)  # more than the warm-up of the recipe
    assert str(namespace["pictures"].shape) == "(64, 8, 8, 1)"  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_readme_s_language_models_are_trained_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = README.read_text().partition("## Language models\n")[2].partition("\n#")[0]
    commands = re.findall(r"^ {4}creuset (.*)$", section, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["train", "train", "compare", "generate"]
    monkeypatch.setenv("CREUSET_WORKSPACE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    few = [
        "--set",
        "training.num_steps=4",
        "--set",
        "training.warmup_steps=1",
        "--set",
        "training.validate_every=2",
    ]
    for command in commands:
        words = shlex.split(command)
        answer = run_command([*words, *(few if words[0] == "train" else [])])
        assert answer.exit_code == 0, f"{command}\n{answer.stderr}"
    assert answer.stdout.startswith("A class is")
    assert "lstm-python against decoder-python: " in (tmp_path / "comparison.html").read_text()


def test_settled_leaves_words_and_counts() -> None:
    progress = "training: 410/1000 steps, 10 s, 14 s left  loss 92.1\n"
    line = (
        f"{progress}nll 85.837 nats [84.3719, 87.302] (n=180, data:9081ba35) 3 min 05 s 2026-11-22T04:13:52Z"
    )
    assert settled(line) == "nll <number> nats [<number>, <number>] (n=180, data:9081ba35) <duration> <time>"
    assert settled("a   4.1 s\nb     12 s") == "a  <duration>\nb  <duration>"


@pytest.mark.parametrize(
    ("shown", "now", "there", "elsewhere"),
    [
        ("nll 85.837 nats", "nll 85.837 nats", 0, 0),
        ("nll 85.837 nats", "nll 85.838 nats", 1, 0),
        ("nll 85.837 nats", "nll 87.837 nats", 1, 1),
        ("for comparison: nll_uniform 181.326 nats", "for comparison: nll_uniform 181.327 nats", 1, 0),
        ("for comparison: nll_uniform 181.326 nats", "for comparison: nll_uniform 181.426 nats", 1, 1),
        ("finished, 5.1 s", "finished, 50.1 s", 0, 0),
        (
            "training: 1/2 steps, 10 s  loss 92.1\nloss 90.5",
            "training: 2/2 steps, 1 s  loss 9.1\nloss 90.5",
            0,
            0,
        ),
    ],
)
def test_figures_are_compared_by_digits_on_one_machine_and_by_size_elsewhere(
    shown: str, now: str, there: int, elsewhere: int
) -> None:
    assert len(other_figures(shown, now, same_machine=True)) == there
    assert len(other_figures(shown, now, same_machine=False)) == elsewhere


def test_the_project_s_files_are_where_the_readme_says() -> None:
    tree = README.read_text().partition("## The tree")[2]
    for name in re.findall(r"^ {4}([\w/]+)/ ", tree, re.MULTILINE):
        assert (ROOT / name).is_dir(), name


def test_the_readme_names_the_pinned_torch() -> None:
    (named,) = re.findall(r"pip install (torch==\S+)", README.read_text())
    assert named in (ROOT / "constraints.txt").read_text().splitlines()


def test_the_readme_says_what_its_outputs_were_made_on() -> None:
    text = README.read_text()
    assert re.fullmatch(
        r".+ \(.+\), \w+ \w+, torch [\d.]+\S*, NumPy [\d.]+, threads: \d+", readme_machine(text)
    )
    assert "  " not in this_machine()
