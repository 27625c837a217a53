"""`creuset neighbours`: the words that lie nearest to a word, or to a sum and difference of words."""

import click

from creuset.cli.console import emit_json, json_option, next_step, say, table


@click.command("neighbours")
@click.argument("run")
@click.argument("expressions", nargs=-1, required=True)
@click.option(
    "-n", "--num", type=click.IntRange(min=1), default=10, show_default=True, help="How many words."
)
@click.option(
    "--checkpoint", default="best", show_default=True, help="best, last, or a name such as step-00000500."
)
@json_option
def command(run: str, expressions: tuple[str, ...], num: int, checkpoint: str, as_json: bool) -> None:
    """Show the words whose vectors in RUN (an ID or a path) are nearest to each of EXPRESSIONS.

    An expression is a word, or words with signs between them: "king - man + woman". The words that it names
    are left out of the answers. RUN is a model whose tokens are words, such as one of the family
    token_embeddings.
    """
    from creuset.workflows.analogies import word_vectors
    from creuset.workflows.load import load

    vectors = word_vectors(load(run, checkpoint=checkpoint))
    found = {expression: vectors.near(expression, num) for expression in expressions}
    if as_json:
        emit_json(
            {
                "run": run,
                "neighbours": [
                    {
                        "expression": expression,
                        "nearest": [{"word": one.word, "cosine": one.cosine} for one in nearest],
                    }
                    for expression, nearest in found.items()
                ],
            }
        )
    else:
        for expression, nearest in found.items():
            say(table([expression, "cosine"], [[one.word, f"{one.cosine:.3f}"] for one in nearest]))
    next_step(f"creuset eval {run} --suite analogies --questions FILE")
