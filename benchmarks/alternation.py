"""What the comparisons with other libraries share: contenders in turn, each in a fresh process, and ratios.

A contender is a program that prints one JSON object as its last line: its row. Contenders run one after
another, each second round in the opposite order, so that a machine that grows warm or busy is as hard on one
as on the other. A ratio is taken within a round; shown are the median over rounds, the least and the most.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from creuset.device import machine_facts

ENVIRONMENTS = Path(__file__).resolve().parent / ".venvs"

Row = dict[str, Any]
Rows = dict[str, list[Row]]
"""The rows of each contender, one a round."""
Spread = dict[str, float]
"""The median, the least and the most."""


def parser_of(description: str | None, result: Path, doing: str = "runs") -> argparse.ArgumentParser:
    """A parser with what every comparison can be told: --rounds, --threads and --json."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help=f"how often each side {doing} (default 3)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: one a processor")
    parser.add_argument(
        "--json", type=Path, nargs="?", const=result, help="write all figures to a file (default results/)"
    )
    return parser


def in_turn(
    names: Iterable[str], num_rounds: int, measure: Callable[[str, int], Row], told: Callable[[Row], str]
) -> Rows:
    """A row for each contender and round, one after another, each second round in the opposite order.

    Args:
        names: The contenders.
        num_rounds: How often each is measured.
        measure: (name, round from 0) to its row.
        told: What of a row is told on stderr while the program runs.
    """
    rows: Rows = {name: [] for name in names}
    for number in range(num_rounds):
        for name in list(rows) if number % 2 == 0 else list(reversed(rows)):
            row = measure(name, number)
            rows[name].append(row)
            print(f"round {number + 1} {name}: {told(row)}", file=sys.stderr)
    return rows


def measure(command: Sequence[str], threads: int) -> Row:
    """The row of a contender, which runs in a process of its own with so many threads."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    row: Row = json.loads(done.stdout.strip().splitlines()[-1])
    return row


def peer_python(name: str, pinned: Sequence[str]) -> Path:
    """The interpreter of a peer's own environment, benchmarks/.venvs/NAME, which is made on first use.

    Args:
        name: The environment's folder.
        pinned: What is installed there, with versions; another list makes the environment anew.
    """
    place = ENVIRONMENTS / name
    python, ready = place / "bin" / "python", place / "ready"
    wanted = "\n".join(pinned)
    if not ready.exists() or ready.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *pinned], check=True)
        ready.write_text(wanted)
    return python


def require_equal(rows: Rows, names: Iterable[str]) -> None:
    """Ends the program where the contenders did not do the same work, by what their rows say."""
    for name in names:
        found = {contender: {row[name] for row in of} for contender, of in rows.items()}
        if len(set().union(*found.values())) != 1:
            told = ", ".join(f"{contender} {values}" for contender, values in found.items())
            raise SystemExit(f"not the same work: {name} differs: {told}")


def ratio(above: Sequence[Row], below: Sequence[Row], key: str) -> Spread:
    """How many times as large a number of one contender is as that of another, within each round."""
    paired = [one[key] / other[key] for one, other in zip(above, below, strict=True)]
    return {"median": statistics.median(paired), "least": min(paired), "most": max(paired)}


def times_as_fast(rows: Rows, times: Sequence[str]) -> dict[str, dict[str, Spread]]:
    """How many times as fast as the first contender the others are, by each of the times.

    Args:
        rows: With "NAME_seconds" for each of `times`.
        times: Such as ("loop", "whole").
    """
    peer, *others = rows
    return {
        name: {time: ratio(rows[peer], rows[name], f"{time}_seconds") for time in times} for name in others
    }


def lines_of_times(ratios: Mapping[str, Mapping[str, Spread]], peer: str) -> list[str]:
    """What `times_as_fast` found, a line a ratio."""
    return [
        f"{name} against {peer}, {time}: {of['median']:.2f} times as fast {between(of)}"
        for name, by_time in ratios.items()
        for time, of in by_time.items()
    ]


def between(spread: Spread) -> str:
    """(least to most)."""
    return f"({spread['least']:.2f} to {spread['most']:.2f})"


def medians(rows: Sequence[Row], *keys: str) -> tuple[float, ...]:
    """The median over rounds of each of these numbers."""
    return tuple(statistics.median(row[key] for row in rows) for key in keys)


def machine(threads: int) -> dict[str, object]:
    """What the times depend on."""
    facts = machine_facts()
    return {**{name: facts[name] for name in ("processor", "system", "python")}, "threads": threads}


def heading(document: Mapping[str, Any]) -> list[str]:
    """Machine and versions, a line each."""
    about = document["machine"]
    return [
        f"{about['processor']}, threads {about['threads']}, {about['system']}, Python {about['python']}",
        ", ".join(f"{name} {version}" for name, version in document["versions"].items()),
    ]


def report(document: Mapping[str, Any], summary: str, path: Path | None) -> None:
    """Prints the summary, and writes the whole document where a place for it was given."""
    print(summary)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n")
