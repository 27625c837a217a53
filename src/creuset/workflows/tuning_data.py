"""Files to tune a language model on, looked at before any training: their form, and what the gate finds."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from creuset.data.anchored_split import all_anchored
from creuset.data.conversations import (
    CHAT_FORMS,
    INSTEAD,
    PAIR_FORMS,
    TuningFile,
    form_of,
    form_of_names,
    read_tuning_file,
)
from creuset.data.dataset import Dataset
from creuset.data.labelled_split import all_labelled
from creuset.data.pair_file import SOURCE, TARGET
from creuset.data.records import table_header
from creuset.data.spec import TUNING
from creuset.data.text_side import TextSide
from creuset.data.tuning_rows import TunedRow, answer_pairs, conversation_rows
from creuset.errors import DataError, UsageError
from creuset.models.tuned import Tuned
from creuset.progress import TRAINED_BEGIN, TRAINED_END, Progress
from creuset.recipe.sections import DataConfig
from creuset.training.base import base_path, text_side_of
from creuset.training.gate import GateReport, look, pieces_of
from creuset.training.gate_on_classes import look_at_classes
from creuset.training.gate_on_model import compare_batches
from creuset.training.gate_on_pairs import look_at_pairs, pair_rows
from creuset.training.gate_on_reward import look_at_reward
from creuset.training.policy import PolicyLoss
from creuset.training.session import Session
from creuset.workflows.own_template import given_template

_ALWAYS = (".json", ".ndjson", ".parquet")
"""Files of records alone."""
_PERHAPS = ".jsonl"
"""Records, or pairs of texts."""
_TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
"""Records by their header, or numbers, pictures, texts."""
_MOST_LINES = 1000
"""That are looked at for one that is an object."""


@dataclass(frozen=True, kw_only=True)
class LookedAt:
    """A file to tune on.

    Args:
        file: Its rows.
        report: What the gate found with a base's tokenizer and template; None without a base.
        sample: A row as a base reads it, and whether each part is trained; empty without a base.
    """

    file: TuningFile
    report: GateReport | None
    sample: tuple[tuple[str, bool], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        report = self.report
        return {
            "form": self.file.form,
            "num_rows": len(self.file.rows),
            "unread": list(self.file.unread),
            "gate": None
            if report is None
            else {
                "num_tokens": report.num_tokens,
                "num_trained": report.num_trained,
                "longest": report.longest,
                "passed": not any(finding.fatal for finding in report.findings),
                "findings": [asdict(finding) for finding in report.findings],
                "sample": [{"text": text, "trained": trained} for text, trained in self.sample],
            },
        }


def is_for_tuning(path: Path, *, named: bool = True) -> bool:
    """Whether a file holds records to tune on, as far as its name and its first whole record tell, or the
    header of a table.

    Args:
        path: The file.
        named: Whether the names of pairs of texts may be told, so that records of no form are such pairs.
    """
    name = path.name.lower()
    if not path.is_file() or name.endswith(_ALWAYS):
        return path.is_file()
    if name.endswith(_TABLES):
        with suppress(DataError, OSError, EOFError):
            return form_of_names([column.lower() for column in table_header(path)]) is not None
        return False
    return name.endswith(_PERHAPS) and _first_form(path, named)


def _first_form(path: Path, named: bool) -> bool:
    """Whether the first line of a file that is an object has the form of a record to tune on, or is no pair
    of texts either; or an array of objects begins there, which is no line."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            for line in islice(file, _MOST_LINES):
                if line.replace(" ", "").startswith(("[{", "[\n")):
                    return True
                with suppress(ValueError, RecursionError):
                    found = json.loads(line)
                    if isinstance(found, dict):
                        is_pair = named or SOURCE in found or TARGET in found
                        return form_of(found) is not None or not is_pair
    except OSError:
        return False
    return False


