"""Help answers at once: without torch, within 0.4 s."""

import subprocess
import sys
import time

import click
import pytest

from command_line import help_pages, run_command
from creuset.cli import VERBS

HEAVY = (
    "torch",
    "numpy",
    "scipy",
    "sklearn",
    "pydantic",
    "PIL",
    "rich",
    "creuset.models",
    "creuset.workflows",
)
MAX_SECONDS = 0.4

_SHOW_IMPORTED = """
import sys
from click.testing import CliRunner
from creuset.cli import cli
for words in sys.argv[1:]:
    result = CliRunner().invoke(cli, [*words.split(), "--help"])
    assert result.exit_code == 0, result.output
print(*sorted(sys.modules))
"""


def imported_for(*pages: str) -> set[str]:
    """The modules that are imported when these help pages are shown."""
    done = subprocess.run(
        [sys.executable, "-c", _SHOW_IMPORTED, *pages], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_help_imports_next_to_nothing() -> None:
    imported = imported_for("")
    assert not imported & set(HEAVY)
    assert not imported & {module for module, _ in VERBS.values()}


def test_no_verb_s_help_imports_torch() -> None:
    assert not imported_for(*help_pages()) & {"torch", "scipy", "sklearn", "creuset.models.base"}


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_it_answers_within_its_time(words: list[str]) -> None:
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "creuset", *words], capture_output=True, check=True)
        seconds.append(time.perf_counter() - begin)
    assert min(seconds) < MAX_SECONDS, seconds


@pytest.mark.parametrize("page", help_pages())
def test_every_option_is_explained(page: str) -> None:
    command: click.Command = help_pages()[page]
    assert command.get_short_help_str(limit=200).endswith("."), page
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"creuset {page} {option.opts[0]}"


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_s_line_in_the_list_begins_like_its_page(verb: str) -> None:
    """The list of verbs is written without importing them: both speak of the same thing."""
    line, page = VERBS[verb][1], run_command([verb, "--help"]).stdout
    assert line.split()[0].rstrip(",.") in page


def test_verbs_are_those_of_the_pages() -> None:
    assert set(VERBS) == {page.split()[0] for page in help_pages() if page}
