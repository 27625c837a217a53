"""Trains the recipe embeddings-words on a text with `creuset.train`; prints a JSON line
(skip_gram_against_gensim.py).

On the clock is `Loop.take_step`; validations and checkpoints are outside of it, as loading and cutting are.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from measuring import Stopwatch, peak_memory_bytes

import creuset
from creuset.models.token_embeddings import TokenEmbeddings
from creuset.training.loop import Loop
from creuset.workflows.load import load
from creuset.workflows.plan import read


def main(folder: str, epochs: int, threads: int, corpus: str, vocabulary: int) -> None:
    place = Path(folder)
    torch.set_num_threads(threads)
    loop = Stopwatch()
    step, processor = Loop.take_step, 0.0

    def take_step(self: Loop) -> None:
        nonlocal processor
        begin = time.process_time()
        step(self)
        processor += time.process_time() - begin

    Loop.take_step = loop.timed(take_step)  # type: ignore[method-assign]
    stated = json.loads((place / "vocabulary.json").read_text())
    settings = {
        "data.source": corpus,
        "data.vocabulary_size": vocabulary,
        "training.threads": threads,
    }
    recipe = read("embeddings-words", settings)
    num_steps = round(epochs * stated["num_tokens"] / (recipe.data.batch_size * recipe.data.context))
    settings |= {
        "training.num_steps": num_steps,
        "training.validate_every": num_steps,
        "training.checkpoint_every": num_steps,
    }
    run = creuset.train("embeddings-words", name=place / "run", settings=settings, measure=False)
    model = load(run.folder, checkpoint="last").model
    assert isinstance(model, TokenEmbeddings)
    tables = {"centre": model.token_embedding.weight, "context": model.context_embedding.weight}
    np.savez(place / "creuset.npz", **{name: table.detach().numpy() for name, table in tables.items()})
    row = {
        "version": creuset.__version__,
        "torch": torch.__version__,
        "words_per_second": stated["num_words"] * epochs / loop.seconds,
        "words_per_processor_second": stated["num_words"] * epochs / processor,
        "peak_memory_bytes": peak_memory_bytes(),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:4]), sys.argv[4], int(sys.argv[5]))
