"""What a tuning takes from a language model: the likelihood of texts that it never saw, before and after.

The texts are 40 short passages on everyday things, in English and French, written for this measure
(data/unseen_passages.jsonl): no tuning learns from them unless somebody gives them to it. A model that
learned its task and forgot the rest of the language finds them less likely than its base does.

Legend of shapes: N passages.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from creuset.data.conversations import read_tuning_file
from creuset.data.tokenizer import Tokenizer
from creuset.data.trained_rows import TrainedRows
from creuset.data.tuning_rows import conversation_rows
from creuset.evaluation.tuned_preferences import BASE
from creuset.evaluation.tuned_rows import Pair, each_text
from creuset.files import sha256_of
from creuset.metrics.inputs import FloatArray, IntArray
from creuset.metrics.score import Score
from creuset.metrics.signature import Context
from creuset.metrics.text.perplexity import nats_per_token_of
from creuset.metrics.text.rows import TextRows
from creuset.models.tuned import Tuned
from creuset.progress import Progress

UNSEEN = "unseen_nats_per_token"
"""Nats of a token of the passages; with `CHANGE` behind it what the tuning added: above 0 it forgot."""
_PASSAGES = Path(__file__).parents[1] / "data" / "unseen_passages.jsonl"


def forgetting(
    pair: Pair, tokenizer: Tokenizer, context: Context, change: str, progress: Progress
) -> tuple[list[Score], Score]:
    """The passages' nats a token of the tuned model, with the change, and those of the base.

    Args:
        pair: The tuned model and its base.
        tokenizer: That of both.
        context: Seed of the resamples; the data is the passages.
        change: What stands behind the name of a change.
        progress: Who watches.

    Returns:
        The change and the tuned model's score, and the base's. Intervals are over passages.
    """
    after, before = (unseen_rows(model, tokenizer, progress) for model in (pair.tuned, pair.base))
    own = unseen_context(context)
    changed = replace(
        after,
        metric=UNSEEN + change,
        rows=np.stack([after.rows[:, 0] - before.rows[:, 0], after.rows[:, 1]], axis=1),
        fields={**after.fields, "paired": "base"},
    )
    scores = [changed.score(context=own), after.score(context=own)]
    return scores, replace(before, metric=UNSEEN + BASE).score(context=own)


def unseen_rows(model: Tuned, tokenizer: Tokenizer, progress: Progress) -> TextRows:
    """What each passage costs a model, and its tokens.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        progress: Who watches.
    """
    passages = conversation_rows(read_tuning_file(_PASSAGES), tokenizer, template=None, end_id=None)
    rows = TrainedRows.of([passage.text for passage in passages])
    return _rows(each_text(model, model.text_nats, rows, progress), rows.num_trained.numpy(), tokenizer)


def unseen_context(context: Context) -> Context:
    """That of the passages, with this one's seed."""
    return replace(context, data=sha256_of(_PASSAGES), split="unseen")


def told(change: Score) -> str:
    """What the change says, in a sentence."""
    what = f"passages that no tuning learned from: {change.value:+.3f} nats a token"
    if change.interval is None:
        return what
    low, high = change.interval
    if low > 0:
        return f"{what} [{low:+.3f}, {high:+.3f}]: something was forgotten"
    if high < 0:
        return f"{what} [{low:+.3f}, {high:+.3f}]: nothing was forgotten"
    return f"{what} [{low:+.3f}, {high:+.3f}]: tuned and base cannot be told apart"


def _rows(nats: FloatArray, counts: IntArray, tokenizer: Tokenizer) -> TextRows:
    return TextRows(
        metric=UNSEEN,
        unit="nats_per_token",
        better="lower",
        rows=np.stack([nats, counts], axis=1),
        statistic=nats_per_token_of,
        spread="bca",
        fields={"tokenizer": tokenizer.fingerprint[:16]},
    )
