"""The judgements of a workspace as a file to tune on, which stays as it is when more are recorded."""

import hashlib
from pathlib import Path

from creuset.assets.places import workspace, writable
from creuset.errors import UsageError
from creuset.feedback import FEEDBACK_FILE, FeedbackStore, Form, as_json_lines, records
from creuset.files import write_atomic

_FOLDER = "feedback"
_FORMS: dict[str | None, Form] = {
    **dict.fromkeys((None, "lora", "full", "dpo", "orpo", "reward"), "dpo"),
    **dict.fromkeys(("sft", "grpo", "ppo"), "sft"),
}
"""What a method learns from: pairs of answers, or conversations."""


def feedback_data(method: str | None) -> Path:
    """Writes the judgements recorded so far as the records that a method of `creuset finetune` learns from.

    The file is named by its content, feedback/dpo-1a2b3c4d5e6f.jsonl in the workspace: the run that is tuned
    on it names it, and judgements recorded later go into another one.

    Args:
        method: As of `creuset finetune`; None: preferences.

    Raises:
        NotFoundError: Nothing was judged in this workspace.
        DataError: No judgement says anything of this form.
        UsageError: A method that learns from something else.
    """
    if method not in _FORMS:
        raise UsageError(
            "this method does not learn from judgements",
            where="--from-feedback",
            got=f"--method {method}",
            expected=", ".join(name for name in _FORMS if name is not None),
            next_step="give a file: --data FILE",
        )
    form = _FORMS[method]
    with FeedbackStore(workspace() / FEEDBACK_FILE, create=False) as store:
        text = as_json_lines(records(list(store.all()), form))
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    path = writable(workspace() / _FOLDER, "CREUSET_WORKSPACE") / f"{form}-{digest}.jsonl"
    if not path.exists():
        write_atomic(path, text)
    return path
