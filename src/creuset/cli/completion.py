"""`creuset completion`: the script that makes a shell complete verbs and options."""

import click
from click.shell_completion import get_completion_class

from creuset.cli.console import next_step, say

_WHERE = {
    "bash": "creuset completion bash > ~/.local/share/bash-completion/completions/creuset",
    "zsh": "creuset completion zsh > ~/.zfunc/_creuset    # with ~/.zfunc in fpath",
    "fish": "creuset completion fish > ~/.config/fish/completions/creuset.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(list(_WHERE)))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL."""
    completion = get_completion_class(shell)
    assert completion is not None
    root = context.find_root().command
    say(completion(root, {}, "creuset", "_CREUSET_COMPLETE").source())
    next_step(_WHERE[shell])
