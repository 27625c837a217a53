"""Random readers, filters and questions: nobody sees a foreign chunk, and everybody gets all that is allowed.

    .venv/bin/python benchmarks/access_triples.py [--triples 10000] [--chunks 5000] [--json]

Documents of random words for random groups, in three languages, two folders and two years; vectors are noise
that depends on the text. Each triple is searched by words, by vectors and by both. Foreign: a chunk whose
document the reader may not read, or that the filter leaves out. Search by vectors and by both must give
min(k, allowed) chunks. Ends with 1 where anything of this does not hold.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from alternation import machine

from creuset.files import write_atomic
from creuset.knowledge.analyzer import Analyzer
from creuset.knowledge.chunking import ChunkSettings, cut_document
from creuset.knowledge.lexical import LexicalIndex
from creuset.knowledge.records import Filter, NewDocument, ParsedDocument, Space, StoredDocument
from creuset.knowledge.retriever import Legs, Retriever, RetrieverSettings
from creuset.knowledge.store import SqliteStore
from creuset.knowledge.vectors import VectorIndex

RESULT = Path(__file__).resolve().parent / "results" / "access_triples.json"
GROUPS = [f"group-{number}" for number in range(12)]
WORDS = [
    f"{a}{b}{c}" for a in ("bo", "va", "ste", "hu") for b in ("ti", "lo", "ra") for c in ("n", "rk", "s")
]
SPACE = Space(
    name="noise", model_sha256="0" * 64, dimension=64, dtype="float32", is_normalised=True, max_tokens=64
)
LEGS: tuple[Legs, ...] = ("lexical", "dense", "hybrid")


class Noise:
    """A vector for each text, of noise that depends on the text alone."""

    max_tokens = 64

    def embed(self, texts: Sequence[str], *, truncate: int | None = None) -> np.ndarray:  # noqa: ARG002
        return np.stack(
            [np.random.default_rng(list(text.encode()[:64])).normal(size=64) for text in texts]
        ).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--triples", type=int, default=10_000)
    parser.add_argument("--chunks", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help=f"write {RESULT.name} under results/")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        document = measure(Path(name), options.triples, options.chunks, random.Random(options.seed))
    print(json.dumps(document, indent=2))
    if options.json:
        write_atomic(RESULT, json.dumps(document, indent=2) + "\n")
    sys.exit(1 if document["foreign"] or document["too_few"] else 0)


def fill(store: SqliteStore, num_chunks: int, generator: random.Random) -> None:
    space = store.space_id(SPACE)
    made = 0
    while made < num_chunks:
        text = " ".join(
            " ".join(generator.choices(WORDS, k=generator.randint(5, 15))).capitalize() + "."
            for _ in range(generator.randint(1, 8))
        )
        parsed = ParsedDocument(text=text)
        settings = ChunkSettings(max_tokens=24)
        chunks = cut_document(parsed, settings, lambda texts: [len(text.split()) for text in texts])
        shas = [chunk.text_sha for chunk in chunks]
        store.put_vectors(space, shas, Noise().embed([chunk.searched_text for chunk in chunks]))
        store.add(
            NewDocument(
                source="/noise",
                path=f"{generator.choice('xy')}/{made}.txt",
                sha256="",
                parsed=parsed,
                chunks=tuple(chunks),
                access=frozenset(generator.sample(GROUPS, generator.randint(1, 3))),
                language=generator.choice(("en", "fr", "")),
                metadata={"year": generator.choice(("2025", "2026"))},
            )
        )
        made += len(chunks)
    store.activate(space)


def measure(folder: Path, triples: int, num_chunks: int, generator: random.Random) -> dict[str, Any]:
    with SqliteStore.create(folder / "store.sqlite") as store:
        fill(store, num_chunks, generator)
        lexical = LexicalIndex.open(folder / "lexical", store, Analyzer())
        vectors = VectorIndex.open(folder / "vectors", store, store.space_id(SPACE))
        searches = {
            legs: Retriever(store, lexical, vectors, Noise(), RetrieverSettings(legs=legs)) for legs in LEGS
        }
        documents = {document.id: document for document in store.all_documents()}
        owner = {chunk.id: documents[chunk.document_id] for chunk in store.current_chunks()}
        foreign = too_few = hits_seen = 0
        begin = time.monotonic()
        for _ in range(triples):
            access = frozenset(generator.sample([*GROUPS, "stranger"], generator.randint(1, 3)))
            where = Filter(
                path_prefix=generator.choice(("", "", "x/", "y/1", "z/")),
                language=generator.choice(("", "", "en", "fr")),
                metadata=generator.choice(({}, {}, {"year": "2026"}, {"year": "1999"})),
            )
            k = generator.choice((1, 5, 10, 100, 1000))
            question = " ".join(generator.choices(WORDS, k=generator.randint(1, 5)))
            allowed = {number for number, document in owner.items() if passes(document, access, where)}
            for legs, retriever in searches.items():
                found = [hit.chunk.id for hit in retriever.search(question, k, access=access, where=where)]
                hits_seen += len(found)
                foreign += sum(number not in allowed for number in found)
                too_few += legs != "lexical" and len(found) != min(k, len(allowed))
    return {
        "benchmark": "access_triples",
        "machine": machine(1),
        "triples": triples,
        "searches": triples * len(LEGS),
        "chunks": len(owner),
        "hits": hits_seen,
        "foreign": foreign,
        "too_few": too_few,
        "seconds": round(time.monotonic() - begin),
    }


def passes(document: StoredDocument, access: frozenset[str], where: Filter) -> bool:
    """Whether a document may be found, told from its fields alone."""
    return (
        bool(document.access & access)
        and document.path.startswith(where.path_prefix)
        and where.language in ("", document.language)
        and where.metadata.items() <= document.metadata.items()
    )


if __name__ == "__main__":
    main()
