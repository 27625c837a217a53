"""A small language model and a small text embedder in folders, and rows to tune them on."""

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
from creuset.data.tokenizer_training import train_tokenizer
from creuset.models.embedder import Embedder, Pooling
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.base_identity import BaseIdentity
from creuset.pretrained.folder import Pretrained, load_folder, save_folder
from creuset.pretrained.peft_folder import save_adapter
from creuset.pretrained.sentence_embedder import save_embedder
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


ENCODER = TransformerConfig(
    architecture="encoder",
    vocab_size=80,
    embed_dim=32,
    num_layers=2,
    num_heads=2,
    num_kv_heads=2,
    head_dim=16,
    feedforward_dim=64,
    context_length=24,
    norm="layer",
    norm_eps=1e-12,
    norm_bias=True,
    norm_placement="post",
    final_norm=False,
    embedding_norm=True,
    positions="learned",
    qkv_bias=True,
    output_bias=True,
    activation="gelu",
    feedforward_bias=True,
    num_segments=1,
    head="none",
)


def write_embedder(
    folder: Path, *, pooling: Pooling = "mean", normalise: bool = True, max_tokens: int = 16
) -> Path:
    """A BERT of two layers with random weights, as sentence-transformers saves it."""
    texts = [text for pair in anchored(40) for text in (str(pair["anchor"]), str(pair["positive"]))]
    tokenizer = train_tokenizer(texts, "wordpiece", vocabulary_size=ENCODER.vocab_size)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = Transformer(replace(ENCODER, vocab_size=tokenizer.vocab_size))
        for weight in body.parameters():  # large enough that texts differ
            torch.nn.init.normal_(weight, std=0.2)
    embedder = Embedder(body, pooling=pooling, normalise=normalise)
    save_embedder(folder, embedder, tokenizer, max_tokens=max_tokens)
    return folder


def anchored(number: int = 120) -> list[dict[str, object]]:
    """Questions, the texts that answer them, and texts that answer others; no text stands in two rows."""
    return [
        {
            "anchor": f"is {WORDS[place % 8]} {place}",
            "positive": f"{place} yes {WORDS[place % 8]}",
            "negative": f"{place} no {WORDS[(place + 1) % 8]}",
        }
        for place in range(number)
    ]


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
