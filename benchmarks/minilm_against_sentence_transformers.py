"""MiniLM by creuset and by sentence-transformers, in alternation, with equal threads and in fresh processes.

    .venv/bin/python benchmarks/minilm_against_sentence_transformers.py --data corpus.jsonl.gz

The first call sets up sentence-transformers' own environment under benchmarks/.venvs. The corpus is that of
SciFact: a JSON object a line with "title" and "sentences" (a list); a document is the title and all of
them. The model is the starter asset minilm, whose folder both sides read.

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
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from alternation import (
    Row,
    heading,
    in_turn,
    lines_of_times,
    machine,
    measure,
    medians,
    parser_of,
    peer_python,
    report,
    require_equal,
    times_as_fast,
)

from creuset import assets

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "minilm_against_sentence_transformers.json"
PINNED = ("sentence-transformers==6.2.0", "transformers==5.23.0", "torch==2.13.0")
MAX_TOKENS = 256
REFERENCE = "sentence-transformers"
EQUAL = ("num_texts", "num_features", "torch")
"""What must be the same in each row, or the comparison would not be one."""
TIMES = ("loop", "whole")
PROMISED = {"creuset float32": (1.2, 0.99999), "creuset bfloat16": (2.5, 0.999)}
"""How many times the texts a second, at least, and how near the vectors."""


def main() -> None:
    parser = parser_of(__doc__, RESULT, "embeds")
    parser.add_argument("--data", type=Path, required=True, help="SciFact's corpus.jsonl.gz")
    parser.add_argument("--limit", type=int, default=1000, help="the first LIMIT documents (default 1000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        document = compare(options, Path(name))
    report(document, summary(document), options.json)


def compare(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All figures."""
    texts = folder / "texts.json"
    texts.write_text(json.dumps(documents(options.data, options.limit)))
    programs = commands(texts, folder, options.threads)
    rows = in_turn(
        programs, options.rounds, lambda name, _: measure(programs[name], options.threads), progress
    )
    require_equal(rows, EQUAL)
    return {
        "benchmark": "minilm_against_sentence_transformers",
        "rounds": options.rounds,
        "max_tokens": MAX_TOKENS,
        "machine": machine(options.threads),
        "versions": {name: found[0]["version"] for name, found in rows.items()}
        | {"torch": rows[REFERENCE][0]["torch"]},
        "least_cosine": least_cosines(folder, list(rows)),
        "ratios": times_as_fast(rows, TIMES),
        "rows": rows,
    }


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
        REFERENCE: command(
            str(peer_python("sentence_transformers", PINNED)), "minilm_sentence_transformers.py", REFERENCE
        ),
        **{
            f"creuset {precision}": command(sys.executable, own, f"creuset {precision}", precision)
            for precision in ("float32", "bfloat16")
        },
    }


def vectors_of(folder: Path, name: str) -> Path:
    """Where a contender leaves its vectors."""
    return folder / f"{name.replace(' ', '_')}.npy"


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


def progress(row: Row) -> str:
    """What is told of a measurement while the next one runs."""
    return f"loop {row['loop_seconds']:.2f} s, whole {row['whole_seconds']:.2f} s"


def summary(document: dict[str, Any]) -> str:
    """All figures on a few lines: medians over the rounds, the ratios, and what creuset promises."""
    num_texts = document["rows"][REFERENCE][0]["num_texts"]
    told = [
        *heading(document),
        f"{num_texts:,} texts cut at {document['max_tokens']} tokens, rounds {document['rounds']}",
    ]
    for name, found in document["rows"].items():
        loop, whole, memory = medians(found, "loop_seconds", "whole_seconds", "peak_memory_bytes")
        line = (
            f"{name:22} {num_texts / loop:6.1f} texts/s  loop {loop:7.2f} s  whole {whole:7.2f} s  "
            f"peak {memory / 1e6:5.0f} MB"
        )
        cosine = document["least_cosine"].get(name)
        told.append(line if cosine is None else f"{line}  least cosine {cosine:.6f}")
    told += lines_of_times(document["ratios"], REFERENCE)
    for name, (times, cosine) in PROMISED.items():
        if name in document["ratios"]:
            told.append(f"{name}: at least {times} times in the loop and a cosine of {cosine} are promised")
    return "\n".join(told)


if __name__ == "__main__":
    main()
