"""How often a tuned model tells the chosen one of two answers, each pair by a model that never saw it.

    .venv/bin/python benchmarks/preferences_in_folds.py PAIRS.json [--method dpo] [--folds 5] [--shorter]
        [--longest CHARACTERS] [--keep FOLDER]

The pairs are dealt to folds by what is asked, so that no prompt stands in two; for each fold a model is tuned
on the others by `creuset finetune BASE --method METHOD` and measured on this one. The accuracy is over all
pairs, with Wilson's interval; .5 is guessing. With --shorter the shorter answer of each pair is called the
chosen one, whatever people said: a preference that is there for sure, and has to be learned. Pairs that are
longer than the base reads are left out, and counted. With --keep the folds and their runs stay in a folder,
and the same call goes on where it was stopped. With --longest pairs with more characters are not trained on,
which saves most of the time, and are measured all the same.
"""

import argparse
import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from alternation import machine, report
from numpy.typing import NDArray

import creuset
from creuset.files import write_atomic
from creuset.metrics.intervals import mean_estimate, wilson_interval
from creuset.workflows.finetune import finetune
from creuset.workflows.train import Run, resume

RESULT = Path(__file__).resolve().parent / "results" / "preferences_in_folds.json"
Pairs = list[dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", type=Path, help="a JSON array of conversations with chosen and rejected")
    parser.add_argument("--base", default="smollm2-135m", help="default smollm2-135m")
    parser.add_argument("--method", default="dpo", choices=("dpo", "orpo", "reward"), help="default dpo")
    parser.add_argument("--folds", type=int, default=5, help="default 5")
    parser.add_argument("--epochs", type=float, help="default: as creuset finetune")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--shorter", action="store_true", help="the shorter answer is the chosen one")
    parser.add_argument(
        "--longest", type=int, help="characters of a prompt and its longer answer in training"
    )
    parser.add_argument("--keep", type=Path, help="where what is done stays, to go on from there")
    parser.add_argument("--seed", type=int, default=0, help="of folds and tunings (default 0)")
    parser.add_argument("--json", action="store_true", help=f"write results/{RESULT.name}")
    options = parser.parse_args()
    pairs = json.loads(options.pairs.read_text())
    if options.shorter:
        pairs = [by_length(pair) for pair in pairs if len(answer(pair, 0)) != len(answer(pair, 1))]
    with tempfile.TemporaryDirectory() as temporary:
        keep = Path(temporary) if options.keep is None else options.keep
        require_same(keep / "asked.json", options, pairs)
        rows = [
            fold(number, train, test, keep / f"fold-{number + 1}", options)
            for number, (train, test) in enumerate(folds(pairs, options.folds, options.seed))
        ]
    document = {
        "benchmark": "preferences_in_folds",
        "base": options.base,
        "method": options.method,
        "preference": "the shorter answer" if options.shorter else "people's",
        "pairs": len(pairs),
        "longest_trained": options.longest,
        "epochs": options.epochs,
        "settings": options.settings,
        "machine": machine(torch.get_num_threads()),
        "versions": {"creuset": creuset.__version__},
        "rows": rows,
    }
    report(document, summary(document), RESULT if options.json else None)


def require_same(asked: Path, options: argparse.Namespace, pairs: Pairs) -> None:
    """Refuses a folder where something else was begun: folds of unlike tunings are no figure."""
    apart = ("keep", "json", "pairs")
    wanted = {name: value for name, value in vars(options).items() if name not in apart}
    wanted["data"] = hashlib.sha256(json.dumps(pairs).encode()).hexdigest()
    if asked.exists() and (begun := json.loads(asked.read_text())) != wanted:
        raise SystemExit(f"{asked.parent}: begun otherwise\n  got: {wanted}\n  expected: {begun}")
    write_atomic(asked, json.dumps(wanted))


def fold(number: int, train: Pairs, test: Pairs, place: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What a fold gave, which is read where it was kept."""
    place.mkdir(exist_ok=True)
    done = place / "margins.json"
    if not done.exists():
        run, margins = tuned(train, test, place, options)
        row = {"fold": number, "seconds": run.outcome.seconds, "margins": margins.tolist()}
        write_atomic(done, json.dumps(row))
    kept: dict[str, Any] = json.loads(done.read_text())
    right = sum(margin > 0 for margin in kept["margins"])
    told = f"{right} of {len(kept['margins'])} told, {kept['seconds']:.0f} s of training"
    print(f"fold {number + 1}: {told}", flush=True)
    return kept


def characters(pair: dict[str, Any]) -> int:
    """Of the prompt and the longer one of its answers."""
    prompt = sum(len(turn["value"]) for turn in pair["conversations"])
    return prompt + max(len(answer(pair, place)) for place in (0, 1))


def answer(pair: dict[str, Any], place: int) -> str:
    text: str = pair[("chosen", "rejected")[place]]["value"]
    return text


def by_length(pair: dict[str, Any]) -> dict[str, Any]:
    """The pair with its shorter answer as the chosen one."""
    shorter, longer = sorted((pair["chosen"], pair["rejected"]), key=lambda one: len(one["value"]))
    return {**pair, "chosen": shorter, "rejected": longer}


def folds(pairs: Pairs, num_folds: int, seed: int) -> Iterator[tuple[Pairs, Pairs]]:
    """What each fold is tuned on and measured on."""
    asked = [json.dumps(pair["conversations"]) for pair in pairs]
    prompts = sorted(set(asked))
    order = np.random.default_rng(seed).permutation(len(prompts))
    fold_of = {prompts[place]: number % num_folds for number, place in enumerate(order)}
    for number in range(num_folds):
        inside = [fold_of[prompt] == number for prompt in asked]
        yield (
            [pair for pair, own in zip(pairs, inside, strict=True) if not own],
            [pair for pair, own in zip(pairs, inside, strict=True) if own],
        )


def tuned(
    train: Pairs, test: Pairs, place: Path, options: argparse.Namespace
) -> tuple[Run, NDArray[np.float64]]:
    """The tuning, and by how much the chosen answer of each test pair is ahead."""
    if (place / "run").exists():
        run = resume(place / "run")
    else:
        short = [pair for pair in train if options.longest is None or characters(pair) <= options.longest]
        for name, part in (("train", short), ("test", test)):
            (place / f"{name}.json").write_text(json.dumps(part))
        run = finetune(
            options.base,
            data=place / "train.json",
            test_data=place / "test.json",
            method=options.method,
            epochs=options.epochs,
            settings=("data.too_long=drop", "data.validation_share=0.02", *options.settings),
            seed=options.seed,
            name=str((place / "run").resolve()),
        )
    kept = run.folder.evaluation_rows("tuning")
    assert kept is not None
    margins: NDArray[np.float64] = kept.arrays["margin"]
    return run, margins


def summary(document: dict[str, Any]) -> str:
    """The accuracy over all pairs, and by how much the chosen answers are ahead."""
    margins = np.concatenate([row["margins"] for row in document["rows"]])
    hits = float((margins > 0).sum() + 0.5 * (margins == 0).sum())
    low, high = wilson_interval(hits, len(margins))
    ahead = mean_estimate(margins)
    seconds: Sequence[float] = [row["seconds"] for row in document["rows"]]
    told = (
        f"{document['base']}, {document['method']}, {document['preference']}: preference accuracy "
        f"{hits / len(margins):.4f} [{low:.4f}, {high:.4f}], n={len(margins)} of {document['pairs']}"
    )
    if ahead.interval is not None:
        told += f"; margin {ahead.mean:.4g} [{ahead.interval[0]:.4g}, {ahead.interval[1]:.4g}]"
    return f"{told}; {np.sum(seconds):.0f} s of training"


if __name__ == "__main__":
    main()
