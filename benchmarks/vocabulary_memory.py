"""What a step of tuning takes in memory with long rows and a large vocabulary, by the tokens trained.

    .venv/bin/python benchmarks/vocabulary_memory.py [--tokens 4096] [--vocabulary 150000] [--json]

One row of so many tokens through a Llama of two narrow layers with random weights, LoRA of rank 8 on its
queries and values, forward and backward, in float32, each step in a fresh process: with the losses of
creuset's tunings (scores only where a token is trained, part by part), and with the scores of all tokens at
once and torch's cross entropy, as a script would. Told is by how much a step takes the process above the
model at rest.
The scores of all tokens alone are tokens x vocabulary x 4 bytes.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from alternation import heading, machine, report

import creuset

RESULT = Path(__file__).resolve().parent / "results" / "vocabulary_memory.json"
SHARES = (0.01, 0.1, 0.5, 1.0)
"""Of a row's tokens that are trained."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=4096, help="of a row (default 4096)")
    parser.add_argument("--vocabulary", type=int, default=150_000, help="default 150000")
    parser.add_argument("--json", action="store_true", help=f"write results/{RESULT.name}")
    parser.add_argument("--step", nargs=2, metavar=("WAY", "TRAINED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        way, trained = options.step
        print(json.dumps(step(way, options.tokens, options.vocabulary, int(trained))))
        return
    rows = []
    for way in ("creuset", "all scores"):
        for share in SHARES:
            trained = max(1, round(share * (options.tokens - 1)))
            sizes = ["--tokens", str(options.tokens), "--vocabulary", str(options.vocabulary)]
            command = [sys.executable, __file__, *sizes, "--step", way, str(trained)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append({"way": way, "trained": trained, **json.loads(done.stdout)})
    document = {
        "benchmark": "vocabulary_memory",
        "machine": machine(torch.get_num_threads()),
        "versions": {"creuset": creuset.__version__, "torch": torch.__version__},
        "tokens": options.tokens,
        "vocabulary": options.vocabulary,
        "rows": rows,
    }
    report(document, summary(document), RESULT if options.json else None)


def step(way: str, num_tokens: int, vocabulary: int, num_trained: int) -> dict[str, Any]:
    """The memory of one step, by the largest resident size before and after it."""
    import time

    from measuring import peak_memory_bytes

    from creuset.adapters.lora import LoraForm
    from creuset.data.token_stream import IGNORED
    from creuset.models.transformer import Transformer
    from creuset.models.transformer_config import TransformerConfig
    from creuset.models.tuning import TuningForm, asked_nats, prepare

    torch.manual_seed(0)
    config = TransformerConfig(
        architecture="decoder",
        vocab_size=vocabulary,
        embed_dim=256,
        num_layers=2,
        num_heads=4,
        num_kv_heads=2,
        head_dim=64,
        feedforward_dim=512,
        context_length=num_tokens,
        norm="rms",
        norm_eps=1e-5,
        positions="rotary",
        rope_theta=10_000.0,
        activation="silu",
        gated=True,
        tied_head=True,
    )
    body = Transformer(config).train()
    prepare(body, TuningForm(weights="lora", lora=LoraForm(rank=8, alpha=16.0)))
    tokens = torch.randint(vocabulary, (1, num_tokens))
    targets = torch.full_like(tokens, IGNORED)
    targets[0, :num_trained] = torch.randint(vocabulary, (num_trained,))
    at_rest, begin = peak_memory_bytes(), time.perf_counter()
    if way == "creuset":
        batch = {"tokens": tokens, "targets": targets, "documents": torch.zeros_like(tokens)}
        nats, _ = asked_nats(body, batch)
    else:
        logits = body.logits(body.hidden(tokens))
        nats = torch.nn.functional.cross_entropy(logits[0], targets[0], ignore_index=IGNORED, reduction="sum")
    nats.backward()  # type: ignore[no-untyped-call]
    return {
        "bytes": peak_memory_bytes() - at_rest,
        "seconds": time.perf_counter() - begin,
        "nats": nats.item(),
    }


def summary(document: dict[str, Any]) -> str:
    """A line for each way and number of trained tokens."""
    tokens, vocabulary = document["tokens"], document["vocabulary"]
    told = [
        *heading(document),
        f"rows of {tokens:,} tokens, {vocabulary:,} in the vocabulary: all scores "
        f"{tokens * vocabulary * 4 / 1e6:,.0f} MB",
        f"{'way':<11} {'trained':>8} {'MB':>8} {'seconds':>8}",
    ]
    told += [
        f"{row['way']:<11} {row['trained']:>8,} {row['bytes'] / 1e6:>8,.0f} {row['seconds']:>8.1f}"
        for row in document["rows"]
    ]
    return "\n".join(told)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))
    main()
