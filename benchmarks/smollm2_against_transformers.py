"""The real SmolLM2 in creuset and in transformers: the same logits, the same texts, the same folders.

    .venv/bin/python benchmarks/smollm2_against_transformers.py [--json]

The model is the SmolLM2 starter (creuset models pull starter), a GGUF file of 4 bits, or that of --gguf.
creuset reads it by its own reader, transformers by its own with the gguf package; both compute in float32
with the weights that come out. creuset then saves its model as a folder, which transformers loads.

For each prompt, English, French, code and a conversation:

text       each side goes on greedily by its own cached decoding, 200 tokens. The texts are equal, or where
           they part the two tokens' logits in transformers differ by less than 1e-4.
logits     of prompt and text, read at once by both: the largest difference, at most 1e-4, and the largest
           difference between transformers with the weights of the GGUF file and with creuset's folder.

Prints a line a prompt; the exit code is 1 where one of this does not hold.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from alternation import heading, machine, report
from torch import Tensor

import creuset
from creuset import assets
from creuset.engines.native_loading import NativeModel, load_native
from creuset.generation.decoding import Writer
from creuset.generation.fast_decoder import FastDecoder
from creuset.generation.written_text import TextRequest
from creuset.models.transformer import Transformer
from creuset.pretrained.folder import Pretrained, save_folder

RESULT = Path(__file__).resolve().parent / "results" / "smollm2_against_transformers.json"
TOLERANCE = 1e-4
PROMPTS = (
    "The history of the lighthouse begins with fires that were lit on hills above a harbour, and",
    "Once upon a time, in a village by the sea, there lived",
    "Les phares ont été construits pour guider les navires ; le plus ancien",
    "La révolution industrielle a transformé l'Europe, car",
    "def fibonacci(n):\n    ",
    "<|im_start|>user\nWhy is the sky blue?<|im_end|>\n<|im_start|>assistant\n",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--gguf", type=Path, help="another model (default: the SmolLM2 starter)")
    parser.add_argument("--tokens", type=int, default=200, help="tokens that are generated (default 200)")
    parser.add_argument("--prompts", type=int, default=len(PROMPTS), help="how many (default all)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: torch's")
    parser.add_argument("--json", type=Path, nargs="?", const=RESULT, help="write all figures to a file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as place:
        gguf = starter() if options.gguf is None else options.gguf
        sides = Sides(gguf, Path(place) / "model")
        rows = [sides.compare(prompt, options.tokens) for prompt in PROMPTS[: options.prompts]]
    document = {
        "benchmark": "smollm2_against_transformers",
        "model": gguf.name,
        "machine": machine(options.threads),
        "versions": {
            "creuset": creuset.__version__,
            "transformers": transformers_library().__version__,
            "torch": torch.__version__,
        },
        "rows": rows,
    }
    report(document, summary(document), options.json)
    return 0 if all(holds(row) for row in rows) else 1


def starter() -> Path:
    """The SmolLM2 starter's file."""
    found = assets.resolve("smollm2-135m").file
    if found is None:
        raise SystemExit("the asset smollm2-135m has no file; creuset models pull starter")
    return found


def transformers_library() -> Any:
    # it is imported where it is installed, and its usual wheel does not fit torch's processor build
    sys.modules["torchvision"] = None  # type: ignore[assignment]
    import transformers

    transformers.utils.logging.disable_progress_bar()
    return transformers


def their_model(library: Any, gguf: Path) -> Any:
    """A GGUF file as transformers reads it, without its wrapper, which asks for another library."""
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    config = library.AutoConfig.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = library.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    tensors = load_gguf_checkpoint(gguf, return_tensors=True, model_to_load=model)["tensors"]
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    if unexpected or set(missing) > {"lm_head.weight"}:
        raise SystemExit(f"transformers reads {gguf.name} as another model: {missing}, {unexpected}")
    model.tie_weights()
    return model


