"""One measurement of transformers' side of decode_against_transformers.py: prints one line of JSON.

    decode_transformers.py SOURCE PRECISION BATCH NUM_TOKENS THREADS ROUNDS

Its `generate` as it is: greedy, its own dynamic cache. The reading of the prompt is timed by a call for one
token, and taken off.
"""

import json
import sys
import time
from pathlib import Path

import torch
from measuring import peak_memory_bytes


def main() -> None:
    # it is imported where it is installed, and its usual wheel does not fit torch's processor build
    sys.modules["torchvision"] = None  # type: ignore[assignment]
    import transformers

    source, precision, *numbers = sys.argv[1:]
    batch, num_tokens, threads, rounds = (int(number) for number in numbers)
    torch.set_num_threads(threads)
    model = transformers.AutoModelForCausalLM.from_pretrained(source, dtype=getattr(torch, precision)).eval()
    model.generation_config.eos_token_id = None
    ids = torch.tensor([json.loads((Path(source) / "prompt.json").read_text())] * batch)

    def timed(count: int) -> tuple[float, list[int]]:
        begin = time.perf_counter()
        found = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=count,
            do_sample=False,
            pad_token_id=0,
        )
        return time.perf_counter() - begin, found[0, ids.shape[1] :].tolist()

    timed(4)
    prompt_seconds = min(timed(1)[0] for _ in range(rounds))
    runs = [timed(num_tokens) for _ in range(rounds)]
    row = {
        "tokens_per_second": batch
        * (num_tokens - 1)
        / (min(seconds for seconds, _ in runs) - prompt_seconds),
        "peak_memory_bytes": peak_memory_bytes(),
        "token_ids": runs[0][1],
        "num_tokens": len(runs[0][1]),
        "num_prompt_tokens": ids.shape[1],
        "threads": torch.get_num_threads(),
        "version": transformers.__version__,
        "torch": torch.__version__,
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
