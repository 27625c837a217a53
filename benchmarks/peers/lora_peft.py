"""Tunes a language model by transformers and peft; prints a JSON line (finetune_against_peft.py).

    lora_peft.py WORK.json FORMAT THREADS ROUND

As everyone's script has it: AutoModelForCausalLM, PeftModel, the Trainer with its defaults, batches padded
to their longest row. WORK.json holds the base's folder, the adapter's with the form and the first numbers of
its updates, the rows as tokens with what is trained of them, and the settings that both sides share. FORMAT
is float32, or bfloat16 for the Trainer's own bf16 setting. Held-out rows are measured in round 0 alone.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from measuring import peak_memory_bytes

IGNORED = -100


def main(work_path: str, number_format: str, threads: int, round_number: int) -> None:
    torch.set_num_threads(threads)
    # transformers imports it where it is installed, and its usual wheel does not fit torch's processor build
    sys.modules["torchvision"] = None  # type: ignore[assignment]
    import peft
    import transformers

    work: dict[str, Any] = json.loads(Path(work_path).read_text())
    model = transformers.AutoModelForCausalLM.from_pretrained(work["base"], dtype=torch.float32)
    model = peft.PeftModel.from_pretrained(model, work["adapter"], is_trainable=True)
    trainer = transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=work["folder"],
            per_device_train_batch_size=work["batch_size"],
            max_steps=work["num_steps"],
            learning_rate=work["learning_rate"],
            bf16=number_format == "bfloat16",
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            seed=work["seed"],
            disable_tqdm=True,
        ),
        train_dataset=work["rows"],
        data_collator=padded,
    )
    trainer.get_train_dataloader = lambda: Batches(work["rows"], work["order"])  # type: ignore[method-assign]
    begin = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - begin
    peak = peak_memory_bytes()
    model.eval()
    print(
        json.dumps(
            {
                "loop_seconds": seconds,
                "tokens": sum(len(work["rows"][row]["ids"]) for batch in work["order"] for row in batch),
                "steps": len(work["order"]),
                "peak_memory_bytes": peak,
                "after_nats": [] if round_number else held_out_nats(model, work["held_out"]),
                "torch": torch.__version__,
                "transformers": transformers.__version__,
                "peft": peft.__version__,
            }
        )
    )


class Batches:
    """The batches that both sides train on, in their order."""

    def __init__(self, rows: list[dict[str, Any]], order: list[list[int]]) -> None:
        self.rows, self.order = rows, order

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Any:
        for batch in self.order:
            yield padded([self.rows[row] for row in batch])


def padded(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Rows filled up to the longest of them."""
    longest = max(len(row["ids"]) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for number, row in enumerate(rows):
        length = len(row["ids"])
        own = torch.tensor(row["ids"])
        ids[number, :length], mask[number, :length] = own, 1
        labels[number, :length] = own.where(torch.tensor(row["trained"]), IGNORED)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


@torch.no_grad()
def held_out_nats(model: Any, rows: list[dict[str, Any]]) -> list[float]:
    """The mean nats of the trained tokens of each row, in float32."""
    model.eval()
    found = []
    for row in rows:
        batch = padded([row])
        found.append(float(model(**batch).loss))
    model.train()
    return found


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
