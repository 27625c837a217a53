"""Trains gensim's Word2Vec on words that are cut already; prints a JSON line (skip_gram_against_gensim.py).

Only `train` is on the clock. Both tables are stored by the ids of the vocabulary; words that gensim has not
seen have zeros.
"""

import json
import sys
import time
from pathlib import Path

import gensim
import numpy as np
from gensim.models import Word2Vec


def main(folder: str, epochs: int, threads: int) -> None:
    place = Path(folder)
    words = json.loads((place / "vocabulary.json").read_text())["words"]
    sentences = [line.split() for line in (place / "words.txt").read_text().splitlines()]
    model = Word2Vec(
        vector_size=100, window=5, sg=1, negative=5, sample=1e-3, min_count=1, workers=threads, seed=0
    )
    model.build_vocab(sentences)
    begin, begin_processor = time.perf_counter(), time.process_time()
    model.train(sentences, total_examples=len(sentences), epochs=epochs)
    seconds, processor = time.perf_counter() - begin, time.process_time() - begin_processor
    centre, context = (np.zeros((len(words), 100), np.float32) for _ in range(2))
    for number, word in enumerate(words):
        if word in model.wv:
            centre[number] = model.wv[word]
            context[number] = model.syn1neg[model.wv.key_to_index[word]]
    np.savez(place / "gensim.npz", centre=centre, context=context)
    num_words = sum(map(len, sentences))
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM:"))
    row = {
        "version": gensim.__version__,
        "words_per_second": num_words * epochs / seconds,
        "words_per_processor_second": num_words * epochs / processor,
        "peak_memory_bytes": int(line.split()[1]) * 1024,
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:4]))
