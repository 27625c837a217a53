"""What a step of tuning takes in memory and time with its blocks kept, and with them made once more.

    taskset -c 1 .venv/bin/python benchmarks/recomputed_blocks.py [--rows 8] [--tokens 500] [--json]

Rows of random tokens behind each other, all of them learned, LoRA of rank 8 on the queries and values of
SmolLM2 135M, under autocast to bfloat16, forward and backward, each way in a fresh process
(`training.checkpoint_blocks`), on Linux. Told is by how much the first step takes the process above the model
at rest, how many seconds of the processor the second one takes, and how far the gradients of both differ.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from alternation import heading, machine, report

import creuset

RESULT = Path(__file__).resolve().parent / "results" / "recomputed_blocks.json"
WAYS = ("kept", "made again")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=8, help="of the batch (default 8)")
    parser.add_argument("--tokens", type=int, default=500, help="of a row (default 500)")
    parser.add_argument("--json", action="store_true", help=f"write results/{RESULT.name}")
    parser.add_argument("--step", nargs=2, metavar=("WAY", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        way, file = options.step
        print(json.dumps(step(way, options.rows, options.tokens, Path(file))))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.pt" for number in range(len(WAYS))]
        for way, file in zip(WAYS, files, strict=True):
            sizes = ["--rows", str(options.rows), "--tokens", str(options.tokens)]
            command = [sys.executable, __file__, *sizes, "--step", way, str(file)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append({"way": way, **json.loads(done.stdout)})
        kept, again = (torch.load(file, weights_only=True) for file in files)
    difference = max(float((kept[name] - again[name]).abs().max()) for name in kept)
    document = {
        "benchmark": "recomputed_blocks",
        "machine": machine(torch.get_num_threads()),
        "versions": {"creuset": creuset.__version__, "torch": torch.__version__},
        "num_rows": options.rows,
        "tokens": options.tokens,
        "largest_difference": difference,
        "rows": rows,
    }
    report(document, summary(document), RESULT if options.json else None)


def step(way: str, num_rows: int, num_tokens: int, file: Path) -> dict[str, Any]:
    """The memory of one step and the time of the next, whose gradients are written to a file."""
    import time

    from creuset.device import autocast, memory_bytes, peak_memory_bytes
    from creuset.models.transformer import Transformer
    from creuset.models.transformer_stack import recompute_blocks
    from creuset.models.tuning import TuningForm, asked_nats, prepare, trained_state
    from creuset.pretrained.whole_base import load_whole_base
    from creuset.training.base import base_path

    found = load_whole_base(base_path("smollm2-135m"))
    body = Transformer.from_weights(found.config, found.weights)
    torch.manual_seed(0)
    prepare(body, TuningForm(weights="lora"))
    for parameter in body.parameters():
        if not parameter.requires_grad:
            parameter.data = parameter.data.to(torch.bfloat16)
    recompute_blocks(body, way == "made again")
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(found.config.vocab_size, (1, num_rows * num_tokens), generator=generator)
    documents = torch.arange(num_rows).repeat_interleave(num_tokens)[None]
    batch = {"tokens": tokens, "targets": tokens, "documents": documents}
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here: loading took more
    at_rest, taken, seconds = memory_bytes(), 0, 0.0
    for _ in range(2):
        body.zero_grad(set_to_none=True)
        begin = time.process_time()
        with autocast("bfloat16", torch.device("cpu")):
            nats, number = asked_nats(body, batch)
        (nats / number).backward()  # type: ignore[no-untyped-call]
        seconds = time.process_time() - begin
        taken = taken or peak_memory_bytes() - at_rest
    torch.save({name: value.grad for name, value in trained_state(body).items()}, file)
    return {"bytes": taken, "seconds": seconds}


def summary(document: dict[str, Any]) -> str:
    """A line for each way."""
    told = [
        *heading(document),
        f"{document['num_rows']} rows of {document['tokens']:,} tokens; the gradients differ by at most "
        f"{document['largest_difference']:.3g}",
        f"{'blocks':<11} {'MB':>8} {'seconds':>8}",
    ]
    told += [
        f"{row['way']:<11} {row['bytes'] / 1e6:>8,.0f} {row['seconds']:>8.1f}" for row in document["rows"]
    ]
    return "\n".join(told)


if __name__ == "__main__":
    main()
