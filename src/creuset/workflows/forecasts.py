"""What a tuning was expected to take, and what it took, side by side."""

from dataclasses import replace

from creuset.progress import Progress
from creuset.reporting.blocks import Cell, Table
from creuset.runs.folder import RunFolder
from creuset.runs.journal import read_journal
from creuset.training.forecast import forecast
from creuset.training.session import Session
from creuset.workflows.plan import Plan


def with_forecast(plan: Plan, session: Session, progress: Progress) -> Plan:
    """The plan with what its training is expected to take, which is told; the same where nobody knows."""
    if plan.gate is None or session.processes.distributed:
        return plan
    found = forecast(session)
    if found is None:
        return plan
    progress.say(
        f"gate: expected: {found.memory_bytes / 1e6:,.0f} MB, {found.seconds:,.0f} s for "
        f"{found.num_tokens:,} tokens, the heaviest part {found.heaviest_tokens:,}"
    )
    return replace(plan, gate=replace(plan.gate, expected=found.to_json()))


def tell_beside(folder: RunFolder, progress: Progress) -> None:
    """Says what a training took, where it was forecast."""
    for table in forecast_table(folder):
        (_, memory, peak), (_, seconds, taken) = table.rows
        if isinstance(peak, float):
            progress.say(
                f"took {peak:,.0f} MB, {memory:,.0f} expected; {taken:,.0f} s, {seconds:,.0f} expected"
            )


def forecast_table(run: RunFolder) -> list[Table]:
    """Memory and time of a run that was forecast; nothing for others."""
    manifest = run.manifest()
    gate = manifest.data_report.get("gate") or {}
    expected = gate.get("expected")
    if not expected:
        return []
    rows: list[list[Cell]] = [
        ["memory at most, MB", expected["memory_bytes"] / 1e6, _peak(run)],
        ["training, s", expected["seconds"], manifest.seconds],
    ]
    return [
        Table(
            header=["", "expected", "measured"],
            rows=rows,
            caption="What the gate expected of one batch before the first step, and what the training took.",
        )
    ]


def _peak(run: RunFolder) -> float | None:
    peaks = [
        line["clock"]["peak_memory_bytes"] / 1e6
        for line in read_journal(run.journal_path)
        if "peak_memory_bytes" in line["clock"]
    ]
    return max(peaks, default=None)
