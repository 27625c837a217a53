"""A small language model in a folder, and conversations to tune it on."""

import json
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from chat_templates import CHATML
from creuset.adapters.adapter import taken
from creuset.adapters.lora import LoraForm, attach
from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import SpecialTokens
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.base_identity import BaseIdentity
from creuset.pretrained.folder import Pretrained, load_folder, save_folder
from creuset.pretrained.peft_folder import save_adapter
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


def write_adapter(
    folder: Path, base: Path, *, seed: int = 0, size: float = 0.1, endings: tuple[str, ...] = (".query",)
) -> Path:
    """A PEFT folder of random updates of a base, which says by hash whose they are."""
    found = load_folder(base)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        body = Transformer.from_weights(found.config, found.state)
        names = [name for name, child in body.named_modules() if isinstance(child, nn.Linear)]
        chosen = [name for name in names if name.endswith(endings)]
        attach(body, dict.fromkeys(chosen, LoraForm(rank=4, alpha=8)), "one")
        adapter = taken(body, "one")
        for tensor in adapter.updates.values():
            tensor += size * torch.randn(tensor.shape)
    identity = BaseIdentity.of(base.name, base, found.state)
    save_adapter(folder, adapter, found.config, "llama", base=base.name, identity=identity)
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
