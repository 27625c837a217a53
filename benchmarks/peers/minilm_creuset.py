"""Embeds texts with creuset's MiniLM; prints a JSON line (minilm_against_sentence_transformers.py)."""

import json
import sys

import torch
from embedding import measured

import creuset
from creuset.pretrained.sentence_embedder import SentenceEmbedder


def main(texts: str, model: str, max_tokens: int, threads: int, vectors: str, precision: str) -> None:
    torch.set_num_threads(threads)
    row = measured(
        texts,
        vectors,
        load=lambda: SentenceEmbedder.from_folder(model, dtype=getattr(torch, precision)),
        embed=lambda embedder, documents: embedder.embed(documents, truncate=max_tokens),
    )
    print(json.dumps({"version": creuset.__version__, **row}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], sys.argv[6])
