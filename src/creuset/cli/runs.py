"""`creuset runs`: what was trained in this workspace."""

import json
import shutil
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from creuset.cli.console import duration, emit_json, json_option, next_step, note, say, table

if TYPE_CHECKING:
    from creuset.runs.folder import RunFolder

_POLL_SECONDS = 0.5
"""How often `log -f` looks for new lines."""


@click.group("runs")
def command() -> None:
    """List, show, follow, stop and remove runs of the workspace."""


@command.command("list")
@json_option
def list_runs(as_json: bool) -> None:
    """All runs, the newest last."""
    from creuset.assets import workspace
    from creuset.errors import CheckpointError
    from creuset.runs.folder import RunFolder, run_paths

    folder = workspace() / "runs"
    rows: list[dict[str, Any]] = []
    for path in run_paths(folder) if folder.is_dir() else []:
        try:
            rows.append(_row(RunFolder(path)))
        except CheckpointError as error:
            note(f"warning: {error}")
    rows.sort(key=lambda row: row["created"])
    if as_json:
        emit_json({"runs": rows})
        return
    if not rows:
        say(f"no runs in {folder}")
        next_step("creuset train vae-mnist")
        return
    shown = [
        [
            row["id"],
            row["family"],
            row["status"],
            str(row["step"]),
            duration(row["seconds"]),
            "-" if row["best_validation_loss"] is None else f"{row['best_validation_loss']:.5g}",
            row["created"],
        ]
        for row in rows
    ]
    say(table(["run", "family", "status", "step", "trained", "validation loss", "created"], shown))
    next_step(f"creuset runs show {rows[-1]['id']}")


def _row(run: "RunFolder") -> dict[str, Any]:
    manifest = run.manifest()
    return {
        "id": run.id,
        "path": str(run.path),
        "family": manifest.family,
        "status": run.status(),
        "step": manifest.step,
        "seconds": manifest.seconds,
        "best_validation_loss": manifest.best_validation_loss,
        "created": manifest.created,
    }


@command.command("show")
@click.argument("run")
@json_option
def show(run: str, as_json: bool) -> None:
    """What RUN is: recipe, data, machine, checkpoints, scores."""
    from creuset.metrics.score import Score
    from creuset.workflows.again import again_command
    from creuset.workflows.collapse_panel import alarm_sentences
    from creuset.workflows.evaluate import stored_scores
    from creuset.workflows.lineage import lineage
    from creuset.workflows.load import find_run
    from creuset.workflows.outdated import outdated_scores

    folder = find_run(run)
    manifest = folder.manifest()
    scores: list[Score] = stored_scores(folder)
    alarms = alarm_sentences(folder)
    outdated = list(outdated_scores(folder).values())
    checkpoints = folder.checkpoint_names()
    if as_json:
        emit_json(
            {
                "path": str(folder.path),
                "status": folder.status(),
                "manifest": manifest.model_dump(mode="json"),
                "lineage": lineage(folder),
                "checkpoints": checkpoints,
                "again": again_command(folder),
                "alarms": alarms,
                "scores": [score.to_json() for score in scores],
                "outdated_scores": outdated,
            }
        )
        return
    say(f"{folder.path}: {manifest.family}, {folder.status()} at step {manifest.step}")
    facts = [
        ("made by", manifest.command),
        ("again", again_command(folder)),
        ("created", manifest.created),
        ("trained", duration(manifest.seconds)),
        ("data", f"{manifest.data_source}, hash {manifest.data_hash[:16]}"),
        ("seed", str(manifest.seed)),
        ("device", f"{manifest.device}, {manifest.precision_reason}"),
        ("machine", ", ".join(f"{key} {value}" for key, value in manifest.machine.items())),
        ("lineage", " -> ".join(lineage(folder))),
        (
            "checkpoints",
            ", ".join(_marked(name, manifest.last, manifest.best) for name in checkpoints) or "none",
        ),
        ("why it stopped", manifest.stop_reason or "-"),
    ]
    for key, value in facts:
        say(f"  {key:<14}  {value}")
    for text in alarms:
        say(f"  {text}")
    for score in scores:
        say(f"  {score}")
    for sentence in outdated:
        say(f"  {sentence}")
    current = scores and not outdated
    next_step(f"open {folder.report_path}" if current else f"creuset eval {folder.reference}")


def _marked(name: str, last: str | None, best: str | None) -> str:
    marks = [mark for mark, marked in (("last", last), ("best", best)) if marked == name]
    return f"{name} ({', '.join(marks)})" if marks else name


@command.command("log")
@click.argument("run")
@click.option("-f", "--follow", is_flag=True, help="Go on printing new lines until the run ends.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one document; with -f one a line.")
def log(run: str, follow: bool, as_json: bool) -> None:
    """The journal of RUN, a line an event."""
    from creuset.workflows.load import find_run

    lines = _lines(find_run(run), follow)
    if as_json and not follow:
        emit_json({"events": list(lines)})
        return
    for line in lines:
        if not say(json.dumps(line) if as_json else _journal_line(line)):
            return


def _lines(folder: "RunFolder", follow: bool) -> Iterator[dict[str, Any]]:
    """The journal's lines, and with `follow` those to come until the run ends."""
    from creuset.runs.follow import JournalReader

    reader = JournalReader(folder.journal_path)
    while True:
        running = folder.running_process() is not None
        yield from reader.new_lines()
        if not follow or not running:
            return
        time.sleep(_POLL_SECONDS)


def _journal_line(line: dict[str, Any]) -> str:
    values = " ".join(
        f"{key} {value:.6g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in line["values"].items()
    )
    player = "" if line["player"] in (None, "model") else f" {line['player']}"
    seconds = line["clock"].get("seconds")
    when = "" if seconds is None else f"  [{duration(seconds)}]"
    return f"{line['step']:>8} {line['event']}{player}  {values}{when}"


@command.command("stop")
@click.argument("run")
def stop(run: str) -> None:
    """Ask the process that trains RUN to checkpoint and stop."""
    from creuset.workflows.load import find_run

    folder = find_run(run)
    if folder.stop():
        say(f"{folder.id}: asked to stop; it makes a checkpoint first")
        next_step(f"creuset runs show {folder.reference}")
    else:
        say(f"{folder.id}: nothing is training there (status: {folder.status()})")


@command.command("rm")
@click.argument("runs", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(runs: tuple[str, ...], yes: bool) -> None:
    """Delete RUNS with their checkpoints."""
    from creuset.files import size_of_folder
    from creuset.workflows.load import find_run

    folders = [find_run(run) for run in dict.fromkeys(runs)]
    for folder in folders:
        size = size_of_folder(folder.path)
        if not yes and not click.confirm(f"delete {folder.path} ({size / 1e6:.1f} MB)?", err=True):
            say(f"{folder.path}: kept")
            continue
        folder.remove()
        say(f"{folder.path}: deleted, {size / 1e6:.1f} MB freed")
    free = shutil.disk_usage(folders[0].path.parent).free
    say(f"{free / 1e9:.1f} GB free now")
