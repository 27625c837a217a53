"""Small whole files of weights, tokenizers and models: what mutated_files.py changes."""

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from creuset.data.chat_template import ChatTemplate
from creuset.pretrained.folder import Pretrained, save_folder
from creuset.pretrained.gguf.config import read_config
from creuset.pretrained.gguf.file import GgufFile
from creuset.pretrained.gguf.tokenizer import read_tokenizer
from creuset.pretrained.gguf.weights import read_model_weights

_TEMPLATE = """{% for message in messages %}{% if loop.first and message.role == 'system' %}
<|system|>{{ message.content | trim }}{% else %}{{ '<|' + message['role'] + '|>' + message['content'] }}
{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}{% set n = 12 %}
{%- for i in range(n) %}{{ i }}{% endfor %}"""


def valid_files() -> dict[str, bytes]:
    """A small whole file of each format, by its suffix."""
    generator = torch.Generator().manual_seed(0)
    tensors = {
        f"layer.{number}": torch.randn(6, 8, generator=generator).to(dtype)
        for number, dtype in enumerate((torch.float32, torch.float16, torch.bfloat16, torch.int64))
    }
    tensors["mask"] = torch.ones(5, dtype=torch.bool)
    return {
        "file.gguf": _gguf(),
        "file.safetensors": save(tensors, {"format": "pt"}),
        "tokenizer.json": _tokenizer_json(),
    }


def model_folder(folder: Path) -> None:
    """The model of the GGUF file as a folder with shards, a template and settings of generation."""
    file = GgufFile(folder.parent / "file.gguf")
    pretrained = Pretrained(
        config=read_config(file),
        state=read_model_weights(file),
        model_type="llama",
        tokenizer=read_tokenizer(file.metadata),
        generation={"eos_token_id": [259, 258], "temperature": 0.7, "top_p": 0.9},
        chat_template=ChatTemplate(_TEMPLATE),
    )
    save_folder(folder, pretrained, max_shard_bytes=20_000)


def _gguf() -> bytes:
    """A llama of one layer, with a byte-level tokenizer of 260 tokens."""
    tokens, merges = _vocabulary()
    keys: dict[str, Any] = {
        "general.architecture": "llama",
        "general.alignment": 32,
        "llama.block_count": 1,
        "llama.context_length": 64,
        "llama.embedding_length": 32,
        "llama.feed_forward_length": 64,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.bos_token_id": len(tokens) - 1,
        "tokenizer.ggml.eos_token_id": len(tokens) - 1,
        "tokenizer.ggml.token_type": [1] * (len(tokens) - 1) + [3],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.tokens": tokens,
    }
    shapes = {
        "attn_norm": (32,),
        "attn_q": (32, 32),
        "attn_k": (32, 16),
        "attn_v": (32, 16),
        "ffn_norm": (32,),
    }
    shapes |= {"attn_output": (32, 32), "ffn_gate": (32, 64), "ffn_up": (32, 64), "ffn_down": (64, 32)}
    axes: dict[str, Sequence[int]] = {f"blk.0.{name}.weight": shape for name, shape in shapes.items()}
    axes |= {"token_embd.weight": (32, len(tokens)), "output_norm.weight": (32,)}
    pairs = b"".join(_string(key) + _value(value) for key, value in keys.items())
    infos, data = b"", b""
    random_bytes = np.random.default_rng(0)
    for name, lengths in axes.items():
        kind, width = (0, 4) if len(lengths) == 1 else (8, 34 / 32)  # F32 and Q8_0
        infos += _string(name) + struct.pack(f"<I{len(lengths)}Q", len(lengths), *lengths)
        infos += struct.pack("<IQ", kind, len(data))
        content = random_bytes.bytes(int(np.prod(lengths) * width))
        data += content + b"\0" * (-len(content) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(axes), len(keys)) + pairs + infos
    return head + b"\0" * (-len(head) % 32) + data


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _value(value: Any) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<IB", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + _string(value)
    if isinstance(value[0], str):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_string, value))
    return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)


def _vocabulary() -> tuple[list[str], list[str]]:
    """The 256 bytes as GPT-2 writes them, three merges, and a special token."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (chr(256 + number) for number in range(256 - len(printable)))
    letters = [chr(byte) if byte in printable else next(others) for byte in range(256)]
    return [*letters, "he", "ll", "hell", "<|end|>"], ["h e", "l l", "he ll"]


def _tokenizer_json() -> bytes:
    tokens, merges = _vocabulary()
    special = {"id": len(tokens) - 1, "content": tokens[-1], "special": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    document = {
        "version": "1.0",
        "added_tokens": [special | flags],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": level,
        "decoder": level,
        "model": {
            "type": "BPE",
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": [line.split(" ") for line in merges],
        },
    }
    return json.dumps(document).encode()
