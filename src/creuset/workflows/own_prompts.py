"""What a tuned run was asked, for certificates: an answer that the run learned is one that it ends."""

from creuset.data.tuning_rows import TunedRow
from creuset.errors import CheckpointError, NotFoundError, UsageError
from creuset.progress import Silent
from creuset.runs.folder import RunFolder
from creuset.workflows.run_data import run_data

MOST = 4
"""Prompts at most: each takes as long as a fixed one."""


def own_prompts(run: RunFolder, *, most: int) -> tuple[tuple[int, ...], ...]:
    """Prompts of a run's rows as tokens, those with the shortest answers: of rows that were held out, where
    there are, else of those that it learned.

    Args:
        run: Of a tuned language model.
        most: Tokens of a prompt.

    Returns:
        None where the run's data is not there any more, or asks nothing.
    """
    try:
        dataset = run_data(run, Silent())
    except (UsageError, NotFoundError, CheckpointError):  # gone, or another one by now
        return ()
    found: list[tuple[int, ...]] = []
    for name in ("test", "validation", "train"):
        tuning = dataset.splits[name].tuning if name in dataset.splits else None
        rows = [] if tuning is None else [row for row in tuning.rows if row.prompt and row.asks]
        for row in sorted(rows, key=_answer_tokens):
            if len(row.prompt) <= most and row.prompt not in found and len(found) < MOST:
                found.append(row.prompt)
    return tuple(found)


def _answer_tokens(row: TunedRow) -> int:
    return sum(row.text.trained)
