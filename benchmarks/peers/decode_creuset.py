"""One measurement of creuset's side of decode_against_transformers.py: prints one line of JSON.

decode_creuset.py SOURCE PRECISION BATCH NUM_TOKENS THREADS ROUNDS
"""

import json
import sys
import time
from pathlib import Path

import torch

import creuset
from creuset.device import peak_memory_bytes
from creuset.engines.native_loading import load_native
from creuset.generation.decoding import Writer
from creuset.generation.fast_decoder import FastDecoder
from creuset.generation.weight_formats import WeightFormat
from creuset.generation.written_text import TextRequest


def main() -> None:
    source, precision, *numbers = sys.argv[1:]
    batch, num_tokens, threads, rounds = (int(number) for number in numbers)
    torch.set_num_threads(threads)
    decoder = load(Path(source), precision)  # type: ignore[arg-type]
    writer = Writer(decoder, eos_ids=())
    prompt = json.loads((Path(source) / "prompt.json").read_text())
    seconds, ids = [], []
    for _ in range(rounds + 1):  # the first round is not counted
        requests = [TextRequest(prompt=prompt, max_tokens=num_tokens)] * batch
        steps = writer.write(requests)
        first = next(steps)  # reads the prompt
        begin = time.perf_counter()
        found = [*first, *(output for outputs in steps for output in outputs)]
        seconds.append(time.perf_counter() - begin)
        ids = [token for output in found if output.row == 0 for token in output.token_ids]
    row = {
        "tokens_per_second": batch * (num_tokens - 1) / min(seconds[1:]),
        "peak_memory_bytes": peak_memory_bytes(),
        "token_ids": ids,
        "num_tokens": len(ids),
        "num_prompt_tokens": len(prompt),
        "threads": torch.get_num_threads(),
        "version": creuset.__version__,
        "torch": torch.__version__,
    }
    print(json.dumps(row))


def load(source: Path, precision: WeightFormat) -> FastDecoder:
    """The fast form of the model alone: the weights it was made of are let go."""
    dtype = torch.float32 if precision == "float32" else torch.bfloat16
    model = load_native(source, dtype=dtype)
    return FastDecoder(model.config, model.weights, precision=precision)


if __name__ == "__main__":
    main()
