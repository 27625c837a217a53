"""Do the bounds of certificates tell good exports from broken ones? 20 good and 5 broken, on SmolLM2.

    .venv/bin/python benchmarks/certificate_bounds.py [--base smollm2-135m] [--json]

Good are five adapters, rank 8 on all linear layers with random updates, each merged and stored in four ways.
Broken is what goes wrong in exporters: the adapter left out, query and key rows in the wrong order (the
permutation of rotations), gate and up projections swapped, a block written twice, another base of the
rotations; each in a folder, in f16 and in q8_0. What few bits lose stands beside them. Each file is opened
by llama.cpp, a folder by creuset, and asked what `creuset export` asks. Told is the largest difference of
log-probabilities and the mean divergence, beside the bounds of the kind.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from alternation import heading, machine, report
from torch import Tensor

import creuset
from creuset.adapters.adapter import taken
from creuset.adapters.lora import LoraForm, attach
from creuset.adapters.switch import merged_state, switched
from creuset.adapters.targets import target_layers
from creuset.engines.llamacpp import LlamaCpp
from creuset.engines.native import Native
from creuset.evaluation.certificate import LIMITS, Certificate, Kind, LiveModel, certify
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.folder import Pretrained, save_folder
from creuset.pretrained.gguf.writing import Stored, permuted, write_gguf
from creuset.workflows.export import Exportable, open_exportable

RESULT = Path(__file__).resolve().parent / "results" / "certificate_bounds.json"
GOOD: tuple[Kind, ...] = ("safetensors", "f32", "f16", "q8_0")
FEW_BITS: tuple[Stored, ...] = ("q4_0", "q4_1")
BROKEN: tuple[Kind, ...] = ("safetensors", "f16", "q8_0")
NUM_ADAPTERS = 5
RANK, ALPHA, SIZE = 8, 16.0, 0.03
"""Of the adapters: SIZE is the standard deviation of the numbers of each update's second factor."""
_CONTEXT = 512
State = dict[str, Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", default="smollm2-135m", help="default smollm2-135m")
    parser.add_argument("--json", action="store_true", help=f"write results/{RESULT.name}")
    options = parser.parse_args()
    rows = [*good(options.base), *broken(options.base)]
    document = {
        "benchmark": "certificate_bounds",
        "base": options.base,
        "machine": machine(torch.get_num_threads()),
        "versions": {"creuset": creuset.__version__, "torch": torch.__version__},
        "rows": rows,
    }
    report(document, summary(document), RESULT if options.json else None)


def with_adapter(base: str, seed: int) -> Exportable:
    """The base with a random adapter in use."""
    source = open_exportable(base)
    torch.manual_seed(seed)
    layers = target_layers(source.body, "all-linear")
    attach(source.body, dict.fromkeys(layers, LoraForm(rank=RANK, alpha=ALPHA)), source.adapter_name)
    with torch.no_grad():
        for name, tensor in taken(source.body, source.adapter_name).updates.items():
            if float(tensor.abs().max()) == 0:  # the second factor, which begins at 0
                tensor += SIZE * torch.randn(tensor.shape)
            assert bool(tensor.isfinite().all()), name
    return replace(source, has_adapter=True)


def good(base: str) -> Iterator[dict[str, Any]]:
    """Each adapter in each kind."""
    for seed in range(NUM_ADAPTERS):
        source = with_adapter(base, seed)
        state = merged_state(source.body)
        for kind in GOOD if seed else (*GOOD, *FEW_BITS):
            yield told(f"adapter {seed}", kind, certified(source, state, kind))


def broken(base: str) -> Iterator[dict[str, Any]]:
    """Each way to go wrong, in the kinds that people use."""
    source = with_adapter(base, 0)
    state = merged_state(source.body)
    with switched(source.body, ()):
        plain = merged_state(source.body)
    ways: dict[str, Callable[[], tuple[State, TransformerConfig]]] = {
        "adapter left out": lambda: (plain, source.config),
        "queries and keys permuted": lambda: (permuted_twice(state, source.config), source.config),
        "gate and up swapped": lambda: (swapped_gates(state), source.config),
        "a block twice": lambda: (block_twice(state), source.config),
        "another rotation": lambda: (state, replace(source.config, rope_theta=10_000.0)),
    }
    for name, make in ways.items():
        wrong, config = make()
        for kind in BROKEN:
            yield told(name, kind, certified(source, wrong, kind, config=config), is_broken=True)


def certified(
    source: Exportable, state: State, kind: Kind, config: TransformerConfig | None = None
) -> Certificate:
    """What is written of a state, opened by llama.cpp and asked what the live model is asked."""
    live = LiveModel(
        body=source.body,
        tokenizer=source.model.tokenizer,
        template=source.model.chat_template,
        eos_ids=source.model.eos_ids,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        with opened(path, source, state, kind, config or source.config) as engine:
            return certify(live, engine, kind=kind, sha256="")


def opened(
    path: Path, source: Exportable, state: State, kind: Kind, config: TransformerConfig
) -> Native | LlamaCpp:
    """What is written of a state, opened."""
    model = source.model
    if kind == "safetensors":
        pretrained = Pretrained(
            config=config,
            state=state,
            model_type=source.model_type,
            tokenizer=model.tokenizer,
            generation={"eos_token_id": list(model.eos_ids)},
            chat_template=model.chat_template,
        )
        save_folder(path, pretrained)
        return Native.open(path, precision="float32", context_length=_CONTEXT)
    assert kind != "onnx"
    write_gguf(
        path.with_suffix(".gguf"),
        config,
        state,
        model.tokenizer,
        chat_template=model.chat_template,
        stored=kind,
        name="model",
        eos_ids=model.eos_ids,
    )
    return LlamaCpp(path.with_suffix(".gguf"), context_length=_CONTEXT)


def permuted_twice(state: State, config: TransformerConfig) -> State:
    """Rows of queries and keys in the order that the format's own permutation makes of its result."""
    heads = {"query": config.num_heads, "key": config.num_kv_heads}
    wrong = dict(state)
    for name in state:
        part = next((part for part in heads if f".{part}.weight" in name), None)
        if part is not None:
            wrong[name] = permuted(state[name], heads[part])
    return wrong


def swapped_gates(state: State) -> State:
    """Gate and up projections under each other's names."""
    names = {"gate": "up", "up": "gate"}
    return {name: state[".".join(names.get(part, part) for part in name.split("."))] for name in state}


def block_twice(state: State) -> State:
    """The second block's weights are those of the first."""
    return {name: state[name.replace("blocks.1.", "blocks.0.")] for name in state}


def told(name: str, kind: Kind, found: Certificate, *, is_broken: bool = False) -> dict[str, Any]:
    """A row."""
    row = {
        "name": name,
        "kind": kind,
        "broken": is_broken,
        "passed": found.passed,
        "largest_difference": found.largest_difference,
        "mean_divergence": found.mean_divergence,
        "ends": [found.num_same_ends, found.num_ends],
        "limits": asdict(LIMITS[kind]),
    }
    print(json.dumps(row))
    return row


def summary(document: dict[str, Any]) -> str:
    """By kind the worst of the good ones and the best of the broken ones."""
    rows = document["rows"]
    lines = heading(document)
    for kind in (*GOOD, *FEW_BITS):
        of = [row for row in rows if row["kind"] == kind and not row["broken"]]
        worst = max(row["largest_difference"] for row in of)
        divergence = max(row["mean_divergence"] for row in of)
        lines.append(
            f"{kind}: {sum(row['passed'] for row in of)} of {len(of)} certified; largest "
            f"difference {worst:.4f}, mean divergence {divergence:.5f}; bounds {of[0]['limits']}"
        )
    for row in rows:
        if row["broken"]:
            verdict = "CERTIFIED" if row["passed"] else "refused"
            lines.append(
                f"{row['name']}, {row['kind']}: {verdict}; largest difference "
                f"{row['largest_difference']:.2f}, mean divergence {row['mean_divergence']:.4f}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
