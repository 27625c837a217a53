"""`creuset doctor`: what this machine has, what is missing, and the command that mends it."""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click

from creuset.assets import (
    CATALOGUE,
    STARTER,
    Catalogue,
    cache_folder,
    home,
    look_up,
    offline,
    workspace,
    writable,
)
from creuset.cli.console import emit_json, json_option, next_step, say, table
from creuset.errors import CreusetError

_LITTLE_DISK_BYTES = 2e9
"""The starter assets take 0.5 GB while they are pulled, and a run's checkpoints soon as much."""

_LITTLE_MEMORY_BYTES = 4e9
"""What the tour is made to fit into."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the doctor.

    Args:
        name: What was looked at.
        state: ok; warning: creuset works, but not all of it or not well; broken: it does not work.
        value: What was found.
        mend: The command, or the words, that make it right.
    """

    name: str
    state: Literal["ok", "warning", "broken"]
    value: str
    mend: str | None = None


@click.command()
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """Say what this machine has and what is missing.

    Ends with 1 if something is broken that creuset cannot work without, else with 0.
    """
    catalogue: Catalogue = CATALOGUE if context.obj is None else context.obj
    checks = list(all_checks(catalogue))
    broken = [check.name for check in checks if check.state == "broken"]
    if as_json:
        emit_json({"ok": not broken, "checks": [asdict(check) for check in checks]})
    else:
        say(table(["", "what", "found"], [[check.state, check.name, check.value] for check in checks]))
    mends = [check.mend for check in checks if check.mend is not None]
    for mend in dict.fromkeys(mends):
        next_step(mend)
    if broken:
        raise CreusetError("creuset cannot work here", got=", ".join(broken))
    if not mends:
        next_step("creuset tour")


def all_checks(catalogue: Catalogue) -> Iterator[Check]:
    """Every check, in the order they are shown."""
    yield _python()
    yield _packages()
    yield from _torch()
    yield _memory()
    yield from _folder("home", home(), "CREUSET_HOME")
    yield from _folder("workspace", workspace(), "CREUSET_WORKSPACE")
    yield Check(
        name="network",
        state="ok",
        value="not allowed (CREUSET_OFFLINE or --offline)" if offline() else "used only when asked to pull",
    )
    yield _pip()
    for asset in catalogue.values():
        if asset.starter:
            yield _starter(asset.name, catalogue)


def _python() -> Check:
    enough = sys.version_info >= (3, 11)
    return Check(
        name="python",
        state="ok" if enough else "broken",
        value=f"{platform.python_version()} at {sys.executable}",
        mend=None if enough else "install Python 3.11 or newer",
    )


def _packages() -> Check:
    """Whether each package that creuset depends on is installed; pip knows whether the versions fit."""
    missing = []
    requirements = importlib.metadata.requires("creuset") or []
    needed = [requirement for requirement in requirements if "extra ==" not in requirement]
    for requirement in needed:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        mend = f"{sys.executable} -m pip install {' '.join(missing)}"
        return Check(name="packages", state="broken", value=f"missing: {', '.join(missing)}", mend=mend)
    version = importlib.metadata.version("creuset")
    return Check(name="packages", state="ok", value=f"creuset {version} and the {len(needed)} it needs")


def _torch() -> Iterator[Check]:
    """torch, by a small product on the device that training would take; and what it says of the machine."""
    try:
        import torch

        from creuset.device import bfloat16_gain, processor_name, resolve_device

        device = resolve_device("auto")
        torch.ones(8, 8, device=device).matmul(torch.ones(8, 8, device=device))
    except (ImportError, OSError, RuntimeError, CreusetError) as error:
        mend = f"{sys.executable} -m pip install --force-reinstall torch"
        yield Check(name="torch", state="broken", value=str(error).splitlines()[0], mend=mend)
        return
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU in use"
    yield Check(name="torch", state="ok", value=f"{torch.__version__} on {device} ({name})")
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    threads = f"{usable} cores, torch uses {torch.get_num_threads()} threads"
    yield Check(name="processor", state="ok", value=f"{processor_name()}, {threads}")
    try:
        gain = bfloat16_gain(device, writable(cache_folder()) / "bfloat16.json")
    except (CreusetError, OSError):
        yield Check(name="bfloat16", state="warning", value="not measured: home cannot be written")
        return
    yield Check(name="bfloat16", state="ok", value=f"products are {gain:.2f} times as fast as in float32")


def _memory() -> Check:
    """Physical memory, or the limit of the container if that is less."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit_file = Path("/sys/fs/cgroup/memory.max")
    limit = limit_file.read_text().strip() if limit_file.is_file() else "max"
    usable = min(total, int(limit)) if limit.isdigit() else total
    little = usable < _LITTLE_MEMORY_BYTES
    return Check(
        name="memory",
        state="warning" if little else "ok",
        value=f"{usable / 1e9:.1f} GB" + (", little for the tour" if little else ""),
    )


def _folder(name: str, folder: Path, variable: str) -> Iterator[Check]:
    try:
        writable(folder, variable)
    except CreusetError as error:
        yield Check(
            name=name,
            state="broken",
            value=f"{folder} cannot be written: {error.got}",
            mend=error.next_step,
        )
        return
    free = shutil.disk_usage(folder).free
    little = free < _LITTLE_DISK_BYTES
    yield Check(
        name=name,
        state="warning" if little else "ok",
        value=f"{folder}, {free / 1e9:.1f} GB free",
        mend=f"free some space, or set {variable} to a folder on a larger disk" if little else None,
    )


def _pip() -> Check:
    try:
        version = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        mend = f"{sys.executable} -m ensurepip"
        return Check(name="pip", state="warning", value="missing, so nothing can be pulled", mend=mend)
    return Check(name="pip", state="ok", value=version)


def _starter(name: str, catalogue: Catalogue) -> Check:
    """A starter asset: there with the right hash, or the command that fetches it."""
    pull_starter = f"creuset models pull {STARTER}"
    try:
        found, _ = look_up(f"pip:{name}", catalogue=catalogue)
    except CreusetError as error:
        return Check(name=name, state="warning", value=error.message, mend=error.next_step or pull_starter)
    if found is None:
        return Check(name=name, state="warning", value="not on this machine", mend=pull_starter)
    return Check(name=name, state="ok", value=f"verified, in {found.path}")
