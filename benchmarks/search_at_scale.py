"""Search in an index of many chunks: by words, by vectors, by both, and what a filter does to it.

    .venv/bin/python benchmarks/search_at_scale.py --data corpus.jsonl.gz [--chunks 100000] [--threads 2]
    [--json]

The corpus is that of SciFact. Chunks are made of its sentences, recombined at random, eight at a time;
vectors are those that MiniLM gives to 2,000 real abstracts, each with noise (deviation .03 a component).
Questions are SciFact's titles. The embedding of a question is part of the time of vectors. Recall: the share
of the ten nearest by all cosines that a search by vectors gives, without a filter and with filters that let
10% and 1% of the documents pass.
"""

import argparse
import gzip
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from alternation import machine

from creuset.files import size_of_folder, write_atomic
from creuset.knowledge.analyzer import Analyzer
from creuset.knowledge.lexical import LexicalIndex
from creuset.knowledge.records import Chunk, Filter, NewDocument, ParsedDocument
from creuset.knowledge.retriever import Legs, Retriever, RetrieverSettings
from creuset.knowledge.store import SqliteStore
from creuset.knowledge.vectors import VectorIndex
from creuset.workflows.index_embedder import OpenEmbedder, open_index_embedder

RESULT = Path(__file__).resolve().parent / "results" / "search_at_scale.json"
PUBLIC = frozenset({"public"})
CHUNKS_OF_DOCUMENT = 50
NOISE = 0.03
LEGS: tuple[Legs, ...] = ("lexical", "dense", "hybrid")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="SciFact's corpus.jsonl.gz")
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help=f"write {RESULT.name} under results/")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with gzip.open(options.data, "rt") as file:
        abstracts = [json.loads(line) for line in file]
    with tempfile.TemporaryDirectory() as name:
        document = measure(Path(name), abstracts, options)
    print(json.dumps(document, indent=2))
    if options.json:
        held = json.loads(RESULT.read_text()) if RESULT.exists() else {}
        write_atomic(RESULT, json.dumps({**held, str(options.chunks): document}, indent=2) + "\n")


def fill(store: SqliteStore, opened: OpenEmbedder, abstracts: list[Any], num_chunks: int) -> None:
    """Documents of CHUNKS_OF_DOCUMENT chunks, a tenth of them of "fr" and a hundredth of "de" by their
    filter.
    """
    generator = random.Random(0)
    noise = np.random.default_rng(0)
    sentences = [sentence.strip() for abstract in abstracts for sentence in abstract["sentences"]]
    texts = [" ".join([each["title"], *each["sentences"]]) for each in abstracts[:2000]]
    real = opened.embedder.embed(texts, truncate=opened.embedder.max_tokens)
    space = store.space_id(opened.space)
    for begin in range(0, num_chunks, CHUNKS_OF_DOCUMENT):
        pieces = [" ".join(generator.sample(sentences, 8)) for _ in range(CHUNKS_OF_DOCUMENT)]
        chunks, place = [], 0
        for piece in pieces:
            chunks.append(
                Chunk(
                    start=place,
                    end=place + len(piece),
                    text=piece,
                    page=None,
                    heading="",
                    language="en",
                    num_tokens=0,
                )
            )
            place += len(piece) + 2
        vectors = real[noise.integers(len(real), size=len(chunks))]
        vectors = vectors + noise.normal(scale=NOISE, size=vectors.shape)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        store.put_vectors(space, [chunk.text_sha for chunk in chunks], vectors.astype(np.float32))
        number = begin // CHUNKS_OF_DOCUMENT
        store.add(
            NewDocument(
                source="/made",
                path=f"{number}.txt",
                sha256="",
                parsed=ParsedDocument(text="\n\n".join(pieces)),
                chunks=tuple(chunks),
                access=PUBLIC,
                language="de" if number % 100 == 0 else "fr" if number % 10 == 0 else "en",
            )
        )
    store.activate(space)


def measure(folder: Path, abstracts: list[Any], options: argparse.Namespace) -> dict[str, Any]:
    opened = open_index_embedder("minilm", "float32")
    questions = [each["title"] for each in abstracts[-options.questions :]]
    with SqliteStore.create(folder / "store.sqlite") as store:
        begin = time.monotonic()
        fill(store, opened, abstracts, options.chunks)
        filled = time.monotonic() - begin
        lexical = LexicalIndex(folder / "lexical", store, Analyzer())
        lexical.rebuild()
        words = time.monotonic() - begin - filled
        vectors = VectorIndex(folder / "vectors", store, store.space_id(opened.space))
        vectors.rebuild()
        built = time.monotonic() - begin - filled - words
        seconds = {}
        for legs in LEGS:
            retriever = Retriever(store, lexical, vectors, opened.embedder, RetrieverSettings(legs=legs))
            retriever.search(questions[0], 10, access=PUBLIC)
            seconds[legs] = [timed(retriever, question) for question in questions]
        recalls = {
            name: recall(store, vectors, opened, questions, Filter(language=language))
            for name, language in (("all", ""), ("a tenth", "fr"), ("a hundredth", "de"))
        }
    return {
        "benchmark": "search_at_scale",
        "machine": machine(options.threads),
        "chunks": options.chunks,
        "questions": len(questions),
        "milliseconds": {
            legs: {f"p{level}": round(1e3 * float(np.percentile(held, level)), 1) for level in (50, 95, 99)}
            for legs, held in seconds.items()
        },
        "recall_at_10_of_vectors": recalls,
        "seconds_to_store": round(filled),
        "seconds_to_index_words": round(words),
        "seconds_to_index_vectors": round(built),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
        "disk_mb": round(size_of_folder(folder) / 1e6),
    }


def timed(retriever: Retriever, question: str) -> float:
    begin = time.monotonic()
    retriever.search(question, 10, access=PUBLIC)
    return time.monotonic() - begin


def recall(
    store: SqliteStore, vectors: VectorIndex, opened: OpenEmbedder, questions: list[str], where: Filter
) -> float:
    """The mean share of the ten nearest that are found."""
    allowed = store.allowed_documents(PUBLIC, where)
    rows = vectors.allowed_rows(allowed)
    asked = opened.embedder.embed(questions, truncate=opened.embedder.max_tokens)
    held, found = [], []
    for vector in asked:
        scores = np.concatenate(
            [
                segment.arrays["vectors"][row] @ vector
                for segment, row in zip(vectors.segments, rows, strict=True)
            ]
        )
        ids = np.concatenate(
            [segment.chunk_ids[row] for segment, row in zip(vectors.segments, rows, strict=True)]
        )
        nearest = ids[np.argsort(-scores, kind="stable")[:10]]
        held.append(len(nearest))
        found.append(len(np.intersect1d(nearest, vectors.search(vector, 10, allowed).chunk_ids)))
    return round(sum(found) / sum(held), 4)


if __name__ == "__main__":
    sys.exit(main())
