"""Tunes a language model by creuset; prints a JSON line (finetune_against_peft.py).

    lora_creuset.py WORK.json FORMAT THREADS

FORMAT is float32 or bfloat16: that of the frozen weights and of the products.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from measuring import peak_memory_bytes

from creuset.adapters.lora import LoraForm
from creuset.data.trained_rows import TrainedRows, TrainedText
from creuset.models.transformer import Transformer
from creuset.models.tuning import TuningForm, asked_nats, prepare, trained_state
from creuset.pretrained.folder import load_folder


def main(work_path: str, number_format: str, threads: int) -> None:
    torch.set_num_threads(threads)
    work: dict[str, Any] = json.loads(Path(work_path).read_text())
    rows, held_out = (TrainedRows.of(list(map(text_of, work[name]))) for name in ("rows", "held_out"))
    found = load_folder(work["base"], dtype=getattr(torch, number_format))
    torch.manual_seed(work["seed"])
    body = found.model().train()
    prepare(body, TuningForm(weights="lora", lora=LoraForm(rank=work["rank"], alpha=work["alpha"])))
    optimizer = torch.optim.AdamW(
        trained_state(body).values(), lr=work["learning_rate"], weight_decay=0.0, fused=True
    )
    begin = time.perf_counter()
    for step, batch in enumerate(work["order"]):
        for group in optimizer.param_groups:  # the Trainer's default: along a line to 0
            group["lr"] = work["learning_rate"] * (1 - step / len(work["order"]))
        nats, number = asked_nats(body, rows.batch(torch.tensor(batch)))
        (nats / number).backward()
        torch.nn.utils.clip_grad_norm_(list(trained_state(body).values()), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    seconds = time.perf_counter() - begin
    peak = peak_memory_bytes()
    exact = load_folder(work["base"], dtype=torch.float32).model()
    before = held_out_nats(exact, held_out)
    prepare(exact, TuningForm(weights="lora", lora=LoraForm(rank=work["rank"], alpha=work["alpha"])))
    with torch.no_grad():
        for name, value in trained_state(exact).items():
            value.copy_(trained_state(body)[name])
    print(
        json.dumps(
            {
                "loop_seconds": seconds,
                "tokens": sum(len(work["rows"][row]["ids"]) for batch in work["order"] for row in batch),
                "steps": len(work["order"]),
                "peak_memory_bytes": peak,
                "before_nats": before,
                "after_nats": held_out_nats(exact, held_out),
                "torch": torch.__version__,
            }
        )
    )


def text_of(row: dict[str, Any]) -> TrainedText:
    return TrainedText(ids=tuple(row["ids"]), trained=tuple(row["trained"]))


@torch.no_grad()
def held_out_nats(body: Transformer, rows: TrainedRows) -> list[float]:
    """The mean nats of the trained tokens of each row, in float32."""
    found = []
    for number in range(len(rows.num_trained)):
        nats, count = asked_nats(body.eval(), rows.batch(torch.tensor([number])))
        found.append(float(nats) / count)
    return found


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
