"""Changes small files of weights and tokenizers at random, and reads each as if a stranger had sent it.

    python benchmarks/mutated_files.py --num 500 --seed 0

GGUF (a model of one layer with its tokenizer), safetensors and tokenizer.json take turns. A file is flipped,
cut short, overwritten with huge counts, has parts of it doubled, moved or taken out, or has its numbers
replaced; its first bytes, where the counts and offsets are, more often than its last.

Each file is read to its last tensor in a process of its own, which may take at most 10 seconds and 512 MB of
address space beyond what it started with. It must end with an error of creuset, or with data that the file
can hold: tensors whose bytes are no more than the file's, ids below the vocabulary's size. What Python and
numpy allocate meanwhile is measured, and may be the file's size and 16 MB. Prints what was found of each
format; the exit code is 1 if any file did otherwise, and such files are kept.
"""

import argparse
import json
import os
import random
import re
import resource
import signal
import struct
import sys
import tempfile
import tracemalloc
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from safetensors.torch import save

from creuset.data.tokenizer import Tokenizer
from creuset.errors import CreusetError
from creuset.models.transformer import Transformer
from creuset.pretrained.gguf.config import read_config
from creuset.pretrained.gguf.file import GgufFile
from creuset.pretrained.gguf.tokenizer import read_tokenizer
from creuset.pretrained.gguf.weights import read_model_weights
from creuset.pretrained.safetensors_file import read_safetensors

_SECONDS = 10
_ADDRESS_SPACE = 512 << 20
_ALLOCATED = 16 << 20
_READ, _REFUSED, _WRONG = 0, 3, 4
_TEXT = "Hello 123 world, été ! 日本 🎉\n  <|end|>x"
_HUGE = (2**64 - 1, 2**63, 2**62, 2**40, 2**32, 2**31 - 1, 100_000_001, 0, 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--num", type=int, default=500, help="how many files (default 500)")
    parser.add_argument("--seed", type=int, default=0, help="decides every change (default 0)")
    parser.add_argument(
        "--keep", type=Path, default=Path("mutated"), help="where wrongly read files are kept"
    )
    options = parser.parse_args()
    problems, counts = check(options.num, options.seed, keep=options.keep)
    for (suffix, outcome), count in sorted(counts.items()):
        print(f"{suffix:<12} {outcome:<8} {count:5}")
    for problem in problems:
        print(problem)
    print(f"{options.num} files, {len(problems)} read wrongly")
    return 1 if problems else 0


def check(num: int, seed: int, *, keep: Path | None = None) -> tuple[list[str], Counter[tuple[str, str]]]:
    """What went wrong, a line a file, and how often each format was read or refused."""
    generator = random.Random(seed)
    problems: list[str] = []
    counts: Counter[tuple[str, str]] = Counter()
    formats = valid_files()
    with tempfile.TemporaryDirectory() as folder:
        for suffix, content in formats.items():
            path = Path(folder) / f"whole{suffix}"
            path.write_bytes(content)
            _READERS[suffix](path)  # so that what is imported at first use counts for no file
            outcome, words = outcome_of(Path(folder), suffix, content)
            if outcome != "read":
                problems.append(f"{suffix} as it was made: {outcome}: {words}")
        for number in range(num):
            suffix = list(formats)[number % len(formats)]
            how, content = mutated(formats[suffix], generator)
            outcome, words = outcome_of(Path(folder), suffix, content)
            counts[suffix, outcome] += 1
            if outcome not in ("read", "refused"):
                problems.append(f"file {number}, {suffix}, {how}: {outcome}: {words}")
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{number}{suffix}").write_bytes(content)
    return problems, counts


def outcome_of(folder: Path, suffix: str, content: bytes) -> tuple[str, str]:
    """ "read", "refused", or what else happened, with the last line that the process wrote."""
    path, said = folder / f"file{suffix}", folder / "said"
    path.write_bytes(content)
    child = os.fork()
    if child == 0:
        _read_and_exit(path, said)
    _, status = os.waitpid(child, 0)
    words = said.read_text(errors="replace").strip().splitlines()[-1:] or [""]
    if os.WIFSIGNALED(status):
        return f"ended by {signal.Signals(os.WTERMSIG(status)).name}", words[0]
    known = {_READ: "read", _REFUSED: "refused", _WRONG: "wrong"}
    return known.get(os.WEXITSTATUS(status), "crashed"), words[0]


def _read_and_exit(path: Path, said: Path) -> NoReturn:
    """The child: reads the file within its limits, writes one line, and ends."""
    descriptor = os.open(said, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    code, line = 1, ""
    try:
        signal.alarm(_SECONDS)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + _ADDRESS_SPACE,) * 2)
        tracemalloc.start()
        problem = _READERS[path.suffix](path)
        _, peak = tracemalloc.get_traced_memory()
        if problem is None and peak > path.stat().st_size + _ALLOCATED:
            problem = f"allocated {peak:,} bytes"
        code, line = (_READ, "") if problem is None else (_WRONG, problem)
    except CreusetError as error:
        _, peak = tracemalloc.get_traced_memory()
        within = peak <= path.stat().st_size + _ALLOCATED
        code = _REFUSED if within else _WRONG
        line = str(error) if within else f"allocated {peak:,} bytes: {error}"
    except BaseException as error:  # a panic of a library is no Exception; the parent tells of it
        line = f"{type(error).__name__}: {error}"
    finally:
        os.write(1, " ".join(line.split()).encode(errors="replace") + b"\n")
        os._exit(code)