class Sides:
    """A model three times, in float32: in creuset, in transformers, and in transformers by way of creuset.

    Args:
        gguf: Its file.
        folder: Where creuset saves it.
    """

    def __init__(self, gguf: Path, folder: Path) -> None:
        library = transformers_library()
        self.native: NativeModel = load_native(gguf, dtype=torch.float32)
        self.ours = Transformer.from_weights(self.native.config, self.native.weights)
        self.fast = FastDecoder(self.native.config, self.native.weights, precision="float32")
        self.theirs = their_model(library, gguf)
        saved = Pretrained(
            config=self.native.config,
            state=self.native.weights,
            model_type="llama",
            tokenizer=self.native.tokenizer,
            chat_template=self.native.chat_template,
        )
        save_folder(folder, saved)
        self.again = library.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.their_tokenizer = library.AutoTokenizer.from_pretrained(folder)
        for model in (self.theirs, self.again):
            model.generation_config.eos_token_id = None

    def compare(self, prompt: str, num_tokens: int) -> dict[str, Any]:
        """The row of one prompt."""
        ids = self.native.tokenizer.encode(prompt)
        if ids != self.their_tokenizer(prompt)["input_ids"]:
            raise SystemExit(f"the sides read {prompt!r} as different tokens")
        ours, theirs = self.our_text(ids, num_tokens), self.their_text(ids, num_tokens)
        same = first_difference(ours, theirs)
        logits, expected, again = self.logits([*ids, *ours])
        return {
            "prompt": prompt,
            "num_tokens": num_tokens,
            "num_same_tokens": same,
            "gap": None if same == num_tokens else self.gap([*ids, *theirs[:same]], ours[same], theirs[same]),
            "largest_logit": float(expected.abs().max()),
            "logit_difference": float((logits - expected).abs().max()),
            "folder_difference": float((again - expected).abs().max()),
        }

    @torch.inference_mode()
    def our_text(self, ids: Sequence[int], num_tokens: int) -> list[int]:
        """What creuset goes on with, greedily."""
        request = TextRequest(prompt=ids, max_tokens=num_tokens)
        steps = Writer(self.fast, eos_ids=()).write([request])
        return [token for outputs in steps for output in outputs for token in output.token_ids]

    @torch.inference_mode()
    def their_text(self, ids: Sequence[int], num_tokens: int) -> list[int]:
        """What transformers' generate goes on with, greedily."""
        given = torch.tensor([ids])
        found = self.theirs.generate(
            given,
            attention_mask=torch.ones_like(given),
            max_new_tokens=num_tokens,
            do_sample=False,
            pad_token_id=0,
        )
        text: list[int] = found[0, len(ids) :].tolist()
        return text

    @torch.inference_mode()
    def logits(self, ids: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Of creuset, of transformers, and of transformers with creuset's folder, (T, V) each."""
        given = torch.tensor([ids])
        return self.ours(given)[0], self.theirs(given).logits[0], self.again(given).logits[0]

    @torch.inference_mode()
    def gap(self, ids: Sequence[int], one: int, other: int) -> float:
        """How far apart the logits of two tokens are in transformers, behind some others."""
        logits = self.theirs(torch.tensor([ids])).logits[0, -1]
        return float((logits[one] - logits[other]).abs())


def first_difference(one: Sequence[int], other: Sequence[int]) -> int:
    """Where two texts of equal length part; their length where they do not."""
    pairs = enumerate(zip(one, other, strict=True))
    return next((place for place, (first, second) in pairs if first != second), len(one))


def holds(row: dict[str, Any]) -> bool:
    """Whether a row is as it is promised."""
    return (
        (row["gap"] is None or row["gap"] < TOLERANCE)
        and row["logit_difference"] <= TOLERANCE
        and row["folder_difference"] <= TOLERANCE
    )


def summary(document: dict[str, Any]) -> str:
    """A line a prompt."""
    told = [*heading(document), document["model"]]
    for row in document["rows"]:
        parted = "" if row["gap"] is None else f", then two tokens {row['gap']:.1e} apart"
        told.append(
            f"{json.dumps(row['prompt'], ensure_ascii=False)[:40]:40}  {row['num_same_tokens']} of "
            f"{row['num_tokens']} tokens the same{parted}; logits up to {row['largest_logit']:.1f} differ by "
            f"{row['logit_difference']:.1e}, from creuset's folder by {row['folder_difference']:.1e}"
            + ("" if holds(row) else "  NOT AS PROMISED")
        )
    return "\n".join(told)


if __name__ == "__main__":
    sys.exit(main())
