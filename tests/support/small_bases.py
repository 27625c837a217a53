"""A small language model in a folder, and conversations to tune it on."""

import json
from dataclasses import replace
from pathlib import Path

import torch

from chat_templates import CHATML
from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import SpecialTokens
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.folder import Pretrained, save_folder
from small_tokenizers import byte_level
from small_transformers import OF_BYTES

CONFIG = replace(OF_BYTES, context_length=256)
WORDS = ("red", "green", "blue", "black", "white", "grey", "pink", "gold")


def write_base(folder: Path, *, config: TransformerConfig = CONFIG, seed: int = 0) -> Path:
    """A Llama of two layers with random weights, which ends turns with <|im_end|>."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = Transformer(config).state_dict()
    save_folder(
        folder,
        Pretrained(
            config=config,
            state=state,
            model_type="llama",
            tokenizer=Tokenizer(byte_level(), special=SpecialTokens(bos=0, eos=(2,))),
            generation={"eos_token_id": 2},
            chat_template=ChatTemplate(CHATML),
        ),
    )
    return folder


def conversations(number: int = 40) -> list[dict[str, object]]:
    """Questions with one right answer each."""
    return [
        {
            "messages": [
                {"role": "user", "content": f"{WORDS[place % 8]} {place}?"},
                {"role": "assistant", "content": f"it is {WORDS[place % 8]}"},
            ]
        }
        for place in range(number)
    ]


def preferences(number: int = 40) -> list[dict[str, object]]:
    """Two answers each, of which the shorter one is preferred."""
    return [
        {
            "prompt": f"{WORDS[place % 8]} {place}?",
            "chosen": WORDS[place % 8],
            "rejected": f"it is {WORDS[place % 8]} and {WORDS[(place + 3) % 8]}",
        }
        for place in range(number)
    ]


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    """A .jsonl file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
