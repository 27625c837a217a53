"""Generated pages are what the code says now, and the README's commands print what stands below them."""

import re
from pathlib import Path

import pytest

from creuset.cli import VERBS
from pages import PAGES, README, readme_commands, readme_outputs
from source_tree import ROOT

_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "<time>"),
    (re.compile(r"\b(?:\d+(?:\.\d+)? s|\d+ min \d\d s)\b"), "<duration>"),
    (re.compile(r"-?\d+\.\d+"), "<number>"),
    (re.compile(r"^[\w ]+: \d+/\d+ \w+, .*\n", re.MULTILINE), ""),
)
"""What depends on the machine: times, durations, the last digits of what was trained there, and lines of
progress, which only a slow one shows."""


def settled(text: str) -> str:
    """The text without what depends on the machine; columns may move with it."""
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    return re.sub(r" {2,}", "  ", text)


@pytest.mark.parametrize("path", [path for path in PAGES if path != README], ids=lambda path: path.name)
def test_the_page_is_current(path: Path) -> None:
    assert path.read_text() == PAGES[path](), "make pages writes it anew"


@pytest.mark.slow
def test_the_readme_s_commands_print_what_it_shows() -> None:
    text = README.read_text()
    shown, now = readme_commands(text), readme_outputs(text)
    assert [(command, settled(output)) for command, output in now] == [
        (command, settled(output)) for command, output in shown
    ]


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
    exec(block.replace("500", "5"), namespace)
    assert str(namespace["pictures"].shape) == "(64, 8, 8, 1)"  # type: ignore[attr-defined]


def test_settled_leaves_words_and_counts() -> None:
    progress = "training: 410/1000 steps, 10 s, 14 s left  loss 92.1\n"
    line = (
        f"{progress}nll 85.837 nats [84.3719, 87.302] (n=180, data:9081ba35) 3 min 05 s 2026-11-22T04:13:52Z"
    )
    assert settled(line) == "nll <number> nats [<number>, <number>] (n=180, data:9081ba35) <duration> <time>"
    assert settled("a   4.1 s\nb     12 s") == "a  <duration>\nb  <duration>"


def test_the_project_s_files_are_where_the_readme_says() -> None:
    tree = README.read_text().partition("## The tree")[2]
    for name in re.findall(r"^ {4}([\w/]+)/ ", tree, re.MULTILINE):
        assert (ROOT / name).is_dir(), name
