"""Changes small files of weights, tokenizers and models at random, and reads each as if a stranger sent it.

    python benchmarks/mutated_files.py --num 500 --seed 0

These take turns: GGUF (a model of one layer with its tokenizer), safetensors and tokenizer.json by
themselves; and of a model's folder, whose other files are whole, the shards' index, config.json,
generation_config.json, tokenizer_config.json and the chat template, which is run on a conversation. A file is
flipped, cut short, overwritten with huge counts, has parts of it doubled, moved or taken out, or has its
numbers replaced; its first bytes, where the counts and offsets are, more often than its last. Of a text it is
numbers and values that are replaced most often, since other changes seldom leave one that can be parsed.

Each file is read to its last tensor in a process of its own, which may take at most 10 seconds and 512 MB of
address space beyond what it started with. It must end with an error of creuset, or with data that the file
can hold: tensors whose bytes are no more than the file's, ids below the vocabulary's size. What Python and
numpy allocate meanwhile is measured, and may be the size of what is read and 16 MB. Prints what was found of
each format; the exit code is 1 if any file did otherwise, and such files are kept.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from small_files import model_folder, valid_files

from creuset.data.tokenizer import Tokenizer
from creuset.errors import CreusetError
from creuset.models.transformer import Transformer
from creuset.pretrained.folder import load_folder
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
_CHAT = [{"role": role, "content": "été " * 3} for role in ("system", "user", "assistant", "user")]
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
    for (name, outcome), count in sorted(counts.items()):
        print(f"{name:<34} {outcome:<8} {count:5}")
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
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, content in formats.items():
            (folder / name).write_bytes(content)
        model_folder(folder / MODEL)
        formats |= {name: (folder / name).read_bytes() for name in IN_FOLDER}
        for name, content in formats.items():
            _READERS[name](folder / name)  # so that what is imported at first use counts for no file
            outcome, words = outcome_of(folder, name, content)
            if outcome != "read":
                problems.append(f"{name} as it was made: {outcome}: {words}")
        for number in range(num):
            name = list(formats)[number % len(formats)]
            text = name.endswith(_TEXTS)
            how, content = mutated(formats[name], generator, _TEXT_CHANGES if text else _CHANGES)
            outcome, words = outcome_of(folder, name, content)
            counts[name, outcome] += 1
            if outcome not in ("read", "refused"):
                problems.append(f"file {number}, {name}, {how}: {outcome}: {words}")
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{number}-{Path(name).name}").write_bytes(content)
    return problems, counts


def outcome_of(folder: Path, name: str, content: bytes) -> tuple[str, str]:
    """ "read", "refused", or what else happened, with the last line that the process wrote.

    The file has the content while it is read, and then that of before, if it was there.
    """
    path, said = folder / name, folder / "said"
    before = path.read_bytes() if path.exists() else b""
    path.write_bytes(content)
    child = os.fork()
    if child == 0:
        _read_and_exit(name, path, said)
    _, status = os.waitpid(child, 0)
    path.write_bytes(before)
    words = said.read_text(errors="replace").strip().splitlines()[-1:] or [""]
    if os.WIFSIGNALED(status):
        return f"ended by {signal.Signals(os.WTERMSIG(status)).name}", words[0]
    known = {_READ: "read", _REFUSED: "refused", _WRONG: "wrong"}
    return known.get(os.WEXITSTATUS(status), "crashed"), words[0]


def _read_and_exit(name: str, path: Path, said: Path) -> NoReturn:
    """The child: reads the file within its limits, writes one line, and ends."""
    descriptor = os.open(said, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    code, line = 1, ""
    try:
        signal.alarm(_SECONDS)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + _ADDRESS_SPACE,) * 2)
        room = _ALLOCATED + sum(
            each.stat().st_size for each in ([path] if name not in IN_FOLDER else path.parent.iterdir())
        )
        tracemalloc.start()
        problem = _READERS[name](path)
        _, peak = tracemalloc.get_traced_memory()
        if problem is None and peak > room:
            problem = f"allocated {peak:,} bytes"
        code, line = (_READ, "") if problem is None else (_WRONG, problem)
    except CreusetError as error:
        _, peak = tracemalloc.get_traced_memory()
        within = peak <= room
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


def _read_model(path: Path) -> str | None:
    """What is not plausible about the model in whose folder a file lies."""
    found = load_folder(path.parent)
    size = sum(each.stat().st_size for each in path.parent.iterdir())
    if sum(tensor.nbytes for tensor in found.state.values()) > size:
        return "tensors of more bytes than the folder"
    found.model()
    if not all(0 <= number < found.config.vocab_size for number in found.eos_ids):
        return "an end beyond the vocabulary"
    if found.chat_template is not None:
        found.chat_template.render(_CHAT, add_generation_prompt=True)
    return None if found.tokenizer is None else _use(found.tokenizer)


MODEL = "model"
IN_FOLDER = tuple(
    f"{MODEL}/{name}"
    for name in (
        "model.safetensors.index.json",
        "config.json",
        "generation_config.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    )
)
"""The files of a model's folder that take turns."""
_TEXTS = (".json", ".jinja")
_READERS: Mapping[str, Callable[[Path], str | None]] = {
    "file.gguf": _read_gguf,
    "file.safetensors": _read_safetensors,
    "tokenizer.json": _read_tokenizer,
    **dict.fromkeys(IN_FOLDER, _read_model),
}


def mutated(
    content: bytes, generator: random.Random, changes: Sequence[Callable[[bytes, random.Random], bytes]]
) -> tuple[str, bytes]:
    """One or two changes of a file, and their names."""
    names = []
    for _ in range(generator.choice((1, 1, 2))):
        change = generator.choice(changes)
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


def _value(content: bytes, generator: random.Random) -> bytes:
    """Another value somewhere in JSON, or one left out; a file that is none stays as it is."""
    try:
        document = json.loads(content)
    except ValueError:
        return content
    holders = [found for found in _holders(document) if found]
    if not holders:
        return content
    holder = generator.choice(holders)
    key = generator.choice(list(holder)) if isinstance(holder, dict) else generator.randrange(len(holder))
    if generator.random() < 0.2:
        del holder[key]
    else:
        holder[key] = generator.choice((*_HUGE, -1, 1e308, 0.5, True, None, "", "x" * 100, "../a", [], {}))
    return json.dumps(document).encode()


def _holders(part: Any) -> Iterator[Any]:
    """All lists and objects in a JSON value."""
    if isinstance(part, dict | list):
        yield part
        for child in part.values() if isinstance(part, dict) else part:
            yield from _holders(child)


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
_TEXT_CHANGES = (_flip, _cut, _number, _number, _value, _value, _value, _double, _move, _take_out)


if __name__ == "__main__":
    sys.exit(main())
