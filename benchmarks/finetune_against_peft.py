"""LoRA on SmolLM2 by creuset and by transformers with peft, in alternation, with equal threads.

    .venv/bin/python benchmarks/finetune_against_peft.py ROWS.json

The first call sets up the peer's own environment under benchmarks/.venvs. ROWS.json holds conversations or
instructions in any form that creuset reads; the base is the starter asset smollm2-135m, written as a folder
that both sides load.

creuset's side is the training of `creuset finetune`, from its first step to its last journal line. Equal on
all sides: the base's weights, the rows as tokens, of at most 512, what is trained of them, the batches and
their order, LoRA with rank 8 on queries and values and its first random numbers, AdamW without weight decay,
a learning rate that falls to 0 along a line, gradients clipped at 1. The peer is what everyone copies: the
Trainer with its defaults, batches padded to their longest row, float32; and its own bf16 setting beside it.
creuset puts the rows of a batch behind each other, in bfloat16, and in float32 if asked for.

Real tokens a second are those of the rows, padding not counted. What stands beside the speed is the loss of
held-out rows by the adapter of the first round, each side's computed by itself in float32, and its difference
with an interval.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from alternation import (
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
from peers.lora_recipe import recipe

from creuset import assets
from creuset.adapters.adapter import taken
from creuset.data.batches import BatchOrder
from creuset.data.conversations import read_tuning_file
from creuset.data.records import read_records
from creuset.data.tuning_rows import conversation_rows
from creuset.engines.native_loading import load_native
from creuset.models.tuned import Tuned
from creuset.models.tuning import ADAPTER
from creuset.pretrained.folder import Pretrained, save_folder
from creuset.pretrained.peft_folder import save_adapter
from creuset.progress import Silent
from creuset.training.batches import TrainingBatches
from creuset.training.session import build_model
from creuset.workflows.plan import Plan

HERE = Path(__file__).resolve().parent
PINNED = ("peft==0.21.2", "transformers==5.23.0", "torch==2.13.0")
RESULT = HERE / "results" / "finetune_against_peft.json"
PEER, PEER_BF16 = "transformers + peft, float32", "transformers + peft, bf16"
OWN, OWN_FLOAT32 = "creuset, bfloat16", "creuset, float32"
MOST_TOKENS, BATCH_SIZE, NUM_TOKENS = 512, 8, 60_000
SETTINGS = {"rank": 8, "alpha": 16, "learning_rate": 2e-4, "batch_size": BATCH_SIZE, "seed": 0}
_MOST_STEPS = 1
"""Of the recipe by which the rows are split: the splits do not depend on it."""


def main() -> None:
    parser = parser_of(__doc__, RESULT, "tunes")
    parser.add_argument("rows", type=Path, help="conversations or instructions, in any form")
    parser.add_argument("--float32", action="store_true", help="creuset in float32 as well")
    parser.add_argument("--tokens", type=int, default=NUM_TOKENS, help="trained on (default 60,000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        work = prepare(options.rows, folder, options.tokens)
        commands = sides(work, options.threads)
        if not options.float32:
            del commands[OWN_FLOAT32]
        rows = in_turn(
            commands,
            options.rounds,
            lambda name, number: measure([*commands[name], str(number)], options.threads),
            lambda row: f"{row['tokens'] / row['loop_seconds']:.0f} tokens a second",
        )
    require_equal(rows, ("tokens", "steps", "torch"))
    document = {
        "benchmark": "finetune_against_peft",
        "rounds": options.rounds,
        "machine": machine(options.threads),
        "versions": {"torch": rows[OWN][0]["torch"], "peers": ", ".join(PINNED)},
        "rows": rows,
    }
    report(document, summary(document), options.json)


def prepare(source: Path, folder: Path, num_tokens: int) -> Path:
    """The work of both sides in one file, and the base in a folder.

    The rows, their splits and the order of their batches are those of `creuset finetune`.
    """
    model = load_native(assets.resolve("smollm2-135m").file or Path(), dtype=torch.float32)
    base = folder / "base"
    save_folder(
        base,
        Pretrained(
            config=model.config,
            state=model.weights,
            model_type="llama",
            tokenizer=model.tokenizer,
            generation={"eos_token_id": list(model.eos_ids)},
            chat_template=model.chat_template,
        ),
    )
    data = folder / "rows.jsonl"
    everything = conversation_rows(
        read_tuning_file(source), model.tokenizer, template=model.chat_template, end_id=None
    )
    with data.open("w", encoding="utf-8") as file:
        for record, row in zip(read_records(source), everything, strict=True):
            if len(row.text.ids) <= MOST_TOKENS:
                file.write(json.dumps(record.values) + "\n")
    work = {**SETTINGS, "base": str(base), "data": str(data), "folder": str(folder)}
    planned = Plan.make(recipe(work, num_steps=_MOST_STEPS), Silent())
    parts = {name: planned.dataset.split(name).tuning for name in ("train", "validation")}
    texts = {name: [row.text for row in part.rows] for name, part in parts.items() if part is not None}
    lengths, num_steps, seen = [len(text.ids) for text in texts["train"]], 0, 0
    drawn = BatchOrder(len(lengths), BATCH_SIZE, SETTINGS["seed"])
    while seen < num_tokens:
        seen += sum(lengths[row] for row in drawn.indices(num_steps).tolist())
        num_steps += 1
    plan = Plan.make(recipe(work, num_steps=num_steps), Silent())
    save_first_adapter(plan, folder / "adapter", str(base))
    batches = TrainingBatches(
        plan.dataset,
        plan.recipe.data,
        seed=SETTINGS["seed"],
        device=torch.device("cpu"),
        dtype=torch.float32,
        num_batches=num_steps,
    )
    as_json = {
        name: [{"ids": text.ids, "trained": text.trained} for text in of] for name, of in texts.items()
    }
    work |= {
        "adapter": str(folder / "adapter"),
        "rows": as_json["train"],
        "held_out": as_json["validation"],
        "order": [batches.indices(step).tolist() for step in range(num_steps)],
        "num_steps": num_steps,
    }
    path = folder / "work.json"
    path.write_text(json.dumps(work))
    return path


def save_first_adapter(plan: Plan, folder: Path, base: str) -> None:
    """The updates that creuset's training begins from, as a folder of PEFT's: from other random numbers the
    loss of held-out rows differs by a thousandth of a nat after so few steps."""
    model = build_model(plan.family, plan.recipe.model, plan.dataset.spec, plan.recipe.training.seed)
    assert isinstance(model, Tuned)
    save_adapter(folder, taken(model.body, ADAPTER), model.body.config, "llama", base=base)


def sides(work: Path, threads: int) -> dict[str, list[str]]:
    """The command of each contender."""
    peer = [str(peer_python("peft", PINNED)), str(HERE / "peers" / "lora_peft.py"), str(work)]
    own = [sys.executable, str(HERE / "peers" / "lora_creuset.py"), str(work)]
    return {
        PEER: [*peer, "float32", str(threads)],
        PEER_BF16: [*peer, "bfloat16", str(threads)],
        OWN: [*own, "bfloat16", str(threads)],
        OWN_FLOAT32: [*own, "float32", str(threads)],
    }


def summary(document: dict[str, Any]) -> str:
    """The figures as lines."""
    rows: Rows = document["rows"]
    lines = heading(document)
    for name, of in rows.items():
        seconds, peak = medians(of, "loop_seconds", "peak_memory_bytes")
        speed = of[0]["tokens"] / seconds
        after = float(np.mean(of[0]["after_nats"]))
        lines.append(f"{name:<32} {speed:6.0f} tokens/s  {peak / 1e6:7,.0f} MB  {after:.4f} nats held out")
    for own in (name for name in (OWN, OWN_FLOAT32) if name in rows):
        for peer in (PEER, PEER_BF16):
            speed = ratio(rows[peer], rows[own], "loop_seconds")
            memory = ratio(rows[own], rows[peer], "peak_memory_bytes")
            lines.append(
                f"{own} against {peer}: {speed['median']:.2f} times as fast {between(speed)}, "
                f"{memory['median']:.0%} of its memory"
            )
        apart = np.array(rows[own][0]["after_nats"]) - np.array(rows[PEER][0]["after_nats"])
        low, high = interval(apart)
        lines.append(f"{own} less {PEER}, held out: {apart.mean():+.4f} nats [{low:+.4f}, {high:+.4f}]")
    return "\n".join(lines)


def interval(apart: np.ndarray) -> tuple[float, float]:
    """95% of the mean difference of paired rows, by Student's t."""
    from scipy import stats

    half = stats.t.ppf(0.975, len(apart) - 1) * apart.std(ddof=1) / len(apart) ** 0.5
    return float(apart.mean() - half), float(apart.mean() + half)


if __name__ == "__main__":
    main()
