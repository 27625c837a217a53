"""Vectors of words by creuset and by gensim's Word2Vec, in alternation, with equal threads, in fresh
processes.

    .venv/bin/python benchmarks/skip_gram_against_gensim.py --data corpus.txt

The first call sets up gensim's own environment under benchmarks/.venvs. Equal on both sides: the words (cut
by creuset's tokenizer), the vocabulary, features, window, noise words of a pair, thinning out, times through
the text, threads. gensim runs as it comes: a step for each pair, its learning rate falling from 0.025;
creuset runs its shipped recipe, embeddings-words, with Adam on batches.

Speed is words of the vocabulary in the training text, a second of training alone, and a second of processor
time, which other work on the machine moves less. What it was for is shown beside it: the loss in nats of
both on the validation text, with windows and noise words drawn once for both, and the accuracy on
questions-words.txt, which lies in gensim's package. The smaller the loss, the better; 6 log 2 = 4.159 says
nothing. A text of a few megabytes teaches no analogies: read their accuracy with its interval.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from alternation import (
    Row,
    between,
    heading,
    in_turn,
    machine,
    measure,
    medians,
    parser_of,
    peer_python,
    ratio,
    report,
)

from creuset.data.analogy_questions import read_analogies
from creuset.data.load import load_data
from creuset.metrics.intervals import wilson_interval
from creuset.objectives.skip_gram import noise_distribution, skip_gram_nats, window_pairs
from creuset.recipe.sections import DataConfig

HERE = Path(__file__).resolve().parent
PINNED = ("gensim==4.4.0",)
RESULT = HERE / "results" / "skip_gram_against_gensim.json"
QUESTIONS = "gensim/test/test_data/questions-words.txt"
WINDOW, NEGATIVES, CONTEXT = 5, 5, 128


def main() -> None:
    parser = parser_of(__doc__, RESULT, "trains")
    parser.add_argument("--data", type=Path, required=True, help="a text file")
    parser.add_argument("--vocabulary", type=int, default=10_000, help="words at most (default 10000)")
    parser.add_argument("--epochs", type=int, default=5, help="times through the text (default 5)")
    options = parser.parse_args()
    python = peer_python("gensim", PINNED)
    data = load_data(
        DataConfig(
            source=str(options.data),
            tokenizer="words",
            vocabulary_size=options.vocabulary,
            context=CONTEXT,
            test_share=0.0,
        ),
        seed=0,
        resolve=Path,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_words(data, folder)
        numbers = [str(options.epochs), str(options.threads)]
        commands = {
            "gensim": [str(python), str(HERE / "peers" / "skip_gram_gensim.py"), str(folder), *numbers],
            "creuset": [
                sys.executable,
                str(HERE / "peers" / "skip_gram_creuset.py"),
                str(folder),
                *numbers,
                str(options.data.resolve()),
                str(options.vocabulary),
            ],
        }

        def trained(side: str, _: int) -> Row:
            row = measure(commands[side], options.threads)
            return row | quality(folder / f"{side}.npz", data, python)

        rows = in_turn(
            commands, options.rounds, trained, lambda row: f"{row['words_per_second']:,.0f} words/s"
        )
    document = {
        "benchmark": "skip_gram_against_gensim",
        "rounds": options.rounds,
        "machine": machine(options.threads),
        "versions": {side: found[0]["version"] for side, found in rows.items()},
        "epochs": options.epochs,
        "num_words": sum(data.spec.word_counts),
        "vocabulary": sum(count > 0 for count in data.spec.word_counts),
        "rows": rows,
    }
    report(document, summary(document), options.json)


def write_words(data: Any, folder: Path) -> None:
    """The training text in words, a block of them a line, without unknown ones; the words by their ids."""
    tokenizer, ids = data.tokenizer, data.splits["train"].stream.ids.numpy()
    words = [tokenizer.token(number) for number in range(tokenizer.vocab_size)]
    kept = [words[number] for number in ids if number not in tokenizer.skipped_ids]
    lines = [" ".join(kept[start : start + CONTEXT]) for start in range(0, len(kept), CONTEXT)]
    (folder / "words.txt").write_text("\n".join(lines) + "\n")
    stated = {"words": words, "num_words": len(kept), "num_tokens": len(ids)}
    (folder / "vocabulary.json").write_text(json.dumps(stated))


def quality(path: Path, data: Any, python: Path) -> Row:
    """The loss on the validation text and the accuracy of analogies, of two tables of vectors (V, E)."""
    stored = np.load(path)
    centre, context = (torch.from_numpy(stored[name]) for name in ("centre", "context"))
    blocks = data.splits["validation"].inputs[:, :CONTEXT].long().clamp_min(0)
    counts = torch.tensor(data.spec.word_counts)
    generator = torch.Generator().manual_seed(0)
    windows = torch.randint(1, WINDOW + 1, blocks.shape, generator=generator)
    noise = torch.multinomial(
        noise_distribution(counts), len(blocks) * 64, replacement=True, generator=generator
    )
    pairs = window_pairs(windows, counts[blocks] > 0)
    nats = skip_gram_nats(
        centre[blocks],
        context[blocks],
        context[noise.view(len(blocks), -1)],
        pairs,
        num_negatives=NEGATIVES,
    )
    return {"validation_nats": float(nats.mean()), **analogies(centre.numpy(), data, python)}


def analogies(vectors: np.ndarray, data: Any, python: Path) -> Row:
    """The analogies of which the vocabulary holds all words, answered by cosine."""
    (file,) = (python.parent.parent / "lib").glob(f"python*/site-packages/{QUESTIONS}")
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    seen = np.array(data.spec.word_counts) > 0
    asked = right = 0
    for question in read_analogies(file).questions:
        ids = [data.tokenizer.id_of(word.lower()) for word in question.words]
        if any(number is None or not seen[number] for number in ids):
            continue
        a, b, c, d = ids
        scores = units @ (units[b] - units[a] + units[c])
        scores[[a, b, c]] = -np.inf
        scores[~seen] = -np.inf
        asked, right = asked + 1, right + int(scores.argmax() == d)
    return {"questions": asked, "right": right}


def summary(document: dict[str, Any]) -> str:
    """All figures on a few lines: medians over the rounds, and the ratio of speeds within each."""
    rows = document["rows"]
    told = [
        *heading(document),
        f"{document['num_words']:,} words, {document['vocabulary']:,} different, {document['epochs']} times",
    ]
    for side, found in rows.items():
        keys = "words_per_second", "words_per_processor_second", "validation_nats", "peak_memory_bytes"
        speed, by_processor, loss, memory = medians(found, *keys)
        last = found[-1]
        line = (
            f"{side:8} {speed:9,.0f} words/s, {by_processor:9,.0f} by processor time  "
            f"loss {loss:.4f} nats  peak {memory / 1e6:,.0f} MB"
        )
        if last["questions"]:
            low, high = wilson_interval(last["right"], last["questions"])
            line += f"  analogies {last['right']} of {last['questions']} [{low:.3f}, {high:.3f}]"
        told.append(line)
    for key, what in (("words_per_second", ""), ("words_per_processor_second", " by processor time")):
        spread = ratio(rows["creuset"], rows["gensim"], key)
        told.append(f"creuset against gensim{what}: {spread['median']:.2f} times as fast {between(spread)}")
    return "\n".join(told)


if __name__ == "__main__":
    main()
