"""What a report shows of a tuned language model: what is trained of which rows, and it beside its base."""

from collections.abc import Mapping
from typing import Any

from creuset.evaluation.tuned_answers import CHANGE
from creuset.evaluation.tuned_preferences import BASE
from creuset.metrics.score import Score
from creuset.reporting.blocks import Block, Cell, Facts, Finding, Passages, Section, Table
from creuset.runs.manifest import Manifest


def gate_blocks(manifest: Manifest) -> list[Block]:
    """What the gate found before the training; nothing for other runs."""
    gate = manifest.data_report.get("gate")
    if gate is None:
        return []
    of_pairs = gate.get("verb") == "read"  # a run of an older creuset says nothing of it
    facts: dict[str, str | float | int | None] = {
        "rows that are trained": gate["num_rows"],
        "their tokens": gate["num_tokens"],
        f"tokens of the longest {'text' if of_pairs else 'row'}": gate["longest"],
    }
    if gate.get("num_classes"):  # of texts with classes
        facts["classes"] = gate["num_classes"]
    else:
        facts[f"tokens that are {'read' if of_pairs else 'learned'}"] = gate["num_trained"]
    if manifest.base is not None:
        facts |= {"base": manifest.base["name"], "sha256 of its weights": manifest.base["sha256"][:16]}
    findings: list[Block] = [
        Finding(text=f"{found['name']}: {found['message']}", kind="warning") for found in gate["findings"]
    ]
    row = Passages(
        texts={"a row": gate["sample"]},
        caption="A training row: texts that belong together, and perhaps one that does not."
        if of_pairs
        else "A training row as the base reads it; ⟦ ⟧ hold what is learned.",
    )
    return [Facts(facts=facts), *findings, row]


def tuning_blocks(document: Mapping[str, Any]) -> list[Block]:
    """The scores of a stored suite `tuning`, of the base and of the tuned model, and what both answer."""
    scores = {score.metric: score for score in map(Score.from_json, document["scores"])}
    rows: list[list[Cell]] = []
    for before in map(Score.from_json, document["floors"]):
        metric = before.metric.removesuffix(BASE)
        after, change = scores.get(metric), scores.get(metric + CHANGE)
        ends = (None, None) if change is None or change.interval is None else change.interval
        rows.append(
            [
                metric,
                before.value,
                None if after is None else after.value,
                None if change is None else change.value,
                *ends,
            ]
        )
    blocks: list[Block] = []
    if rows:
        blocks.append(
            Table(
                header=["measure", "base", "tuned", "change", "low", "high"],
                rows=rows,
                caption=f"Base and tuned model on the same rows of the {document['split']} split; the change "
                "with its 95% interval, over rows that are taken together.",
            )
        )
    for number, answer in enumerate(document["details"].get("answers", ()), 1):
        texts = {
            "asked": answer["prompt"],
            "stands there": answer["reference"],
            "base": answer["base"],
            "tuned": answer["tuned"],
        }
        passages = Passages(texts=texts, caption=f"Held-out row {answer['place']}, answered token by token.")
        blocks.append(Section(title=f"Answer {number}", blocks=[passages]))
    return blocks