def _read_gguf(path: Path) -> str | None:
    """What is not plausible about a GGUF file that was read; None if nothing is."""
    file = GgufFile(path)
    if sum(info.num_bytes for info in file.tensors.values()) > path.stat().st_size:
        return "tensors of more bytes than the file"
    for name, info in file.tensors.items():
        if tuple(file.tensor(name).shape) != info.shape:
            return f"tensor {name} of another shape"
    Transformer.from_weights(read_config(file), read_model_weights(file))
    return _use(read_tokenizer(file.metadata))


def _read_safetensors(path: Path) -> str | None:
    weights = read_safetensors(path)
    if sum(tensor.nbytes for tensor in weights.tensors.values()) > path.stat().st_size:
        return "tensors of more bytes than the file"
    for tensor in weights.tensors.values():
        tensor.sum()
    return None


def _read_tokenizer(path: Path) -> str | None:
    return _use(Tokenizer.from_file(path))


def _use(tokenizer: Tokenizer) -> str | None:
    ids = tokenizer.encode(_TEXT)
    tokenizer.decode(ids)
    return None if all(0 <= number < tokenizer.vocab_size for number in ids) else "ids beyond the vocabulary"


_READERS: Mapping[str, Callable[[Path], str | None]] = {
    ".gguf": _read_gguf,
    ".safetensors": _read_safetensors,
    ".json": _read_tokenizer,
}


def mutated(content: bytes, generator: random.Random) -> tuple[str, bytes]:
    """One or two changes of a file, and their names."""
    names = []
    for _ in range(generator.choice((1, 1, 2))):
        change = generator.choice(_CHANGES)
        names.append(change.__name__.strip("_"))
        content = change(content, generator) or b"\0"
    return " and ".join(names), content


def _place(content: bytes, generator: random.Random) -> int:
    """A place in the file: three times out of four in its first tenth."""
    length = len(content) if generator.random() < 0.25 else len(content) // 10 + 64
    return generator.randrange(max(1, min(length, len(content))))


def _flip(content: bytes, generator: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(generator.randrange(1, 9)):
        changed[_place(content, generator)] ^= 1 << generator.randrange(8)
    return bytes(changed)


def _cut(content: bytes, generator: random.Random) -> bytes:
    return content[: generator.randrange(len(content))]


def _huge_count(content: bytes, generator: random.Random) -> bytes:
    place = _place(content, generator) // 4 * 4
    layout = generator.choice(("<Q", "<I"))
    number = struct.pack(layout, generator.choice(_HUGE) % 2 ** (8 * struct.calcsize(layout)))
    return content[:place] + number + content[place + len(number) :]


def _number(content: bytes, generator: random.Random) -> bytes:
    """Another number in a text; in a file without digits, a byte more."""
    found = list(re.finditer(rb"\d+", content[:100_000]))
    if not found:
        return content + b"\0"
    match = generator.choice(found)
    other = generator.choice((*_HUGE, -1, int(match[0]) + 1, "1e9", "0.5", '"x"', "[" * 500, "null"))
    return content[: match.start()] + str(other).encode() + content[match.end() :]


def _double(content: bytes, generator: random.Random) -> bytes:
    begin = _place(content, generator)
    part = content[begin : begin + generator.randrange(1, 200)]
    return content[: begin + len(part)] + part + content[begin + len(part) :]


def _move(content: bytes, generator: random.Random) -> bytes:
    """A part of the file over another: offsets that overlap, names that stand there twice."""
    length = generator.choice((4, 8, 24, 32))
    source, target = _place(content, generator), _place(content, generator)
    part = content[source : source + length]
    return content[:target] + part + content[target + len(part) :]


def _take_out(content: bytes, generator: random.Random) -> bytes:
    begin = _place(content, generator)
    return content[:begin] + content[begin + generator.randrange(1, 40) :]


_CHANGES = (_flip, _cut, _huge_count, _number, _double, _move, _take_out)


def valid_files() -> dict[str, bytes]:
    """A small whole file of each format, by its suffix."""
    generator = torch.Generator().manual_seed(0)
    tensors = {
        f"layer.{number}": torch.randn(6, 8, generator=generator).to(dtype)
        for number, dtype in enumerate((torch.float32, torch.float16, torch.bfloat16, torch.int64))
    }
    tensors["mask"] = torch.ones(5, dtype=torch.bool)
    return {".gguf": _gguf(), ".safetensors": save(tensors, {"format": "pt"}), ".json": _tokenizer_json()}


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


if __name__ == "__main__":
    sys.exit(main())
