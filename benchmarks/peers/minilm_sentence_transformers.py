"""Embeds texts with sentence-transformers; prints a JSON line (minilm_against_sentence_transformers.py)."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import sentence_transformers
import torch
from measuring import peak_memory_bytes


def main(texts: str, model: str, max_tokens: int, threads: int, vectors: str) -> None:
    torch.set_num_threads(threads)
    documents = json.loads(Path(texts).read_text())
    begin = time.perf_counter()
    embedder = sentence_transformers.SentenceTransformer(model, device="cpu")
    embedder.max_seq_length = max_tokens
    loading = time.perf_counter() - begin
    embedder.encode(documents[:32])
    begin = time.perf_counter()
    found = embedder.encode(documents)
    seconds = time.perf_counter() - begin
    peak = peak_memory_bytes()
    np.save(vectors, found)
    row = {
        "version": sentence_transformers.__version__,
        "torch": torch.__version__,
        "num_texts": len(found),
        "num_features": found.shape[1],
        "loop_seconds": seconds,
        "whole_seconds": loading + seconds,
        "peak_memory_bytes": peak,
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
