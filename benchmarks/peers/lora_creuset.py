"""Tunes a language model as `creuset finetune` does; prints a JSON line (finetune_against_peft.py).

    lora_creuset.py WORK.json FORMAT THREADS ROUND

FORMAT is float32 or bfloat16: that of the frozen weights and of the products. Held-out rows are measured in
round 0 alone.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from lora_recipe import recipe
from measuring import peak_memory_bytes

from creuset.data.trained_rows import TrainedRows, TrainedText
from creuset.models.tuned import Tuned
from creuset.models.tuning import asked_nats
from creuset.runs.journal import read_journal
from creuset.workflows.load import load
from creuset.workflows.train import train


def main(work_path: str, number_format: str, threads: int, round_number: int) -> None:
    work: dict[str, Any] = json.loads(Path(work_path).read_text())
    place = Path(work["folder"]) / f"run-{number_format}"
    number = sum(1 for _ in place.parent.glob(f"{place.name}*"))
    settings = {"training.precision": number_format, "training.threads": threads}
    run = train(
        recipe(work, num_steps=work["num_steps"], **settings), name=f"{place}-{number}", measure=False
    )
    peak = peak_memory_bytes()
    lines = [line for line in read_journal(run.folder.journal_path) if line["event"] == "train"]
    assert lines[-1]["step"] == work["num_steps"]
    model = load(run.folder, precision="float32").model
    assert isinstance(model, Tuned)
    print(
        json.dumps(
            {
                "loop_seconds": lines[-1]["clock"]["seconds"],
                "tokens": sum(len(work["rows"][row]["ids"]) for batch in work["order"] for row in batch),
                "steps": len(work["order"]),
                "peak_memory_bytes": peak,
                "after_nats": [] if round_number else held_out_nats(model, work["held_out"]),
                "torch": torch.__version__,
            }
        )
    )


@torch.no_grad()
def held_out_nats(model: Tuned, rows: list[dict[str, Any]]) -> list[float]:
    """The mean nats of the trained tokens of each row, in float32."""
    found = []
    for row in rows:
        text = TrainedText(ids=tuple(row["ids"]), trained=tuple(row["trained"]))
        nats, count = asked_nats(model.body.eval(), TrainedRows.of([text]).batch(torch.tensor([0])))
        found.append(float(nats) / count)
    return found


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