def look_at(path: Path, base: str | None = None, template: str | None = None) -> LookedAt:
    """A file to tune on, and with a base what the gate finds in it.

    Args:
        path: The file.
        base: A model's name, folder or GGUF file; None to look at the records alone.
        template: A file with a chat template in place of the base's; None for that.

    Raises:
        NotFoundError: There is no such file, or no such model.
        DataError: Records that cannot be learned from, each by its place.
        UsageError: A form that a language model is not tuned on.
    """
    file = read_tuning_file(path)
    if base is None:
        return LookedAt(file=file, report=None)
    if file.form in PAIR_FORMS:
        dataset = all_anchored(file, text_side_of(base_path(base), context=None, vectors=True), "train")
        found = _look_at_pairs(dataset)
        return LookedAt(file=file, report=found, sample=((found.sample, False),))
    text_side = text_side_of(base_path(base), context=None)
    if template is not None:
        text_side = replace(text_side, chat_template=given_template(template, text_side.tokenizer))
    if file.form == "labelled":
        found = look_at_classes(all_labelled(file, DataConfig(source=str(path)), text_side))
        return LookedAt(file=file, report=found, sample=((found.sample, False),))
    rows = _rows(file, text_side)
    report = look(
        rows,
        [],
        text_side.tokenizer,
        end_ids=text_side.eos_ids,
        context=text_side.context_length or max(len(row.text.ids) for row in rows),
    )
    return LookedAt(file=file, report=report, sample=tuple(pieces_of(rows[0].text, text_side.tokenizer)))


def look_at_model(session: Session, progress: Progress) -> None:
    """Whether a batch, its rows one by one and padded rows train the model alike, and a reward tells answers
    apart; asked on one process alone.

    Raises:
        GateError: They do not.
    """
    model = session.model
    if not isinstance(model, Tuned) or session.processes.distributed:
        return
    found = compare_batches(
        model, session.dataset, precision=session.precision, device=session.processes.device
    )
    found.require()
    progress.say(f"gate: {found.told}")
    if isinstance(session.policy, PolicyLoss):
        progress.say(f"gate: reward: {look_at_reward(session.policy)}")


def look_at_rows(
    dataset: Dataset, base: TextSide, progress: Progress, *, num_samples: int = 0, room: int = 0
) -> GateReport | None:
    """The gate before a training: says what is trained and what is worth knowing.

    Args:
        dataset: Texts to tune on.
        base: How the base reads.
        progress: Is told.
        num_samples: That a batch packs into one row; 0 where that is not known.
        room: Tokens of answers that the model is to write to the prompts; 0 where it writes none.

    Returns:
        What was found; None of other data.

    Raises:
        GateError: Rows that the model would learn something else from than is meant; they are shown.
    """
    if dataset.spec.kind == "texts":
        report = look_at_classes(dataset)
    elif dataset.spec.kind == "pairs":
        report = _look_at_pairs(dataset)
    elif dataset.spec.kind in TUNING:
        report = _look_at_tokens(dataset, base, num_samples, room)
    else:
        return None
    report.require()
    progress.say(f"gate: {report.told}")
    for finding in report.findings:
        progress.say(f"gate: warning: {finding}")
    what = (
        "a row" if dataset.spec.kind == "pairs" else f"a row with {TRAINED_BEGIN}what is trained{TRAINED_END}"
    )
    progress.say(f"gate: {what}: {report.sample}")
    return report


def _look_at_tokens(dataset: Dataset, base: TextSide, num_samples: int, room: int) -> GateReport:
    parts = {name: split.tuning for name, split in dataset.splits.items() if split.tuning is not None}
    held_out = [row for name, part in parts.items() if name != "train" for row in part.everything]
    longest = parts["train"].lengths.sort(descending=True).values[:num_samples]
    return look(
        parts["train"].everything,
        held_out,
        base.tokenizer,
        end_ids=base.eos_ids,
        context=dataset.spec.context,
        packed=int(longest.sum()),
        room=room,
    )


def _look_at_pairs(dataset: Dataset) -> GateReport:
    spec, tokenizer = dataset.spec, dataset.tokenizer
    assert tokenizer is not None
    held_out = [row for name, split in dataset.splits.items() if name != "train" for row in pair_rows(split)]
    return look_at_pairs(
        pair_rows(dataset.splits["train"]),
        held_out,
        tokenizer,
        max_tokens=len(spec.ids_before) + spec.context + len(spec.ids_behind),
    )


def _rows(file: TuningFile, text_side: TextSide) -> list[TunedRow]:
    if file.form == "preference":
        pairs = answer_pairs(file, text_side.tokenizer, text_side.chat_template)
        return [row for pair in pairs for row in (pair.chosen, pair.rejected)]
    if file.form in (*CHAT_FORMS, "text"):
        return conversation_rows(
            file,
            text_side.tokenizer,
            template=text_side.chat_template,
            end_id=text_side.end_id,
            context=text_side.context_length,
        )
    raise UsageError(
        "no method learns from rated answers yet",
        where="--base",
        got=f"records of the form {file.form}",
        next_step=INSTEAD.get(file.form, "leave --base out"),
    )
