"""Next-token distributions of SmolLM2 by creuset and by llama.cpp, place by place through texts.

    .venv/bin/python benchmarks/distributions_against_llamacpp.py --text TEXT [--json]

The model is the SmolLM2 starter (creuset models pull starter), a GGUF file of 4 bits (Q4_1), or that of
--gguf. It is compared twice, creuset's side computing in float32 with the file's weights each time:

F32        llama.cpp reads the same numbers from a GGUF file of 32 bits, which the gguf package writes here,
           with the tokenizer and all else copied. Promised: the likeliest token is the same in 99.5% of all
           places.
as it is   llama.cpp reads the starter's own file, and rounds what it multiplies with its weights to 8 bits.
           Promised: the same likeliest token in 96%, and a mean Kullback-Leibler divergence of 0.01 nats.

Places are those of --texts pieces of the text, read as creuset's tokenizer reads them, each from its
beginning; the first 8 tokens of a piece are given, and each place behind them is one. llama.cpp tells the
distribution of a token that it generates: each token of the text is forced in its turn, behind the others
that it keeps.

The divergence is that of llama.cpp's distribution from creuset's, sum of p log(p / q), over llama.cpp's --top
likeliest tokens and over all others as one, which can only make it smaller. How much of the probability lies
with the others is told, and by how much the divergence over the whole vocabulary is larger, from --whole of
the places, spread over all pieces: llama.cpp takes ten times as long to tell a whole vocabulary. With --top
of the vocabulary's size nothing is left out.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from alternation import heading, machine, report
from numpy.typing import NDArray
from smollm2_against_transformers import starter

import creuset
from creuset.engines.llamacpp import LlamaCpp
from creuset.engines.native_loading import NativeModel, load_native
from creuset.models.transformer import Transformer

RESULT = Path(__file__).resolve().parent / "results" / "distributions_against_llamacpp.json"
PROMISED = {"F32": (0.995, None), "as it is": (0.96, 0.01)}
"""The least share of places with the same likeliest token, and the most nats."""
_GIVEN = 8


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Of some places.

    Args:
        same_top: Whether the likeliest token is the same, bool (N,).
        kl_nats: The divergence, (N,).
        left_out: The probability of all tokens but the top ones, of the side that gives them more, (N,).
        coarse_nats: At the places where the whole vocabulary was asked for, the divergence as at the others.
        whole_nats: There, the divergence over the whole vocabulary.
    """

    same_top: NDArray[np.bool_]
    kl_nats: NDArray[np.float64]
    left_out: NDArray[np.float64]
    coarse_nats: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    whole_nats: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="a text file in UTF-8")
    parser.add_argument("--gguf", type=Path, help="another model (default: the SmolLM2 starter)")
    parser.add_argument("--places", type=int, default=2000, help="how many (default 2000)")
    parser.add_argument("--texts", type=int, default=4, help="pieces of the text (default 4)")
    parser.add_argument("--top", type=int, default=8192, help="tokens that llama.cpp tells (default 8192)")
    parser.add_argument("--whole", type=int, default=16, help="places of the whole vocabulary (default 16)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: torch's")
    parser.add_argument("--json", type=Path, nargs="?", const=RESULT, help="write all figures to a file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    source = starter() if options.gguf is None else options.gguf
    native = load_native(source, dtype=torch.float32)
    pieces = pieces_of(options.text.read_text(), native, options.texts, options.places)
    ours = own_distributions(native, pieces)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        wide = Path(place) / "f32.gguf"
        write_f32(source, wide)
        for name, path in (("F32", wide), ("as it is", source)):
            begin = time.perf_counter()
            found = compare(path, pieces, ours, options)
            print(f"{name}: {time.perf_counter() - begin:.0f} s", file=sys.stderr)
            rows.append(row_of(name, found))
    document = {
        "benchmark": "distributions_against_llamacpp",
        "model": source.name,
        "top": options.top,
        "machine": machine(options.threads),
        "versions": {"creuset": creuset.__version__, "torch": torch.__version__, "xllamacpp": _xllamacpp()},
        "rows": rows,
    }
    report(document, summary(document), options.json)
    return 0 if all(row["holds"] for row in rows) else 1


def pieces_of(text: str, native: NativeModel, num_pieces: int, num_places: int) -> list[list[int]]:
    """Token ids of pieces from all over a text, with so many places between them."""
    ids = native.tokenizer.encode(text)
    sizes = [len(part) + _GIVEN for part in np.array_split(np.arange(num_places), num_pieces)]
    limit = native.config.context_length
    if len(ids) < sum(sizes) or (limit is not None and max(sizes) > limit):
        raise SystemExit(f"a text of {len(ids):,} tokens; {sum(sizes):,} are needed, in pieces below {limit}")
    starts = np.linspace(0, len(ids) - max(sizes), num_pieces, dtype=int)
    return [ids[start : start + size] for start, size in zip(starts.tolist(), sizes, strict=True)]


@torch.inference_mode()
def own_distributions(native: NativeModel, pieces: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
    """creuset's log-probabilities of all tokens at each place of each piece, (places, V)."""
    model = Transformer.from_weights(native.config, native.weights)
    found = []
    for ids in pieces:
        logits = model(torch.tensor([ids[:-1]]))[0, _GIVEN - 1 :]
        found.append(logits.log_softmax(-1).numpy())
    return found


def compare(
    path: Path,
    pieces: Sequence[Sequence[int]],
    ours: Sequence[NDArray[np.float32]],
    options: argparse.Namespace,
) -> Agreement:
    """llama.cpp's distributions beside ours."""
    parts, checks = [], []
    length = max(map(len, pieces)) + 1
    with LlamaCpp(path, context_length=length, num_threads=options.threads) as engine:
        for ids, expected in zip(pieces, ours, strict=True):
            told = engine.log_probs(ids, start=_GIVEN, num_top=options.top)
            parts.append(agreement(expected, told.top_ids, told.top_log_probs))
            for place in np.linspace(0, len(expected) - 1, options.whole // len(pieces), dtype=int).tolist():
                whole = engine.log_probs(
                    ids[: _GIVEN + place + 1], start=_GIVEN + place, num_top=expected.shape[1]
                )
                found = agreement(expected[place : place + 1], whole.top_ids, whole.top_log_probs)
                checks.append((parts[-1].kl_nats[place], found.kl_nats[0]))
    coarse, fine = np.array(checks).reshape(-1, 2).T
    return replace(joined(parts), coarse_nats=coarse, whole_nats=fine)


def joined(parts: Sequence[Agreement]) -> Agreement:
    """The places of all."""
    return Agreement(
        same_top=np.concatenate([part.same_top for part in parts]),
        kl_nats=np.concatenate([part.kl_nats for part in parts]),
        left_out=np.concatenate([part.left_out for part in parts]),
    )


def agreement(
    ours: NDArray[np.float32], top_ids: NDArray[np.int64], top_log_probs: NDArray[np.float64]
) -> Agreement:
    """How two distributions agree at N places.

    Args:
        ours: Log-probabilities of all tokens, (N, V).
        top_ids: The other side's likeliest tokens, the likeliest first, (N, K).
        top_log_probs: Theirs, (N, K).
    """
    own = np.take_along_axis(ours, top_ids, axis=1).astype(np.float64)
    p, q = np.exp(own), np.exp(top_log_probs)
    rest_p, rest_q = (np.clip(1 - side.sum(1), 1e-12, 1) for side in (p, q))
    kl = (p * (own - top_log_probs)).sum(1) + rest_p * np.log(rest_p / rest_q)
    return Agreement(
        same_top=ours.argmax(1) == top_ids[:, 0], kl_nats=kl, left_out=np.maximum(rest_p, rest_q)
    )


def row_of(name: str, found: Agreement) -> dict[str, Any]:
    """The figures, and whether they are as promised."""
    least_same, most_nats = PROMISED[name]
    same, nats = float(found.same_top.mean()), float(found.kl_nats.mean())
    more = float((found.whole_nats - found.coarse_nats).mean()) if len(found.whole_nats) else 0.0
    return {
        "name": name,
        "num_places": len(found.same_top),
        "same_top": same,
        "kl_nats": nats,
        "largest_kl_nats": float(found.kl_nats.max()),
        "left_out": float(found.left_out.mean()),
        "num_whole": len(found.whole_nats),
        "whole_more_nats": more,
        "holds": same >= least_same and (most_nats is None or nats + more <= most_nats),
    }


def write_f32(source: Path, target: Path) -> None:
    """A GGUF file again, with the same metadata and its tensors in 32 bits as the gguf package reads them."""
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    for name, entry in reader.fields.items():
        own = name.startswith("GGUF.") or name == "general.architecture"
        if own or name == "general.file_type":
            continue
        writer.add_key_value(name, entry.contents(), entry.types[0], sub_type=entry.types[-1])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.quants.dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _xllamacpp() -> str:
    import importlib.metadata

    return importlib.metadata.version("xllamacpp")


def summary(document: dict[str, Any]) -> str:
    """A line a file."""
    told = [*heading(document), document["model"]]
    for row in document["rows"]:
        told.append(
            f"{row['name']:9} {row['num_places']:,} places: the likeliest token is the same in "
            f"{row['same_top']:.2%}; mean divergence {row['kl_nats']:.5f} nats (most "
            f"{row['largest_kl_nats']:.4f}), over the top {document['top']:,} tokens, which leave out "
            f"{row['left_out']:.1e} of the probability; over the whole vocabulary "
            f"{row['whole_more_nats']:.5f} more, at {row['num_whole']} places"
            + ("" if row["holds"] else "  NOT AS PROMISED")
        )
    return "\n".join(told)


if __name__ == "__main__":
    sys.exit(main())
