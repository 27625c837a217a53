"""MiniLM by creuset and by sentence-transformers, in alternation, with equal threads and in fresh processes.

    .venv/bin/python benchmarks/minilm_against_sentence_transformers.py --data corpus.jsonl.gz

The first call sets up sentence-transformers' own environment under benchmarks/.venvs. The corpus is that of
SciFact: a JSON object a line with "title" and "sentences" (a list); a document is the title and all of them.
The model is the starter asset minilm, whose folder both sides read.

Equal on both sides, and checked where it can differ: the texts and their order, at most 256 tokens of each,
the threads, torch's version, the number of features. sentence-transformers runs as it comes: float32, 32
texts at once, sorted by length. Each side embeds 32 texts before its clock starts. The vectors of all
contenders are compared with those of sentence-transformers: the least cosine is shown.

Two times are compared: the loop (texts to vectors), and the whole (the loop and loading the model, after the
imports). creuset in bfloat16 is a third contender, of another number format than the others.
"""

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from vae_against_pythae import Rows, machine, measure_all, ratios

from creuset import assets

HERE = Path(__file__).resolve().parent
PEER = HERE / ".venvs" / "sentence_transformers"
PINNED = ("sentence-transformers==6.2.0", "transformers==5.23.0", "torch==2.13.0")
RESULT = HERE / "results" / "minilm_against_sentence_transformers.json"
MAX_TOKENS = 256
REFERENCE = "sentence-transformers"
EQUAL = ("num_texts", "num_features", "torch")
"""What must be the same in each row, or the comparison would not be one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="SciFact's corpus.jsonl.gz")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side embeds (default 3)")
    parser.add_argument("--limit", type=int, default=1000, help="the first LIMIT documents (default 1000)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: one a processor")
    parser.add_argument(
        "--json", type=Path, nargs="?", const=RESULT, help="write all figures to a file (default results/)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = folder / "texts.json"
        texts.write_text(json.dumps(documents(options.data, options.limit)))
        rows = measure_all(commands(texts, folder, options.threads), options.rounds, options.threads)
        agreement = least_cosines(folder, list(rows))
    require_equal(rows)
    document = {
        "benchmark": "minilm_against_sentence_transformers",
        "rounds": options.rounds,
        "max_tokens": MAX_TOKENS,
        "machine": machine(options.threads),
        "versions": {name: found[0]["version"] for name, found in rows.items()}
        | {"torch": rows[REFERENCE][0]["torch"]},
        "least_cosine": agreement,
        "ratios": ratios(rows),
        "rows": rows,
    }
    print(summary(document))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document, indent=1) + "\n")


def documents(path: Path, limit: int) -> list[str]:
    """The first documents of SciFact's corpus, as one text each."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        found = [json.loads(line) for line, _ in zip(file, range(limit), strict=False)]
    if len(found) < limit:
        raise SystemExit(f"{path}: {len(found)} documents; --limit asks for {limit}")
    return [" ".join([each["title"], *each["sentences"]]) for each in found]


def commands(texts: Path, folder: Path, threads: int) -> dict[str, list[str]]:
    """What embeds the texts for each contender; sentence-transformers is the first."""
    model = str(assets.resolve("minilm").path)

    def command(python: str, program: str, name: str, *more: str) -> list[str]:
        numbers = [str(MAX_TOKENS), str(threads), str(vectors_of(folder, name))]
        return [python, str(HERE / "peers" / program), str(texts), model, *numbers, *more]

    own = "minilm_creuset.py"
    return {
        REFERENCE: command(str(peer_python()), "minilm_sentence_transformers.py", REFERENCE),
        **{
            f"creuset {precision}": command(sys.executable, own, f"creuset {precision}", precision)
            for precision in ("float32", "bfloat16")
        },
    }


def vectors_of(folder: Path, name: str) -> Path:
    """Where a contender leaves its vectors."""
    return folder / f"{name.replace(' ', '_')}.npy"


def peer_python() -> Path:
    """The interpreter of sentence-transformers' environment, which is made on first use."""
    python = PEER / "bin" / "python"
    if not (PEER / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", PEER], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PINNED], check=True)
        (PEER / "ready").touch()
    return python


def least_cosines(folder: Path, names: list[str]) -> dict[str, float]:
    """The least cosine of a text's vector with that of sentence-transformers, for each other contender."""
    reference = np.load(vectors_of(folder, REFERENCE)).astype(np.float64)
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)
    found = {}
    for name in names:
        if name != REFERENCE:
            vectors = np.load(vectors_of(folder, name)).astype(np.float64)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            found[name] = float((reference * vectors).sum(1).min())
    return found


def require_equal(rows: Rows) -> None:
    """Stops where the contenders did not do the same work."""
    for name in EQUAL:
        found = {contender: {row[name] for row in of} for contender, of in rows.items()}
        if len(set().union(*found.values())) != 1:
            told = ", ".join(f"{contender} {values}" for contender, values in found.items())
            raise SystemExit(f"not the same work: {name} differs: {told}")


def summary(document: dict[str, Any]) -> str:
    """All figures on a few lines: medians over the rounds, and the ratios."""
    about, row = document["machine"], document["rows"][REFERENCE][0]
    told = [
        f"{about['processor']}, threads {about['threads']}, {about['system']}, Python {about['python']}",
        ", ".join(f"{name} {version}" for name, version in document["versions"].items()),
        f"{row['num_texts']:,} texts cut at {document['max_tokens']} tokens, rounds {document['rounds']}",
    ]
    for name, found in document["rows"].items():
        loop, whole, memory = (
            statistics.median(row[key] for row in found)
            for key in ("loop_seconds", "whole_seconds", "peak_memory_bytes")
        )
        line = (
            f"{name:22} {row['num_texts'] / loop:6.1f} texts/s  loop {loop:7.2f} s  whole {whole:7.2f} s  "
            f"peak {memory / 1e6:5.0f} MB"
        )
        cosine = document["least_cosine"].get(name)
        told.append(line if cosine is None else f"{line}  least cosine {cosine:.6f}")
    for name, by_time in document["ratios"].items():
        told += [
            f"{name} against {REFERENCE}, {time}: {of['median']:.2f} times as fast "
            f"({of['least']:.2f} to {of['most']:.2f})"
            for time, of in by_time.items()
        ]
    return "\n".join(told)


if __name__ == "__main__":
    main()
