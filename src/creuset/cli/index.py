"""`creuset index`: documents of one's own, taken in, listed, removed, purged, verified."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from creuset.cli.console import (
    TerminalProgress,
    duration,
    emit_json,
    json_option,
    next_step,
    note,
    say,
    shown,
    table,
)

if TYPE_CHECKING:
    from creuset.workflows.ingestion import IngestionReport

PUBLIC = "public"
_SHOWN_FILES = 20
"""Files with something to say that are listed one by one."""


class KeyValue(click.ParamType["tuple[str, str]"]):
    """KEY=VALUE."""

    name = "key=value"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        key, equals, text = str(value).partition("=")
        if not key.strip() or not equals:
            self.fail(f'"{value}" is no KEY=VALUE, such as product=boiler', param, ctx)
        return key.strip(), text.strip()


def name_option(function: Any) -> Any:
    """`--name` of an index."""
    return click.option("--name", default="manual", show_default=True, help="The index: indexes/NAME.")(
        function
    )


@click.group()
def command() -> None:
    """Take documents in, so that they can be searched and asked: see also creuset ask.

    PDF, HTML, Markdown, text, Word (.docx), CSV, source code and e-mail (.eml).
    """


@command.command("build")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@name_option
@click.option(
    "--access",
    multiple=True,
    metavar="GROUP",
    help=f"Who may read these documents; again for further groups. Default: {PUBLIC}.",
)
@click.option(
    "--metadata", multiple=True, type=KeyValue(), help="What is known of all of them, and may be filtered on."
)
@click.option(
    "--embedder",
    help="What makes vectors: a name, a folder, run:ID; none to search by words alone. Default: minilm.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    help="Of vectors; default: bfloat16 where this processor gains by it.",
)
@click.option("--max-tokens", type=click.IntRange(min=16), help="Of a chunk; default: 256.")
@click.option(
    "--store", metavar="ADDRESS", help="A PostgreSQL server for the store: postgresql://user@host/db."
)
@click.option("--prune", is_flag=True, help="Remove documents of these folders whose files are gone.")
@click.option("--watch", is_flag=True, help="Go on, and follow changes of these folders until Ctrl-C.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=60,
    show_default=True,
    help="That a file may take to be read.",
)
@json_option
def build_command(
    paths: tuple[Path, ...],
    name: str,
    access: tuple[str, ...],
    metadata: tuple[tuple[str, str], ...],
    embedder: str | None,
    precision: str | None,
    max_tokens: int | None,
    store: str | None,
    prune: bool,
    watch: bool,
    seconds: float,
    as_json: bool,
) -> None:
    """Take PATHS (folders and files) into an index, which is made where there is none.

    What is there already and has not changed is left as it is; a job that was killed goes on where it was.
    A file that cannot be read is listed with its reason, and stops nothing else.
    """
    from creuset.knowledge.parser_process import Limits
    from creuset.workflows.index import Index
    from creuset.workflows.index_settings import has_index

    chosen = {"embedder": embedder, "precision": precision, "max_tokens": max_tokens, "postgres": store}
    given = {key: value for key, value in chosen.items() if value is not None}
    if given.get("embedder") == "none":
        given["embedder"] = ""
    if not access:
        note(f"access: {PUBLIC} (others by --access GROUP)")
    with TerminalProgress() as progress, Index(name) as index:
        if not has_index(name):
            _require_there(paths)
            index.create(progress=progress, **given)  # type: ignore[arg-type]
        elif given:
            _refuse_other_settings(index.settings, given)
        while True:
            report = index.add(
                *paths,
                access=access or (PUBLIC,),
                metadata=dict(metadata),
                limits=Limits(seconds=seconds),
                prune=prune or watch,
                progress=progress,
            )
            if not watch or report.count("unchanged") != len(report.files):
                _show_report(name, report, as_json=as_json)
            if not watch:
                break
            index.wait_for_change(paths)
    next_step(f'creuset ask "your question" --index {name}')


def _require_there(paths: tuple[Path, ...]) -> None:
    from creuset.errors import NotFoundError

    for path in paths:
        if not path.exists():
            raise NotFoundError("no such file or folder", where=path)


def _refuse_other_settings(settings: Any, given: dict[str, Any]) -> None:
    from creuset.errors import UsageError

    for key, value in given.items():
        there = getattr(settings, key)
        if value not in (there, "auto"):
            raise UsageError(
                "this index was made with other settings",
                where=f"--{'store' if key == 'postgres' else key.replace('_', '-')}",
                got=value,
                expected=there or "none",
                next_step="leave it out, or build another index: --name",
            )


def _show_report(name: str, report: "IngestionReport", *, as_json: bool) -> None:
    if as_json:
        emit_json({"index": name, **asdict(report)})
        return
    told = ("added", "changed", "unchanged", "removed", "skipped", "failed")
    counts = ", ".join(f"{report.count(status):,} {status}" for status in told if report.count(status))  # type: ignore[arg-type]
    say(f"{name}: {counts or 'nothing there'}; {report.num_chunks:,} chunks of {report.num_pages:,} pages")
    speed = report.num_pages / report.seconds if report.seconds else 0.0
    say(f"{duration(report.seconds)}, {speed:,.1f} pages/s, {report.num_embedded:,} texts embedded")
    remarks = [each for each in report.files if each.reason and each.status != "unchanged"]
    for each in remarks[:_SHOWN_FILES]:
        say(shown(f"  {each.status:8} {each.path}: {each.reason}"))
    if len(remarks) > _SHOWN_FILES:
        say(f"  and {len(remarks) - _SHOWN_FILES:,} more: creuset index show {name} --files")
    if report.missing:
        note(f"{len(report.missing):,} documents whose files are gone were kept; --prune removes them")


@command.command("list")
@click.argument("name", required=False)
@click.option("--as", "groups", multiple=True, metavar="GROUP", help="Only what these groups may read.")
@json_option
def list_command(name: str | None, groups: tuple[str, ...], as_json: bool) -> None:
    """List the indexes of the workspace, or the documents of the index NAME."""
    from creuset.workflows.index import Index
    from creuset.workflows.index_settings import index_names

    if name is None:
        names = index_names()
        if as_json:
            emit_json({"indexes": names})
        else:
            say("\n".join(names) or "no index in this workspace")
        next_step(f"creuset index list {names[0]}" if names else "creuset index build FOLDER --name manual")
        return
    with Index(name) as index:
        found = index.documents(groups) if groups else index.store.all_documents()
    if as_json:
        emit_json({"documents": [{**asdict(each), "access": sorted(each.access)} for each in found]})
    else:
        header = ["document", "version", "language", "pages", "chunks", "access", "title"]
        rows = [
            [
                each.path,
                str(each.version),
                each.language or "-",
                str(each.num_pages or "-"),
                str(each.num_chunks),
                ",".join(sorted(each.access)),
                each.title[:48],
            ]
            for each in found
        ]
        say(shown(table(header, rows)))
    next_step(f"creuset index show {name}")


@command.command("show")
@click.argument("name")
@click.option("--files", is_flag=True, help="What became of each file in the last job.")
@json_option
def show_command(name: str, files: bool, as_json: bool) -> None:
    """Show what the index NAME holds, with what settings, and how its last job ended."""
    from creuset.workflows.index import Index

    with Index(name) as index:
        document = index.summary()
        jobs = index.store.jobs()
        reports = index.store.file_reports(jobs[-1].id) if files and jobs else []
    if as_json:
        emit_json({**document, "files": [asdict(each) for each in reports]})
    else:
        for key, value in document.items():
            say(shown(f"{key:14}{value if isinstance(value, str | int) else json.dumps(value)}"))
        for each in reports:
            say(shown(f"  {each.status:9} {each.path}{': ' if each.reason else ''}{each.reason}"))
    next_step(f'creuset ask "your question" --index {name}')


@command.command("rm")
@click.argument("name")
@click.argument("documents", nargs=-1, required=True)
@json_option
def remove_command(name: str, documents: tuple[str, ...], as_json: bool) -> None:
    """Remove DOCUMENTS from the index NAME: nothing of them is found from then on."""
    from creuset.workflows.index import Index

    with Index(name) as index:
        removed = index.remove(*documents)
    if as_json:
        emit_json({"removed": [asdict(each) for each in removed]})
    else:
        for each in removed:
            versions = "" if each.num_versions == 1 else f" in {each.num_versions} versions"
            say(shown(f"{each.path}: removed{versions}, {each.num_chunks:,} chunks"))
    note("their bytes are gone from the disk after: creuset index purge")
    next_step(f"creuset index purge {name}")


@command.command("purge")
@click.argument("name")
@json_option
def purge_command(name: str, as_json: bool) -> None:
    """Leave no byte of what was removed or replaced, and say so in a receipt.

    Answers and judgements that quote it go too. Every file of the workspace and of creuset's cache is
    searched.
    """
    from creuset.workflows.index import Index
    from creuset.workflows.index_purge import purge

    with TerminalProgress() as progress, Index(name) as index:
        done = purge(index, progress)
    if as_json:
        emit_json(asdict(done))
    else:
        receipt = done.receipt
        say(f"receipt {receipt.id} of {name}, {receipt.time}")
        for each in receipt.documents:
            say(shown(f"  {each.path}, version {each.version}, sha256 {each.sha256}"))
        say(f"{len(receipt.answers):,} answers and {len(done.judgements):,} judgements went with them")
        say(f"{done.num_files:,} files were searched; creuset's own hold nothing of it")
        for copy in done.copies:
            say(shown(f"  a copy that is not creuset's, left alone: {copy}"))
        for unread in done.unread:
            say(shown(f"  not searched: {unread}"))
    next_step(f"creuset index list {name}")


@command.command("verify")
@click.argument("name")
@json_option
def verify_command(name: str, as_json: bool) -> None:
    """Check the store of the index NAME and what is derived from it; exit code 1 where something is wrong."""
    from creuset.errors import CheckpointError
    from creuset.workflows.index import Index

    begin = time.monotonic()
    with Index(name) as index:
        wrong = index.verify()
    if as_json:
        emit_json({"index": name, "wrong": wrong})
    elif not wrong:
        say(f"{name}: nothing is wrong ({duration(time.monotonic() - begin)})")
    if wrong:
        raise CheckpointError(
            "something is wrong with this index",
            where=name,
            got="; ".join(wrong[:5]),
            next_step="restore store.sqlite from a copy, or build the index anew",
        )
    next_step(f"creuset index show {name}")


@command.command("export")
@click.argument("name")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="A new .jsonl file."
)
@click.option("--as", "groups", multiple=True, metavar="GROUP", help="Only what these groups may read.")
def export_command(name: str, out: Path, groups: tuple[str, ...]) -> None:
    """Write the chunks of the index NAME as JSONL: document, version, page, span, text."""
    from creuset.workflows.index import Index
    from creuset.workflows.index_export import export_chunks

    with Index(name) as index:
        count = export_chunks(index, out, groups or None)
    say(f"{out}: {count:,} chunks")
    next_step(f"creuset index show {name}")
