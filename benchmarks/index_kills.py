"""An index whose writer is killed again and again, and whose derived files are damaged between two kills.

    .venv/bin/python benchmarks/index_kills.py [--kills 100] [--seed 0] [--json]

A writer adds, changes and removes documents (random words, words alone are indexed and vectors of noise
stored), and says each one when it is done; it is killed by SIGKILL at a random moment. Then, each time: what
it said must be there, and nothing else but the one change that was under way; the store's own check must find
nothing; what both indexes find must be what fresh ones find. Before every second round a file of the indexes
is cut, flipped, emptied or removed. Ends with 1 where anything of this does not hold.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from alternation import machine

from creuset.files import write_atomic
from creuset.knowledge.analyzer import Analyzer
from creuset.knowledge.chunking import ChunkSettings, cut_document
from creuset.knowledge.lexical import LexicalIndex
from creuset.knowledge.records import Filter, NewDocument, ParsedDocument, Space
from creuset.knowledge.store import SqliteStore
from creuset.knowledge.vectors import VectorIndex

RESULT = Path(__file__).resolve().parent / "results" / "index_kills.json"
PUBLIC = frozenset({"public"})
WORDS = [
    f"{a}{b}{c}" for a in ("bo", "va", "ste", "hu") for b in ("ti", "lo", "ra") for c in ("n", "rk", "s")
]
SPACE = Space(
    name="noise", model_sha256="0" * 64, dimension=32, dtype="float32", is_normalised=True, max_tokens=64
)
NAMES = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help=f"write {RESULT.name} under results/")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write is not None:
        write(options.write, random.Random(options.seed))
        return
    with tempfile.TemporaryDirectory() as name:
        document = torture(Path(name), options.kills, options.seed)
    print(json.dumps(document, indent=2))
    if options.json:
        write_atomic(RESULT, json.dumps(document, indent=2) + "\n")
    sys.exit(1 if document["wrong"] else 0)


def document_of(path: str, generator: random.Random) -> NewDocument:
    text = " ".join(" ".join(generator.choices(WORDS, k=12)).capitalize() + "." for _ in range(12))
    parsed = ParsedDocument(text=text)
    chunks = cut_document(parsed, ChunkSettings(max_tokens=40), lambda texts: [len(t.split()) for t in texts])
    return NewDocument(
        source="/noise", path=path, sha256="", parsed=parsed, chunks=tuple(chunks), access=PUBLIC
    )


def write(folder: Path, generator: random.Random) -> None:
    """Changes documents for ever, and says each change when it is done."""
    with SqliteStore.open(folder / "store.sqlite") as store:
        space = store.space_id(SPACE)
        both = open_both(store, folder)
        there = {document.path for document in store.all_documents()}
        for number in range(1_000_000):
            path = f"{generator.randrange(NAMES)}.txt"
            if path in there and generator.random() < 0.4:
                store.remove(path)
                there.discard(path)
                print("removed", path, "-", flush=True)
            else:
                document = document_of(path, generator)
                shas = [chunk.text_sha for chunk in document.chunks]
                store.put_vectors(space, shas, vectors_of(shas))
                stored = store.add(document)
                there.add(path)
                print("added", path, document.parsed.text[:40].replace(" ", "_"), flush=True)
                assert stored.path == path
            if number % 7 == 0:
                for index in both:
                    index.catch_up(persist=True)


def vectors_of(shas: list[str]) -> np.ndarray:
    return np.stack([np.random.default_rng(int(sha[:8], 16)).normal(size=32) for sha in shas]).astype(
        np.float32
    )


def open_both(store: SqliteStore, folder: Path) -> tuple[LexicalIndex, VectorIndex]:
    return (
        LexicalIndex.open(folder / "lexical", store, Analyzer()),
        VectorIndex.open(folder / "vectors", store, store.space_id(SPACE)),
    )


def torture(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    generator = random.Random(seed)
    with SqliteStore.create(folder / "store.sqlite") as store:
        store.activate(store.space_id(SPACE))
    expected: dict[str, str] = {}
    wrong: list[str] = []
    counts: Counter[str] = Counter()
    begin = time.monotonic()
    for kill in range(kills):
        said = run_and_kill(folder, generator, seed + kill)
        for what, path, start in said:
            counts[what] += 1
            if what == "added":
                expected[path] = start
            else:
                expected.pop(path, None)
        if kill % 2:
            counts[damage(folder, generator)] += 1
        found = check(folder, expected, folder / "fresh")
        wrong += [f"kill {kill + 1}: {each}" for each in found]
    return {
        "benchmark": "index_kills",
        "machine": machine(1),
        "kills": kills,
        "seconds": round(time.monotonic() - begin),
        **counts,
        "wrong": wrong,
    }


def run_and_kill(folder: Path, generator: random.Random, seed: int) -> list[list[str]]:
    command = [sys.executable, __file__, "--write", str(folder), "--seed", str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(generator.randint(1, 30))]
        deadline = time.monotonic() + generator.random() * 0.02
        while time.monotonic() < deadline:  # a moment that no line of the writer decides
            pass
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    return [words for line in lines if line.endswith("\n") and len(words := line.split()) == 3]


def damage(folder: Path, generator: random.Random) -> str:
    files = sorted([*folder.glob("lexical/*"), *folder.glob("vectors/*/*")])
    if not files:
        return "nothing to damage"
    file = generator.choice(files)
    data = bytearray(file.read_bytes())
    how = generator.choice(("cut", "flipped", "emptied", "gone"))
    if how == "gone" or not data:
        file.unlink()
        return "gone"
    if how == "flipped":
        data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
    file.write_bytes({"cut": data[: len(data) // 2], "flipped": data, "emptied": b""}[how])
    return how


def check(folder: Path, expected: dict[str, str], fresh: Path) -> list[str]:
    """What does not hold; what was under way is taken over into `expected`."""
    wrong = []
    with SqliteStore.open(folder / "store.sqlite") as store:
        held = {
            document.path: store.text(document.id, 0, 40, PUBLIC).replace(" ", "_")
            for document in store.documents(PUBLIC, Filter())
        }
        differing = {path for path in held.keys() | expected.keys() if held.get(path) != expected.get(path)}
        if len(differing) > 1:
            wrong.append(f"{len(differing)} documents differ from what was said: {sorted(differing)[:5]}")
        expected.clear()
        expected.update(held)
        wrong += store.check()
        allowed = store.allowed_documents(PUBLIC, Filter())
        current = store.current_chunk_ids().tolist()
        anew = (
            LexicalIndex.open(fresh / "none", store, Analyzer()),
            VectorIndex.open(fresh / "none", store, store.space_id(SPACE)),
        )
        asked = np.random.default_rng(0).normal(size=32).astype(np.float32)
        for index, other in zip(open_both(store, folder), anew, strict=True):
            if index.chunk_ids().tolist() != current:
                wrong.append(f"{index.kind}: ghosts, duplicates or missing chunks")
            question: Any = " ".join(WORDS[:6]) if isinstance(index, LexicalIndex) else asked
            one, two = (each.search(question, 50, allowed) for each in (index, other))
            if one.chunk_ids.tolist() != two.chunk_ids.tolist():
                wrong.append(f"{index.kind}: finds other chunks than a fresh build")
    return wrong


if __name__ == "__main__":
    main()
