"""Greedy decoding by creuset and by transformers' generate, in alternation, in fresh processes.

    .venv/bin/python benchmarks/decode_against_transformers.py [--gguf MODEL.gguf] [--json]

The first call sets up transformers' own environment under benchmarks/.venvs. Without --gguf it is the
SmolLM2 starter (creuset models pull starter). It is saved once as a folder that both sides read, the GGUF
file's weights in float32 and its tokenizer; each side then takes them in its format.

Equal on both sides, and checked: the prompt, the number of tokens, threads, torch. No token ends a text. The
8 texts of a batch have the same prompt. Compared are tokens per second behind the first token, the best of a
process's texts; the prompt's reading is left out on both sides. A ratio is taken within a round of
contenders, shown are the median, the least and the most. Each text is compared with that of transformers in
float32: that of creuset in float32 must be the same, or the comparison would not be one; of the others it is
told how many tokens they begin with in common, since rounded weights are another model.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from alternation import (
    Row,
    Rows,
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
    require_equal,
)

from creuset import assets
from creuset.engines.native_loading import load_native
from creuset.pretrained.folder import Pretrained, save_folder

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "decode_against_transformers.json"
PINNED = ("transformers==5.23.0", "torch==2.13.0")
PROMPT = "The history of the lighthouse begins with fires that were lit on hills above a harbour, and"
REFERENCE = "transformers float32"
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

EQUAL = ("torch", "num_prompt_tokens", "num_tokens", "threads")
"""What must be the same in each row, or the comparison would not be one."""


def main() -> None:
    parser = parser_of(__doc__, RESULT, "generates")
    parser.add_argument("--gguf", type=Path, help="another model (default: the SmolLM2 starter)")
    parser.add_argument("--tokens", type=int, default=128, help="tokens that are generated (default 128)")
    parser.add_argument("--repeats", type=int, default=2, help="texts timed in a process (default 2)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        prepare(starter() if options.gguf is None else options.gguf, folder)
        rows = in_turn(
            CONTENDERS,
            options.rounds,
            lambda name, _: measure(command(folder, name, options), options.threads),
            progress,
        )
    require_equal(rows, EQUAL)
    require_same_float32_text(rows)
    document = {
        "benchmark": "decode_against_transformers",
        "tokens": options.tokens,
        "rounds": options.rounds,
        "machine": machine(options.threads),
        "versions": versions(rows),
        "same_tokens": {name: same_tokens(found[0], rows[REFERENCE][0]) for name, found in rows.items()},
        "ratios": ratios(rows),
        "rows": rows,
    }
    report(document, summary(document), options.json)


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


def command(folder: Path, name: str, options: argparse.Namespace) -> list[str]:
    """What generates for a contender."""
    side, precision, batch = CONTENDERS[name]
    numbers = [str(number) for number in (batch, options.tokens, options.threads, options.repeats)]
    python = str(peer_python("transformers", PINNED)) if side == "transformers" else sys.executable
    return [python, str(HERE / "peers" / f"decode_{side}.py"), str(folder), precision, *numbers]


def progress(row: Row) -> str:
    """What is told of a measurement while the next one runs."""
    return f"{row['tokens_per_second']:.1f} tokens/s, {row['peak_memory_bytes'] / 1e6:,.0f} MB"


def require_same_float32_text(rows: Rows) -> None:
    """Ends the program where the two sides do not write the same in float32."""
    ours, theirs = rows["creuset float32"][0], rows[REFERENCE][0]
    place = same_tokens(ours, theirs)
    if place < theirs["num_tokens"]:
        raise SystemExit(f"in float32 the sides write different texts from token {place} on")


def same_tokens(row: Row, other: Row) -> int:
    """How many tokens two texts begin with in common."""
    pairs = enumerate(zip(row["token_ids"], other["token_ids"], strict=True))
    return next((place for place, (one, another) in pairs if one != another), len(row["token_ids"]))


def versions(rows: Rows) -> dict[str, str]:
    """Of the libraries on both sides."""
    own, theirs = rows["creuset float32"][0], rows[REFERENCE][0]
    return {"transformers": theirs["version"], "creuset": own["version"], "torch": own["torch"]}


def ratios(rows: Rows) -> dict[str, dict[str, float | None]]:
    """The ratios of tokens per second, over rounds, and what is promised of each."""
    return {
        name: {**ratio(rows[above], rows[below], "tokens_per_second"), "promised": promised}
        for name, (above, below, promised) in RATIOS.items()
    }


def summary(document: dict[str, Any]) -> str:
    """All figures on a few lines: medians over the rounds, and the ratios."""
    told = [
        *heading(document),
        f"{document['rows'][REFERENCE][0]['num_prompt_tokens']} tokens of prompt, {document['tokens']} "
        f"generated, rounds {document['rounds']}",
    ]
    for name, found in document["rows"].items():
        rate, memory = medians(found, "tokens_per_second", "peak_memory_bytes")
        told.append(
            f"{name:30} {rate:7.1f} tokens/s  peak {memory / 1e6:6,.0f} MB  "
            f"the first {document['same_tokens'][name]} tokens those of {REFERENCE}"
        )
    for name, of in document["ratios"].items():
        promised = "" if of["promised"] is None else f", at least {of['promised']} is promised"
        told.append(f"{name}: {of['median']:.2f} times {between(of)}{promised}")
    return "\n".join(told)


if __name__ == "__main__":
    main()
