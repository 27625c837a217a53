"""How well documents are found: SciFact in English, the CNIL's questions in French; words, vectors, and both.

    .venv/bin/python benchmarks/retrieval_scores.py --scifact FOLDER --cnil FOLDER [--threads 2] [--json]

FOLDER holds corpus.jsonl(.gz) and, for SciFact, claims_train.jsonl and claims_test.jsonl, for the CNIL
questions.jsonl. A document's rank is that of its best chunk (256 tokens, title as heading). Vectors are
MiniLM's in float32; beside chunks they are made of documents cut at 256 tokens, as sentence-transformers
does. nDCG@10 with 95% intervals over questions.

The fusion is one of: words alone, vectors alone, reciprocal ranks, convex sums by weights .1 to .9. For
SciFact it is chosen on claims_train and measured on claims_test; for the CNIL by five-fold cross-validation:
each fold is measured with what is best on the other four.
"""

import argparse
import gzip
import hashlib
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from alternation import machine

from creuset.files import write_atomic
from creuset.knowledge.analyzer import Analyzer
from creuset.knowledge.chunking import ChunkSettings, cut_document
from creuset.knowledge.lexical import LexicalIndex
from creuset.knowledge.records import Block, Filter, NewDocument, ParsedDocument
from creuset.knowledge.retriever import LegResults, Retriever, RetrieverSettings, fused
from creuset.knowledge.store import SqliteStore
from creuset.knowledge.vectors import VectorIndex
from creuset.metrics.retrieval import Rankings, ndcg
from creuset.workflows.index_embedder import OpenEmbedder, open_index_embedder

