"""Embeds texts with creuset's MiniLM; prints a JSON line (minilm_against_sentence_transformers.py)."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from measuring import peak_memory_bytes

import creuset
from creuset.pretrained.sentence_embedder import SentenceEmbedder


def main(texts: str, model: str, max_tokens: int, threads: int, vectors: str, precision: str) -> None:
    torch.set_num_threads(threads)
    documents = json.loads(Path(texts).read_text())
    begin = time.perf_counter()
    embedder = SentenceEmbedder.from_folder(model, dtype=getattr(torch, precision))
    loading = time.perf_counter() - begin
    embedder.embed(documents[:32], truncate=max_tokens)
    begin = time.perf_counter()
    found = embedder.embed(documents, truncate=max_tokens)
    seconds = time.perf_counter() - begin
    peak = peak_memory_bytes()
    np.save(vectors, found)
    row = {
        "version": creuset.__version__,
        "torch": torch.__version__,
        "num_texts": len(found),
        "num_features": found.shape[1],
        "loop_seconds": seconds,
        "whole_seconds": loading + seconds,
        "peak_memory_bytes": peak,
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], sys.argv[6])
