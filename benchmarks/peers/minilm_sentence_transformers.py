"""Embeds texts with sentence-transformers; prints a JSON line (minilm_against_sentence_transformers.py)."""

import json
import sys
from typing import Any

import torch
from embedding import measured


def main(texts: str, model: str, max_tokens: int, threads: int, vectors: str) -> None:
    torch.set_num_threads(threads)

    # transformers imports it where it is installed, and its usual wheel does not fit torch's processor build
    sys.modules["torchvision"] = None  # type: ignore[assignment]
    import sentence_transformers

    def load() -> Any:
        embedder = sentence_transformers.SentenceTransformer(model, device="cpu")
        embedder.max_seq_length = max_tokens
        return embedder

    row = measured(texts, vectors, load=load, embed=lambda embedder, documents: embedder.encode(documents))
    print(json.dumps({"version": sentence_transformers.__version__, **row}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
