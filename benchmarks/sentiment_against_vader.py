"""Sentiment of rated sentences by a classifier on MiniLM's states and by VADER's word list, on the same rows.

    .venv/bin/python benchmarks/sentiment_against_vader.py sentiment_rated.tsv [--weights head|lora|full]

The file has the columns domain, id, rating and text, as the data that VADER was published with: a sentence
is positive where people rated it above 0 on average, negative below, and left out at 0. Sentences of one
document, which share the domain and the id up to its first "_", stand in one split. The classifier is
`creuset finetune minilm --method classify`; the first call sets up VADER's own environment under
benchmarks/.venvs. VADER says positive where its compound score is 0 or more. It was made with these ratings
at hand, and learns nothing.

Accuracy and F1, the mean over both classes, each with its interval over test rows, and McNemar's counts.
"""

import argparse
import csv
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from alternation import heading, machine, peer_python, report

import creuset
from creuset.metrics.classification import accuracy, f1_macro
from creuset.metrics.predictions import Predictions
from creuset.metrics.score import Score
from creuset.progress import Silent
from creuset.workflows.finetune import finetune
from creuset.workflows.run_data import run_data

HERE = Path(__file__).resolve().parent
PINNED = ("vaderSentiment==3.3.2", "requests==2.32.5")
RESULT = HERE / "results" / "sentiment_against_vader.json"
NAMES = ("negative", "positive")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="domain, id, rating, text, with tabs between")
    parser.add_argument("--weights", default="head", help="head, lora, full or last:K (default head)")
    parser.add_argument("--seed", type=int, default=0, help="of the training (default 0)")
    parser.add_argument("--json", action="store_true", help=f"write results/{RESULT.name}")
    options = parser.parse_args()
    python = peer_python("vader", PINNED)
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "sentences.jsonl"
        rows.write_text("".join(json.dumps(row) + "\n" for row in read_rated(options.data)))
        run = finetune(
            "minilm",
            data=rows,
            method="classify",
            weights=options.weights,
            seed=options.seed,
            name=str(Path(folder) / "run"),
        )
        test = run_data(run.folder, Silent()).split("test")
        assert test.labels is not None
        labels = test.labels.numpy()
        own = run.model().logits(list(test.texts))
        said = subprocess.run(
            [str(python), str(HERE / "peers" / "sentiment_vader.py")],
            input=json.dumps(test.texts),
            capture_output=True,
            text=True,
            check=True,
        )
        seconds = run.outcome.seconds
    compounds = np.array(json.loads(said.stdout)["compounds"])
    answers = {"creuset": own.argmax(1), "vader": (compounds >= 0).astype(np.int64)}
    document = {
        "machine": machine(torch.get_num_threads()),
        "versions": {
            "creuset": creuset.__version__,
            "vaderSentiment": PINNED[0].partition("==")[2],
            "torch": torch.__version__,
        },
        "weights": options.weights,
        "seconds_of_training": seconds,
        "num_test": len(labels),
        "num_neutral_by_vader": int((compounds == 0).sum()),
        "scores": {
            name: [score.to_json() for score in scores_of(labels, found)] for name, found in answers.items()
        },
        "right_alone": {
            name: int(((found == labels) & (other != labels)).sum())
            for (name, found), other in zip(answers.items(), reversed(answers.values()), strict=True)
        },
    }
    report(document, told(document), RESULT if options.json else None)


def read_rated(path: Path) -> list[dict[str, str]]:
    """The rows as texts with a class and a group."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        {
            "text": row["text"],
            "label": NAMES[float(row["rating"]) > 0],
            "group": f"{row['domain']} {row['id'].split('_')[0]}",
        }
        for row in rows
        if float(row["rating"]) != 0 and row["text"].strip()
    ]


def scores_of(labels: np.ndarray, found: np.ndarray) -> list[Score]:
    """Accuracy and F1 of predicted classes."""
    answers = Predictions.from_probabilities(np.eye(2)[found], labels)
    return [accuracy(answers), f1_macro(answers)]


def told(document: dict[str, Any]) -> str:
    """All figures on a few lines."""
    lines = [*heading(document), f"{document['num_test']:,} test rows, minilm, weights {document['weights']}"]
    for name, found in document["scores"].items():
        shown = ", ".join(
            f"{one['metric']} {one['value']:.4f} [{one['interval'][0]:.4f}, {one['interval'][1]:.4f}]"
            for one in found
        )
        lines.append(f"  {name:8} {shown}")
    lines.append(f"  right alone: {document['right_alone']}; 0 by VADER: {document['num_neutral_by_vader']}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