RESULT = Path(__file__).resolve().parent / "results" / "retrieval_scores.json"
PUBLIC = frozenset({"public"})
DEPTH = 200
FOLDS = 5
MAX_TOKENS = 256
CHOICES = {
    "words": RetrieverSettings(legs="lexical"),
    "vectors": RetrieverSettings(legs="dense"),
    "reciprocal ranks": RetrieverSettings(),
    **{
        f"convex {weight / 10:.1f}": RetrieverSettings(fusion="convex", weight=weight / 10)
        for weight in range(1, 10)
    },
}
Documents = Mapping[str, tuple[str, str]]
Questions = Mapping[str, tuple[str, Sequence[str]]]
Runs = Mapping[str, Mapping[str, Mapping[str, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scifact", type=Path, required=True)
    parser.add_argument("--cnil", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help=f"write {RESULT.name} under results/")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    opened = open_index_embedder("minilm", "float32")
    document = {
        "benchmark": "retrieval_scores",
        "machine": machine(options.threads),
        "cnil": cnil(options.cnil, opened),
        "scifact": scifact(options.scifact, opened),
    }
    print(json.dumps(document, indent=2))
    if options.json:
        write_atomic(RESULT, json.dumps(document, indent=2) + "\n")


def scifact(folder: Path, opened: OpenEmbedder) -> dict[str, Any]:
    with gzip.open(folder / "corpus.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    documents = {row["id"]: (row["title"], " ".join(row["sentences"])) for row in rows}
    parts = {}
    for part in ("train", "test"):
        claims = [json.loads(line) for line in (folder / f"claims_{part}.jsonl").open()]
        parts[part] = {row["id"]: (row["claim"], row["relevant"]) for row in claims if row["relevant"]}
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as name, SqliteStore.create(Path(name) / "store.sqlite") as store:
        retriever = filled(store, Path(name), documents, opened)
        runs = {part: runs_of(retriever, questions) for part, questions in parts.items()}
    scores = {name: mean(held, judged(parts["train"])) for name, held in runs["train"].items()}
    best = max(scores, key=lambda name: scores[name])
    test = {name: told(held, judged(parts["test"])) for name, held in runs["test"].items()}
    return {
        "documents": len(documents),
        "questions": {part: len(questions) for part, questions in parts.items()},
        "chosen on train": best,
        "hybrid, as chosen": test[best],
        "test": test,
        "vectors of documents cut at 256 tokens": whole(documents, parts["test"], opened),
        "seconds": round(time.monotonic() - begin),
    }


def cnil(folder: Path, opened: OpenEmbedder) -> dict[str, Any]:
    rows = [json.loads(line) for line in (folder / "corpus.jsonl").open()]
    asked = [json.loads(line) for line in (folder / "questions.jsonl").open()]
    documents = {row["id"]: ("", row["text"]) for row in rows}
    questions = {row["id"]: (row["question"], row["relevant"]) for row in asked}
    with tempfile.TemporaryDirectory() as name, SqliteStore.create(Path(name) / "store.sqlite") as store:
        runs = runs_of(filled(store, Path(name), documents, opened), questions)
    folds = np.random.default_rng(0).permutation(len(questions)) % FOLDS
    ids = list(questions)
    joined: dict[str, Mapping[str, float]] = {}
    chosen = []
    for fold in range(FOLDS):
        inside = {ids[n]: questions[ids[n]] for n in range(len(ids)) if folds[n] != fold}
        scores = {
            name: mean({key: held[key] for key in inside}, judged(inside)) for name, held in runs.items()
        }
        best = max(scores, key=lambda name: scores[name])
        chosen.append(best)
        joined |= {ids[n]: runs[best][ids[n]] for n in range(len(ids)) if folds[n] == fold}
    return {
        "documents": len(documents),
        "questions": len(questions),
        "chosen in each fold": chosen,
        "cross-validated": told(joined, judged(questions)),
        "all": {name: told(held, judged(questions)) for name, held in runs.items()},
    }


def filled(store: SqliteStore, folder: Path, documents: Documents, opened: OpenEmbedder) -> Retriever:
    """The documents in an index of 256 tokens a chunk."""
    tokenizer = opened.embedder.tokenizer
    new = []
    for name, (title, text) in documents.items():
        whole_text = f"{title}\n\n{text}" if title else text
        heading = (Block(kind="heading", start=0, end=len(title), level=1),) if title else ()
        body = Block(kind="paragraph", start=len(whole_text) - len(text), end=len(whole_text))
        parsed = ParsedDocument(text=whole_text, blocks=(*heading, body))
        chunks = cut_document(
            parsed,
            ChunkSettings(max_tokens=MAX_TOKENS),
            lambda texts: [len(ids) for ids in tokenizer.encode_batch(list(texts))],
        )
        sha256 = hashlib.sha256(whole_text.encode()).hexdigest()
        new.append(
            NewDocument(
                source="/set", path=name, sha256=sha256, parsed=parsed, chunks=tuple(chunks), access=PUBLIC
            )
        )
    texts = {chunk.text_sha: chunk for document in new for chunk in document.chunks}
    order = sorted(texts, key=lambda sha: texts[sha].num_tokens)
    space = store.space_id(opened.space)
    vectors = opened.embedder.embed([texts[sha].searched_text for sha in order], truncate=MAX_TOKENS)
    store.put_vectors(space, order, vectors)
    for document in new:
        store.add(document)
    store.activate(space)
    return Retriever(
        store,
        LexicalIndex.open(folder / "lexical", store, Analyzer()),
        VectorIndex.open(folder / "vectors", store, space),
        opened.embedder,
        RetrieverSettings(),
    )


def runs_of(retriever: Retriever, questions: Questions) -> Runs:
    """Scores of documents for each question, by each choice: the legs are asked once."""
    allowed = retriever.store.allowed_documents(PUBLIC, Filter())
    owner = {chunk.id: chunk.path for chunk in retriever.store.current_chunks()}
    runs: dict[str, dict[str, dict[str, float]]] = {name: {} for name in CHOICES}
    for key, (question, _) in questions.items():
        legs = retriever.legs(question, DEPTH, allowed)
        alone = {"lexical": LegResults(legs.lexical, None), "dense": LegResults(None, legs.dense)}
        for name, settings in CHOICES.items():
            found: dict[str, float] = {}
            for chunk, score in fused(alone.get(settings.legs, legs), settings).items():
                found[owner[chunk]] = max(score, found.get(owner[chunk], -np.inf))
            runs[name][key] = found
    return runs


def whole(documents: Documents, questions: Questions, opened: OpenEmbedder) -> Any:
    """Vectors of documents, each cut at 256 tokens."""
    texts = [f"{title} {text}" for title, text in documents.values()]
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    vectors = np.empty((len(texts), opened.embedder.num_features), np.float32)
    vectors[order] = opened.embedder.embed([texts[number] for number in order], truncate=MAX_TOKENS)
    asked = opened.embedder.embed([question for question, _ in questions.values()], truncate=MAX_TOKENS)
    names = list(documents)
    run = {
        key: dict(zip(names, (vectors @ vector).tolist(), strict=True))
        for key, vector in zip(questions, asked, strict=True)
    }
    return told(run, judged(questions))


def judged(questions: Questions) -> dict[str, dict[str, int]]:
    return {key: dict.fromkeys(relevant, 1) for key, (_, relevant) in questions.items()}


def mean(run: Mapping[str, Mapping[str, float]], judgements: dict[str, dict[str, int]]) -> float:
    return float(Rankings.from_run(run, judgements).ndcg(10).mean())


def told(run: Mapping[str, Mapping[str, float]], judgements: dict[str, dict[str, int]]) -> dict[str, Any]:
    score = ndcg(Rankings.from_run(run, judgements), 10)
    assert score.interval is not None
    return {"ndcg@10": round(score.value, 4), "interval": [round(end, 4) for end in score.interval]}


if __name__ == "__main__":
    main()
