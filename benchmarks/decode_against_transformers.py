"""Greedy decoding by creuset and by transformers' generate, in alternation, in fresh processes.

    .venv/bin/python benchmarks/decode_against_transformers.py [--gguf MODEL.gguf] [--json]

Without --gguf it is the SmolLM2 starter (creuset models pull starter). It is saved once as a folder that both
sides read, the GGUF file's weights in float32 and its tokenizer; each side then takes them in its format.

Equal on both sides: the prompt's ids, the number of tokens, no end token, threads, torch. Compared are tokens
per second behind the first token, the best of a process's rounds; the prompt's reading is left out on both
sides. A ratio is taken within a round of contenders, shown are the median, the least and the most.
Float32 is a third pair, of which the tokens must be equal, or the comparison would not be one.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from creuset import assets
from creuset.device import machine_facts
from creuset.engines.native_loading import load_native
from creuset.pretrained.folder import Pretrained, save_folder

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "decode_against_transformers.json"
PROMPT = "The history of the lighthouse begins with fires that were lit on hills above a harbour, and"
CONTENDERS = {
    "transformers bfloat16": ("transformers", "bfloat16", 1),
    "creuset bfloat16": ("creuset", "bfloat16", 1),
    "creuset int8": ("creuset", "int8", 1),
    "creuset bfloat16, 8 texts": ("creuset", "bfloat16", 8),
    "transformers bfloat16, 8 texts": ("transformers", "bfloat16", 8),
    "transformers float32": ("transformers", "float32", 1),
    "creuset float32": ("creuset", "float32", 1),
}
RATIOS = {
    "bfloat16, one text": ("creuset bfloat16", "transformers bfloat16", 1.5),
    "int8 weights against bfloat16, one text": ("creuset int8", "transformers bfloat16", 2.0),
    "8 texts against one": ("creuset bfloat16, 8 texts", "creuset bfloat16", 3.0),
    "8 texts": ("creuset bfloat16, 8 texts", "transformers bfloat16, 8 texts", None),
    "float32, one text": ("creuset float32", "transformers float32", None),
}
"""What is compared: above, below, and the least ratio that creuset promises."""

Row = dict[str, Any]
Rows = dict[str, list[Row]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--gguf", type=Path, help="another model (default: the SmolLM2 starter)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender runs (default 3)")
    parser.add_argument("--tokens", type=int, default=128, help="tokens that are generated (default 128)")
    parser.add_argument("--repeats", type=int, default=2, help="texts timed in a process (default 2)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: one a processor")
    parser.add_argument(
        "--json", type=Path, nargs="?", const=RESULT, help="write all figures to a file (default results/)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        prepare(starter() if options.gguf is None else options.gguf, folder)
        rows = measure_all(folder, options)
    require_equal(rows)
    document = {
        "benchmark": "decode_against_transformers",
        "tokens": options.tokens,
        "rounds": options.rounds,
        "machine": {**machine_facts(), "threads": options.threads},
        "transformers": rows["transformers bfloat16"][0]["transformers"],
        "ratios": ratios(rows),
        "rows": rows,
    }
    print(summary(document))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document, indent=1) + "\n")


def starter() -> Path:
    """The SmolLM2 starter's file."""
    found = assets.resolve("smollm2-135m").file
    if found is None:
        raise SystemExit("the asset smollm2-135m has no file; creuset models pull starter")
    return found


def prepare(gguf: Path, folder: Path) -> None:
    """The folder that both sides read, with the ids of the prompt beside it."""
    model = load_native(gguf, dtype=torch.float32)
    save_folder(
        folder,
        Pretrained(config=model.config, state=model.weights, model_type="llama", tokenizer=model.tokenizer),
    )
    (folder / "prompt.json").write_text(json.dumps(model.tokenizer.encode(PROMPT)))


def measure_all(folder: Path, options: argparse.Namespace) -> Rows:
    """Each contender in a fresh process, in turn, each second round in the opposite order."""
    rows: Rows = {name: [] for name in CONTENDERS}
    for number in range(options.rounds):
        order = list(CONTENDERS) if number % 2 == 0 else list(reversed(CONTENDERS))
        for name in order:
            rows[name].append(measure(folder, name, options))
            rate, memory = rows[name][-1]["tokens_per_second"], rows[name][-1]["peak_memory_bytes"]
            print(f"round {number + 1}: {name}: {rate:.1f} tokens/s, {memory / 1e6:,.0f} MB", file=sys.stderr)
    return rows


def measure(folder: Path, name: str, options: argparse.Namespace) -> Row:
    side, precision, batch = CONTENDERS[name]
    numbers = [str(number) for number in (batch, options.tokens, options.threads, options.repeats)]
    command = [sys.executable, str(HERE / "peers" / f"decode_{side}.py"), str(folder), precision, *numbers]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def require_equal(rows: Rows) -> None:
    """Ends the program where the two sides do not compute the same."""
    if len({row["torch"] for found in rows.values() for row in found}) > 1:
        raise SystemExit("the sides have different versions of torch")
    pair = (rows["creuset float32"][0]["token_ids"], rows["transformers float32"][0]["token_ids"])
    if pair[0] != pair[1]:
        place = next(place for place, (one, other) in enumerate(zip(*pair, strict=True)) if one != other)
        raise SystemExit(f"in float32 the sides write different texts from token {place} on")


def ratios(rows: Rows) -> dict[str, dict[str, float | None]]:
    """The ratios of tokens per second, over rounds."""
    found = {}
    for name, (above, below, promised) in RATIOS.items():
        each = [
            one["tokens_per_second"] / other["tokens_per_second"]
            for one, other in zip(rows[above], rows[below], strict=True)
        ]
        found[name] = {
            "median": statistics.median(each),
            "least": min(each),
            "most": max(each),
            "promised": promised,
        }
    return found


def summary(document: dict[str, Any]) -> str:
    machine = document["machine"]
    lines = [
        f"{machine['processor']}, {machine['threads']} threads, torch {machine['torch']}, "
        f"transformers {document['transformers']}, {document['tokens']} tokens",
    ]
    for name, found in document["rows"].items():
        rate = statistics.median(row["tokens_per_second"] for row in found)
        memory = max(row["peak_memory_bytes"] for row in found) / 1e6
        lines.append(f"{name:32} {rate:8.1f} tokens/s {memory:8,.0f} MB")
    for name, ratio in document["ratios"].items():
        promised = "" if ratio["promised"] is None else f", at least {ratio['promised']} is promised"
        lines.append(
            f"{name}: {ratio['median']:.2f} times ({ratio['least']:.2f} to {ratio['most']:.2f}){promised}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
