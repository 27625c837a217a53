"""The shell's completion scripts, and what they call."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from creuset.cli import cli


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_calls_creuset(shell: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell])
    assert result.exit_code == 0, result.output
    assert f"_CREUSET_COMPLETE={shell}_complete" in result.stdout
    assert result.stderr.startswith(f"next: creuset completion {shell} > ")


def test_an_unknown_shell_is_a_usage_error() -> None:
    assert CliRunner().invoke(cli, ["completion", "csh"]).exit_code == 2


def test_what_the_script_asks_is_answered() -> None:
    environment = {
        **os.environ,
        "_CREUSET_COMPLETE": "bash_complete",
        "COMP_WORDS": "creuset models ver",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [sys.executable, "-c", "from creuset.cli import main; main()"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "plain,verify\n", done.stderr
