"""How both sides of minilm_against_sentence_transformers.py are timed."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from measuring import peak_memory_bytes
from numpy.typing import NDArray

Embedder = TypeVar("Embedder")


def measured(
    texts: str,
    vectors: str,
    *,
    load: Callable[[], Embedder],
    embed: Callable[[Embedder, Sequence[str]], NDArray[Any]],
) -> dict[str, Any]:
    """The row of one side; 32 texts are embedded before the clock starts.

    Args:
        texts: A JSON file, a list of texts.
        vectors: Where the vectors are left, as .npy.
        load: Makes the embedder.
        embed: Texts to vectors (N, features).
    """
    documents = json.loads(Path(texts).read_text())
    begin = time.perf_counter()
    embedder = load()
    loading = time.perf_counter() - begin
    embed(embedder, documents[:32])
    begin = time.perf_counter()
    found = embed(embedder, documents)
    seconds = time.perf_counter() - begin
    peak = peak_memory_bytes()
    np.save(vectors, found)
    return {
        "torch": torch.__version__,
        "num_texts": len(found),
        "num_features": found.shape[1],
        "loop_seconds": seconds,
        "whole_seconds": loading + seconds,
        "peak_memory_bytes": peak,
    }
